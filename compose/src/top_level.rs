//! What stands beside services: volumes, networks, secrets, configs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use skep_schemas::ResourceName;

use crate::keys::{Keys, Taken};
use crate::project::label;
use crate::report::Report;

/// A secret or a config.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredFile {
    /// The Secret that it becomes; none if it cannot.
    pub(crate) name: Option<ResourceName>,
    /// What the Secret is.
    pub(crate) description: String,
}

/// What services refer to.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) secrets: BTreeMap<String, DeclaredFile>,
    pub(crate) configs: BTreeMap<String, DeclaredFile>,
    /// Volumes that cannot be, and why.
    pub(crate) refused_volumes: BTreeMap<String, String>,
}

/// Reads what is declared, and tells what becomes of it.
pub(crate) fn declared(project: &str, top: Map<String, Value>, report: &mut Report) -> Declared {
    let mut declared = Declared::default();
    for (key, value) in top {
        let taken = Taken { pointer: key.clone(), value };
        match key.as_str() {
            "version" => report.done(key, "Compose itself does not read it any more"),
            "secrets" => declared.secrets = files(project, "secret", taken, report),
            "configs" => declared.configs = files(project, "config", taken, report),
            "volumes" => declared.refused_volumes = volumes(taken, report),
            "networks" => networks(taken, report),
            "models" => report.refuse(key, "it is neither an image nor anything that Skep could run"),
            _ if key.starts_with("x-") => report.done(key, "an extension, which says nothing by itself"),
            _ => report.refuse(key, "Compose has no such key"),
        }
    }
    declared
}

fn files(project: &str, kind: &str, taken: Taken, report: &mut Report) -> BTreeMap<String, DeclaredFile> {
    let mut found = BTreeMap::new();
    for (name, taken) in Keys::of(taken, report).into_each() {
        let mut keys = Keys::of(taken, report);
        let described = format!("The {kind} `{name}` of the Compose project {project}");
        let secret: Option<ResourceName> = format!("{project}-{}", label(&name)).parse().ok();
        let Some(secret) = secret else {
            report.decide(
                keys.pointer(),
                "it cannot be called so: names have at most 30 characters; give it a shorter one",
            );
            drop(keys.into_each());
            found.insert(name, DeclaredFile { name: None, description: described });
            continue;
        };
        let pointer = keys.pointer().to_owned();
        let (file, variable, content) = (keys.take("file"), keys.take("environment"), keys.take("content"));
        let how = match (&file, &variable, &content) {
            (Some(file), ..) => format!("skep secrets rotate {secret} < {}", file.text().unwrap_or_default()),
            (_, Some(variable), _) => {
                format!("printenv {} | skep secrets rotate {secret}", variable.text().unwrap_or_default())
            }
            (.., Some(_)) => {
                format!("skep secrets rotate {secret} < FILE, with the content that stands there")
            }
            _ => format!("skep secrets rotate {secret} < FILE"),
        };
        let at = [file, variable, content]
            .into_iter()
            .flatten()
            .next()
            .map_or_else(|| pointer.clone(), |at| at.pointer);
        report.decide(at, format!("Secret {secret}, with a random value until it has its own, which stands in no manifest: {how}"));
        keys.refuse(
            &["external", "name"],
            "the value of what an engine keeps cannot be read back from it",
            report,
        );
        keys.refuse(
            &["labels", "driver", "driver_opts", "template_driver"],
            "a Secret is kept by Skep, sealed",
            report,
        );
        keys.rest(report);
        found.insert(name, DeclaredFile { name: Some(secret), description: described });
    }
    found
}

fn volumes(taken: Taken, report: &mut Report) -> BTreeMap<String, String> {
    let mut refused = BTreeMap::new();
    for (name, taken) in Keys::of(taken, report).into_each() {
        let pointer = taken.pointer.clone();
        let mut keys = Keys::of(taken, report);
        if let Some(external) = keys.take("external").filter(Taken::is_true) {
            let why = "a volume that is there already belongs to whoever made it; move its content into the Environment's own";
            report.refuse(external.pointer, why);
            refused.insert(name.clone(), format!("{why}: see `{pointer}.external`"));
        }
        if let Some(driver) = keys.take("driver") {
            match driver.text().as_deref() {
                None | Some("local") => report.done(driver.pointer, "the engine's own"),
                Some(other) => {
                    let why = format!("volumes are the engine's own, and none of `{other}`");
                    report.refuse(driver.pointer, why.clone());
                    refused.insert(name.clone(), format!("{why}: see `{pointer}.driver`"));
                }
            }
        }
        if let Some(options) = keys.take("driver_opts").filter(|options| !options.value.is_null()) {
            let why = "a driver's options can name any path of the node, or a server";
            report.refuse(options.pointer, why);
            refused.insert(name.clone(), format!("{why}: see `{pointer}.driver_opts`"));
        }
        keys.refuse(
            &["name", "labels"],
            "the engine's volume is called after organisation, Environment and name",
            report,
        );
        keys.rest(report);
        if !refused.contains_key(&name) {
            report.done(pointer, "a volume of the Environment that mounts it");
        }
    }
    refused
}

fn networks(taken: Taken, report: &mut Report) {
    for (_, taken) in Keys::of(taken, report).into_each() {
        let pointer = taken.pointer.clone();
        let mut keys = Keys::of(taken, report);
        keys.refuse(
            &[
                "driver",
                "driver_opts",
                "ipam",
                "external",
                "name",
                "attachable",
                "enable_ipv6",
                "enable_ipv4",
            ],
            "an organisation has one network, and Skep gives it its addresses",
            report,
        );
        if let Some(internal) = keys.take("internal") {
            let what = "a way out is a matter of the organisation's Plan: `network: {egress: deny}`";
            report.decide(internal.pointer, what);
        }
        keys.refuse(&["labels"], "the network is Skep's", report);
        keys.rest(report);
        report.done(pointer, "the organisation's network");
    }
}
