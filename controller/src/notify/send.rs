//! Sending one message.
//!
//! The Secret is opened for the one request. Nothing that is said about a failure has the secret in it, or an address that is one: not what the
//! receiver answered either, which may repeat what it was sent.

use http::StatusCode;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use skep_outbound::webhook::Message;
use skep_outbound::{Answer, Outbound, OutboundError};
use skep_schemas::HookUrl;
use skep_schemas::kind::NotificationTarget;
use skep_store::{Attempt, Claimed, Store};

use super::{again, form};
use crate::error::chain;

/// Why a message was not taken.
struct Refused {
    why: String,
    /// It is of no use to send it again.
    finally: bool,
    /// How long the receiver asks to wait for.
    asked: Option<std::time::Duration>,
}

impl Refused {
    const fn by_us(why: String) -> Self {
        Self { why, finally: false, asked: None }
    }
}

/// Sends messages.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) outbound: Outbound,
    pub(super) store: Store,
}

impl Sender {
    /// Sends a message at that time, and says what became of it.
    pub(super) async fn send(&self, claimed: &Claimed, now: Timestamp) -> Attempt {
        let Err(refused) = self.try_send(claimed, now).await else { return Attempt::Delivered };
        let Refused { why, finally, asked } = refused;
        let pause = again::pause(claimed.failures, asked);
        match again::after(claimed.attempts, claimed.age, asked).filter(|_| !finally) {
            Some(after) => Attempt::Again { why, after, pause },
            None => Attempt::Dead { why, pause },
        }
    }

    async fn try_send(&self, claimed: &Claimed, now: Timestamp) -> Result<(), Refused> {
        let Some(target) = claimed.spec.target() else {
            return Err(Refused::by_us("the Notification says nobody who is told".to_owned()));
        };
        let secret = self.open(claimed, target).await.map_err(Refused::by_us)?;
        let (url, body, signed) = match target {
            NotificationTarget::Webhook(webhook) => {
                (webhook.url.clone(), claimed.body.clone(), Some(&secret))
            }
            NotificationTarget::Slack(slack) => {
                let no_address = |_| format!("the value of Secret/{} is no https address", slack.secret);
                let url: HookUrl =
                    secret.expose_secret().parse().map_err(no_address).map_err(Refused::by_us)?;
                let body = form::slack(&claimed.body).map_err(|error| Refused::by_us(chain(&error)))?;
                (url, body, None)
            }
        };
        let id = claimed.message_id.to_string();
        let message =
            Message { id: &id, url: url.as_str(), sent_at: now.as_second(), body: &body, secret: signed };
        let answer = self.outbound.deliver(&message).await;
        let answer = answer.map_err(|error| Refused::by_us(unanswered(&url, &error)))?;
        judged(&url, &answer, now)
    }

    async fn open(&self, claimed: &Claimed, target: NotificationTarget<'_>) -> Result<SecretString, String> {
        let name = target.secret();
        let Some((uid, version)) = claimed.secret else {
            return Err(format!("Secret/{name} does not exist or has no value"));
        };
        let value = self.store.open_secret(uid, version).await;
        let value = value.map_err(|error| format!("Secret/{name} cannot be opened: {}", chain(&error)))?;
        // Secrets come out of programs and editors with a line end that is none of theirs.
        Ok(SecretString::from(value.expose_secret().trim_end_matches(['\r', '\n'])))
    }
}

/// What the answer means.
fn judged(url: &HookUrl, answer: &Answer, now: Timestamp) -> Result<(), Refused> {
    if answer.status.is_success() {
        return Ok(());
    }
    Err(Refused {
        why: format!("{} answers with status {}", url.host(), answer.status.as_u16()),
        // Standard Webhooks: the receiver wants no more of these.
        finally: answer.status == StatusCode::GONE,
        asked: again::asked(&answer.headers, now),
    })
}

/// Why there is no answer, by the host alone: the rest of the address may be a secret.
fn unanswered(url: &HookUrl, error: &OutboundError) -> String {
    match error {
        OutboundError::Address { why, .. } => format!("{} is not asked: {why}", url.host()),
        OutboundError::Inside { .. }
        | OutboundError::Unknown { .. }
        | OutboundError::Unreachable { .. }
        | OutboundError::Redirect { .. }
        | OutboundError::TooLarge { .. }
        | OutboundError::TimedOut { .. } => error.to_string(),
    }
}
