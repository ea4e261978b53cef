//! What Compose files become runs: every file of the importer's tests is imported as a person would, applied to a real engine, and is ready.
//!
//! The images of those files cannot be pulled here. One takes their place that idles whatever it is told to run, and has programs of the names that
//! health checks call: what is tried is what Skep makes of the files, and not what is in the images.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::{documents, image};
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, Recipe};

/// What stands in for every image.
const ANYTHING: &str = "anything:v1";
/// Services that are no application until somebody decided something: this one has no image.
const UNDECIDED: [&str; 1] = ["oddities-nothing"];

/// A check that finds everything well.
const WELL: &str = "#!/bin/sh\nexit 0\n";

fn anything() -> Result<Recipe> {
    let idle = "#!/bin/sh\ntrap 'exit 0' TERM\nsleep 1000000 &\nwait\n";
    let mut recipe = Recipe::busybox()?
        .file("bin/anything", 0o755, idle)
        .change(r#"ENTRYPOINT ["/bin/anything"]"#)
        .change("CMD []")
        .change("ENV PATH=/www/cgi-bin:/bin")
        .file("bin/healthy", 0o755, WELL);
    for program in ["healthcheck.sh", "pg_isready", "curl", "kafka-broker-api-versions"] {
        recipe = recipe.file(&format!("www/cgi-bin/{program}"), 0o755, WELL);
    }
    Ok(recipe)
}

fn platform(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn founding() -> String {
    let profile = json!({ "level": "standard", "profile": { "capabilities": ["CHOWN", "SETUID"] } });
    documents(&[
        platform("IsolationTier", "shared", profile),
        platform(
            "Plan",
            "hobby",
            json!({ "instance": { "cpu": "1", "memory": "1Gi", "pids": 512 }, "isolationTier": "shared" }),
        ),
        platform("Organization", "acme", json!({ "plan": "hobby" })),
    ])
}

/// The directories of the importer's tests.
fn cases() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/tests/files");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&root).with_context(|| root.display().to_string())? {
        cases.push(entry?.path());
    }
    cases.sort();
    Ok(cases)
}

fn arguments(case: &Path, variables: &str) -> Result<Vec<String>> {
    let project: String = case.file_name().context("a name")?.to_string_lossy().chars().take(8).collect();
    let file = case.join("compose.yaml").to_string_lossy().into_owned();
    let given = [
        "import",
        "compose",
        &file,
        "--org",
        "acme",
        "-p",
        &project,
        "--env-file",
        variables,
        "-o",
        "json",
        "-f",
    ];
    Ok(given.into_iter().map(str::to_owned).collect())
}

/// Imports a file as it is, and once more with the image that stands in for those that it names. What is written then, and how many keys are in its
/// report.
fn imported(at: &Installation, case: &Path, variables: &str) -> Result<(String, usize)> {
    let mut first = arguments(case, variables)?;
    first.push("-".to_owned());
    let report: Value = serde_json::from_str(&at.cli.run(&first)?.ok()?.err)?;
    let entries = report["entries"].as_array().cloned().unwrap_or_default();
    let pointers = entries.iter().filter_map(|entry| entry["pointer"].as_str());
    let with_image = |pointer: &str| {
        let beneath = pointer.strip_prefix("services.")?;
        beneath.strip_suffix(".image").or_else(|| beneath.strip_suffix(".build")).map(str::to_owned)
    };
    let services: Vec<String> = pointers.filter_map(with_image).collect();
    let mut again = arguments(case, variables)?;
    again.push("-".to_owned());
    for service in services {
        again.extend(["--image".to_owned(), format!("{service}={}", image(ANYTHING))]);
    }
    Ok((at.cli.run(&again)?.ok()?.out, entries.len()))
}

fn names(at: &Installation, kind: &str) -> Result<Vec<String>> {
    let list = at.cli.run(&["get", kind, "--org", "acme", "-o", "json"])?.json()?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect())
}

#[test]
fn what_compose_files_become_is_ready_on_a_real_engine_and_the_next_diff_is_empty() -> Result<()> {
    let at = Installation::start_with(Options::new(EngineVersion::V26_1))?;
    at.engine.publish(&anything()?, ANYTHING)?;
    let node = at.docker(&["node", "ls", "--quiet"])?;
    at.docker(&["node", "update", "--label-add", "region=eu", &node])?;
    at.cli.apply_and_wait(&founding())?.ok()?;
    let variables = at.cli.file("variables.env", "DB_PASSWORD=hunter2\nTAG=v2\n")?;
    let cases = cases()?;
    ensure!(cases.len() >= 15, "{cases:?}");
    let mut all = Vec::new();
    for case in &cases {
        let (text, keys) = imported(&at, case, &variables).with_context(|| case.display().to_string())?;
        ensure!(keys > 0, "{}: nothing is in the report", case.display());
        at.cli.apply(&text, &[])?.ok().with_context(|| format!("{}\n{text}", case.display()))?;
        all.push(text);
    }
    // What the reports ask for: values of secrets, which stand in no file.
    for secret in names(&at, "secrets")? {
        at.cli.run_with_input(&["secrets", "rotate", &secret, "--org", "acme"], "a value")?.ok()?;
    }
    let environments = names(&at, "environments")?;
    ensure!(environments.len() > 25, "{environments:?}");
    for environment in environments.iter().filter(|name| !UNDECIDED.contains(&name.as_str())) {
        let waited = at.cli.run(&["wait", "environment", environment, "--org", "acme", "--timeout", "5m"])?;
        waited.ok().with_context(|| at.report())?;
    }
    let next = at.cli.diff(&all.join("---\n"))?;
    ensure!(next.code == 0, "{}{}", next.out, next.err);
    Ok(())
}
