//! One request as the verbs state it: method, path, query, body. The version prefix and the connection come later.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use secrecy::SecretString;
use serde::Serialize;

use crate::query::LabelFilter;

/// Characters that stand for themselves in a path segment or a query; everything else is escaped.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Escapes text for one path segment or one query value, so that no name can reach another path.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query, without the version.
    pub(super) target: String,
    pub(super) body: Bytes,
    pub(super) auth: Option<SecretString>,
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        Self { method, target: path, body: Bytes::new(), auth: None }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    pub(super) fn post(path: impl Into<String>, body: Bytes) -> Self {
        Self { body, ..Self::new(Method::POST, path.into()) }
    }

    /// Adds one query parameter.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.push_str(&escaped(value));
        self
    }

    /// Adds the engine's filter parameter, unless nothing is filtered.
    pub(super) fn filters(self, filters: &Filters) -> Self {
        match filters.to_json() {
            Some(json) => self.query("filters", &json),
            None => self,
        }
    }

    /// Adds credentials for a registry.
    pub(super) fn auth(self, auth: Option<SecretString>) -> Self {
        Self { auth, ..self }
    }
}

/// The engine's filters: words per kind, all kinds must match.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Filters(BTreeMap<&'static str, Vec<String>>);

impl Filters {
    pub(super) fn labels(filter: &LabelFilter) -> Self {
        Self::default().with("label", filter.words())
    }

    /// Adds words of a kind; none change nothing.
    pub(super) fn with(mut self, kind: &'static str, words: Vec<String>) -> Self {
        if !words.is_empty() {
            self.0.insert(kind, words);
        }
        self
    }

    fn to_json(&self) -> Option<String> {
        if self.0.is_empty() { None } else { serde_json::to_string(self).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_path_segment() {
        assert_eq!(escaped("../a?b#c d/é"), "..%2Fa%3Fb%23c%20d%2F%C3%A9");
    }

    #[test]
    fn filters_are_one_escaped_parameter_and_none_is_no_parameter() {
        let filters = Filters::labels(&LabelFilter::any().with("skep.dev/org", "a&b"));
        let request = Request::get("/services").query("status", "true").filters(&filters);
        assert_eq!(
            request.target,
            "/services?status=true&filters=%7B%22label%22%3A%5B%22skep.dev%2Forg%3Da%26b%22%5D%7D"
        );
        assert_eq!(Request::get("/x").filters(&Filters::labels(&LabelFilter::any())).target, "/x");
    }
}
