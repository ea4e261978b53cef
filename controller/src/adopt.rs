//! Adoption: what it would cost by the loop's own planner, and recording it.
//!
//! The objects in question are those that the resource's plan calls foreign. Each is looked at, and if it may be adopted, the plan is
//! made once more as if the inventory had it already: its steps are the difference from what is live to what is wanted.

use std::sync::Arc;

use skep_api::PortError;
use skep_api::wire::{AdoptView, AdoptedObject, PreviewView};
use skep_planner::reconcile::Mode;
use skep_planner::safety::{SECRET_UNFIT, adopt_network, adopt_service};
use skep_planner::view::PlanView;
use skep_planner::{Blocked, InventoryEntry, ObjectKind, ObjectRef, Plan, Settings};
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Actor, Store, StoreError};
use skep_swarm::{By, SwarmApi, SwarmError};

use crate::consider::Seen;
use crate::desired;
use crate::observe::Observer;

/// A foreign object, and what can be done about it.
struct Foreign {
    object: ObjectRef,
    id: String,
    fits: Result<(), String>,
}

/// What adopting the foreign objects of a resource would do; done unless `dry_run`.
pub(crate) async fn adopt(
    store: &Store,
    observer: &Observer,
    settings: &Settings,
    key: &ResourceKey,
    actor: &Actor,
    dry_run: bool,
) -> Result<AdoptView, PortError> {
    let refused = |source: StoreError| PortError::Store { source };
    let now = observer.now();
    if key.kind() == Kind::Secret {
        let objects = vec![unfit_secret(key)];
        return Ok(AdoptView { objects, preview: PreviewView::default(), adopted: false });
    }
    let mut snapshot = store.snapshot().await.map_err(refused)?;
    let desired = desired::load(&mut snapshot, key, now).await.map_err(refused)?;
    snapshot.discard().await.map_err(refused)?;
    let desired = desired.ok_or_else(|| PortError::NotFound { key: key.clone() })?;
    let mut seen = Seen::look(observer, settings, Mode::Preview, desired).await;
    let plan = seen.plan(settings, Mode::Preview, now);
    let owner = plan.uid;
    let mut foreign = Vec::new();
    for object in foreign_objects(&plan) {
        if let Some(found) = look(observer.swarm(), &seen, object).await.map_err(unavailable)? {
            foreign.push(found);
        }
    }
    let fitting: Vec<InventoryEntry> =
        foreign.iter().filter(|found| found.fits.is_ok()).map(|found| entry(owner, found)).collect();
    for entry in &fitting {
        seen.assume(entry.clone());
    }
    let after = seen.plan(settings, Mode::Preview, now);
    let all_fit = !foreign.is_empty() && fitting.len() == foreign.len();
    if all_fit && !dry_run {
        store.adopt(key, owner, &fitting, actor).await.map_err(refused)?;
    }
    let objects = foreign
        .into_iter()
        .map(|found| AdoptedObject {
            kind: found.object.kind.to_string(),
            name: found.object.name,
            id: found.id,
            unfit: found.fits.err(),
        })
        .collect();
    let preview = PreviewView { plans: vec![PlanView::of(&after)], ..PreviewView::default() };
    Ok(AdoptView { objects, preview, adopted: all_fit && !dry_run })
}

fn unfit_secret(key: &ResourceKey) -> AdoptedObject {
    AdoptedObject {
        kind: ObjectKind::Secret.to_string(),
        name: key.name().to_string(),
        id: String::new(),
        unfit: Some(SECRET_UNFIT.to_owned()),
    }
}

/// The objects that a plan calls foreign, by their written form.
fn foreign_objects(plan: &Plan) -> Vec<ObjectRef> {
    let named = |blocked: &Blocked| {
        let Blocked::ForeignObject { object } = blocked else { return None };
        let (kind, name) = object.split_once(' ')?;
        Some(ObjectRef::new(ObjectKind::from_word(kind)?, name))
    };
    let mut objects: Vec<ObjectRef> = plan.blocked.iter().filter_map(named).collect();
    objects.dedup();
    objects
}

/// The object as it is live; `None` when it has gone in the meantime.
async fn look(
    swarm: &Arc<dyn SwarmApi>,
    seen: &Seen,
    object: ObjectRef,
) -> Result<Option<Foreign>, SwarmError> {
    let found = match object.kind {
        ObjectKind::Service => {
            let service = swarm.inspect_service(By::Name(&object.name)).await?;
            service.map(|service| (service.id.to_string(), adopt_service(&service)))
        }
        ObjectKind::Network => {
            let network = swarm.inspect_network(By::Name(&object.name)).await?;
            network.map(|network| {
                let fits = match seen {
                    Seen::Organization(desired, _) => adopt_network(&network, desired.subnet),
                    _ => Err("it is the organisation's: adopt that one".to_owned()),
                };
                (network.id.to_string(), fits)
            })
        }
        ObjectKind::Secret | ObjectKind::Run | ObjectKind::EdgeAttachment => {
            Some((String::new(), Err(SECRET_UNFIT.to_owned())))
        }
    };
    Ok(found.map(|(id, fits)| Foreign { object, id, fits }))
}

fn entry(owner: skep_schemas::Uid, found: &Foreign) -> InventoryEntry {
    InventoryEntry {
        owner,
        object: found.object.clone(),
        id: Some(found.id.clone()),
        sent_release: None,
        address: None,
        applied: None,
    }
}

fn unavailable(error: SwarmError) -> PortError {
    PortError::EngineUnavailable { source: error.into() }
}
