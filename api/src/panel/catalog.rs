//! The catalogue, for the platform: its kinds are listed, read, made, changed and deleted alike, whichever it is.

use serde_json::Value;
use skep_schemas::kind::StackSpec;
use skep_schemas::{KindSpec, Scope};

use super::config::merge;
use super::found::found;
use super::{create, resource};
use crate::answer::{Deleted, Document, Found, Written};
use crate::call::{Call, Json, JsonBody};
use crate::error::ApiError;
use crate::manifests::OneManifest;
use crate::routes::config::write;
use crate::wire::{
    PanelBuildpackOrder, PanelCatalogItem, PanelDeleteQuery, PanelListQuery, PanelPatch, PanelQuery,
    ResourceList, ResourceView,
};

pub(super) async fn list<K: KindSpec>(
    call: Call<PanelListQuery>,
) -> Result<Document<ResourceList>, ApiError> {
    resource::page(call, &Scope::Platform, K::KIND).await
}

pub(super) async fn get<K: KindSpec>(call: Call<PanelQuery>) -> Result<Found, ApiError> {
    let found = found(&call, K::KIND).await?;
    ResourceView::of(&found).map(Found).map_err(ApiError::internal)
}

/// A new one, of its name and its spec.
pub(super) async fn post<K: KindSpec>(
    call: Call<PanelQuery, Json<PanelCatalogItem>>,
) -> Result<Written, ApiError> {
    let Json(PanelCatalogItem { name, spec }) = &call.body;
    create::create(&call, K::KIND, name.clone(), Value::Object(spec.clone())).await
}

/// The body is the manifest, as for the native route.
pub(super) async fn put<K: KindSpec>(call: Call<PanelQuery, OneManifest>) -> Result<Found, ApiError> {
    resource::replace(call, K::KIND).await
}

/// Some fields of the spec, as RFC 7396 merges them.
pub(super) async fn patch<K: KindSpec>(call: Call<PanelQuery, Json<PanelPatch>>) -> Result<Found, ApiError> {
    let found = found(&call, K::KIND).await?;
    let mut merged = found.spec.to_json().map_err(ApiError::internal)?;
    merge(&mut merged, &Value::Object(call.body.0.spec.clone()));
    write(&call, &found, merged).await.map(Found)
}

pub(super) async fn delete<K: KindSpec>(call: Call<PanelDeleteQuery>) -> Result<Deleted, ApiError> {
    resource::remove(&call, K::KIND).await
}

/// The buildpacks of a stack in another order.
pub(super) async fn reorder(call: Call<PanelQuery, Json<PanelBuildpackOrder>>) -> Result<Found, ApiError> {
    let stack = found(&call, StackSpec::KIND).await?;
    let mut spec = stack.spec.to_json().map_err(ApiError::internal)?;
    spec["buildpacks"] = serde_json::json!(call.body.0.buildpacks);
    write(&call, &stack, spec).await.map(Found)
}

impl JsonBody for PanelCatalogItem {
    const IS: &'static str = "a part of the catalogue";
    const EXAMPLE: &'static str =
        r#"{"name": "heroku-24", "spec": {"builder": "docker.io/heroku/builder:24"}}"#;
}

impl JsonBody for PanelBuildpackOrder {
    const IS: &'static str = "an order of buildpacks";
    const EXAMPLE: &'static str = r#"{"buildpacks": ["nodejs", "ruby"]}"#;
}
