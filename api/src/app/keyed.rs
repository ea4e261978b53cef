//! `Idempotency-Key`: a request that is sent twice is done once, and answered twice in the same words.
//!
//! Any write takes the header. What is under a key is kept by the store ([`skep_store::KeyedRequest`]); here is what makes a request the same
//! request (who asks, in which role; method, path and query; conditions; body), and which answers are worth keeping: those that say
//! that something was done. A refused request did nothing, so its key is free again. An answer with something in it that is told once is
//! noted, and not kept.

use axum::body::{Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{StatusCode, request};
use skep_schemas::codes::Code;
use skep_store::{ANSWER_MAX, Begun, KeptAnswer, KeyedRequest, RequestPrint, Store};

use super::App;
use crate::access::Principal;
use crate::error::{About, ApiError};
use crate::wire::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};

/// The longest key: several identifiers in a row.
const KEY_MAX: usize = 200;

/// A write with a key.
pub(crate) struct Keyed {
    store: Store,
    asker: String,
    key: String,
    /// All that makes it this request, but for the body.
    head: Vec<u8>,
    /// Is there something in the answer that is told once?
    told_once: bool,
}

/// The key of a write that is being worked on.
pub(crate) struct Ticket {
    store: Store,
    asker: String,
    key: String,
    print: RequestPrint,
    told_once: bool,
}

/// What came of taking a key.
pub(crate) enum Taken {
    /// The request is to be worked on now.
    Now(Box<Ticket>),
    /// It was done before, with this answer.
    Before(Response),
}

impl Keyed {
    /// The key of a request, if it has one.
    pub(crate) fn of(
        app: &App,
        principal: &Principal,
        parts: &request::Parts,
        told_once: bool,
    ) -> Result<Option<Self>, ApiError> {
        let Some(key) = key(&parts.headers)? else { return Ok(None) };
        let mut head = format!("{:?}\n{} {}\n", principal.grant, parts.method, parts.uri).into_bytes();
        for condition in [IF_MATCH, IF_NONE_MATCH] {
            for value in parts.headers.get_all(condition) {
                head.extend_from_slice(value.as_bytes());
            }
            head.push(b'\n');
        }
        Ok(Some(Self { store: app.store.clone(), asker: principal.name.clone(), key, head, told_once }))
    }

    /// Takes the key for a request with this body.
    pub(crate) async fn take(self, body: &Bytes) -> Result<Taken, ApiError> {
        let refused = |code, problem: &str, help: &'static str| {
            Err(ApiError::Refused {
                code,
                problem: problem.into(),
                help: help.into(),
                about: About::Nothing,
                diagnostics: Vec::new(),
            })
        };
        let Self { store, asker, key, head, told_once } = self;
        let print = store.request_print(&[&head, body]);
        let ticket = Ticket { store, asker, key, print, told_once };
        match ticket.store.begin_keyed(ticket.request()).await? {
            Begun::First => Ok(Taken::Now(Box::new(ticket))),
            Begun::Answered(KeptAnswer { status, content_type, etag, body: Some(body) }) => {
                Ok(Taken::Before(again(status, content_type, etag, body)))
            }
            Begun::Answered(KeptAnswer { body: None, .. }) => refused(
                Code::AnswerNotKept,
                "the request was done before, and its answer is not kept",
                "look at what there is now; revoke what nobody received, and make another",
            ),
            Begun::InProgress => refused(
                Code::KeyInUse,
                "a request with this key is being worked on",
                "send it again in a moment",
            ),
            Begun::AnotherRequest => refused(
                Code::KeyReused,
                "the key was sent with another request",
                "make a new key for each request",
            ),
        }
    }
}

impl Ticket {
    /// Notes how the request was answered. An answer that cannot be noted is an answer all the same.
    pub(crate) async fn end(self, answer: Result<Response, ApiError>) -> Result<Response, ApiError> {
        let request = self.request();
        let (answer, noted) = match answer {
            Ok(response) if response.status().is_success() => {
                let (response, kept) = self.copied(response).await?;
                (Ok(response), self.store.keep_answer(request, kept).await)
            }
            other => (other, self.store.let_go_of_key(request).await),
        };
        if let Err(error) = noted {
            tracing::warn!(%error, "the answer to a request with a key was not noted");
        }
        answer
    }

    /// The response, and what is kept of it.
    async fn copied(&self, response: Response) -> Result<(Response, KeptAnswer), ApiError> {
        let text = |headers: &HeaderMap, name| headers.get(name)?.to_str().ok().map(str::to_owned);
        let mut kept = KeptAnswer {
            status: response.status().as_u16(),
            content_type: text(response.headers(), CONTENT_TYPE),
            etag: text(response.headers(), ETAG),
            body: None,
        };
        let length = response.body().size_hint().upper().and_then(|length| usize::try_from(length).ok());
        if self.told_once || length.is_none_or(|length| length > ANSWER_MAX) {
            return Ok((response, kept));
        }
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, ANSWER_MAX).await.map_err(ApiError::internal)?;
        kept.body = Some(bytes.to_vec());
        Ok((Response::from_parts(head, bytes.into()), kept))
    }

    fn request(&self) -> KeyedRequest<'_> {
        KeyedRequest { asker: &self.asker, key: &self.key, print: &self.print }
    }
}

/// The key, with or without the quotes that the draft of the header's standard wants.
fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    let key = first.to_str().unwrap_or_default().trim();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let is_key = (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key || sent.next().is_some() {
        return Err(ApiError::invalid(
            "`Idempotency-Key` is no key",
            format!("send it once, with 1 to {KEY_MAX} letters, digits and signs, such as a UUID"),
        ));
    }
    Ok(Some(key.to_owned()))
}

/// An answer as it was given before.
fn again(status: u16, content_type: Option<String>, etag: Option<String>, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    for (name, value) in [(CONTENT_TYPE, content_type), (ETAG, etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::try_from(*value).unwrap());
        }
        key(&headers).ok()
    }

    #[test]
    fn a_key_is_one_word_of_sensible_length_in_quotes_or_without() {
        assert_eq!(read(&[]), Some(None));
        for same in ["a-1", "\"a-1\"", " a-1 "] {
            assert_eq!(read(&[same]), Some(Some("a-1".to_owned())), "{same}");
        }
        let long = "k".repeat(KEY_MAX + 1);
        for wrong in [&[""][..], &["\"\""], &["two words"], &["a", "b"], &[long.as_str()], &["\u{e9}"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
