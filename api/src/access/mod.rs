//! Who asks, what may be asked, and where that is decided.
//!
//! Every route declares an [`Access`]; the runner refuses before the handler sees the request. A [`Permission`] is always
//! asked for together with the [`Target`] it is exercised on; [`Principal::permits`] compares what that takes
//! ([`Permission::needs`]) with what the principal was given, and nothing else decides. Who has several grants acts with one of them at a
//! time ([`Principal::acting`]).

mod permission;
mod principal;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName};

use crate::error::ApiError;
use crate::limits::TOKEN_MAX;

#[cfg(test)]
pub(crate) use permission::Needs;
pub(crate) use permission::Permission;
pub(crate) use principal::{Own, Principal};

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: anyone may know whether the server lives, and load a page that holds no data.
    Open,
    /// A token with this permission.
    Needs(Permission),
}

/// What a permission is exercised on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Something in an organisation, or the organisation itself.
    Org(OrgName, Option<Kind>),
    /// Something of the platform, and with it all organisations.
    Platform(Option<Kind>),
    /// Not known before the body is read: the handler asks again for each document.
    Documents,
}

impl Target {
    /// A resource.
    pub(crate) fn of(key: &ResourceKey) -> Self {
        Self::at(key.org(), Some(key.kind()), Some(key.name()))
    }

    /// What a path or a reference names. An organisation's own resource is in its reach, although it is one of the platform.
    pub(crate) fn at(org: Option<&OrgName>, kind: Option<Kind>, name: Option<&ResourceName>) -> Self {
        let own =
            name.filter(|_| kind == Some(Kind::Organization)).and_then(|name| OrgName::try_from(name).ok());
        match org.cloned().or(own) {
            Some(org) => Self::Org(org, kind),
            None => Self::Platform(kind),
        }
    }

    /// The organisation, if it is one's.
    pub(crate) const fn org(&self) -> Option<&OrgName> {
        match self {
            Self::Org(org, _) => Some(org),
            Self::Platform(_) | Self::Documents => None,
        }
    }

    pub(crate) const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Org(_, kind) | Self::Platform(kind) => *kind,
            Self::Documents => None,
        }
    }
}

/// The token of a request. Only the header counts: a URL ends up in logs and histories.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<SecretString, ApiError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    // Two fields could be read differently by a proxy and by us.
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(ApiError::Unauthorized) };
    let text = field.to_str().map_err(|_| ApiError::Unauthorized)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::Unauthorized)?;
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > TOKEN_MAX {
        return Err(ApiError::Unauthorized);
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn of(values: &[&str]) -> Result<SecretString, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers)
    }

    #[test]
    fn only_one_bearer_token_of_a_sensible_length_is_a_token() {
        assert_eq!(of(&["Bearer abc"]).unwrap().expose_secret(), "abc");
        assert_eq!(of(&["bearer  abc"]).unwrap().expose_secret(), "abc");
        let long = format!("Bearer {}", "x".repeat(TOKEN_MAX + 1));
        for wrong in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"], &[&long]]
        {
            assert!(matches!(of(wrong), Err(ApiError::Unauthorized)), "{wrong:?}");
        }
    }
}
