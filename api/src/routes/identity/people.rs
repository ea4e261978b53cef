//! Everybody who has an account, for the platform's owners.
//!
//! Where people log in with an identity provider, accounts come about by that. Without one, an owner of the platform makes accounts and
//! sessions, and hands them over; the audit says so.

use secrecy::ExposeSecret;
use skep_store::{PEOPLE_MAX, PeopleError, Person};

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::limits::{DISPLAY_NAME_MAX, SESSION_LIFE_MAX};
use crate::routes::token::end;
use crate::wire::{
    MadeSession, PeopleQuery, PersonList, PersonRequest, PersonView, RemovedPerson, SessionRequest,
};

impl JsonBody for PersonRequest {
    const IS: &'static str = "an account to be made";
    const EXAMPLE: &'static str = r#"{"email": "alice@example.com", "displayName": "Alice"}"#;
}

impl JsonBody for SessionRequest {
    const IS: &'static str = "a session to be made";
    const EXAMPLE: &'static str = r#"{"expiresIn": "12h"}"#;
}

pub(super) async fn list(call: Call<PeopleQuery>) -> Result<Document<PersonList>, ApiError> {
    let people = call.platform_store()?.people(call.query.after.as_ref(), PEOPLE_MAX).await?;
    let is_full = u32::try_from(people.len()).is_ok_and(|found| found == PEOPLE_MAX);
    let next = people.last().filter(|_| is_full).map(|last| last.email.clone());
    Ok(Document(PersonList { items: people.into_iter().map(view).collect(), next }))
}

pub(super) async fn create(
    call: Call<NoQuery, Json<PersonRequest>>,
) -> Result<Document<PersonView>, ApiError> {
    let Json(PersonRequest { email, display_name }) = &call.body;
    let display_name = display_name.as_deref().map(checked_name).transpose()?;
    let person = call.platform_store()?.ensure_person(email, display_name, &call.actor).await?;
    Ok(Document(view(person)))
}

pub(super) async fn remove(call: Call<NoQuery>) -> Result<Document<RemovedPerson>, ApiError> {
    let email = call.address.email()?.clone();
    if !call.platform_store()?.remove_person(&email, &call.actor).await? {
        return Err(PeopleError::NoSuchPerson { email }.into());
    }
    Ok(Document(RemovedPerson { email }))
}

pub(super) async fn start_session(
    call: Call<NoQuery, Json<SessionRequest>>,
) -> Result<Document<MadeSession>, ApiError> {
    let Json(SessionRequest { expires_in }) = &call.body;
    let help = "write a length such as `12h`, at most 30 days; for what runs unattended make a token";
    let expires_at = end(expires_in.to_std(), SESSION_LIFE_MAX, help)?;
    let email = call.address.email()?.clone();
    let store = call.platform_store()?;
    let person = store.person(&email).await?;
    let person = person.ok_or_else(|| PeopleError::NoSuchPerson { email: email.clone() })?;
    let origin = format!("made by {}", call.actor.as_str());
    let token = store.start_session(&person, &origin, expires_at, &call.actor).await?;
    Ok(Document(MadeSession { token: token.expose_secret().to_owned(), email, expires_at }))
}

/// A name that people may be shown.
fn checked_name(name: &str) -> Result<&str, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > DISPLAY_NAME_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "`displayName` is no name",
            format!("write 1 to {DISPLAY_NAME_MAX} characters in one line, or leave it out"),
        ));
    }
    Ok(name)
}

fn view(person: Person) -> PersonView {
    PersonView { email: person.email, display_name: person.display_name }
}
