//! Hosts and ports: what routing rules are built from.
//!
//! A Traefik rule is text, and a host with a back-tick in it once rewrote other tenants' rules (Traefik CVE-2026-29777,
//! CVE-2026-32695). Here a host is parsed to lower-case DNS labels, so nothing that reaches the
//! rule builder can end a quoted string.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::excerpt;
use super::{ScalarError, text_scalar};

/// RFC 1035 §2.3.4.
const HOST_MAX: usize = 253;
const LABEL_MAX: usize = 63;

text_scalar! {
    /// A fully qualified host name in lower case, without a trailing dot. Wildcards are not hosts.
    Host, "host", "Fully qualified host name in lower case, for example shop.example.com.",
    r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", host
}

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// From a number; `None` for zero.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Port {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535, "description": "TCP port, 1 to 65535." })
    }
}

fn host(text: &str) -> Result<(), ScalarError> {
    let help = "write a full host name in lower case such as `shop.example.com`; international names in their `xn--` form";
    let problem =
        |why: &str| ScalarError::new(format!("`{}` is not a host name: {why}", excerpt(text)), help);
    if text.len() > HOST_MAX {
        return Err(problem("it is longer than 253 characters"));
    }
    if text.starts_with("*.") {
        return Err(problem("wildcards are not supported"));
    }
    let labels: Vec<&str> = text.split('.').collect();
    if labels.len() < 2 {
        return Err(problem("it has no dot"));
    }
    for label in &labels {
        if label.is_empty() {
            return Err(problem("two dots follow each other, or it begins or ends with one"));
        }
        if label.len() > LABEL_MAX {
            return Err(problem("one of its parts is longer than 63 characters"));
        }
        if let Some(bad) = label.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(problem(&format!("it contains the character {bad:?}")));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(problem("one of its parts begins or ends with a hyphen"));
        }
    }
    if labels.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(problem("it looks like an IP address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_end_a_quoted_rule_is_a_host() {
        for text in [
            "a.b`)",
            "a.b\"",
            "a b.c",
            "A.example.com",
            "a..b",
            "localhost",
            "10.0.0.1",
            "*.a.com",
            "-a.b",
            "a.b.",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
        assert!("shop.example.com".parse::<Host>().is_ok());
    }
}
