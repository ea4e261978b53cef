//! A registry, as far as one is read from: manifests, referrers and blobs (OCI distribution specification 1.1).
//!
//! Everything goes through the guard, the token service that a registry names included. What is asked for by its digest is compared with it;
//! what is asked for by a tag is no more than somebody's word. A registry that says that something is not there is believed, and only
//! then is something [`None`]; every other trouble is an error, which says nothing of what is there.

mod challenge;

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use skep_schemas::ImageDigest;

use crate::error::OutboundError;
use crate::outbound::{Answer, Limits, Outbound};
use challenge::Challenge;

/// What stands for Docker Hub in names of images, and where it is.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// What manifests may be.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// What one answer may cost. Registries send on to where blobs are stored.
const LIMITS: Limits = Limits { within: Duration::from_secs(20), body: 4 << 20, redirects: 3 };
/// What the answer of a token service may cost. A credential goes to no other place than it named.
const TOKEN: Limits = Limits { within: Duration::from_secs(10), body: 256 << 10, redirects: 0 };

/// Who asks.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: SecretString,
}

/// One repository of a registry, as somebody may see it.
pub struct Repository {
    outbound: Outbound,
    /// With scheme and host.
    base: String,
    host: String,
    path: String,
    login: Option<Login>,
    /// What the registry wants to see with each request, once it has said so.
    authorization: Option<SecretString>,
}

/// Why a registry did not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It was not asked, or did not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It does not let in whoever asks.
    #[error("the registry {registry} does not let in whoever asks ({status})")]
    Denied {
        /// Which.
        registry: String,
        /// Its answer.
        status: u16,
    },
    /// It answered something else.
    #[error("the registry {registry} answered {status}")]
    Failed {
        /// Which.
        registry: String,
        /// Its answer.
        status: u16,
    },
    /// What it gave is not what was asked for.
    #[error("the registry {registry} gave something else than {digest}")]
    Forged {
        /// Which.
        registry: String,
        /// What was asked for.
        digest: ImageDigest,
    },
    /// What it gave cannot be read.
    #[error("the answer of the registry {registry} cannot be read: {why}")]
    Unreadable {
        /// Which.
        registry: String,
        /// Why not.
        why: String,
    },
}

impl Repository {
    /// The repository of this full name, `ghcr.io/acme/shop`.
    pub fn new(outbound: &Outbound, full_name: &str, login: Option<Login>) -> Self {
        let (registry, path) = full_name.split_once('/').unwrap_or((full_name, ""));
        let host = if registry == HUB.0 { HUB.1 } else { registry };
        let (name, port) =
            host.rsplit_once(':').map_or((host, None), |(name, port)| (name, port.parse().ok()));
        let plain = outbound.reach().permits_plain(name, port.unwrap_or(80));
        let scheme = if plain { "http" } else { "https" };
        Self {
            outbound: outbound.clone(),
            base: format!("{scheme}://{host}/v2/{path}"),
            host: host.to_owned(),
            path: path.to_owned(),
            login,
            authorization: None,
        }
    }

    /// The manifest of that digest.
    pub async fn manifest(&mut self, digest: &ImageDigest) -> Result<Option<Bytes>, RegistryError> {
        let found = self.read(&format!("manifests/{digest}"), MANIFESTS).await?;
        self.genuine(found, digest)
    }

    /// The manifest that a tag stands for now.
    pub async fn tagged(&mut self, tag: &str) -> Result<Option<Bytes>, RegistryError> {
        self.read(&format!("manifests/{tag}"), MANIFESTS).await
    }

    /// The blob of that digest.
    pub async fn blob(&mut self, digest: &ImageDigest) -> Result<Option<Bytes>, RegistryError> {
        let found = self.read(&format!("blobs/{digest}"), "*/*").await?;
        self.genuine(found, digest)
    }

    /// The index of what refers to a digest: by the API, or by the tag that stands in for it. Its first page: somebody who hides a signature
    /// behind thousands of others hides it.
    pub async fn referrers(&mut self, digest: &ImageDigest) -> Result<Option<Bytes>, RegistryError> {
        let index = "application/vnd.oci.image.index.v1+json";
        match self.read(&format!("referrers/{digest}"), index).await? {
            Some(found) => Ok(Some(found)),
            None => self.tagged(&digest.as_str().replacen(':', "-", 1)).await,
        }
    }

    fn genuine(&self, found: Option<Bytes>, wanted: &ImageDigest) -> Result<Option<Bytes>, RegistryError> {
        let Some(found) = found else { return Ok(None) };
        let digest = hex::encode(digest::digest(&digest::SHA256, &found));
        if wanted.as_str().strip_prefix("sha256:") == Some(digest.as_str()) {
            return Ok(Some(found));
        }
        Err(RegistryError::Forged { registry: self.host.clone(), digest: wanted.clone() })
    }

    /// What is at a path of the repository; `None` if the registry says that there is nothing.
    async fn read(&mut self, path: &str, accept: &'static str) -> Result<Option<Bytes>, RegistryError> {
        let mut answer = self.get(path, accept).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = Some(self.introduce(&answer).await?);
            answer = self.get(path, accept).await?;
        }
        let registry = self.host.clone();
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::Denied { registry, status: answer.status.as_u16() })
            }
            other => Err(RegistryError::Failed { registry, status: other.as_u16() }),
        }
    }

    async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, RegistryError> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.request(&url)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, self.sensitive(authorization)?);
        }
        Ok(self.outbound.send(request, &LIMITS).await?)
    }

    /// What to show a registry that asks who it is: what it says it wants, or a token of the service that it names.
    async fn introduce(&self, answer: &Answer) -> Result<SecretString, RegistryError> {
        let challenges = answer.headers.get_all(WWW_AUTHENTICATE).into_iter();
        let challenges: Vec<Challenge> =
            challenges.filter_map(|value| challenge::parse(value.to_str().ok()?)).collect();
        let denied = RegistryError::Denied { registry: self.host.clone(), status: answer.status.as_u16() };
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        match bearer.or(challenges.first()) {
            Some(Challenge::Bearer { realm, service }) => self.token(realm, service.as_deref()).await,
            Some(Challenge::Basic) => self.login.as_ref().map(basic).ok_or(denied),
            None => Err(denied),
        }
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<SecretString, RegistryError> {
        // What may be read is this repository, whatever the registry says.
        let scope = format!("repository:{}:pull", self.path);
        let joint = if realm.contains('?') { '&' } else { '?' };
        let service = service.map(|service| format!("&service={}", escaped(service))).unwrap_or_default();
        let mut request = self.request(&format!("{realm}{joint}scope={}{service}", escaped(&scope)))?;
        if let Some(login) = &self.login {
            request.headers_mut().insert(AUTHORIZATION, self.sensitive(&basic(login))?);
        }
        let answer = self.outbound.send(request, &TOKEN).await?;
        let registry = self.host.clone();
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(RegistryError::Denied { registry, status: answer.status.as_u16() });
            }
            other => return Err(RegistryError::Failed { registry, status: other.as_u16() }),
        }
        let token = challenge::token(&answer.body)
            .ok_or(RegistryError::Unreadable { registry, why: "it has no token".to_owned() })?;
        Ok(SecretString::from(format!("Bearer {}", token.expose_secret())))
    }

    fn request(&self, url: &str) -> Result<Request<Bytes>, RegistryError> {
        Request::get(url).body(Bytes::new()).map_err(|error| self.unreadable(&error))
    }

    fn sensitive(&self, value: &SecretString) -> Result<HeaderValue, RegistryError> {
        let mut value =
            HeaderValue::from_str(value.expose_secret()).map_err(|error| self.unreadable(&error))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unreadable(&self, error: &dyn std::error::Error) -> RegistryError {
        RegistryError::Unreadable { registry: self.host.clone(), why: error.to_string() }
    }
}

fn basic(login: &Login) -> SecretString {
    let pair = format!("{}:{}", login.username, login.password.expose_secret());
    SecretString::from(format!("Basic {}", STANDARD.encode(pair)))
}

/// As it may stand in a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
