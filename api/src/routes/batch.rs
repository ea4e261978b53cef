//! Many documents at once: apply them, or tell what would come of it.

use skep_store::{ApplyItem, Precondition};

use super::resource::{actor, shown};
use crate::access::{Permission, Target};
use crate::answer::Document;
use crate::call::Call;
use crate::error::ApiError;
use crate::manifests::{Changes, ManyManifests};
use crate::port::PreviewRequest;
use crate::wire::{ApplyAnswer, BatchQuery, PreviewView};

pub(super) async fn apply(call: Call<BatchQuery, ManyManifests>) -> Result<Document<ApplyAnswer>, ApiError> {
    let BatchQuery { org, dry_run } = call.query;
    let changes = call.body.read_with(org).await?;
    if !changes.deletions.is_empty() {
        return Err(ApiError::invalid(
            "an apply deletes nothing",
            "send DELETE for each, or leave `delete` out",
        ));
    }
    for sourced in &changes.manifests {
        call.principal.require(Permission::Write, &Target::of(&sourced.manifest.key))?;
    }
    let items: Vec<ApplyItem> = changes
        .manifests
        .iter()
        .map(|sourced| ApplyItem {
            manifest: sourced.manifest.clone(),
            precondition: Precondition::None,
            managed_by: skep_schemas::Owner::Api,
        })
        .collect();
    let actor = actor(&call.principal);
    let store = &call.app.store;
    let outcome =
        if dry_run { store.dry_run(&items, &actor).await } else { store.apply(&items, &actor).await };
    let applied = outcome.map_err(|error| ApiError::from(error).at(&changes.manifests))?;
    if !dry_run {
        let keys: Vec<_> = applied.iter().map(|one| one.resource.meta.key.clone()).collect();
        call.app.control.wake(&keys);
    }
    let results = applied.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Document(ApplyAnswer { dry_run, results }))
}

pub(super) async fn plan(call: Call<BatchQuery, ManyManifests>) -> Result<Document<PreviewView>, ApiError> {
    // A plan writes nothing in any case, so `dryRun` says nothing new.
    let changes = call.body.read_with(call.query.org).await?;
    let Changes { manifests, deletions } = changes;
    let keys = manifests.iter().map(|sourced| &sourced.manifest.key).chain(&deletions);
    for key in keys {
        call.principal.require(Permission::Read, &Target::of(key))?;
    }
    let manifests = manifests.into_iter().map(|sourced| sourced.manifest).collect();
    Ok(Document(call.app.control.preview(PreviewRequest { manifests, deletions }).await?))
}
