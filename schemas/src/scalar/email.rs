//! Email addresses: who somebody is.
//!
//! An address is compared as a whole, so it has one spelling: lower case throughout, ASCII, without comments or quotes. Lower case for the
//! part before the `@` as well: no provider that vouches for addresses gives two people two that differ in case alone, and people type
//! their own in either. ASCII alone, so that no address looks like another that is somebody else's.

use std::fmt;

use super::names::excerpt;
use super::{Host, Scalar, ScalarError, scalar_impls};

/// RFC 5321 §4.5.3.1, less the two brackets of a path.
const ADDRESS_MAX: usize = 254;
/// RFC 5321 §4.5.3.1.1.
const LOCAL_MAX: usize = 64;

/// The email address of a person, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The text of the value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for EmailAddress {
    const NAME: &'static str = "email-address";
    const DESCRIPTION: &'static str = "Email address of a person, for example alice@example.com.";
    const PATTERN: &'static str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{3,253}$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let problem = |why: &str| {
            let help = "write the address alone, such as `alice@example.com`";
            ScalarError::new(format!("`{}` is not an email address: {why}", excerpt(text)), help)
        };
        if text.len() > ADDRESS_MAX {
            return Err(problem("it is longer than 254 characters"));
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| problem("it has no `@`"))?;
        if local.is_empty() || local.len() > LOCAL_MAX {
            return Err(problem("the part before the `@` has to have 1 to 64 characters"));
        }
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
        if let Some(bad) = local.chars().find(|c| !atom(*c) && *c != '.') {
            return Err(problem(&format!("it contains the character {bad:?}")));
        }
        if local.split('.').any(str::is_empty) {
            return Err(problem(
                "two dots follow each other, or the part before the `@` begins or ends with one",
            ));
        }
        let domain = Host::parse(&domain.to_ascii_lowercase()).map_err(|error| problem(&error.problem))?;
        Ok(Self(format!("{}@{domain}", local.to_ascii_lowercase())))
    }
}

scalar_impls!(EmailAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for text in ["alice@example.com", "Alice@Example.COM", "ALICE@example.com"] {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), "alice@example.com");
        }
        for text in ["a.b+c@x.example", "o'neil@x.example", "a/b@x.example"] {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_address() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "a b@example.com",
            "alice@example.com ",
            "alice@@example.com",
            "a@b@example.com",
            ".a@example.com",
            "a..b@example.com",
            "\"a\"@example.com",
            "<a@example.com>",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "аlice@example.com",
            "a@exаmple.com",
            "a@example.com.",
            "a@-x.com",
            "a\u{0}@example.com",
            "a\n@example.com",
            "a(b)@example.com",
            &long,
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }
}
