//! One resource, and lists of them.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use skep_schemas::manifest::SourcedManifest;
use skep_schemas::{Owner, ResourceKey, Revision};
use skep_store::{
    Applied, ApplyItem, Confirmation, DeleteItem, Deletion, Outcome, Precondition, ScopedStore, Writer,
};

use super::selection::Selection;
use super::watch;
use crate::answer::{Deleted, Found, PageOrWatch, Written};
use crate::call::{self, Call, NoQuery};
use crate::error::ApiError;
use crate::limits::PAGE_MAX;
use crate::manifests::OneManifest;
use crate::wire::{ApplyAction, ApplyResult, DeleteQuery, ListQuery, ResourceList, ResourceView, WriteQuery};

pub(super) async fn get(call: Call<NoQuery>) -> Result<Found, ApiError> {
    Ok(Found(view(&call.store, call.address.key()?).await?))
}

/// A resource as it is shown.
pub(super) async fn view(store: &ScopedStore, key: ResourceKey) -> Result<ResourceView, ApiError> {
    let resource = store.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    ResourceView::of(&resource).map_err(ApiError::internal)
}

pub(super) async fn list(call: Call<ListQuery>) -> Result<PageOrWatch, ApiError> {
    if call.query.watch {
        let selection = Selection::of(&call.address, &call.query)?;
        return watch::open(call, selection).await.map(PageOrWatch::Watch);
    }
    if call.query.since.is_some() {
        return Err(ApiError::invalid("`since` belongs to `watch`", "add `watch=true`, or leave it out"));
    }
    page(&call).await.map(PageOrWatch::Page)
}

/// A page of a list.
pub(crate) async fn page(call: &Call<ListQuery>) -> Result<ResourceList, ApiError> {
    let selection = Selection::of(&call.address, &call.query)?;
    let limit = call::limit(call.query.limit, PAGE_MAX, PAGE_MAX)?;
    let after = call.query.cursor.as_deref().map(|cursor| selection.position(cursor)).transpose()?;
    let page = call.store.list(&selection.query(limit, after)).await?;
    let items =
        page.items.iter().map(ResourceView::of).collect::<Result<_, _>>().map_err(ApiError::internal)?;
    let next = page.next.map(|position| position.key().to_string());
    Ok(ResourceList { items, next, watch_from: page.cursor.to_string() })
}

pub(super) async fn put(call: Call<WriteQuery, OneManifest>) -> Result<Written, ApiError> {
    let key = call.address.key()?;
    let (body, call) = call.without_body();
    let sourced = body.of(key.clone()).await?;
    let store = &call.store;
    let precondition = match condition(&call.headers, &key)? {
        Condition::None => Precondition::None,
        Condition::MustNotExist => Precondition::MustNotExist,
        Condition::Revision(revision) => Precondition::Revision(revision),
        Condition::MustExist => {
            let found = store.get(&key).await?.ok_or_else(|| ApiError::Stale { key: key.clone() })?;
            Precondition::Revision(found.meta.revision)
        }
    };
    write(&call, sourced, precondition, &call.query).await
}

/// In whose name the API writes.
pub(super) const fn writer(take_over: bool) -> Writer {
    if take_over { Writer::TakeOver } else { Writer::Api }
}

/// Applies one manifest, or tells what that would do.
pub(crate) async fn write<Q, B>(
    call: &Call<Q, B>,
    sourced: SourcedManifest,
    precondition: Precondition,
    query: &WriteQuery,
) -> Result<Written, ApiError> {
    let key = sourced.manifest.key.clone();
    let WriteQuery { dry_run, take_over } = *query;
    let item = ApplyItem { manifest: sourced.manifest.clone(), precondition, writer: writer(take_over) };
    let (items, actor, store) = ([item], &call.actor, &call.store);
    let outcome = if dry_run { store.dry_run(&items, actor).await } else { store.apply(&items, actor).await };
    let applied = outcome.map_err(|error| ApiError::from(error).at(&[sourced]))?;
    let one = applied.first().ok_or_else(|| ApiError::internal("an apply of one item answered nothing"))?;
    if !dry_run {
        call.app.control.wake(&[key]);
    }
    let ApplyResult { action, resource } = shown(one)?;
    Ok(Written { created: action == ApplyAction::Created, resource })
}

pub(super) async fn delete(call: Call<DeleteQuery>) -> Result<Deleted, ApiError> {
    let key = call.address.key()?;
    let precondition = match condition(&call.headers, &key)? {
        Condition::None | Condition::MustExist => Precondition::None,
        Condition::Revision(revision) => Precondition::Revision(revision),
        Condition::MustNotExist => {
            return Err(ApiError::invalid("If-None-Match makes no sense with DELETE", "leave it out"));
        }
    };
    let confirmation = if call.query.confirm { Confirmation::Given } else { Confirmation::Pending };
    remove(&call, DeleteItem { key, precondition, confirmation, deleter: Owner::Api }).await
}

/// Deletes one resource, or records that it is to be deleted.
pub(crate) async fn remove<Q, B>(call: &Call<Q, B>, item: DeleteItem) -> Result<Deleted, ApiError> {
    let key = item.key.clone();
    let mut deletions = call.store.delete_all(&[item], &call.actor).await?;
    let deletion = deletions.pop().unwrap_or(Deletion::Absent);
    call.app.control.weigh_removals().await?;
    call.app.control.wake(std::slice::from_ref(&key));
    match deletion {
        Deletion::Absent => Err(ApiError::NotFound { key }),
        Deletion::Removed => Ok(Deleted::Gone),
        Deletion::Marked(resource) => {
            let view = ResourceView::of(&resource).map_err(ApiError::internal)?;
            Ok(Deleted::Marked(Box::new(view)))
        }
    }
}

/// How an applied resource is shown.
pub(super) fn shown(applied: &Applied) -> Result<ApplyResult, ApiError> {
    Ok(ApplyResult {
        action: match applied.outcome {
            Outcome::Created => ApplyAction::Created,
            Outcome::Configured => ApplyAction::Configured,
            Outcome::Unchanged => ApplyAction::Unchanged,
        },
        resource: ResourceView::of(&applied.resource).map_err(ApiError::internal)?,
    })
}

/// What a request demands of the stored resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    MustExist,
    MustNotExist,
    Revision(Revision),
}

pub(super) fn condition(headers: &HeaderMap, key: &ResourceKey) -> Result<Condition, ApiError> {
    let matches = single(headers, &IF_MATCH)?;
    let none_match = single(headers, &IF_NONE_MATCH)?;
    match (matches, none_match) {
        (None, None) => Ok(Condition::None),
        (Some("*"), None) => Ok(Condition::MustExist),
        (None, Some("*")) => Ok(Condition::MustNotExist),
        // A tag that is not one of ours matches nothing; a weak one never matches here.
        (Some(tag), None) => {
            let number =
                tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            number.map(Condition::Revision).ok_or_else(|| ApiError::Stale { key: key.clone() })
        }
        (None, Some(_)) => {
            Err(ApiError::invalid("If-None-Match takes only `*`", "use If-Match for a revision"))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("If-Match and If-None-Match exclude each other", "send one"))
        }
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next().map(|field| field.to_str()), fields.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) if !text.contains(',') => Ok(Some(text.trim())),
        _ => Err(ApiError::invalid(format!("{name} takes one value"), "send one ETag, as it was received")),
    }
}
