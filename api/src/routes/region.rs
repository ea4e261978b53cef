//! Regions: where environments can run.
//!
//! An organisation is told of the regions that have nodes for it, by name, and whether they take work; neither hosts nor how much they have,
//! and nothing of nodes that are kept for others. Whoever may examine the installation sees the nodes.

use crate::access::{Access, Permission, Target};
use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::port::RegionRequest;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wire::RegionList;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/regions",
            READ,
            "listOrgRegions",
            "The regions in which an organisation's environments can run, and whether they take work now.",
            list,
        ),
        Route::new(
            Get,
            "/v1/regions",
            READ,
            "listRegions",
            "The regions of all nodes, whoever they are kept for; with the nodes, for administrators.",
            list,
        ),
    ]
}

async fn list(call: Call<NoQuery>) -> Result<Document<RegionList>, ApiError> {
    told(&call).await
}

/// The regions for the organisation that the request is about, or all of them.
pub(crate) async fn told<Q>(call: &Call<Q>) -> Result<Document<RegionList>, ApiError> {
    let org = call.address.org().cloned();
    let with_nodes = call.principal.permits(Permission::Diagnose, &Target::Platform(None));
    let regions = call.app.control.regions(&call.store, RegionRequest { org, with_nodes }).await?;
    Ok(Document(regions))
}
