//! What a plan was made from, and whether that is still so.

use std::collections::BTreeSet;

use skep_planner::ObjectKind;
use skep_planner::binding::{Binding, BoundObject, BoundResource};
use skep_planner::naming::LABEL_ORG;
use skep_planner::swarm::Labels;
use skep_schemas::ResourceKey;
use skep_store::{ScopedStore, StoreError};
use skep_swarm::{By, SwarmApi, SwarmError};

/// The stored resources of these keys, as they are now.
pub(crate) async fn resources(
    store: &ScopedStore,
    keys: &BTreeSet<ResourceKey>,
) -> Result<Vec<BoundResource>, StoreError> {
    let mut snapshot = store.snapshot().await?;
    let mut bound = Vec::with_capacity(keys.len());
    for key in keys {
        let found = snapshot.get(key).await?;
        bound.push(BoundResource::new(key, found.map(|found| (found.meta.uid, found.meta.revision))));
    }
    Ok(bound)
}

/// Why it cannot be told what has moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoundError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Swarm cannot be read.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
}

/// The same things as a binding names, as they are now. Who asks names the objects, so what is not of his reach is not there: else a binding
/// would tell a tenant which objects others have, and when they change.
pub(crate) async fn now(
    store: &ScopedStore,
    swarm: &dyn SwarmApi,
    binding: &Binding,
) -> Result<Binding, BoundError> {
    let keys = binding.resources.iter().filter_map(BoundResource::key).collect();
    let resources = resources(store, &keys).await?;
    let mut objects = Vec::with_capacity(binding.objects.len());
    for bound in &binding.objects {
        if let Some(object) = bound.object() {
            let found = look(swarm, object.kind, &object.name).await?.filter(|found| found.is_within(store));
            let found = found.as_ref().map(|found| (found.id.as_str(), found.version));
            objects.push(BoundObject::new(object.kind, &object.name, found));
        }
    }
    Ok(Binding::new(resources, objects))
}

/// An object that there is.
struct Found {
    id: String,
    version: Option<u64>,
    labels: Labels,
}

impl Found {
    /// Is it an object of whom the store reaches?
    fn is_within(&self, store: &ScopedStore) -> bool {
        let org = self.labels.get(LABEL_ORG).and_then(|org| org.parse().ok());
        store.is_of_platform() || org.is_some_and(|org| store.reaches(&ResourceKey::organization(&org)))
    }
}

async fn look(swarm: &dyn SwarmApi, kind: ObjectKind, name: &str) -> Result<Option<Found>, SwarmError> {
    Ok(match kind {
        ObjectKind::Service | ObjectKind::Run => swarm.inspect_service(By::Name(name)).await?.map(|found| {
            Found { id: found.id.to_string(), version: Some(found.version.index), labels: found.spec.labels }
        }),
        ObjectKind::Network => swarm.inspect_network(By::Name(name)).await?.map(|found| Found {
            id: found.id.to_string(),
            version: None,
            labels: found.labels,
        }),
        ObjectKind::Secret => swarm.inspect_secret(By::Name(name)).await?.map(|found| Found {
            id: found.id.to_string(),
            version: Some(found.version.index),
            labels: found.spec.labels,
        }),
        // Known by its container, and put right by itself: no plan is bound to one.
        ObjectKind::EdgeAttachment => None,
    })
}
