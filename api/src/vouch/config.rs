//! Who is believed, and what of it: the file that whoever runs the server writes.
//!
//! Nothing of what makes a token valid is taken from the token: issuer, audience, algorithm and keys are all pinned here.

use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Deserializer};

/// The most issuers: each has keys to keep.
const ISSUERS_MAX: usize = 8;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityConfig {
    /// Who vouches for people.
    pub issuers: Vec<IssuerConfig>,
}

/// One who vouches for people: an existing panel, an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerConfig {
    /// What the claim `iss` has to be, to the letter.
    pub issuer: String,
    /// What the claim `aud` has to be, or to contain.
    pub audience: String,
    /// The only algorithm.
    pub algorithm: SigningAlgorithm,
    /// File with the secret, for HS256: 32 bytes or more that its owner alone may read.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The public keys (a JWKS), for RS256 and ES256: a file, or an address that begins with `https://`. Without it they are where the
    /// issuer's own description says (OpenID Connect Discovery).
    #[serde(default)]
    pub keys: Option<KeysAt>,
    /// The claim with the address.
    #[serde(default = "email")]
    pub email_claim: String,
    /// The claim with the name.
    #[serde(default = "name")]
    pub name_claim: String,
    /// Does this issuer tell addresses only when it has verified them? Otherwise the claim `email_verified` has to say so.
    #[serde(default)]
    pub addresses_are_verified: bool,
    /// Do people log in there with the command? `audience` is then the name by which the provider knows the command, and its tokens can
    /// be exchanged for sessions.
    #[serde(default)]
    pub login: bool,
    /// Do people log in there on the pages?
    #[serde(default)]
    pub web: Option<WebConfig>,
    /// The claim that gives roles in organisations, `{"acme": "deployer"}`. Without it no claim gives any role.
    #[serde(default)]
    pub roles_claim: Option<String>,
}

/// By what the provider knows the pages. It sends people back to `/ui/login` of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebConfig {
    /// Their name; `audience` if absent.
    #[serde(default)]
    pub client_id: Option<String>,
    /// File with their secret, that its owner alone may read. A client without one is a public client.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
}

fn email() -> String {
    "email".to_owned()
}

fn name() -> String {
    "name".to_owned()
}

/// What tokens may be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SigningAlgorithm {
    /// HMAC with SHA-256: a secret that both sides have.
    HS256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
}

/// Where public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// In a file.
    File(PathBuf),
    /// At an address.
    Url(Uri),
}

impl<'de> Deserialize<'de> for KeysAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url: Uri = text.parse().map_err(serde::de::Error::custom)?;
        if !is_safe(&url) {
            return Err(serde::de::Error::custom(format!(
                "keys are not fetched from {text}, because others could change them on the way; use https://"
            )));
        }
        Ok(Self::Url(url))
    }
}

/// Can nobody on the way change what is read there? Encrypted, or on this machine.
pub(super) fn is_safe(url: &Uri) -> bool {
    let local = matches!(url.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme_str() == Some("https") || url.scheme_str() == Some("http") && local
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Two of the same name.
    #[error("the issuer {issuer} is named twice")]
    Twice {
        /// Which.
        issuer: String,
    },
    /// Too many.
    #[error("{found} issuers are too many, the limit is {ISSUERS_MAX}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// People are sent to one place.
    #[error("`{field}` is said of two issuers, and people can be sent to one")]
    Two {
        /// What is said of both.
        field: &'static str,
    },
    /// Something is missing, or is too much.
    #[error("issuer {issuer}: {problem}")]
    Issuer {
        /// Which.
        issuer: String,
        /// What.
        problem: String,
    },
}

impl IdentityConfig {
    pub(super) fn check(&self) -> Result<(), IdentityError> {
        if self.issuers.len() > ISSUERS_MAX {
            return Err(IdentityError::TooMany { found: self.issuers.len() });
        }
        let more_than_one =
            |is: fn(&IssuerConfig) -> bool| self.issuers.iter().filter(|one| is(one)).count() > 1;
        if more_than_one(|one| one.login) {
            return Err(IdentityError::Two { field: "login" });
        }
        if more_than_one(|one| one.web.is_some()) {
            return Err(IdentityError::Two { field: "web" });
        }
        for (at, one) in self.issuers.iter().enumerate() {
            if self.issuers[..at].iter().any(|earlier| earlier.issuer == one.issuer) {
                return Err(IdentityError::Twice { issuer: one.issuer.clone() });
            }
            one.check().map_err(|problem| IdentityError::Issuer {
                issuer: one.issuer.clone(),
                problem: problem.to_owned(),
            })?;
        }
        Ok(())
    }
}

impl IssuerConfig {
    fn check(&self) -> Result<(), &'static str> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err("`issuer` and `audience` must not be empty");
        }
        if (self.login || self.web.is_some()) && self.algorithm == SigningAlgorithm::HS256 {
            return Err(
                "people do not log in where tokens are signed with a shared secret; `login` and `web` take RS256 or ES256",
            );
        }
        if self.is_described() && !self.issuer.parse().is_ok_and(|issuer| is_safe(&issuer)) {
            return Err(
                "what it says of itself is not read where others could change it on the way; `web`, and an issuer without `keys`, take \
                 an `issuer` that begins with https://",
            );
        }
        match (self.algorithm, &self.secret_file, &self.keys) {
            (SigningAlgorithm::HS256, Some(_), None) => Ok(()),
            (SigningAlgorithm::HS256, ..) => Err("HS256 takes `secretFile`, and no `keys`"),
            (SigningAlgorithm::RS256 | SigningAlgorithm::ES256, None, _) => Ok(()),
            (SigningAlgorithm::RS256 | SigningAlgorithm::ES256, ..) => {
                Err("RS256 and ES256 take `keys`, and no `secretFile`")
            }
        }
    }

    /// Is what it says of itself read?
    pub(super) const fn is_described(&self) -> bool {
        let by_keys = self.keys.is_none() && !matches!(self.algorithm, SigningAlgorithm::HS256);
        by_keys || self.web.is_some()
    }

    /// For whom its tokens may be.
    pub(super) fn audiences(&self) -> Vec<&str> {
        let web = self.web.as_ref().and_then(|web| web.client_id.as_deref());
        std::iter::once(self.audience.as_str()).chain(web).collect()
    }
}
