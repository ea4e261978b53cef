//! What a plan was made from, and whether that is still so.

use std::collections::BTreeSet;

use skep_planner::ObjectKind;
use skep_planner::binding::{Binding, BoundObject, BoundResource};
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

/// The same things as a binding names, as they are now.
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
            objects.push(look(swarm, object.kind, &object.name).await?);
        }
    }
    Ok(Binding::new(resources, objects))
}

async fn look(swarm: &dyn SwarmApi, kind: ObjectKind, name: &str) -> Result<BoundObject, SwarmError> {
    let found = match kind {
        ObjectKind::Service => {
            let found = swarm.inspect_service(By::Name(name)).await?;
            found.map(|found| (found.id.to_string(), Some(found.version.index)))
        }
        ObjectKind::Network => {
            swarm.inspect_network(By::Name(name)).await?.map(|found| (found.id.to_string(), None))
        }
        ObjectKind::Secret => {
            let found = swarm.inspect_secret(By::Name(name)).await?;
            found.map(|found| (found.id.to_string(), Some(found.version.index)))
        }
        // Known by its container, and put right by itself: no plan is bound to one.
        ObjectKind::EdgeAttachment => None,
    };
    let found = found.as_ref().map(|(id, version)| (id.as_str(), *version));
    Ok(BoundObject::new(kind, name, found))
}
