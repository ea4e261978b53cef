//! Tokens of an organisation, or of the platform: made, listed, revoked; and who asks.
//!
//! Nobody gives out more than he has: a token has at most the role of the one that made it, and no larger reach.

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use skep_store::{Grant, NewToken};

use crate::access::{Access, Permission, Principal};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::limits::TOKEN_LIFE_MAX;
use crate::route::Route;
use crate::route::Verb::{Delete, Get, Post};
use crate::wire::{GrantView, MadeToken, RevokedToken, TokenList, TokenRequest, TokenView, WhoAmI};

/// The routes of tokens.
pub(super) fn table() -> Vec<Route> {
    const TOKENS: Access = Access::Needs(Permission::ManageTokens);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/tokens",
            TOKENS,
            "listOrgTokens",
            "The tokens of an organisation.",
            list,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/tokens",
            TOKENS,
            "createOrgToken",
            "Make a token of an organisation.",
            create,
        )
        .told_once(),
        Route::new(
            Delete,
            "/v1/orgs/{org}/tokens/{name}",
            TOKENS,
            "revokeOrgToken",
            "Revoke a token of an organisation.",
            revoke,
        ),
        Route::new(Get, "/v1/tokens", TOKENS, "listTokens", "The tokens of the platform.", list),
        Route::new(Post, "/v1/tokens", TOKENS, "createToken", "Make a token of the platform.", create)
            .told_once(),
        Route::new(
            Delete,
            "/v1/tokens/{name}",
            TOKENS,
            "revokeToken",
            "Revoke a token of the platform.",
            revoke,
        ),
    ]
}

impl JsonBody for TokenRequest {
    const IS: &'static str = "a token to be made";
    const EXAMPLE: &'static str = r#"{"name": "ci", "role": "deployer", "expiresIn": "720h"}"#;
}

pub(super) async fn create(call: Call<NoQuery, Json<TokenRequest>>) -> Result<Document<MadeToken>, ApiError> {
    let Json(TokenRequest { name, role, expires_in }) = call.body;
    if !call.principal.may_give(role) {
        return Err(ApiError::invalid(
            format!("a token of the role {role} allows more than the one that asks"),
            "ask for a role that yours includes; GET /v1/whoami tells it",
        ));
    }
    let help = "write a length such as `720h`, at most ten years; without one it ends when it is revoked";
    let expires_at = expires_in.map(|length| end(length.to_std(), TOKEN_LIFE_MAX, help)).transpose()?;
    let new = NewToken { name: name.clone(), reach: call.address.scope(), role, expires_at };
    let token = call.store.create_token(&new, &call.actor).await?;
    Ok(Document(MadeToken { token: token.expose_secret().to_owned(), name, expires_at }))
}

pub(super) async fn list(call: Call<NoQuery>) -> Result<Document<TokenList>, ApiError> {
    let tokens = call.store.tokens(&call.address.scope()).await?;
    let view = |token: skep_store::TokenInfo| TokenView {
        name: token.name,
        role: token.role,
        made_by: token.made_by,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
    };
    Ok(Document(TokenList { items: tokens.into_iter().map(view).collect() }))
}

pub(super) async fn revoke(call: Call<NoQuery>) -> Result<Document<RevokedToken>, ApiError> {
    let name = call.address.name()?.clone();
    if !call.store.revoke_token(&call.address.scope(), name.as_str(), &call.actor).await? {
        return Err(ApiError::NoSuchToken { name });
    }
    Ok(Document(RevokedToken { name }))
}

pub(super) async fn whoami(call: Call<NoQuery>) -> Result<Document<WhoAmI>, ApiError> {
    let Principal { name, own, grants, .. } = call.principal;
    let display_name = own.and_then(|own| own.person.display_name);
    Ok(Document(WhoAmI { name, display_name, grants: grants.iter().map(grant_view).collect() }))
}

pub(super) fn grant_view(grant: &Grant) -> GrantView {
    GrantView { org: grant.reach.org().cloned(), role: grant.role }
}

/// When something ends that is made now, if it may last so long.
pub(super) fn end(
    length: std::time::Duration,
    most: std::time::Duration,
    help: &str,
) -> Result<Timestamp, ApiError> {
    if length.is_zero() || length > most {
        return Err(ApiError::invalid("`expiresIn` is too short or too long", help));
    }
    let length = SignedDuration::try_from(length).map_err(ApiError::internal)?;
    Timestamp::now().checked_add(length).map_err(ApiError::internal)
}
