//! Resources of any kind: listed, read, changed and deleted.

use skep_schemas::{Kind, Owner, Scope};
use skep_store::{Confirmation, DeleteItem, Precondition};

use super::found::{found, scope};
use crate::answer::{Deleted, Document, Found};
use crate::call::{Address, Call, NoBody};
use crate::error::ApiError;
use crate::manifests::OneManifest;
use crate::routes::resource;
use crate::wire::{
    ListQuery, PanelDeleteQuery, PanelListQuery, PanelQuery, ResourceList, ResourceView, WriteQuery,
};

pub(super) async fn list(call: Call<PanelListQuery>) -> Result<Document<ResourceList>, ApiError> {
    let kind = call.address.about()?;
    let scope = scope(&call, kind)?;
    page(call, &scope, kind).await
}

/// The apps of all organisations, for the platform.
pub(super) async fn list_all_apps(call: Call<PanelListQuery>) -> Result<Document<ResourceList>, ApiError> {
    page(call, &Scope::Platform, Kind::App).await
}

/// The resources of a kind in one place.
pub(super) async fn page(
    call: Call<PanelListQuery>,
    scope: &Scope,
    kind: Kind,
) -> Result<Document<ResourceList>, ApiError> {
    let PanelListQuery { limit, cursor, .. } = call.query.clone();
    let query = ListQuery { limit, cursor, ..ListQuery::default() };
    let call = call.instead(Address::of_all(scope, kind), query, NoBody);
    resource::page(&call).await.map(Document)
}

pub(super) async fn get(call: Call<PanelQuery>) -> Result<Found, ApiError> {
    let found = found(&call, call.address.about()?).await?;
    ResourceView::of(&found).map(Found).map_err(ApiError::internal)
}

/// The body is the manifest, as for the native route.
pub(super) async fn put(call: Call<PanelQuery, OneManifest>) -> Result<Found, ApiError> {
    let kind = call.address.about()?;
    replace(call, kind).await
}

/// Writes a manifest in the place of what has that uid.
pub(super) async fn replace(call: Call<PanelQuery, OneManifest>, kind: Kind) -> Result<Found, ApiError> {
    let (body, call) = call.without_body();
    let meta = found(&call, kind).await?.meta;
    let sourced = body.of(meta.key).await?;
    // The uid was asked for, and the name is what is written: by then it could be another's.
    let written =
        resource::write(&call, sourced, Precondition::Revision(meta.revision), &WriteQuery::default())
            .await?;
    Ok(Found(written.resource))
}

pub(super) async fn delete(call: Call<PanelDeleteQuery>) -> Result<Deleted, ApiError> {
    remove(&call, call.address.about()?).await
}

/// Removes what has that uid.
pub(super) async fn remove(call: &Call<PanelDeleteQuery>, kind: Kind) -> Result<Deleted, ApiError> {
    let meta = found(call, kind).await?.meta;
    let confirmation = if call.query.confirm { Confirmation::Given } else { Confirmation::Pending };
    // As above.
    let precondition = Precondition::Revision(meta.revision);
    resource::remove(call, DeleteItem { key: meta.key, precondition, confirmation, deleter: Owner::Api })
        .await
}
