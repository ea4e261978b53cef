//! Looking at everything in the Swarm that carries an instance's label.

use std::sync::Arc;

use skep_planner::naming::{CLAIM, LABEL_INSTANCE, LABEL_RUN};
use skep_planner::safety::FoundObject;
use skep_planner::swarm::{Config, Labels, Network, Secret, Service};
use skep_planner::{ObjectKind, ObjectRef};
use skep_swarm::{By, LabelFilter, SwarmApi, SwarmError};

/// The claim, if there is one.
pub(super) async fn claim(swarm: &Arc<dyn SwarmApi>) -> Result<Option<Config>, SwarmError> {
    swarm.inspect_config(By::Name(CLAIM)).await
}

/// Services, secrets and networks of any instance. All lists, or an error: half a picture would be judged as a whole one.
pub(super) async fn objects(swarm: &Arc<dyn SwarmApi>) -> Result<Vec<FoundObject>, SwarmError> {
    let labelled = LabelFilter::any().having(LABEL_INSTANCE);
    let (services, secrets, networks) = futures::try_join!(
        swarm.list_services(&labelled),
        swarm.list_secrets(&labelled),
        swarm.list_networks(&labelled),
    )?;
    Ok(found_in(services, secrets, networks))
}

/// The objects of these lists, in order.
pub(crate) fn found_in(
    services: Vec<Service>,
    secrets: Vec<Secret>,
    networks: Vec<Network>,
) -> Vec<FoundObject> {
    let services = services
        .into_iter()
        .map(|one| found(kind_of(&one.spec.labels), one.spec.name, one.id.as_str(), one.spec.labels));
    let secrets = secrets
        .into_iter()
        .map(|one| found(ObjectKind::Secret, one.spec.name, one.id.as_str(), one.spec.labels));
    let networks =
        networks.into_iter().map(|one| found(ObjectKind::Network, one.name, one.id.as_str(), one.labels));
    let mut objects: Vec<FoundObject> = services.chain(secrets).chain(networks).collect();
    objects.sort_by(|a, b| (&a.object, &a.id).cmp(&(&b.object, &b.id)));
    objects
}

/// What a service is for.
fn kind_of(labels: &Labels) -> ObjectKind {
    if labels.contains_key(LABEL_RUN) { ObjectKind::Run } else { ObjectKind::Service }
}

fn found(kind: ObjectKind, name: String, id: &str, labels: Labels) -> FoundObject {
    FoundObject { object: ObjectRef::new(kind, name), id: id.to_owned(), labels }
}
