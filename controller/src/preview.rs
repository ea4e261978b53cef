//! Previews: what would happen if some manifests were applied.
//!
//! The manifests are applied for real, in a transaction that is never committed; what the affected resources would then depend on
//! is loaded from inside of it; and the loop's own planner plans them against the Swarm as it is. A preview is therefore never a
//! second implementation, and it finds every error that an apply would find.

use std::collections::BTreeSet;

use skep_api::PreviewRequest;
use skep_planner::binding::Binding;
use skep_planner::diff;
use skep_planner::reconcile::Mode;
use skep_planner::safety::restrain;
use skep_planner::view::{PlanView, PreviewView, ResourceAction, ResourceChange};
use skep_planner::{FieldChange, OrgSubnet, Settings};
use skep_schemas::{Kind, Manifest, OrgName, Resource, ResourceKey};
use skep_store::{Actor, Applied, ApplyItem, Outcome, Precondition, ScopedStore, Snapshot, StoreError};

use crate::bound;
use crate::consider::Seen;
use crate::desired::{self, Desired};
use crate::observe::Observer;
use crate::safety::Guard;

/// How many resources one preview plans at most; each costs a look at the Swarm.
const PLANNED_MAX: usize = 1000;

/// What would happen if the manifests were applied and the others deleted, as far as the store of whoever asks reaches. Nothing is written.
pub(crate) async fn preview(
    store: &ScopedStore,
    observer: &Observer,
    settings: &Settings,
    guard: &Guard,
    request: PreviewRequest,
) -> Result<PreviewView, StoreError> {
    let PreviewRequest { manifests, writer, deletions } = request;
    let deletions = deletions.as_slice();
    let before = current(store, &manifests).await?;
    let items: Vec<ApplyItem> = manifests
        .into_iter()
        .map(|manifest| ApplyItem { manifest, precondition: Precondition::None, writer: writer.clone() })
        .collect();
    let (applied, mut snapshot) = store.rehearse(&items, deletions, &Actor::new("preview")).await?;
    let mut view = PreviewView::default();
    for (one, old) in applied.iter().zip(&before) {
        view.resources.push(resource_change(one, old.as_ref()));
    }
    for key in deletions {
        view.resources.push(ResourceChange {
            resource: key.to_string(),
            action: ResourceAction::Delete,
            changes: Vec::new(),
        });
    }
    let affected = affected(&mut snapshot, &applied, deletions).await?;
    let read = read(&mut snapshot, &applied, &affected, deletions).await?;
    // Everything is loaded before the first look at the Swarm, so that the rehearsal's locks are held only for as long as the
    // database takes.
    let (now, mut loaded) = (observer.now(), Vec::new());
    for key in affected.iter().take(PLANNED_MAX) {
        if let Some(mut desired) = desired::load(&mut snapshot, key, now).await? {
            assume_subnet(&mut desired, settings);
            leave_unused(&mut desired, &applied);
            loaded.push(desired);
        }
    }
    let removals = guard.removals_of(&mut snapshot).await?;
    snapshot.discard().await?;
    let hold = guard.foresee(&removals).await?;
    let resources = bound::resources(store, &read).await?;
    let mut objects = Vec::new();
    for desired in loaded {
        let seen = Seen::look(observer, settings, Mode::Preview, desired).await;
        let mut plan = seen.plan(settings, Mode::Preview, now);
        if let Some(hold) = &hold {
            restrain(&mut plan, hold);
        }
        view.plans.push(PlanView::of(&plan));
        objects.extend(seen.bound_objects());
    }
    view.binding = Binding::new(resources, objects);
    Ok(view)
}

/// The resources that the plans are read from: those of the manifests, those that they affect, and what all of these refer to.
async fn read(
    snapshot: &mut Snapshot,
    applied: &[Applied],
    affected: &[ResourceKey],
    deletions: &[ResourceKey],
) -> Result<BTreeSet<ResourceKey>, StoreError> {
    let mut keys: BTreeSet<ResourceKey> = deletions.iter().cloned().collect();
    for one in applied {
        let key = &one.resource.meta.key;
        keys.insert(key.clone());
        keys.extend(one.resource.spec.references(key));
    }
    for key in affected {
        keys.insert(key.clone());
        keys.extend(key.org().map(ResourceKey::organization));
        if let Some(resource) = snapshot.get(key).await? {
            keys.extend(resource.spec.references(key));
        }
        keys.extend(snapshot.referrers(key).await?.into_iter().map(|referrer| referrer.meta.key));
    }
    Ok(keys)
}

/// The resources of the manifests as they are now.
async fn current(store: &ScopedStore, manifests: &[Manifest]) -> Result<Vec<Option<Resource>>, StoreError> {
    let mut snapshot = store.snapshot().await?;
    let mut found = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        found.push(snapshot.get(&manifest.key).await?);
    }
    Ok(found)
}

fn resource_change(applied: &Applied, old: Option<&Resource>) -> ResourceChange {
    let action = match applied.outcome {
        Outcome::Created => ResourceAction::Create,
        Outcome::Configured => ResourceAction::Update,
        Outcome::Unchanged => ResourceAction::Unchanged,
    };
    let changes = match (action, old) {
        (ResourceAction::Update, Some(old)) => field_changes(old, &applied.resource),
        _ => Vec::new(),
    };
    ResourceChange { resource: applied.resource.meta.key.to_string(), action, changes }
}

/// What the user would see changing; the bookkeeping is left out.
fn field_changes(old: &Resource, new: &Resource) -> Vec<FieldChange> {
    let document = |resource: &Resource| {
        serde_json::json!({
            "metadata": {
                "labels": resource.meta.labels,
                "annotations": resource.meta.annotations,
                "owner": resource.meta.managed_by.to_string(),
            },
            "spec": resource.spec.to_json().unwrap_or_default(),
        })
    };
    let changes = diff::value_changes(&document(old), &document(new));
    let is_new_value = changes.is_empty() && old.meta.generation != new.meta.generation;
    if is_new_value {
        // A secret's value is not part of its spec: that it changes is all that can be said.
        return vec![FieldChange {
            pointer: "/spec/value".to_owned(),
            from: Some("[REDACTED]".into()),
            to: Some("[REDACTED, another value]".into()),
        }];
    }
    changes
}

/// The resources whose plans the changes may touch, in the order in which they depend on each other.
async fn affected(
    snapshot: &mut Snapshot,
    applied: &[Applied],
    deletions: &[ResourceKey],
) -> Result<Vec<ResourceKey>, StoreError> {
    let mut keys = BTreeSet::new();
    for one in applied {
        let key = &one.resource.meta.key;
        keys.insert(key.clone());
        keys.extend(
            one.resource
                .spec
                .references(key)
                .into_iter()
                .filter(|reference| reference.kind() == Kind::Environment),
        );
        keys.extend(snapshot.referrers(key).await?.into_iter().map(|referrer| referrer.meta.key));
        if one.outcome != Outcome::Unchanged {
            keys.extend(under(snapshot, key).await?);
        }
    }
    for key in deletions {
        keys.insert(key.clone());
        keys.extend(under(snapshot, key).await?);
        keys.extend(snapshot.referrers(key).await?.into_iter().map(|referrer| referrer.meta.key));
        if key.kind() == Kind::Organization
            && let Ok(org) = key.name().as_str().parse()
        {
            for kind in [Kind::Environment, Kind::Secret, Kind::NetworkPolicy] {
                keys.extend(
                    snapshot.list_org(&org, kind).await?.into_iter().map(|resource| resource.meta.key),
                );
            }
        }
    }
    // Another credential reaches whatever runs an image of its registry, and no environment refers to one.
    let credentials = keys.iter().filter(|key| key.kind() == Kind::RegistryCredential);
    let orgs: BTreeSet<OrgName> = credentials.filter_map(|key| key.org().cloned()).collect();
    for org in &orgs {
        let environments = snapshot.list_org(org, Kind::Environment).await?;
        keys.extend(environments.into_iter().map(|environment| environment.meta.key));
    }
    let mut keys: Vec<ResourceKey> = keys.into_iter().filter(|key| key.kind().has_objects()).collect();
    keys.sort_by_key(|key| (order(key.kind()), key.clone()));
    Ok(keys)
}

/// The environments and network policies that are under what the platform says: a tier holds for its plans, a plan for its organisations, an organisation for all
/// that is in it.
async fn under(snapshot: &mut Snapshot, key: &ResourceKey) -> Result<Vec<ResourceKey>, StoreError> {
    let plans = match key.kind() {
        Kind::IsolationTier => referrers(snapshot, key, Kind::Plan).await?,
        Kind::Plan => vec![key.clone()],
        _ => Vec::new(),
    };
    let mut organizations: Vec<ResourceKey> =
        if key.kind() == Kind::Organization { vec![key.clone()] } else { Vec::new() };
    for plan in &plans {
        organizations.extend(referrers(snapshot, plan, Kind::Organization).await?);
    }
    let mut governed = Vec::new();
    for organization in organizations {
        let Ok(org) = organization.name().as_str().parse() else { continue };
        for kind in [Kind::Environment, Kind::NetworkPolicy] {
            let found = snapshot.list_org(&org, kind).await?;
            governed.extend(found.into_iter().map(|found| found.meta.key));
        }
    }
    Ok(governed)
}

async fn referrers(
    snapshot: &mut Snapshot,
    key: &ResourceKey,
    kind: Kind,
) -> Result<Vec<ResourceKey>, StoreError> {
    let found = snapshot.referrers(key).await?.into_iter().map(|referrer| referrer.meta.key);
    Ok(found.filter(|key| key.kind() == kind).collect())
}

const fn order(kind: Kind) -> u8 {
    match kind {
        Kind::Organization
        | Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template => 0,
        Kind::Secret
        | Kind::App
        | Kind::Domain
        | Kind::DriftPolicy
        | Kind::ImagePolicy
        | Kind::RegistryCredential
        | Kind::Notification => 1,
        Kind::Environment => 2,
        Kind::NetworkPolicy => 3,
    }
}

/// A credential that would be changed is planned with and not used: whoever may look at plans may write neither it nor its Secret, and must
/// not be able to have a password sent to a registry of his own. (A password that would be new is stored nowhere, and cannot be opened.)
fn leave_unused(desired: &mut Desired, applied: &[Applied]) {
    let Desired::Environment(environment) = desired else { return };
    for access in &mut environment.registries {
        let is_it = |one: &&Applied| one.resource.meta.key == access.credential.meta.key;
        access.stored = applied.iter().find(is_it).is_none_or(|one| one.outcome == Outcome::Unchanged);
    }
}

/// A new organisation has no subnet before it is reconciled; which one it will get does not matter to the plan.
fn assume_subnet(desired: &mut Desired, settings: &Settings) {
    let first: Option<OrgSubnet> = settings.pool.subnets().next();
    match desired {
        Desired::Organization(organization) => organization.subnet = organization.subnet.or(first),
        Desired::NetworkPolicy(policy) => {
            policy.subnet = policy.subnet.or(first);
            for link in policy.agreed.values_mut() {
                link.subnet = link.subnet.or(first);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skep_schemas::ResourceView;

    use super::*;

    #[test]
    fn that_only_the_owner_would_be_another_is_shown() {
        let app = |managed_by: &serde_json::Value| -> Resource {
            let view: ResourceView = serde_json::from_value(json!({
                "apiVersion": "skep.dev/v1", "kind": "App", "spec": {"source": {"image": "shop:1"}},
                "metadata": {
                    "org": "acme", "name": "shop", "uid": "0190c0de-0000-7000-8000-000000000000", "generation": 1, "revision": 1,
                    "createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-01T10:00:00Z", "managedBy": managed_by,
                },
            }))
            .unwrap();
            view.try_into().unwrap()
        };
        let git = app(&json!({"by": "git", "source": {"org": "acme", "name": "web"}}));
        let changes = field_changes(&git, &app(&json!({"by": "api"})));
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(change.pointer, "/metadata/owner");
        assert_eq!(change.from, Some("GitSource acme/web".into()));
        assert_eq!(change.to, Some("the API".into()));
    }
}
