//! Who asks, what may be asked, and where that is decided.
//!
//! Every route declares an [`Access`]; the runner refuses before the handler sees the request. A [`Permission`] is always
//! asked for together with the [`Target`] it is exercised on, so that roles with a smaller reach are added in
//! [`Principal::permits`] and nowhere else.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use skep_schemas::{OrgName, ResourceKey};

use crate::error::ApiError;
use crate::limits::TOKEN_MAX;

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: anyone may know whether the server lives, and load a page that holds no data.
    Open,
    /// A token with this permission.
    Needs(Permission),
}

/// Something that a token may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// See resources, their status, events and releases, and plans.
    Read,
    /// Apply manifests.
    Write,
    /// Delete resources.
    Delete,
    /// Confirm what is on hold and adopt what others made, which may change a whole Swarm.
    Confirm,
    /// Pause, resume, and ask to try again: changes what is done about a resource, not what is wanted.
    Intervene,
    /// See what processes print, which may be personal data.
    ReadLogs,
    /// See the server's metrics, which tell of all organisations.
    ReadMetrics,
    /// See what the server is doing, with the keys of all organisations.
    Debug,
    /// See what the API is: its version and description.
    Describe,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read resources",
            Self::Write => "write resources",
            Self::Delete => "delete resources",
            Self::Confirm => "confirm what is on hold and adopt what others made",
            Self::Intervene => "pause, resume and retry resources",
            Self::ReadLogs => "read logs",
            Self::ReadMetrics => "read metrics",
            Self::Debug => "see what the server is doing",
            Self::Describe => "read the description of the API",
        })
    }
}

/// What a permission is exercised on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// One organisation.
    Org(OrgName),
    /// The platform, and with it all organisations.
    Platform,
    /// Not known before the body is read: the handler asks again for each document.
    Documents,
}

impl Target {
    /// Where a resource lives.
    pub(crate) fn of(key: &ResourceKey) -> Self {
        key.org().cloned().map_or(Self::Platform, Self::Org)
    }
}

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing that needs a token.
    Nobody,
    /// Everything.
    PlatformAdmin,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The name, for the log and the audit.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
}

impl Principal {
    /// Whoever sent no token.
    pub(crate) fn nobody() -> Self {
        Self { name: "-".to_owned(), role: Role::Nobody }
    }

    /// The one place where it is decided who may do what.
    pub(crate) const fn permits(&self, _: Permission, _: &Target) -> bool {
        match self.role {
            Role::Nobody => false,
            Role::PlatformAdmin => true,
        }
    }

    /// Refuses what is not permitted.
    pub(crate) fn require(&self, permission: Permission, target: &Target) -> Result<(), ApiError> {
        if self.permits(permission, target) { Ok(()) } else { Err(ApiError::Forbidden { permission }) }
    }
}

impl From<skep_store::Principal> for Principal {
    /// Every token is an administrator's so far.
    fn from(known: skep_store::Principal) -> Self {
        Self { name: known.name, role: Role::PlatformAdmin }
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

    #[test]
    fn nobody_may_do_nothing() {
        let refused = Principal::nobody().require(Permission::Describe, &Target::Platform);
        assert!(matches!(refused, Err(ApiError::Forbidden { permission: Permission::Describe })));
    }
}
