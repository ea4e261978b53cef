//! A person's own sessions: made by a login, seen and ended.

use secrecy::ExposeSecret;
use skep_store::{SessionId, SessionInfo};

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::limits::{SESSION_LIFE, SESSION_LIFE_MAX};
use crate::routes::token::end as end_of;
use crate::wire::{
    EndedSession, LoginRequest, LoginView, MadeSession, SessionList, SessionView, WebLoginCode, WebLoginView,
};

impl JsonBody for LoginRequest {
    const IS: &'static str = "a session to be made";
    const EXAMPLE: &'static str = r#"{"expiresIn": "12h"}"#;
}

/// Where to log in is asked before anybody is somebody.
pub(super) async fn provider(call: Call<NoQuery>) -> Result<Document<LoginView>, ApiError> {
    Ok(Document(LoginView { provider: call.app.login() }))
}

/// Exchanges the token of a login for a session. A session makes no other session: it would have no end.
pub(super) async fn log_in(
    call: Call<NoQuery, Json<LoginRequest>>,
) -> Result<Document<MadeSession>, ApiError> {
    let own = call.principal.own()?;
    let provider = call.app.login().map(|provider| provider.issuer);
    if provider.is_none() || own.issuer != provider {
        return Err(ApiError::invalid(
            "a session is made for whoever comes from the identity provider, with the ID token of a login",
            "log in with `skep login`",
        ));
    }
    call.app.rates.take_login(&call.principal).map_err(|wait| ApiError::TooOften { wait })?;
    let Json(LoginRequest { expires_in }) = &call.body;
    let length = expires_in.map_or(SESSION_LIFE, |length| length.to_std());
    let expires_at = end_of(length, SESSION_LIFE_MAX, "write a length such as `12h`, at most 30 days")?;
    let origin = format!("a login at {}", provider.unwrap_or_default());
    let token = call.app.log_in(own, &origin, expires_at, &call.actor).await?;
    let email = own.person.email.clone();
    Ok(Document(MadeSession { token: token.expose_secret().to_owned(), email, expires_at }))
}

impl JsonBody for WebLoginCode {
    const IS: &'static str = "the end of a login";
    const EXAMPLE: &'static str = r#"{"code": "…", "codeVerifier": "…", "nonce": "…", "redirectUri": "https://skep.example.com/ui/login"}"#;
}

/// Where a page sends people, asked before anybody is somebody.
pub(super) async fn web_provider(call: Call<NoQuery>) -> Result<Document<WebLoginView>, ApiError> {
    Ok(Document(WebLoginView { provider: call.app.web_login().await? }))
}

/// Exchanges the code of a login for a session. Whoever asks is nobody before, so how often that may be done goes by where it
/// comes from, before the body is read, and only so many are redeemed at a time.
pub(super) async fn web_log_in(
    call: Call<NoQuery, Json<WebLoginCode>>,
) -> Result<Document<MadeSession>, ApiError> {
    let Json(login) = &call.body;
    let principal = call.app.redeem(login).await?;
    call.app.rates.take_login(&principal).map_err(|wait| ApiError::TooOften { wait })?;
    let own = principal.own()?;
    let expires_at = end_of(SESSION_LIFE, SESSION_LIFE_MAX, "log in again")?;
    let origin = format!("a login on a page at {}", own.issuer.as_deref().unwrap_or_default());
    let actor = call.actor.named(&principal.name);
    let token = call.app.log_in(own, &origin, expires_at, &actor).await?;
    let email = own.person.email.clone();
    Ok(Document(MadeSession { token: token.expose_secret().to_owned(), email, expires_at }))
}

pub(super) async fn list(call: Call<NoQuery>) -> Result<Document<SessionList>, ApiError> {
    let own = call.principal.own()?;
    let sessions = call.app.sessions(own).await?;
    let view = |session: SessionInfo| SessionView {
        id: session.id.get(),
        origin: session.origin,
        current: Some(session.id) == own.session,
        created_at: session.created_at,
        expires_at: session.expires_at,
        last_used_at: session.last_used_at,
    };
    Ok(Document(SessionList { items: sessions.into_iter().map(view).collect() }))
}

pub(super) async fn end(call: Call<NoQuery>) -> Result<Document<EndedSession>, ApiError> {
    let id = SessionId::new(call.address.number()?);
    end_one(&call, id).await
}

pub(super) async fn log_out(call: Call<NoQuery>) -> Result<Document<EndedSession>, ApiError> {
    let session = call.principal.own()?.session;
    let id = session.ok_or_else(|| {
        ApiError::invalid(
            "you ask with a token that somebody else made, and not in a session",
            "it ends by itself; whoever made it says how to end it earlier",
        )
    })?;
    end_one(&call, id).await
}

async fn end_one(call: &Call<NoQuery>, id: SessionId) -> Result<Document<EndedSession>, ApiError> {
    if !call.app.end_session(call.principal.own()?, id, &call.actor).await? {
        return Err(ApiError::NoneSuch {
            problem: format!("you have no session {}", id.get()),
            help: "see those that you have with `skep session list`",
        });
    }
    Ok(Document(EndedSession { id: id.get() }))
}
