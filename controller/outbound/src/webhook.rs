//! Messages to hosts that tenants name, signed so that whoever gets one knows who sent it.
//!
//! The form is that of [Standard Webhooks](https://www.standardwebhooks.com): a body of JSON, and in headers an id, the time, and an HMAC (SHA-256)
//! over both and the body. There are libraries for receivers in most languages. Whoever hears a message can neither change it, nor make it
//! one of another time; the receiver refuses old ones.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::error::OutboundError;
use crate::outbound::{Answer, Limits, Outbound};

/// What an answer to a message may cost. Who needs longer says that it is not done.
const LIMITS: Limits = Limits { within: Duration::from_secs(20), body: 16 * 1024, redirects: 0 };
/// What a secret begins with that is written as Standard Webhooks says: the rest is the key in Base64.
const ENCODED: &str = "whsec_";
/// How much of its digest is a message's id, in bytes.
const ID_BYTES: usize = 16;

/// A message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What tells it from others. Whoever sends it again sends it with the same.
    pub id: &'a str,
    /// Where it is sent.
    pub url: &'a str,
    /// When it is sent, in seconds since 1970.
    pub sent_at: i64,
    /// What it says, as JSON.
    pub body: &'a str,
    /// What it is signed with; `None` if it is not.
    pub secret: Option<&'a SecretString>,
}

/// An id for a message that has none of its own: the same if the same is sent to the same at the same time.
pub fn id_of(url: &str, sent_at: i64, body: &str) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{url}\n{sent_at}\n{body}").as_bytes());
    let bytes = digest.as_ref().get(..ID_BYTES).unwrap_or_default();
    format!("msg_{}", hex::encode(bytes))
}

impl Message<'_> {
    fn request(&self) -> Result<Request<Bytes>, OutboundError> {
        let Self { id, url, sent_at, body, secret } = self;
        let mut request = Request::post(*url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("webhook-id", *id)
            .header("webhook-timestamp", *sent_at);
        if let Some(secret) = secret {
            let signature = HeaderValue::from_str(&signature(secret, id, *sent_at, body));
            // In Base64 nothing is that may not stand in a header.
            request = request.header("webhook-signature", signature.unwrap_or(HeaderValue::from_static("")));
        }
        let refused = |_| OutboundError::Address { url: String::new(), why: "it is no address" };
        request.body(Bytes::copy_from_slice(body.as_bytes())).map_err(refused)
    }
}

impl Outbound {
    /// Sends a message and reads the whole answer. It is not sent anywhere else.
    pub async fn deliver(&self, message: &Message<'_>) -> Result<Answer, OutboundError> {
        self.send(message.request()?, &LIMITS).await
    }
}

/// The signature of a message, as its header has it.
fn signature(secret: &SecretString, id: &str, sent_at: i64, body: &str) -> String {
    let secret = secret.expose_secret();
    let decoded = secret.strip_prefix(ENCODED).and_then(|rest| STANDARD.decode(rest).ok());
    let key = match &decoded {
        Some(key) => hmac::Key::new(hmac::HMAC_SHA256, key),
        // Whatever else it is, it is the key as it stands.
        None => hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
    };
    let tag = hmac::sign(&key, format!("{id}.{sent_at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests;
