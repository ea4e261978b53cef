//! Docker API versions, and which of them Skep speaks.

use std::fmt;
use std::str::FromStr;

/// A version of the Docker Engine API; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// The part before the point.
    pub major: u16,
    /// The part after it.
    pub minor: u16,
}

impl ApiVersion {
    /// The oldest version Skep speaks: Docker Engine 20.10, the first with capabilities, ulimits and process limits on
    /// services. An engine below would drop them silently.
    pub const OLDEST: Self = Self { major: 1, minor: 41 };

    /// The newest version Skep speaks: what its types were checked against. A newer engine is spoken to in this one,
    /// so that its new fields cannot change the meaning of what we send.
    pub const NEWEST: Self = Self { major: 1, minor: 45 };

    /// The version from which an engine stores `NoNewPrivileges`, `Seccomp` and `AppArmor` of a service.
    pub const SERVICE_PRIVILEGES: Self = Self { major: 1, minor: 44 };
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that is no API version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an API version like 1.41")]
pub struct NotAnApiVersion(String);

impl FromStr for ApiVersion {
    type Err = NotAnApiVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? }))
            .ok_or_else(|| NotAnApiVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number_and_not_by_text() {
        let parse = |text: &str| text.parse::<ApiVersion>().expect("a version");
        assert!(parse("1.9") < parse("1.41"));
        assert_eq!(parse("1.45").to_string(), "1.45");
        assert!("1".parse::<ApiVersion>().is_err());
        assert!("1.4x".parse::<ApiVersion>().is_err());
    }
}
