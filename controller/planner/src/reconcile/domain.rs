//! Domain: routed by labels on the service of its environment, so it has no object of its own. Its status follows from the
//! environment's.

use jiff::Timestamp;
use skep_schemas::kind::{DomainDetail, DomainSpec, EnvironmentDetail, EnvironmentSpec, Status, TlsMode};
use skep_schemas::{Reason, Resource};

use super::Assessment;
use super::conditions::{Conditions, is_ready};
use crate::blocked::Blocked;
use crate::settings::Settings;

/// What to say about a domain.
pub fn status(
    settings: &Settings,
    domain: &Resource<DomainSpec>,
    environment: Option<&Resource<EnvironmentSpec>>,
    now: Timestamp,
) -> Assessment<DomainDetail> {
    let mut conditions = Conditions::new(&domain.status, domain.meta.generation, now);
    let seen: Option<Status<EnvironmentDetail>> =
        environment.and_then(|environment| serde_json::from_value(environment.status.clone()).ok());
    let url = seen.as_ref().and_then(|status| routed_url(&status.detail, domain));
    let refused = seen.as_ref().and_then(|status| refused(&status.detail, domain));
    match (environment, &url) {
        (None, _) => {
            let resource = format!("Environment/{}", domain.spec.environment);
            let missing = Blocked::ReferenceMissing { resource };
            conditions.stalled(missing.reason(), missing.to_string());
        }
        (Some(environment), Some(url))
            if is_ready(&environment.status, environment.meta.generation)
                || seen.as_ref().is_some_and(|status| serves(&status.detail, domain)) =>
        {
            let plain = domain.spec.tls == TlsMode::Automatic && settings.edge.certificate_resolver.is_none();
            let note =
                if plain { ", over plain HTTP because the platform has no certificate resolver" } else { "" };
            conditions.ready(format!("routed at {url}{note}"));
        }
        (Some(_), None) if refused.is_some() => {
            let why = refused.unwrap_or_default().to_owned();
            let invalid = Blocked::RouteInvalid { domain: domain.meta.key.name().to_string(), why };
            conditions.stalled(invalid.reason(), invalid.to_string());
        }
        (Some(environment), url) => {
            let what = if url.is_some() { "is routed, but not ready" } else { "does not route it yet" };
            conditions.progressing(
                Reason::DependencyNotReady,
                format!("environment {} {what}", environment.meta.key.name()),
            );
        }
    }
    let seen_of_environment = environment.map(|environment| environment.meta.revision);
    let observed_revision = seen_of_environment.max(Some(domain.meta.revision)).unwrap_or_default();
    let detail = DomainDetail { url };
    let status = Status::new(domain.meta.generation, observed_revision, conditions.into_vec(), detail);
    // Whatever its environment says next wakes it: who refers to a resource is woken when that one's status changes.
    Assessment { status, recheck: None }
}

/// The URL under which the environment says that it serves the domain.
fn routed_url(environment: &EnvironmentDetail, domain: &Resource<DomainSpec>) -> Option<String> {
    environment.urls.iter().find(|url| host_of(url) == domain.spec.host.as_str()).cloned()
}

/// Does an instance run that the domain is routed to? It serves even while its environment has other troubles, such as a newer
/// release that was rolled back.
fn serves(environment: &EnvironmentDetail, domain: &Resource<DomainSpec>) -> bool {
    let routed = |name: &str| name == domain.spec.process_name();
    environment.processes.iter().any(|(name, process)| routed(name.as_str()) && process.running > 0)
}

/// Why the environment says that it cannot serve the domain.
fn refused<'a>(environment: &'a EnvironmentDetail, domain: &Resource<DomainSpec>) -> Option<&'a str> {
    let name = domain.meta.key.name().as_str();
    environment.unrouted.iter().find(|unrouted| unrouted.domain == name).map(|unrouted| unrouted.why.as_str())
}

fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split([':', '/']).next().unwrap_or(authority)
}
