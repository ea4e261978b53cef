//! Registries and patterns of image names, in the form that policies compare: with the registry written out.
//!
//! Engines read `nginx` as `docker.io/library/nginx`. A policy that compared what people typed would let one spelling through and not
//! the other, so both sides are brought to the long form ([`super::ImageRef::full_name`]) before they are compared.

use std::fmt;

use super::names::excerpt;
use super::{Scalar, ScalarError, scalar_impls};

/// A name longer than the grammar's own limit for names of images matches nothing.
const PATTERN_MAX: usize = 255;
/// A DNS name, a colon and a port.
const REGISTRY_MAX: usize = 259;

/// A registry: a host, with its port if it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registry(String);

impl Registry {
    /// As it stands in full names of images.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for Registry {
    const NAME: &'static str = "registry";
    const DESCRIPTION: &'static str =
        "Registry: a host, with a port if it is not the usual one: `ghcr.io`, `registry.acme.test:5000`.";
    const PATTERN: &'static str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = || {
            ScalarError::new(
                format!("`{}` is not a registry", excerpt(text)),
                "write a host in lower case, such as `ghcr.io`, with a port if it needs one; no `https://` and no path",
            )
        };
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        let host_is_one = edge(host.chars().next()) && edge(host.chars().last()) && host.chars().all(inside);
        // Otherwise an engine takes it for the first part of a repository at docker.io.
        let is_host = host == "localhost" || host.contains('.') || port.is_some();
        let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
        if text.len() > REGISTRY_MAX || !host_is_one || !is_host || !port_is_one {
            return Err(bad());
        }
        Ok(Self(text.to_owned()))
    }
}

scalar_impls!(Registry);

/// A pattern of full names of images; `*` stands for any characters, slashes included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePattern(String);

impl ImagePattern {
    /// Does it match this full name?
    pub fn matches(&self, full_name: &str) -> bool {
        stars_match(&self.0, full_name)
    }
}

/// Does a pattern match the whole of a text, where `*` stands for any characters?
pub(super) fn stars_match(pattern: &str, text: &str) -> bool {
    // Each star takes as little as it can; if what follows does not fit, the last one takes one character more. No text takes longer than
    // its length times the pattern's.
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match (pattern.get(p), last_star) {
            (Some(b'*'), _) => {
                last_star = Some((p, t));
                p += 1;
            }
            (Some(&wanted), _) if wanted == byte => {
                p += 1;
                t += 1;
            }
            (_, Some((star, taken))) => {
                last_star = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scalar for ImagePattern {
    const NAME: &'static str = "image-pattern";
    const DESCRIPTION: &'static str = "Pattern of names of images, with the registry and without tag: `ghcr.io/acme/*`, `*/miner`; `*` stands for any characters.";
    const PATTERN: &'static str = r"^[a-z0-9*][a-z0-9*._:/-]*$";

    fn parse(text: &str) -> Result<Self, ScalarError> {
        let bad = |why: &str, help: String| Err(ScalarError::new(format!("`{}` {why}", excerpt(text)), help));
        let allowed = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '*' | '.' | '_' | ':' | '/' | '-')
        };
        let parts_are_filled = text.split('/').all(|part| !part.is_empty() && !part.ends_with(':'));
        if text.len() > PATTERN_MAX || !text.chars().all(allowed) || !parts_are_filled {
            return bad(
                "is not a pattern of names of images",
                "write a name in lower case with `*` for any characters, such as `ghcr.io/acme/*`; without tag and digest".to_owned(),
            );
        }
        let first = text.split('/').next().unwrap_or_default();
        let names_a_registry = first.contains(['*', '.', ':']) || first == "localhost";
        if !names_a_registry || !text.contains(['/', '*']) {
            let full = if text.contains('/') {
                format!("docker.io/{text}")
            } else {
                format!("docker.io/library/{text}")
            };
            return bad("names no registry", format!("write it out: `{}`, or `*/…` for any", excerpt(&full)));
        }
        // A colon is a registry's port; after the last slash it would be a tag, which names do not have.
        if text.rsplit('/').next().is_some_and(|last| last.contains(':') && text.contains('/')) {
            return bad("has a tag", "leave it out: policies are about names".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

scalar_impls!(ImagePattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ImagePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (text, name, matches) in [
            ("ghcr.io/acme/*", "ghcr.io/acme/shop", true),
            ("ghcr.io/acme/*", "ghcr.io/acme/team/shop", true),
            ("ghcr.io/acme/*", "ghcr.io/acme-evil/shop", false),
            ("ghcr.io/acme/*", "xghcr.io/acme/shop", false),
            ("*/miner", "docker.io/evil/miner", true),
            ("*/miner", "docker.io/evil/miner2", false),
            ("*miner*", "docker.io/evil/miner2", true),
            ("*.acme.test/*/*-prod", "eu.acme.test/shop/web-prod", true),
            ("docker.io/library/nginx", "docker.io/library/nginx", true),
            ("docker.io/library/nginx", "docker.io/library/nginx-evil", false),
            ("ghcr.io/a.c/*", "ghcr.io/abc/x", false),
            ("*", "anything/at/all", true),
        ] {
            assert_eq!(pattern(text).matches(name), matches, "{text} {name}");
        }
        // Not exponential.
        assert!(!pattern(&format!("{}b", "*a".repeat(100))).matches(&"a".repeat(250)));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_pattern_and_no_registry() {
        for text in [
            "",
            "nginx",
            "acme/shop",
            "ghcr.io/acme/shop:1",
            "Ghcr.io/x/*",
            "https://ghcr.io/*",
            "ghcr.io/a b",
        ] {
            assert!(text.parse::<ImagePattern>().is_err(), "{text}");
        }
        for text in [
            "",
            "acme",
            "https://ghcr.io",
            "ghcr.io/acme",
            "GHCR.io",
            "ghcr.io:0",
            "ghcr.io:99999",
            "-x.io",
            "a:b:1",
        ] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
        for text in ["ghcr.io", "localhost", "registry:5000", "127.0.0.1:5000"] {
            assert_eq!(text.parse::<Registry>().unwrap().to_string(), text);
        }
    }
}
