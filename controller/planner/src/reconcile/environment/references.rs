//! What stands for the references in variables, `${domain.www.url}` say, when a release is made.
//!
//! Inputs: the merged formation, the domains that lead to the environment, and the edge. The values are written into the formation, so the release has
//! them as plain text and runs with them for as long as it is kept; beside them it keeps what each reference stood for. Nothing of another
//! environment or organisation can be named: a domain that leads elsewhere is not among those that are looked at.

use std::collections::{BTreeMap, BTreeSet};

use skep_schemas::kind::DomainSpec;
use skep_schemas::{
    DomainField, EnvName, EnvironmentField, ProcessField, ProcessName, Reference, Resource, ResourceName,
    ValueTemplate,
};

use super::routing;
use super::{EnvironmentDesired, EnvironmentInput};
use crate::blocked::Blocked;
use crate::formation::Formation;
use crate::naming;
use crate::render;

/// What references stand for.
pub(super) type Resolved = BTreeMap<Reference, String>;

/// Writes what references stand for in their places. Everything that does not resolve is returned at once.
pub(super) fn resolve(
    input: &EnvironmentInput<'_>,
    formation: &mut Formation,
) -> Result<Resolved, Vec<Blocked>> {
    let mut blocked = Vec::new();
    let mut note = |variable: &EnvName, why: String| {
        let found = Blocked::ReferenceUnresolved { variable: variable.to_string(), why };
        // A variable of the environment is one of each of its processes.
        if !blocked.contains(&found) {
            blocked.push(found);
        }
    };
    let mut templates: Vec<(EnvName, ValueTemplate)> = Vec::new();
    for env in envs(formation) {
        for (name, value) in env.iter().filter(|(_, value)| !ValueTemplate::is_plain(value)) {
            match ValueTemplate::parse(value) {
                Ok(template) => templates.push((name.clone(), template)),
                // Stored by a version that did not know references.
                Err(wrong) => wrong.into_iter().for_each(|why| note(name, why.problem)),
            }
        }
    }
    let mut resolved = Resolved::new();
    for (name, template) in &templates {
        for reference in template.references() {
            match value_of(input, formation, reference) {
                Ok(value) => drop(resolved.insert(reference.clone(), value)),
                Err(why) => note(name, format!("`${{{reference}}}`: {why}")),
            }
        }
    }
    if !blocked.is_empty() {
        return Err(blocked);
    }
    let values = envs_mut(formation).flat_map(BTreeMap::values_mut);
    for value in values.filter(|value| !ValueTemplate::is_plain(value)) {
        if let Some(text) = ValueTemplate::parse(value).ok().and_then(|template| template.resolved(&resolved))
        {
            *value = text;
        }
    }
    Ok(resolved)
}

fn envs(formation: &Formation) -> impl Iterator<Item = &BTreeMap<EnvName, String>> {
    let services = formation.processes.values().map(|one| &one.process);
    let scheduled = formation.schedules.values().map(|one| &one.process);
    let phase = formation.release_phase.iter().map(|phase| &phase.process);
    services.chain(scheduled).chain(phase).map(|process| &process.env)
}

fn envs_mut(formation: &mut Formation) -> impl Iterator<Item = &mut BTreeMap<EnvName, String>> {
    let services = formation.processes.values_mut().map(|one| &mut one.process);
    let scheduled = formation.schedules.values_mut().map(|one| &mut one.process);
    let phase = formation.release_phase.iter_mut().map(|phase| &mut phase.process);
    services.chain(scheduled).chain(phase).map(|process| &mut process.env)
}

/// What a reference stands for now, or why it stands for nothing.
fn value_of(
    input: &EnvironmentInput<'_>,
    formation: &Formation,
    reference: &Reference,
) -> Result<String, String> {
    let environment = input.desired.environment.meta.key.name();
    match reference {
        Reference::Environment { field: EnvironmentField::Name } => Ok(environment.to_string()),
        Reference::Domain { domain, field } => {
            let found = domain_of(input.desired, domain)
                .ok_or_else(|| format!("no Domain {domain} leads to this environment"))?;
            Ok(match field {
                DomainField::Host => found.spec.host.to_string(),
                DomainField::Url => {
                    let edge = &input.settings.edge;
                    render::url(edge, &found.spec.host, &routing::tls(edge, &found.spec))
                }
            })
        }
        Reference::Process { process, field } => {
            let found = formation.processes.get(process).ok_or_else(|| not_a_service(formation, process))?;
            match field {
                ProcessField::Host => Ok(naming::address(environment, process)),
                ProcessField::Port => match found.process.ports.first() {
                    Some(first) => Ok(first.port.to_string()),
                    None => Err(format!("process {process} has no port")),
                },
            }
        }
    }
}

fn domain_of<'a>(desired: &'a EnvironmentDesired, name: &ResourceName) -> Option<&'a Resource<DomainSpec>> {
    desired.domains.iter().find(|domain| domain.meta.key.name() == name)
}

fn not_a_service(formation: &Formation, process: &ProcessName) -> String {
    let is_release_phase = process.as_str() == skep_schemas::kind::RELEASE_PHASE;
    if formation.schedules.contains_key(process) || is_release_phase {
        return format!("process {process} is no service, and has no address");
    }
    format!("there is no process {process}")
}

/// The domains that a release has something of.
pub(super) fn domains<'a>(
    desired: &'a EnvironmentDesired,
    resolved: &Resolved,
) -> impl Iterator<Item = &'a Resource<DomainSpec>> {
    let named: BTreeSet<ResourceName> = resolved
        .keys()
        .filter_map(|reference| match reference {
            Reference::Domain { domain, .. } => Some(domain.clone()),
            Reference::Process { .. } | Reference::Environment { .. } => None,
        })
        .collect();
    desired.domains.iter().filter(move |domain| named.contains(domain.meta.key.name()))
}
