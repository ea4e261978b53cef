//! Interventions: pause, resume, try again. They change what is done about a resource, and nothing of what is wanted of it.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use skep_schemas::{Kind, ResourceKey};
use skep_store::Intervention;

use super::resource::view;
use crate::answer::Found;
use crate::call::{Call, Json, JsonBody, NoBody, NoQuery};
use crate::error::ApiError;
use crate::limits::{PAUSE_MAX, PAUSE_REASON_MAX};
use crate::wire::PauseRequest;

pub(super) async fn pause(call: Call<NoQuery, Json<PauseRequest>>) -> Result<Found, ApiError> {
    let key = pausable(call.address.key()?, "pause")?;
    let Json(PauseRequest { reason, length }) = &call.body;
    let reason = checked(reason)?;
    let length = length.as_deref().map(checked_length).transpose()?;
    let until = length.map(|length| Timestamp::now().checked_add(length)).transpose();
    let until = until.map_err(ApiError::internal)?;
    intervene(&call, key, &Intervention::Pause { reason, until }).await
}

pub(super) async fn resume(call: Call<NoQuery, NoBody>) -> Result<Found, ApiError> {
    let key = pausable(call.address.key()?, "resume")?;
    intervene(&call, key, &Intervention::Resume).await
}

pub(super) async fn retry(call: Call<NoQuery, NoBody>) -> Result<Found, ApiError> {
    let key = call.address.key()?;
    match key.kind() {
        Kind::Organization | Kind::Environment | Kind::Secret | Kind::NetworkPolicy => {}
        Kind::App => return Err(refused("retry", &key, "retry its environments")),
        Kind::Domain => return Err(refused("retry", &key, "retry the environment that it leads to")),
        Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template
        | Kind::DriftPolicy
        | Kind::ImagePolicy
        | Kind::RegistryCredential
        | Kind::Notification => {
            return Err(refused("retry", &key, USED_BY));
        }
    }
    intervene(&call, key, &Intervention::Retry).await
}

async fn intervene<B>(
    call: &Call<NoQuery, B>,
    key: ResourceKey,
    intervention: &Intervention,
) -> Result<Found, ApiError> {
    call.store.intervene(&key, intervention, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Found(view(&call.store, key).await?))
}

const USED_BY: &str = "name the environment or the organisation whose objects are meant";

/// A pause holds for the objects of a resource; what has none, and is part of none that has, would be paused in name only.
fn pausable(key: ResourceKey, verb: &str) -> Result<ResourceKey, ApiError> {
    match key.kind() {
        Kind::Organization | Kind::App | Kind::Environment | Kind::Secret | Kind::NetworkPolicy => Ok(key),
        Kind::Domain => Err(refused(verb, &key, &format!("{verb} the environment that it leads to"))),
        Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template
        | Kind::DriftPolicy
        | Kind::ImagePolicy
        | Kind::RegistryCredential
        | Kind::Notification => Err(refused(verb, &key, USED_BY)),
    }
}

fn refused(verb: &str, key: &ResourceKey, help: &str) -> ApiError {
    let kind = key.kind();
    ApiError::invalid(
        format!("there is nothing to {verb} for a {kind}: nothing in the Swarm is its own"),
        help,
    )
}

/// A length such as `2h` or `14d`, a day being 24 hours.
fn checked_length(text: &str) -> Result<SignedDuration, ApiError> {
    let span: Option<Span> = text.parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let longest = SignedDuration::try_from(PAUSE_MAX).map_err(ApiError::internal)?;
    length.filter(|length| length.is_positive() && *length <= longest).ok_or_else(|| {
        ApiError::invalid(
            "`for` is no length of a pause",
            format!(
                "write a length such as `2h` or `14d`, at most {} days; without one the pause lasts until it is resumed",
                PAUSE_MAX.as_secs() / 86_400
            ),
        )
    })
}

pub(super) fn checked(reason: &str) -> Result<String, ApiError> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if length == 0 || length > PAUSE_REASON_MAX || reason.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            format!("a reason of {length} characters is none that is kept"),
            format!("say why in 1 to {PAUSE_REASON_MAX} characters, on one line"),
        ));
    }
    Ok(reason.to_owned())
}

impl JsonBody for PauseRequest {
    const IS: &'static str = "a pause";
    const EXAMPLE: &'static str = r#"{"reason": "why", "for": "2h"}"#;
}
