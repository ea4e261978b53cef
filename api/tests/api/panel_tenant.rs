//! An organisation with something of each kind, asked over the panel's routes.

use std::num::NonZeroU32;

use anyhow::Result;
use secrecy::SecretString;
use serde_json::Value;
use skep_api::wire::ResourceView;
use skep_api::{Rate, RateLimits};
use skep_schemas::{Role, Uid};

use crate::support::{Answer, Server, manifest};

const PLENTY: Rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };

/// An organisation, and what it has.
pub(crate) struct Tenant {
    pub(crate) server: Server,
    pub(crate) owner: SecretString,
}

/// By kind in the plural: the name and the spec.
pub(crate) const ITS: [(&str, &str, &str, &str); 6] = [
    ("apps", "App", "shop", "{source: {image: shop:1}, processes: {web: {}}}"),
    ("environments", "Environment", "live", "{app: shop, env: {STAGE: live, DEBUG: '1'}}"),
    ("domains", "Domain", "www", "{host: www.acme.test, environment: live}"),
    ("secrets", "Secret", "key", "{value: a-value-of-acme}"),
    (
        "registrycredentials",
        "RegistryCredential",
        "ghcr",
        "{registry: ghcr.io, username: acme, password: {secret: key}}",
    ),
    ("imagepolicies", "ImagePolicy", "images", "{enforcement: report}"),
];

/// A plan's spec.
pub(crate) const PLAN: &str = "{instance: {cpu: 500m, memory: 64Mi}}";

impl Tenant {
    pub(crate) async fn new() -> Result<Self> {
        let server = Server::with_rates(RateLimits { token: PLENTY, org: PLENTY }).await?;
        server.put("/v1/organizations/acme", &manifest("Organization", "acme", "{}")).await?;
        for (plural, kind, name, spec) in ITS {
            let path = format!("/v1/orgs/acme/{plural}/{name}");
            let answer = server.put(&path, &manifest(kind, name, spec)).await?;
            assert_eq!(answer.status, 201, "{kind}: {answer:?}");
        }
        let owner = server.token_of(Some("acme"), "owner", Role::Owner).await?;
        Ok(Self { server, owner })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.server.ask(&self.owner, method, path, body).await
    }

    pub(crate) async fn native(&self, path: &str) -> Result<ResourceView> {
        Ok(self.server.get(&format!("/v1/orgs/acme/{path}")).await?.read())
    }

    pub(crate) async fn uid(&self, path: &str) -> Result<Uid> {
        Ok(self.native(path).await?.metadata.uid)
    }

    /// The path of the environment.
    pub(crate) async fn live(&self) -> Result<String> {
        Ok(format!("/api/paas/environments/{}", self.uid("environments/live").await?))
    }
}

/// The names in a list.
pub(crate) fn names(answer: &Answer) -> Vec<String> {
    let items = answer.json()["items"].as_array().cloned().unwrap_or_else(|| panic!("{answer:?}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}
