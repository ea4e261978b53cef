//! Secrets and configs: files that a process reads. Both become Secrets, whose values are set apart from all manifests.

use skep_schemas::FileName;
use skep_schemas::kind::{SECRETS_DIRECTORY, SecretMount};

use super::Surroundings;
use super::draft::Draft;
use crate::Report;
use crate::keys::{Keys, Taken};
use crate::top_level::DeclaredFile;
use crate::value;

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, around: &Surroundings<'_>, report: &mut Report) {
    for item in keys.take("secrets").iter().flat_map(Taken::each) {
        file(draft, &item, "secret", &around.declared.secrets, report);
    }
    for item in keys.take("configs").iter().flat_map(Taken::each) {
        file(draft, &item, "config", &around.declared.configs, report);
    }
}

fn file(
    draft: &mut Draft,
    item: &Taken,
    kind: &str,
    declared: &std::collections::BTreeMap<String, DeclaredFile>,
    report: &mut Report,
) {
    let long = item.value.as_object();
    let text = |key: &str| long.and_then(|long| long.get(key)).and_then(value::text);
    let source = if long.is_some() { text("source") } else { item.text() };
    let Some((source, known)) = source.and_then(|source| Some((source.clone(), declared.get(&source)?)))
    else {
        return report
            .refuse(&item.pointer, format!("there is no {kind} of that name at the top of the file"));
    };
    let Some(name) = known.name.clone() else {
        return report.refuse(
            &item.pointer,
            format!("the {kind} `{source}` cannot be a Secret: see `{kind}s.{source}`"),
        );
    };
    let usual = if kind == "secret" { source.clone() } else { format!("/{source}") };
    let target = text("target").unwrap_or(usual);
    let in_directory =
        target.strip_prefix(SECRETS_DIRECTORY).map(|path| path.trim_start_matches('/').to_owned());
    let file =
        in_directory.clone().unwrap_or_else(|| target.rsplit('/').next().unwrap_or_default().to_owned());
    let Ok(file) = file.parse::<FileName>() else {
        return report.refuse(&item.pointer, format!("`{target}` is no file in {SECRETS_DIRECTORY}"));
    };
    let to = draft.in_environment("secrets");
    let is_elsewhere = target.starts_with('/') && in_directory.is_none();
    let settings: Vec<&str> = ["uid", "gid", "mode"]
        .into_iter()
        .filter(|key| long.is_some_and(|long| long.contains_key(*key)))
        .collect();
    let unknown = long
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .filter(|key| !["source", "target", "uid", "gid", "mode"].contains(&key.as_str()));
    for key in unknown {
        report.refuse(format!("{}.{key}", item.pointer), "Compose has no such key");
    }
    let what = if is_elsewhere {
        Some(format!("as {SECRETS_DIRECTORY}/{file}, and not as {target}: tell the program so"))
    } else if !settings.is_empty() {
        Some(format!("without {}: every process of the container may read it", settings.join(", ")))
    } else {
        None
    };
    match what {
        Some(what) => report.decide(&item.pointer, format!("{to}, {what}")),
        None => report.done(&item.pointer, to),
    }
    draft.made_secrets.insert(name.clone(), known.description.clone());
    let file = (file.as_str() != name.as_str()).then_some(file);
    draft.secrets.push(SecretMount { name, file, env: None });
}
