//! Invitations: made and taken back by admins, accepted by the person whose address they name.
//!
//! A code that is worth nothing to whoever brings it is answered in one way, whatever the reason.

use secrecy::{ExposeSecret, SecretString};
use skep_store::{InvitationInfo, NewInvitation};

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::limits::{INVITATION_LIFE, INVITATION_LIFE_MAX};
use crate::routes::token::{end, grant_view};
use crate::wire::{
    AcceptInvitation, Accepted, InvitationList, InvitationRequest, InvitationView, MadeInvitation,
    RevokedInvitation,
};

impl JsonBody for InvitationRequest {
    const IS: &'static str = "an invitation to be made";
    const EXAMPLE: &'static str = r#"{"email": "alice@example.com", "role": "deployer"}"#;
}

impl JsonBody for AcceptInvitation {
    const IS: &'static str = "an invitation to be accepted";
    const EXAMPLE: &'static str = r#"{"code": "skepi_…"}"#;
}

pub(super) async fn create(
    call: Call<NoQuery, Json<InvitationRequest>>,
) -> Result<Document<MadeInvitation>, ApiError> {
    let Json(InvitationRequest { email, role, expires_in }) = call.body;
    if !call.principal.may_give(role) {
        return Err(ApiError::invalid(
            format!("the role {role} allows more than yours"),
            "give a role that yours includes; GET /v1/whoami tells it",
        ));
    }
    let length = expires_in.map_or(INVITATION_LIFE, |length| length.to_std());
    let expires_at = end(length, INVITATION_LIFE_MAX, "write a length such as `72h`, at most 30 days")?;
    let new = NewInvitation { reach: call.address.scope(), email: email.clone(), role, expires_at };
    let code = call.store.invite(&new, &call.actor).await?;
    Ok(Document(MadeInvitation { code: code.expose_secret().to_owned(), email, expires_at }))
}

pub(super) async fn list(call: Call<NoQuery>) -> Result<Document<InvitationList>, ApiError> {
    let invitations = call.store.invitations(&call.address.scope()).await?;
    Ok(Document(InvitationList { items: invitations.into_iter().map(view).collect() }))
}

pub(super) async fn revoke(call: Call<NoQuery>) -> Result<Document<RevokedInvitation>, ApiError> {
    let id = call.address.number()?;
    let revoked = call.store.revoke_invitation(&call.address.scope(), id, &call.actor).await?;
    let email = revoked.ok_or_else(|| ApiError::NoneSuch {
        problem: format!("no invitation {id} is open"),
        help: "see those that are with `skep invite list`",
    })?;
    Ok(Document(RevokedInvitation { email }))
}

pub(super) async fn accept(
    call: Call<NoQuery, Json<AcceptInvitation>>,
) -> Result<Document<Accepted>, ApiError> {
    let Json(AcceptInvitation { code }) = call.body;
    let person = &call.principal.own()?.person;
    let accepted = call.app.accept_invitation(person, &SecretString::from(code), &call.actor).await?;
    let grant = accepted.ok_or_else(|| ApiError::NoneSuch {
        problem: "no open invitation to your address has that code".to_owned(),
        help: "`skep whoami` tells your address; ask whoever invited you for another one to exactly that",
    })?;
    Ok(Document(Accepted { grant: grant_view(&grant) }))
}

fn view(invitation: InvitationInfo) -> InvitationView {
    let InvitationInfo { id, email, role, made_by, created_at, expires_at } = invitation;
    InvitationView { id, email, role, made_by, created_at, expires_at }
}
