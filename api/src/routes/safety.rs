//! Safety: holds and their confirmation, orphans, and deletions that belong together.

use skep_planner::naming::{LABEL_KIND, LABEL_NAME, LABEL_ORG};
use skep_schemas::Owner;
use skep_store::{Confirmation, DeleteItem, Deletion, Hold, HoldId, Orphan, Precondition};

use crate::access::{Permission, Target};
use crate::acting::Acting;
use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::manifests::ManyManifests;
use crate::wire::{
    AdoptQuery, AdoptView, DeleteAnswer, DeleteBatchQuery, DeleteOutcome, DeleteResult, HoldList, HoldQuery,
    HoldView, OrphanList, OrphanView, ResourceRef, ResourceView,
};

pub(super) async fn holds(call: Call<HoldQuery>) -> Result<Document<HoldList>, ApiError> {
    let store = call.platform_store()?;
    let holds = if call.query.all { store.hold_history().await? } else { store.holds().await? };
    Ok(Document(HoldList { items: holds.into_iter().map(hold_view).collect() }))
}

pub(super) async fn confirm(call: Call<NoQuery>) -> Result<Document<HoldView>, ApiError> {
    call.principal.require(Permission::Confirm, &Target::Platform(None))?;
    let id = HoldId::new(call.address.number()?);
    let confirmed = call.platform_store()?.confirm_hold(id, &call.actor).await?;
    let hold = confirmed.ok_or_else(|| {
        ApiError::invalid(format!("no hold {id} is in force"), "GET /v1/holds lists those that are")
    })?;
    call.app.control.hold_confirmed().await?;
    Ok(Document(hold_view(hold)))
}

/// Whoever adopts decides about what was made by others, beside the organisation: that is for the platform's administrators.
pub(super) async fn adopt(call: Call<AdoptQuery>) -> Result<Document<AdoptView>, ApiError> {
    call.principal.require(Permission::Confirm, &Target::Platform(None))?;
    let key = call.address.key()?;
    let adopted = call.app.control.adopt(&key, &call.actor, call.query.dry_run).await?;
    call.app.control.wake(&[key]);
    Ok(Document(adopted))
}

pub(super) async fn orphans(call: Call<NoQuery>) -> Result<Document<OrphanList>, ApiError> {
    let grace = call.app.control.orphan_grace();
    let orphans = call.platform_store()?.orphans().await?;
    Ok(Document(OrphanList { items: orphans.into_iter().map(|orphan| orphan_view(orphan, grace)).collect() }))
}

/// Several deletions, all of them or none, so that what they remove together is weighed together.
pub(super) async fn delete(
    call: Call<DeleteBatchQuery, ManyManifests>,
) -> Result<Document<DeleteAnswer>, ApiError> {
    let DeleteBatchQuery { org, confirm } = call.query;
    let changes = call.body.read_with(org).await?;
    if !changes.manifests.is_empty() {
        return Err(ApiError::invalid("a deletion takes no documents", "name the resources in `delete`"));
    }
    let confirmation = if confirm { Confirmation::Given } else { Confirmation::Pending };
    let targets: Vec<_> = changes.deletions.iter().map(Target::of).collect();
    let Acting { actor, store, .. } =
        Acting::of(call.principal, call.actor, call.store).on_all(&call.app, Permission::Delete, &targets)?;
    let item = |key| DeleteItem { key, precondition: Precondition::None, confirmation, deleter: Owner::Api };
    let items: Vec<_> = changes.deletions.into_iter().map(item).collect();
    let deletions = store.delete_all(&items, &actor).await?;
    call.app.control.weigh_removals().await?;
    let keys: Vec<_> = items.into_iter().map(|item| item.key).collect();
    call.app.control.wake(&keys);
    let mut results = Vec::with_capacity(keys.len());
    for (key, deletion) in keys.iter().zip(deletions) {
        let (outcome, view) = match deletion {
            Deletion::Absent => (DeleteOutcome::Absent, None),
            Deletion::Removed => (DeleteOutcome::Deleted, None),
            Deletion::Marked(resource) => {
                let view = ResourceView::of(&resource).map_err(ApiError::internal)?;
                (DeleteOutcome::Requested, Some(Box::new(view)))
            }
        };
        results.push(DeleteResult { resource: ResourceRef::from(key), outcome, view });
    }
    Ok(Document(DeleteAnswer { results }))
}

fn hold_view(hold: Hold) -> HoldView {
    let (confirmed_at, confirmed_by) = hold.confirmed.unzip();
    HoldView {
        id: hold.id.get(),
        reason: hold.finding.reason,
        scope: hold.scope,
        on_confirm: hold.finding.reason.on_confirm().to_owned(),
        why: hold.finding.why,
        evidence: hold.finding.evidence,
        since: hold.since,
        confirmed_at,
        confirmed_by,
        settled_at: hold.settled_at,
    }
}

fn orphan_view(orphan: Orphan, grace: std::time::Duration) -> OrphanView {
    let Orphan { found, first_seen_at, .. } = orphan;
    let label = |name: &str| found.labels.get(name).cloned().filter(|value| !value.is_empty());
    let owner = label(LABEL_KIND).zip(label(LABEL_NAME)).map(|(kind, name)| match label(LABEL_ORG) {
        Some(org) if kind != "Organization" => format!("{org}/{kind}/{name}"),
        _ => format!("{kind}/{name}"),
    });
    OrphanView {
        kind: found.object.kind.to_string(),
        name: found.object.name,
        id: found.id,
        owner,
        first_seen_at,
        collected_after: first_seen_at.checked_add(grace).unwrap_or(first_seen_at),
    }
}
