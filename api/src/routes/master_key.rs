//! The master key: how things stand, and its rotation, a batch with each request.

use skep_store::{MasterKeyStanding, Rotation};

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::wire::{ClosedOrganization, MasterKeyRotation, MasterKeyUse, MasterKeyView, RotateMasterKey};

impl JsonBody for RotateMasterKey {
    const IS: &'static str = "a batch of a rotation";
    const EXAMPLE: &'static str = "{}";
}

pub(super) async fn get(call: Call<NoQuery>) -> Result<Document<MasterKeyView>, ApiError> {
    let MasterKeyStanding { in_force, since, own, keys, closed } =
        call.platform_store()?.master_key_standing().await?;
    let used = |key: skep_store::MasterKeyUse| MasterKeyUse {
        id: key.id,
        organizations: key.organizations,
        held: key.held,
    };
    Ok(Document(MasterKeyView {
        in_force,
        since,
        own,
        keys: keys.into_iter().map(used).collect(),
        closed: closed.into_iter().map(closed_view).collect(),
    }))
}

pub(super) async fn rotate(
    call: Call<NoQuery, Json<RotateMasterKey>>,
) -> Result<Document<MasterKeyRotation>, ApiError> {
    let Json(RotateMasterKey { to, after }) = &call.body;
    let done = call.platform_store()?.rotate_master_key(to.as_deref(), *after, &call.actor).await?;
    let Rotation { in_force, began, rewrapped, left, closed, next } = done;
    let closed = closed.into_iter().map(closed_view).collect();
    Ok(Document(MasterKeyRotation { in_force, began, rewrapped, left, closed, next }))
}

fn closed_view(closed: skep_store::ClosedOrganization) -> ClosedOrganization {
    ClosedOrganization { organization: closed.org, master_key: closed.master_key }
}
