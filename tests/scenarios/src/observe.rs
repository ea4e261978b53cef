//! From the engine to what the planner is told about it: what cannot be read is unknown, never absent.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use skep_planner::reconcile::environment::{
    EnvironmentDesired, EnvironmentObservation, ImageFailure, entry_to_observe, image_to_resolve,
    runs_to_observe, secrets_to_observe, services_to_observe,
};
use skep_planner::reconcile::network_policy::{NetworkPolicyDesired, NetworkPolicyObservation};
use skep_planner::reconcile::organization::{Edge, EdgeTask, OrganizationDesired, OrganizationObservation};
use skep_planner::reconcile::secret::SecretDesired;
use skep_planner::swarm::{Config, Secret, Service, ServiceId, Task, TaskState};
use skep_planner::{Observed, ResolvedImage, RunOutput, Settings, naming};
use skep_schemas::{ImageRef, Kind};
use skep_swarm::{By, LabelFilter};

use crate::cluster::Cluster;

/// The name under which a case makes the whole engine unreadable.
pub(crate) const WHOLE_ENGINE: &str = "engine";

fn look<T: Clone>(engine: &Cluster, name: &str, found: Option<&T>) -> Observed<T> {
    match engine.unseen.get(name).or_else(|| engine.unseen.get(WHOLE_ENGINE)) {
        Some(why) => Observed::Unknown { why: why.clone() },
        None => found.cloned().into(),
    }
}

/// Services by name, and the tasks of those that are there.
fn services(
    engine: &Cluster,
    names: impl IntoIterator<Item = String>,
) -> (BTreeMap<String, Observed<Service>>, BTreeMap<ServiceId, Vec<Task>>) {
    let services: BTreeMap<String, Observed<Service>> = names
        .into_iter()
        .map(|name| {
            let observed = look(engine, &name, engine.service(&name).as_ref());
            (name, observed)
        })
        .collect();
    let ids = services.values().filter_map(|service| service.present().map(|service| service.id.clone()));
    let tasks = ids.map(|id| (id.clone(), engine.tasks(&id))).collect();
    (services, tasks)
}

pub(crate) fn organization(engine: &Cluster, desired: &OrganizationDesired) -> OrganizationObservation {
    let (network_name, anchor_name) = (naming::network(&desired.org), naming::anchor(&desired.org));
    let found = engine.swarm.inspect_network(By::Name(&network_name));
    let network = look(engine, &network_name, found.as_ref());
    let anchor = look(engine, &anchor_name, engine.service(&anchor_name).as_ref());
    let edge = engine.edge(network.present().map(|network| &network.id)).map(|tasks| Edge {
        constraints: vec!["node.role==manager".to_owned()],
        tasks: tasks.into_iter().map(|(container, address)| EdgeTask { container, address }).collect(),
    });
    let of_anchor: Vec<Task> = engine.swarm.tasks_of(&anchor_name);
    let alive = of_anchor
        .iter()
        .filter(|task| !task.status.state.as_ref().is_some_and(TaskState::is_terminal))
        .count();
    OrganizationObservation {
        anchor_here: of_anchor.iter().any(|task| task.status.state == Some(TaskState::Running)),
        anchor_tasks: u64::try_from(alive).unwrap_or(u64::MAX),
        links: links(engine, desired),
        edge: look(engine, "edge", edge.as_ref()),
        network,
        anchor,
    }
}

fn links(engine: &Cluster, desired: &OrganizationDesired) -> Observed<u64> {
    if !desired.may_dismantle() {
        return Observed::Absent;
    }
    let org = desired.org.to_string();
    let of = |service: &Service| {
        let labels = &service.spec.labels;
        let own = labels.get(naming::LABEL_ORG) == Some(&org)
            && labels.get(naming::LABEL_KIND).is_some_and(|kind| kind == Kind::NetworkPolicy.as_str());
        own || labels.get(naming::LABEL_LINK_TO) == Some(&org)
    };
    let services = engine.service_names().into_iter().filter_map(|name| engine.service(&name));
    let count = u64::try_from(services.filter(of).count()).unwrap_or(u64::MAX);
    look(engine, "links", Some(&count))
}

pub(crate) fn network_policy(engine: &Cluster, desired: &NetworkPolicyDesired) -> NetworkPolicyObservation {
    let networks = desired.networks_to_observe().into_iter().map(|name| {
        let found = engine.swarm.inspect_network(By::Name(&name));
        let observed = look(engine, &name, found.as_ref());
        (name, observed)
    });
    let (services, tasks) = services(engine, desired.services_to_observe());
    NetworkPolicyObservation {
        engine: look(engine, WHOLE_ENGINE, Some(&engine.features())),
        networks: networks.collect(),
        tasks,
        services,
    }
}

pub(crate) fn secret(engine: &Cluster, desired: &SecretDesired) -> Observed<Vec<Secret>> {
    let uid = desired.secret.meta.uid.to_string();
    let named = |name: &String| {
        desired.current.as_ref().is_some_and(|current| current.object == *name)
            || desired.inventory.iter().any(|entry| entry.object.name == *name)
    };
    let of_resource = |secret: &&Secret| {
        secret.spec.labels.get(naming::LABEL_UID) == Some(&uid) || named(&secret.spec.name)
    };
    let all = engine.swarm.list_secrets(&LabelFilter::any());
    let found: Vec<Secret> = all.into_iter().filter(|secret| of_resource(&secret)).collect();
    look(engine, "secrets", Some(&found))
}

pub(crate) fn environment(
    engine: &Cluster,
    settings: &Settings,
    desired: &EnvironmentDesired,
) -> EnvironmentObservation {
    let network = naming::network(&desired.org);
    let (runs, of_runs) = services(engine, runs_to_observe(desired));
    let (services, mut tasks) = services(engine, services_to_observe(settings, desired));
    tasks.extend(of_runs);
    // What it printed is whatever the case does not care about.
    let outputs = desired.runs.iter().map(|run| (run.number, Ok(RunOutput::default())));
    let secrets = secrets_to_observe(desired).into_iter().map(|name| {
        let found = engine.swarm.inspect_secret(By::Name(&name)).map(|secret| secret.id);
        let observed = look(engine, "secrets", found.as_ref());
        (name, observed)
    });
    let nodes = engine.swarm.list_nodes();
    let found = engine.swarm.inspect_network(By::Name(&network));
    EnvironmentObservation {
        engine: look(engine, WHOLE_ENGINE, Some(&engine.features())),
        network: look(engine, &network, found.as_ref()),
        secrets: secrets.collect(),
        entry: entry(engine, settings, desired),
        services,
        runs,
        outputs: outputs.collect(),
        last_lines: None,
        tasks,
        containers: engine.containers.clone(),
        nodes: look(engine, "nodes", Some(&nodes)),
        image_start: image_to_resolve(settings, desired)
            .and_then(|image| engine.starts.get(&image.to_string()).cloned()),
        image: image_to_resolve(settings, desired).map(|image| resolve(engine, &image)),
    }
}

/// Whoever claims the Swarm has put the entry program there, unless the case has something else in its place.
fn entry(engine: &Cluster, settings: &Settings, desired: &EnvironmentDesired) -> Observed<Config> {
    let Some(name) = entry_to_observe(settings, desired) else { return Observed::Absent };
    let found = engine.swarm.inspect_config(By::Name(&name));
    look(engine, &name, found.as_ref())
}

/// Unless the case says otherwise, a registry knows every image.
pub(crate) fn resolve(engine: &Cluster, image: &ImageRef) -> Result<ResolvedImage, ImageFailure> {
    if let Some(told) = engine.images.get(&image.to_string()) {
        return told.clone();
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(image.to_string())));
    let digest = digest.parse().map_err(|error| ImageFailure::Refused { why: format!("{error}") })?;
    Ok(ResolvedImage::Registry { digest })
}
