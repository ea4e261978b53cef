//! Notification: messages are sent by the controller as events happen, so it has no object of its own. What there is to say is whether they can be sent,
//! and which were not.

use jiff::Timestamp;
use skep_schemas::kind::{NotificationDetail, NotificationSpec, NotificationTarget, Status};
use skep_schemas::{Reason, Resource};

use super::Assessment;
use super::conditions::Conditions;
use super::secret::SecretFacts;
use crate::blocked::Blocked;

/// From so many failures in a row on it is told that a target does not take messages; fewer are a hiccup. Migration 0034 wakes a
/// Notification when this is reached.
const FAILURES_TOLD: u32 = 3;

/// A Notification, and what is known of its Secret and of its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationDesired {
    /// The resource.
    pub notification: Resource<NotificationSpec>,
    /// The current value of its Secret; none when there is no such Secret, or it has no value.
    pub secret: Option<SecretFacts>,
    /// How its messages fare.
    pub standing: NotificationStanding,
}

/// How the messages of a Notification fare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationStanding {
    /// How often in a row the target did not take one.
    pub failures: u32,
    /// Why not, the last time; else of what the last one died.
    pub last_error: Option<String>,
    /// How many were given up and are kept.
    pub dead: u64,
    /// How many were not kept, because too many waited.
    pub dropped: u64,
}

/// What to say about it.
pub fn status(desired: &NotificationDesired, now: Timestamp) -> Assessment<NotificationDetail> {
    let NotificationDesired { notification, secret, standing } = desired;
    let meta = &notification.meta;
    let mut conditions = Conditions::new(&notification.status, meta.generation, now);
    match (notification.spec.target(), secret) {
        (Some(target), Some(secret)) => conditions.ready(ready(target, secret)),
        (Some(target), None) => {
            let missing = Blocked::SecretMissing { name: target.secret().to_string() };
            conditions.stalled(missing.reason(), missing.to_string());
        }
        // Refused when it is applied.
        (None, _) => conditions.stalled(Reason::ReferenceMissing, "it says nobody who is told"),
    }
    if let Some(trouble) = trouble(meta.key.name().as_str(), standing) {
        conditions.degraded(Reason::MessagesUndelivered, trouble);
    }
    let seen_of_secret = secret.as_ref().map(|secret| secret.revision);
    let revision = seen_of_secret.max(Some(meta.revision)).unwrap_or_default();
    let detail = NotificationDetail {
        secret_version: secret.as_ref().map(|secret| secret.version),
        dead: standing.dead,
        dropped: standing.dropped,
    };
    let status = Status::new(meta.generation, revision, conditions.into_vec(), detail);
    // Its Secret wakes it, and so does what becomes of its messages.
    Assessment { status, recheck: None }
}

fn ready(target: NotificationTarget<'_>, secret: &SecretFacts) -> String {
    let (name, version) = (target.secret(), secret.version);
    match target {
        NotificationTarget::Webhook(webhook) => {
            format!("messages go to {}, signed with version {version} of Secret/{name}", webhook.url.host())
        }
        NotificationTarget::Slack(_) => {
            format!("messages go to the Slack channel that version {version} of Secret/{name} says")
        }
    }
}

/// What went wrong with messages.
fn trouble(name: &str, standing: &NotificationStanding) -> Option<String> {
    let NotificationStanding { failures, last_error, dead, dropped } = standing;
    let mut told = Vec::new();
    if *failures >= FAILURES_TOLD {
        told.push("the last messages were not taken, and are sent again".to_owned());
    }
    if *dead > 0 {
        told.push(format!("given up: {dead} (`skep notifications list {name} --dead`)"));
    }
    if *dropped > 0 {
        told.push(format!("not kept because too many waited: {dropped}"));
    }
    if told.is_empty() {
        return None;
    }
    let last = last_error.as_ref().map(|why| format!("; last: {why}"));
    Some(format!("{}{}", told.join("; "), last.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_delivered_is_told_with_its_number_and_the_last_reason() {
        let standing = |failures, dead, dropped| NotificationStanding {
            failures,
            dead,
            dropped,
            last_error: Some("hooks.acme.test answers with status 500".to_owned()),
        };
        assert_eq!(trouble("ops", &standing(2, 0, 0)), None);
        assert_eq!(
            trouble("ops", &standing(3, 0, 0)).as_deref(),
            Some(
                "the last messages were not taken, and are sent again; last: hooks.acme.test answers with status 500"
            )
        );
        assert_eq!(
            trouble("ops", &standing(0, 2, 7)).as_deref(),
            Some(
                "given up: 2 (`skep notifications list ops --dead`); not kept because too many waited: 7; last: hooks.acme.test answers with status 500"
            )
        );
    }
}
