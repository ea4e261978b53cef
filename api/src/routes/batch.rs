//! Many documents at once: apply them, or tell what would come of it.

use skep_schemas::ResourceKey;
use skep_store::{ApplyItem, Precondition, StoreError};

use super::resource::{shown, writer};
use crate::access::{Permission, Target};
use crate::acting::Acting;
use crate::answer::Document;
use crate::call::Call;
use crate::error::ApiError;
use crate::manifests::{Changes, ManyManifests};
use crate::port::PreviewRequest;
use crate::wire::{ApplyAnswer, BatchQuery, Binding, PreviewView};

pub(super) async fn apply(call: Call<BatchQuery, ManyManifests>) -> Result<Document<ApplyAnswer>, ApiError> {
    let BatchQuery { org, dry_run, take_over } = call.query;
    let changes = call.body.read_with(org).await?;
    if !changes.deletions.is_empty() {
        return Err(ApiError::invalid(
            "an apply deletes nothing",
            "send DELETE for each, or leave `delete` out",
        ));
    }
    let targets: Vec<_> = changes.manifests.iter().map(|sourced| Target::of(&sourced.manifest.key)).collect();
    let Acting { principal, actor, store } =
        Acting::of(call.principal, call.actor, call.store).on_all(&call.app, Permission::Write, &targets)?;
    if let Some(binding) = &changes.binding {
        for bound in &binding.resources {
            let target = Target::at(bound.org.as_ref(), Some(bound.kind), Some(&bound.name));
            principal.require(Permission::Read, &target)?;
        }
        let moved = call.app.control.moved(&store, binding).await?;
        if !moved.is_empty() {
            return Err(ApiError::moved(&moved));
        }
    }
    let items: Vec<ApplyItem> = changes
        .manifests
        .iter()
        .map(|sourced| ApplyItem {
            manifest: sourced.manifest.clone(),
            precondition: precondition(changes.binding.as_ref(), &sourced.manifest.key),
            writer: writer(take_over),
        })
        .collect();
    let outcome =
        if dry_run { store.dry_run(&items, &actor).await } else { store.apply(&items, &actor).await };
    let applied = outcome.map_err(|error| match error {
        // It moved between the look and the write.
        StoreError::RevisionConflict { .. } | StoreError::AlreadyExists { .. } => {
            ApiError::moved(&[error.to_string()])
        }
        error => ApiError::from(error).at(&changes.manifests),
    })?;
    if !dry_run {
        let keys: Vec<_> = applied.iter().map(|one| one.resource.meta.key.clone()).collect();
        call.app.control.wake(&keys);
    }
    let results = applied.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Document(ApplyAnswer { dry_run, results }))
}

/// A document of a bound apply is written only over the revision that was planned with.
fn precondition(binding: Option<&Binding>, key: &ResourceKey) -> Precondition {
    let bound = |binding: &Binding| {
        binding.resources.iter().find(|bound| bound.key().as_ref() == Some(key)).map(|bound| bound.revision)
    };
    match binding.and_then(bound) {
        None => Precondition::None,
        Some(None) => Precondition::MustNotExist,
        Some(Some(revision)) => Precondition::Revision(revision),
    }
}

pub(super) async fn plan(call: Call<BatchQuery, ManyManifests>) -> Result<Document<PreviewView>, ApiError> {
    // A plan writes nothing in any case, so `dryRun` says nothing new.
    let changes = call.body.read_with(call.query.org).await?;
    let Changes { manifests, deletions, binding: _ } = changes;
    let keys = manifests.iter().map(|sourced| &sourced.manifest.key).chain(&deletions);
    let targets: Vec<_> = keys.map(Target::of).collect();
    let Acting { store, .. } =
        Acting::of(call.principal, call.actor, call.store).on_all(&call.app, Permission::Read, &targets)?;
    let request = PreviewRequest {
        writer: writer(call.query.take_over),
        manifests: manifests.iter().map(|sourced| sourced.manifest.clone()).collect(),
        deletions,
    };
    let preview = call.app.control.preview(&store, request).await;
    Ok(Document(preview.map_err(|error| ApiError::from(error).at(&manifests))?))
}
