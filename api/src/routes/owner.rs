//! Who owns a resource, and giving it to another.
//!
//! It changes who may write it and nothing of what is wanted of it, so nothing is planned anew. Whoever may write a resource may say whose it is: he could
//! as well write it himself afterwards.

use skep_store::Ownership;

use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::{Get, Put};
use crate::wire::{OwnerRequest, OwnerView};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const WRITE: Access = Access::Needs(Permission::Write);
    const IN_ORG: &str = "/v1/orgs/{org}/{kind}/{name}/owner";
    const OF_PLATFORM: &str = "/v1/{kind}/{name}/owner";
    vec![
        Route::new(
            Get,
            IN_ORG,
            READ,
            "getOrgResourceOwner",
            "Who owns a resource of an organisation, and where it is written.",
            get,
        ),
        Route::new(
            Put,
            IN_ORG,
            WRITE,
            "setOrgResourceOwner",
            "Give a resource of an organisation to the API or to a Git source.",
            set,
        ),
        Route::new(
            Get,
            OF_PLATFORM,
            READ,
            "getResourceOwner",
            "Who owns a platform resource, and where it is written.",
            get,
        ),
        Route::new(
            Put,
            OF_PLATFORM,
            WRITE,
            "setResourceOwner",
            "Give a platform resource to the API or to a Git source of the platform.",
            set,
        ),
    ]
}

async fn get(call: Call<NoQuery>) -> Result<Document<OwnerView>, ApiError> {
    let key = call.address.key()?;
    Ok(Document(shown(call.store.ownership(&key).await?)))
}

async fn set(call: Call<NoQuery, Json<OwnerRequest>>) -> Result<Document<OwnerView>, ApiError> {
    let key = call.address.key()?;
    let Json(OwnerRequest { managed_by }) = &call.body;
    Ok(Document(shown(call.store.set_owner(&key, managed_by, &call.actor).await?)))
}

fn shown(ownership: Ownership) -> OwnerView {
    OwnerView { managed_by: ownership.owner, written: ownership.provenance }
}

impl JsonBody for OwnerRequest {
    const IS: &'static str = "an owner";
    const EXAMPLE: &'static str = r#"{"managedBy": {"by": "api"}}"#;
}
