//! Services: each becomes an App, an Environment, and what they need.

mod container;
mod deploy;
mod draft;
mod environment;
mod files;
mod health;
mod network;
mod refused;
mod volumes;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;
use skep_schemas::kind::{AnySpec, GenerateSpec, SecretSpec};
use skep_schemas::{Host, Kind, Manifest, ResourceKey, ResourceName, Scope};

use self::draft::Draft;
use crate::keys::{Keys, Taken};
use crate::project::{Project, label};
use crate::top_level::{self, Declared};
use crate::{ComposeError, Import, Options};

/// What services know of each other and of what stands beside them.
pub(crate) struct Surroundings<'a> {
    pub(crate) options: &'a Options,
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The Environment of each service that is imported.
    pub(crate) environments: BTreeMap<String, ResourceName>,
    pub(crate) declared: Declared,
    /// Which service has a named volume already: an Environment's volumes are its own.
    pub(crate) volume_owners: BTreeMap<String, String>,
    /// Which service is reached at a host already: a host is one Domain's.
    pub(crate) host_owners: BTreeMap<Host, String>,
}

impl Surroundings<'_> {
    /// The name by which others reach a service.
    pub(crate) fn address(&self, service: &str) -> Option<String> {
        self.environments.get(service).map(|environment| format!("{environment}.internal"))
    }
}

/// Makes the manifests of a project.
pub(crate) fn import(
    project: Project,
    options: &Options,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Import, ComposeError> {
    let Project { name: project, services, top, mut report } = project;
    let mut environments = BTreeMap::new();
    for service in services.keys() {
        let name = environment_name(&project, service, options);
        let name = name.and_then(|name| match environments.iter().find(|(_, taken)| **taken == name) {
            Some((other, _)) => Err(format!("`{name}` is the name of what `{other}` becomes")),
            None => Ok(name),
        });
        match name {
            Ok(name) => {
                environments.insert(service.clone(), name);
            }
            Err(why) => report.decide(
                format!("services.{service}"),
                format!("the service is left out, because it cannot be called so: {why}; name it with --name {service}=NAME"),
            ),
        }
    }
    let declared = top_level::declared(&project, top, &mut report);
    let mut around = Surroundings {
        options,
        read,
        environments,
        declared,
        volume_owners: BTreeMap::new(),
        host_owners: BTreeMap::new(),
    };
    let mut manifests = Vec::new();
    let mut secrets = BTreeMap::new();
    for (service, value) in services {
        let Some(name) = around.environments.get(&service).cloned() else { continue };
        let taken = Taken { pointer: format!("services.{service}"), value };
        let draft = drafted(&service, name, taken, &mut around, &mut report)?;
        for (name, description) in &draft.made_secrets {
            secrets.insert(name.clone(), description.clone());
        }
        manifests.extend(draft.finish(options, &mut report));
    }
    let mut all: Vec<Manifest> = Vec::new();
    for (name, description) in secrets {
        // A new Secret has to have a value, and its own belongs into no file.
        let generate = Some(GenerateSpec::default());
        let spec = SecretSpec { description: Some(description), value: None, generate };
        all.extend(manifest(options, Kind::Secret, name, spec.into()));
    }
    all.extend(manifests);
    Ok(Import { project, manifests: all, report })
}

fn environment_name(project: &str, service: &str, options: &Options) -> Result<ResourceName, String> {
    if let Some(name) = options.names.get(service) {
        return Ok(name.clone());
    }
    format!("{project}-{}", label(service)).parse().map_err(|error: skep_schemas::ScalarError| error.problem)
}

fn drafted(
    service: &str,
    name: ResourceName,
    taken: Taken,
    around: &mut Surroundings<'_>,
    report: &mut crate::Report,
) -> Result<Draft, ComposeError> {
    let mut keys = Keys::of(taken, report);
    let mut draft = Draft::new(service, name);
    container::take(&mut draft, &mut keys, around, report);
    environment::take(&mut draft, &mut keys, around, report)?;
    network::take(&mut draft, &mut keys, around, report);
    health::take(&mut draft, &mut keys, report);
    volumes::take(&mut draft, &mut keys, around, report);
    files::take(&mut draft, &mut keys, around, report);
    deploy::take(&mut draft, &mut keys, around, report);
    refused::take(&mut keys, report);
    keys.rest(report);
    Ok(draft)
}

/// A manifest of the organisation.
pub(crate) fn manifest(options: &Options, kind: Kind, name: ResourceName, spec: AnySpec) -> Option<Manifest> {
    let key = ResourceKey::new(Scope::Org(options.org.clone()), kind, name).ok()?;
    Some(Manifest { key, labels: BTreeMap::new(), annotations: BTreeMap::new(), spec })
}

/// A number that is written as such or as text.
pub(crate) fn number(value: &Value) -> Option<u32> {
    crate::value::text(value)?.trim().parse().ok()
}
