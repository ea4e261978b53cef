//! What the instances of an environment use.

use skep_schemas::Kind;

use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wire::MetricsView;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    vec![Route::new(
        Get,
        "/v1/orgs/{org}/environments/{name}/metrics",
        Access::Needs(Permission::Read),
        "getMetricsOfEnvironment",
        "What the instances of an environment use: processor, memory and traffic, or why that cannot be read.",
        get,
    )]
}

pub(crate) async fn get(call: Call<NoQuery>) -> Result<Document<MetricsView>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    if call.store.get(&key).await?.is_none() {
        return Err(ApiError::NotFound { key });
    }
    Ok(Document(call.app.control.metrics(&call.store, &key).await?))
}
