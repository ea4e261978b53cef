//! Files as people have them: what they become is recorded, every key of them is in the account, and what is made is read by Skep.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skep_compose::{Exported, Import, Options, export, import};
use skep_schemas::kind::{AppSpec, DomainSpec, EnvironmentSpec};
use skep_schemas::manifest::{Batch, ReadOptions};
use skep_schemas::{AnySpec, Manifest, ResourceName};

/// What each file is imported with: further files, profiles, hosts, images.
fn options(case: &str) -> (Vec<&'static str>, Options) {
    let mut options = Options::new("acme".parse().unwrap());
    // Not the directory of the checkout.
    options.project = (case != "postgres-redis-worker").then(|| case.chars().take(8).collect());
    let mut files = vec!["compose.yaml"];
    match case {
        "wordpress" => {
            options.variables.insert("DB_PASSWORD".to_owned(), "hunter2".to_owned());
            options.hosts.insert("wordpress".to_owned(), "blog.example.com".parse().unwrap());
        }
        "overrides" => files.push("compose.prod.yaml"),
        "profiles" => drop(options.profiles.insert("seed".to_owned())),
        "interpolation" => drop(options.variables.insert("TAG".to_owned(), "v2".to_owned())),
        "rabbitmq" => {
            options.images.insert("consumer".to_owned(), "127.0.0.1:5000/consumer:v1".parse().unwrap());
        }
        _ => {}
    }
    (files, options)
}

fn cases() -> Vec<String> {
    let mut cases: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    cases.sort();
    cases
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// Reads as if the case's directory were the working directory, so that no path of a machine is in what is recorded.
fn imported(case: &str) -> Import {
    let (files, options) = options(case);
    let dir = root().join(case);
    let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    import(&files, &options, &|path| fs::read_to_string(dir.join(path)))
        .unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn yaml(import: &Import) -> String {
    let mut text = String::new();
    for manifest in &import.manifests {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&manifest.to_json_with_secret_values().unwrap()).unwrap());
    }
    text
}

#[test]
fn what_files_become_is_as_recorded() {
    for case in cases() {
        let import = imported(&case);
        insta::assert_snapshot!(format!("{case}.report"), import.report.to_string());
        insta::assert_snapshot!(format!("{case}.manifests"), yaml(&import));
    }
}

#[test]
fn there_are_as_many_files_as_were_promised() {
    assert!(cases().len() >= 15, "{:?}", cases());
}

#[test]
fn what_is_made_is_read_by_skep_without_a_complaint() {
    for case in cases() {
        let text = yaml(&imported(&case));
        let mut batch = Batch::new(ReadOptions::default());
        batch.add_yaml(&case, &text);
        let read = batch.finish().unwrap_or_else(|problems| panic!("{case}: {problems:#?}\n{text}"));
        let read: Vec<_> = read.into_iter().map(|one| one.manifest).collect();
        assert_eq!(read, imported(&case).manifests, "{case}");
    }
}

/// All keys and entries of lists beneath a value, with where they stand.
fn places(pointer: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let pointer = if pointer.is_empty() { key.clone() } else { format!("{pointer}.{key}") };
                found.push(pointer.clone());
                places(&pointer, value, found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                places(&format!("{pointer}[{at}]"), value, found);
            }
        }
        _ => {}
    }
}

/// Whether one place is the other, or lies beneath it.
fn is_within(place: &str, of: &str) -> bool {
    place.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ' ']))
}

#[test]
fn no_key_of_any_file_is_dropped_silently() {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases() {
        let import = imported(&case);
        let entries: Vec<&str> = import.report.entries().iter().map(|entry| entry.pointer.as_str()).collect();
        for file in options(&case).0 {
            let text = fs::read_to_string(root().join(&case).join(file)).unwrap();
            let whole: Value = serde_saphyr::from_str(&text).unwrap();
            let mut all = Vec::new();
            places("", &whole, &mut all);
            for place in all {
                // A service or a mapping is told by its keys; a key by itself or by what it lies in.
                let is_told =
                    entries.iter().any(|entry| is_within(&place, entry) || is_within(entry, &place));
                assert!(is_told, "{case}: nothing is said of {place}\n{}", import.report);
            }
        }
        for entry in import.report.entries() {
            assert!(!entry.outcome.text().is_empty(), "{case}: {entry:?}");
            *told.entry(entry.outcome.word()).or_default() += 1;
        }
    }
    assert!(told.values().all(|count| *count > 20), "each outcome is met: {told:?}");
}

#[test]
fn the_value_of_a_secret_is_in_no_manifest_and_no_report() {
    let import = imported("secrets-and-configs");
    let text = format!("{}{}", yaml(&import), import.report);
    assert!(!text.contains("Welcome"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_file_and_place() {
    let error = |text: &str| {
        let read = |path: &Path| match path.to_str() {
            Some("compose.yaml") => Ok(text.to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        let options = Options { project: Some("p".to_owned()), ..Options::new("acme".parse().unwrap()) };
        import(&[PathBuf::from("compose.yaml")], &options, &read).unwrap_err().to_string()
    };
    for (text, told) in [
        (
            "services: {web: {image: '${TAG:?say which}'}}",
            "compose.yaml: services.web.image: the variable TAG has to be set: say which; give it with --env-file",
        ),
        ("services: {web: {image: '${TAG'}}", "compose.yaml: services.web.image: `${` is not closed"),
        ("services: {web: {extends: other}}", "services.web.extends: there is no service `other` to extend"),
        (
            "services: {a: {extends: b}, b: {extends: a}}",
            "services.a.extends: services extend each other too deeply, or in a circle",
        ),
        ("services: {web: {extends: {file: x.yaml, service: a}}}", "x.yaml cannot be read"),
        ("services: {web: {env_file: x.env}}", "x.env cannot be read"),
        ("services: [web]", "services: it is a mapping of services by name"),
        ("include: [compose.yaml]", "include: files include each other too deeply, or in a circle"),
        ("- web", "compose.yaml: a Compose file is a mapping with the key `services`"),
    ] {
        assert_eq!(error(text), told, "{text}");
    }
    assert!(error("services: {web: {image: a, image: b}}").starts_with("compose.yaml: "));
    assert!(error("services: \"unclosed").starts_with("compose.yaml: "));
}

/// Apps, environments and domains by name.
#[derive(Default)]
struct Resources {
    apps: BTreeMap<ResourceName, AppSpec>,
    environments: BTreeMap<ResourceName, EnvironmentSpec>,
    domains: BTreeMap<ResourceName, DomainSpec>,
}

impl Resources {
    fn of(manifests: &[Manifest]) -> Self {
        let mut all = Self::default();
        for manifest in manifests {
            let name = manifest.key.name().clone();
            match &manifest.spec {
                AnySpec::App(spec) => drop(all.apps.insert(name, (**spec).clone())),
                AnySpec::Environment(spec) => drop(all.environments.insert(name, (**spec).clone())),
                AnySpec::Domain(spec) => drop(all.domains.insert(name, (**spec).clone())),
                _ => {}
            }
        }
        all
    }

    fn exported(&self, project: &str) -> skep_compose::Export {
        let mut all = Vec::new();
        for (name, environment) in &self.environments {
            all.push(Exported {
                name,
                environment,
                app: &self.apps[&environment.app],
                domains: &self.domains,
            });
        }
        export(project, &all)
    }
}

#[test]
fn what_is_exported_says_the_same_when_it_is_imported_again() {
    for case in cases() {
        let first = Resources::of(&imported(&case).manifests);
        let text = serde_saphyr::to_string(&first.exported("p").file).unwrap();
        let mut options = Options::new("acme".parse().unwrap());
        for name in first.environments.keys() {
            options.names.insert(name.to_string(), name.clone());
        }
        let again = import(&[PathBuf::from("compose.yaml")], &options, &|_| Ok(text.clone()));
        let again = again.unwrap_or_else(|error| panic!("{case}: {error}\n{text}"));
        let second = Resources::of(&again.manifests);
        assert_eq!(
            first.environments.keys().collect::<Vec<_>>(),
            second.environments.keys().collect::<Vec<_>>(),
            "{case}"
        );
        for (name, was) in &first.environments {
            let is = &second.environments[name];
            let mut env = is.env.clone();
            if !was.env.contains_key("PORT") {
                env.remove("PORT");
            }
            assert_eq!(
                (&env, &is.processes, &is.restart, &is.security, &is.region),
                (&was.env, &was.processes, &was.restart, &was.security, &was.region),
                "{case}: {name}\n{text}"
            );
            let (was, is) = (&first.apps[name], &second.apps[name]);
            assert_eq!(is.source, was.source, "{case}: {name}");
            let web: skep_schemas::ProcessName = "web".parse().unwrap();
            let (was, is) = (&was.processes[&web], &is.processes[&web]);
            let numbers = |process: &skep_schemas::kind::ProcessSpec| {
                process.ports.iter().flatten().map(|port| port.port).collect::<Vec<_>>()
            };
            assert_eq!(
                (
                    &is.entrypoint,
                    &is.command,
                    &is.working_dir,
                    &is.health_check,
                    is.stop_grace_period,
                    numbers(is)
                ),
                (
                    &was.entrypoint,
                    &was.command,
                    &was.working_dir,
                    &was.health_check,
                    was.stop_grace_period,
                    numbers(was)
                ),
                "{case}: {name}\n{text}"
            );
        }
        assert_eq!(
            second.domains.values().map(|domain| &domain.host).collect::<Vec<_>>(),
            first.domains.values().map(|domain| &domain.host).collect::<Vec<_>>(),
            "{case}\n{text}"
        );
    }
}

#[test]
fn what_a_compose_file_cannot_say_is_noted() {
    let manifests = r#"
apiVersion: skep.dev/v1
kind: App
metadata: {org: acme, name: shop}
spec:
  source: {image: "ghcr.io/acme/shop:1"}
  processes:
    web: {ports: [{name: http, port: 8080}], env: {SELF: "${domain.www.url}", DOLLAR: "a$b"}}
    worker: {command: [work], env: {WEB: "${process.web.host}:${process.web.port}", OTHER: "${domain.none.url}"}}
    nightly: {command: [tidy], schedule: {cron: "0 3 * * *"}}
    release: {command: [migrate]}
---
apiVersion: skep.dev/v1
kind: Environment
metadata: {org: acme, name: shop}
spec:
  app: shop
  secrets: [{name: db, env: DATABASE_URL}]
  processes: {web: {instances: 2, resources: {cpu: 250m, memory: 64Mi}}}
---
apiVersion: skep.dev/v1
kind: Domain
metadata: {org: acme, name: www}
spec: {host: www.example.com, environment: shop}
"#;
    let mut batch = Batch::new(ReadOptions::default());
    batch.add_yaml("a.yaml", manifests);
    let read: Vec<Manifest> = batch.finish().unwrap().into_iter().map(|one| one.manifest).collect();
    let export = Resources::of(&read).exported("shop");
    insta::assert_snapshot!(
        "exported",
        format!("{}---\n{}", serde_saphyr::to_string(&export.file).unwrap(), export.notes)
    );
}
