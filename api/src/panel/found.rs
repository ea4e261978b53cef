//! Which resource a request means: one with the uid that its path names, of the kind that the route is about, in the organisation that the
//! request is about, and in no other place.
//!
//! What is not there, what is no uid, what has another kind, and what is another organisation's are one answer.

use skep_schemas::{Kind, KindScope, Resource, Scope};

use crate::call::Call;
use crate::error::ApiError;

/// Where a kind's resources are, for this request.
pub(super) fn scope<Q, B>(call: &Call<Q, B>, kind: Kind) -> Result<Scope, ApiError> {
    match (kind.scope(), call.address.org()) {
        (KindScope::Platform, _) => Ok(Scope::Platform),
        (KindScope::Org, Some(org)) => Ok(Scope::Org(org.clone())),
        (KindScope::Org, None) => Err(ApiError::invalid(
            "the request says no organisation, and yours is the platform",
            "name one, as in `?org=acme`",
        )),
    }
}

/// The resource.
pub(super) async fn found<Q, B>(call: &Call<Q, B>, kind: Kind) -> Result<Resource, ApiError> {
    let scope = scope(call, kind)?;
    let found = match call.address.uid() {
        Some(uid) => call.store.find(&scope, kind, uid).await?,
        None => None,
    };
    found.ok_or_else(|| ApiError::NoneSuch {
        problem: format!("there is no {kind} with that uid"),
        help: "GET the list to see what exists; `metadata.uid` is what a path names",
    })
}
