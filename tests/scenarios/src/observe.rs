//! From the engine to what the planner is told about it: what cannot be read is unknown, never absent.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use skep_planner::reconcile::environment::{
    EnvironmentDesired, EnvironmentObservation, ImageFailure, image_to_resolve, secrets_to_observe,
    services_to_observe,
};
use skep_planner::reconcile::organization::{Edge, EdgeTask, OrganizationDesired, OrganizationObservation};
use skep_planner::reconcile::secret::SecretDesired;
use skep_planner::swarm::{Secret, Service, Task, TaskState};
use skep_planner::{Observed, ResolvedImage, Settings, naming};
use skep_schemas::ImageRef;

use crate::engine::Engine;

/// The name under which a case makes the whole engine unreadable.
pub(crate) const WHOLE_ENGINE: &str = "engine";

fn look<T: Clone>(engine: &Engine, name: &str, found: Option<&T>) -> Observed<T> {
    match engine.unseen.get(name).or_else(|| engine.unseen.get(WHOLE_ENGINE)) {
        Some(why) => Observed::Unknown { why: why.clone() },
        None => found.cloned().into(),
    }
}

pub(crate) fn organization(engine: &Engine, desired: &OrganizationDesired) -> OrganizationObservation {
    let (network_name, anchor_name) = (naming::network(&desired.org), naming::anchor(&desired.org));
    let network = look(engine, &network_name, engine.networks.get(&network_name));
    let anchor = look(engine, &anchor_name, engine.services.get(&anchor_name));
    let edge = engine.edge.as_ref().map(|tasks| Edge {
        constraints: vec!["node.role==manager".to_owned()],
        tasks: tasks
            .iter()
            .map(|(container, attached)| EdgeTask {
                container: container.clone(),
                address: network.present().and_then(|network| attached.get(&network.id).copied()),
            })
            .collect(),
    });
    let of_anchor = anchor
        .present()
        .map_or_else(|| engine.ending.get(&anchor_name), |anchor| engine.tasks.get(&anchor.id));
    let of_anchor: &[Task] = of_anchor.map_or(&[], Vec::as_slice);
    let alive = of_anchor
        .iter()
        .filter(|task| !task.status.state.as_ref().is_some_and(TaskState::is_terminal))
        .count();
    OrganizationObservation {
        anchor_here: of_anchor.iter().any(|task| task.status.state == Some(TaskState::Running)),
        anchor_tasks: u64::try_from(alive).unwrap_or(u64::MAX),
        edge: look(engine, "edge", edge.as_ref()),
        network,
        anchor,
    }
}

pub(crate) fn secret(engine: &Engine, desired: &SecretDesired) -> Observed<Vec<Secret>> {
    let uid = desired.secret.meta.uid.to_string();
    let named = |name: &String| {
        desired.current.as_ref().is_some_and(|current| current.object == *name)
            || desired.inventory.iter().any(|entry| entry.object.name == *name)
    };
    let of_resource = |secret: &&Secret| {
        secret.spec.labels.get(naming::LABEL_UID) == Some(&uid) || named(&secret.spec.name)
    };
    let found: Vec<Secret> = engine.secrets.values().filter(of_resource).cloned().collect();
    look(engine, "secrets", Some(&found))
}

pub(crate) fn environment(
    engine: &Engine,
    settings: &Settings,
    desired: &EnvironmentDesired,
) -> EnvironmentObservation {
    let network = naming::network(&desired.org);
    let services: BTreeMap<String, Observed<Service>> = services_to_observe(settings, desired)
        .into_iter()
        .map(|name| {
            let observed = look(engine, &name, engine.services.get(&name));
            (name, observed)
        })
        .collect();
    let ids = services.values().filter_map(|service| service.present().map(|service| service.id.clone()));
    let tasks = ids.filter_map(|id| engine.tasks.get(&id).map(|tasks| (id, tasks.clone()))).collect();
    let secrets = secrets_to_observe(desired).into_iter().map(|name| {
        let observed = look(engine, "secrets", engine.secrets.get(&name).map(|secret| &secret.id));
        (name, observed)
    });
    let nodes: Vec<_> = engine.nodes.values().cloned().collect();
    EnvironmentObservation {
        engine: look(engine, WHOLE_ENGINE, Some(&engine.features())),
        network: look(engine, &network, engine.networks.get(&network)),
        secrets: secrets.collect(),
        services,
        tasks,
        containers: engine.containers.clone(),
        nodes: look(engine, "nodes", Some(&nodes)),
        image: image_to_resolve(settings, desired).map(|image| resolve(engine, &image)),
    }
}

/// Unless the case says otherwise, a registry knows every image.
fn resolve(engine: &Engine, image: &ImageRef) -> Result<ResolvedImage, ImageFailure> {
    if let Some(told) = engine.images.get(&image.to_string()) {
        return told.clone().map_err(|why| ImageFailure::Refused { why });
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(image.to_string())));
    let digest = digest.parse().map_err(|error| ImageFailure::Refused { why: format!("{error}") })?;
    Ok(ResolvedImage::Registry { digest })
}
