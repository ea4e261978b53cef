//! RegistryCredential: with which user and password an organisation's images are asked for and pulled.
//!
//! The password is the value of a Secret, so it is sealed, versioned and rotated as every other, and no manifest of this kind has
//! anything in it that would have to be hidden.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{Registry, ResourceName};

/// Longer names of users than registries give out.
const USERNAME_MAX: usize = 255;
/// The other name of Docker's registry, which no reference of an image has in its long form.
const DOCKER_ALIAS: &str = "index.docker.io";

/// Who an organisation is for one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryCredentialSpec {
    /// The registry. An organisation has at most one credential for each.
    pub registry: Registry,
    /// The user, or what the registry wants in its place.
    pub username: String,
    /// Where the password is.
    pub password: PasswordSource,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordSource {
    /// The Secret of the organisation whose value it is. A line end behind it does not count.
    pub secret: ResourceName,
}

/// What is so about a credential.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryCredentialDetail {
    /// The version of the Secret that is the password now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_version: Option<u32>,
}

impl KindSpec for RegistryCredentialSpec {
    const KIND: Kind = Kind::RegistryCredential;
    type Detail = RegistryCredentialDetail;

    fn check(&self, problems: &mut Problems) {
        if self.registry.as_str() == DOCKER_ALIAS {
            problems.push(
                "/registry",
                format!("no image is of `{DOCKER_ALIAS}`: engines call that registry `docker.io`"),
                "write `docker.io`",
            );
        }
        // In basic authentication the first colon ends the name.
        let is_name = |c: char| !c.is_control() && c != ':';
        let length = self.username.len();
        if !(1..=USERNAME_MAX).contains(&length) || !self.username.chars().all(is_name) {
            problems.push(
                "/username",
                "this is no name that a registry could be told",
                format!("write 1 to {USERNAME_MAX} characters without a colon or a line end"),
            );
        }
    }

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        key.sibling(Kind::Secret, self.password.secret.clone()).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(registry: &str, username: &str) -> Vec<String> {
        let json = serde_json::json!({ "registry": registry, "username": username, "password": { "secret": "token" } });
        let spec: RegistryCredentialSpec = serde_json::from_value(json).unwrap();
        let mut problems = Problems::default();
        spec.check(&mut problems);
        problems.into_vec().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn a_user_is_one_that_can_be_told_and_a_registry_one_that_images_are_of() {
        assert!(found("ghcr.io", "acme-robot").is_empty());
        assert!(found("registry.acme.test:5000", "_json_key").is_empty());
        assert_eq!(found("index.docker.io", "acme"), ["/registry"]);
        for username in ["", "a:b", "a\nb", &"x".repeat(256)] {
            assert_eq!(found("ghcr.io", username), ["/username"], "{username:?}");
        }
    }

    #[test]
    fn a_password_is_never_part_of_it() {
        for password in [serde_json::json!("hunter2"), serde_json::json!({ "value": "hunter2" })] {
            let json = serde_json::json!({ "registry": "ghcr.io", "username": "acme", "password": password });
            assert!(serde_json::from_value::<RegistryCredentialSpec>(json).is_err());
        }
    }
}
