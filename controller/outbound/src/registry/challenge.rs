//! How a registry asks who it is, and what a token service answers.

use secrecy::SecretString;
use serde::Deserialize;

/// How a registry asks who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a token of this service.
    Bearer { realm: String, service: Option<String> },
    /// With name and password.
    Basic,
}

/// `Bearer realm="https://auth.example/token",service="registry.example",scope="…"`. The scope is our own matter.
pub(super) fn parse(header: &str) -> Option<Challenge> {
    let (scheme, mut rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        let name = name.trim_matches([',', ' ']);
        if name.eq_ignore_ascii_case("realm") {
            realm = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("service") {
            service = Some(value.to_owned());
        }
        rest = after;
    }
    Some(Challenge::Bearer { realm: realm?, service })
}

/// What a token service answers; some call it the one, some the other.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The token of an answer.
pub(super) fn token(body: &[u8]) -> Option<SecretString> {
    let answer: Token = serde_json::from_slice(body).ok()?;
    answer.token.or(answer.access_token).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(parse(r#"bearer service="x", realm="https://a/t""#), bearer("https://a/t", Some("x")));
        assert_eq!(parse(r#"Basic realm="r""#), Some(Challenge::Basic));
        assert_eq!(parse("Basic"), Some(Challenge::Basic));
        for other in ["", "Bearer", "Bearer service=x", r#"Bearer realm="open"#, "Negotiate abc"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
