//! Which domains lead to a process, and which cannot be routed?

use skep_schemas::kind::{DomainSpec, NamedPort, TlsMode};
use skep_schemas::{ProcessName, Resource};

use super::EnvironmentDesired;
use crate::blocked::Blocked;
use crate::naming;
use crate::release::{ReleaseContent, ReleaseProcess};
use crate::render::{Route, RouteTls};
use crate::settings::{EdgeSettings, Settings};

/// The routes to one process, and the domains that cannot be routed.
pub(super) fn routes(
    settings: &Settings,
    desired: &EnvironmentDesired,
    name: &ProcessName,
    process: &ReleaseProcess,
) -> (Vec<Route>, Vec<Blocked>) {
    let mut routes = Vec::new();
    let mut blocked = Vec::new();
    for domain in desired.domains.iter().filter(|domain| domain.spec.process_name() == name.as_str()) {
        let wanted = |port: &&NamedPort| domain.spec.port.as_ref().is_none_or(|name| port.name == *name);
        match process.ports.iter().find(wanted) {
            Some(port) => routes.push(Route {
                name: naming::router(&desired.org, domain.meta.key.name(), domain.meta.uid),
                host: domain.spec.host.clone(),
                port: port.port,
                tls: tls(&settings.edge, &domain.spec),
            }),
            None => blocked.push(Blocked::RouteInvalid {
                domain: domain.meta.key.name().to_string(),
                why: match &domain.spec.port {
                    Some(port) => format!("process {name} has no port called {port}"),
                    None => format!("process {name} has no port"),
                },
            }),
        }
    }
    (routes, blocked)
}

/// How clients reach a domain.
pub(super) fn tls(edge: &EdgeSettings, domain: &DomainSpec) -> RouteTls {
    match (domain.tls, &edge.certificate_resolver) {
        (TlsMode::Automatic, Some(resolver)) => RouteTls::Resolver(resolver.clone()),
        (TlsMode::Automatic, None) | (TlsMode::Off, _) => RouteTls::Off,
    }
}

/// Domains that name a process which the target does not have.
pub(super) fn unroutable(desired: &EnvironmentDesired, content: &ReleaseContent) -> Vec<Blocked> {
    let missing =
        |domain: &&Resource<DomainSpec>| !content.processes.contains_key(domain.spec.process_name());
    desired
        .domains
        .iter()
        .filter(missing)
        .map(|domain| Blocked::RouteInvalid {
            domain: domain.meta.key.name().to_string(),
            why: format!("there is no process {}", domain.spec.process_name()),
        })
        .collect()
}
