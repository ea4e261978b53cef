//! A person's own sessions: seen and ended.

use skep_store::{SessionId, SessionInfo};

use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::wire::{EndedSession, SessionList, SessionView};

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
