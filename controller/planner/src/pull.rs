//! Pulling: as whom an organisation's images are asked for.
//!
//! The planner says which credential a call is made with, by name and by the version of its Secret, and never sees the password
//! (invariant I13): whoever makes the call opens it then and there. Every call says who it is, be it nobody: an engine that is told
//! nothing goes on with what it was told before, and would show one registry's password to another.
//!
//! Which credential a service was last given stands in one of its labels. Swarm keeps the two together, whatever becomes of a spec: when it
//! rolls an update back, both are those of before. A label restarts nothing, and neither do other credentials.

use serde::{Deserialize, Serialize};
use skep_schemas::kind::RegistryCredentialSpec;
use skep_schemas::{ImageRef, Registry, Resource, ResourceName, Revision, Uid};

use crate::blocked::Blocked;
use crate::reconcile::secret::SecretFacts;

/// As whom a call that may pull is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "as")]
pub enum PullAs {
    /// As nobody. The engine forgets what it had.
    #[default]
    Nobody,
    /// With this credential.
    Credential(Box<PullCredential>),
}

/// One credential at one version of its password, which is not in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullCredential {
    /// The RegistryCredential.
    pub name: ResourceName,
    /// The registry that it is for.
    pub registry: Registry,
    /// The user.
    pub username: String,
    /// The Secret that holds the password.
    pub secret: Uid,
    /// Which of its values.
    pub version: u32,
    /// The same for the same credential with the same password, and otherwise another: what the label of a service says.
    pub mark: String,
}

/// A RegistryCredential of an organisation, and what is known of its password.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryAccess {
    /// The resource.
    pub credential: Resource<RegistryCredentialSpec>,
    /// The current value of its Secret; none when there is no such Secret, or it has no value.
    pub password: Option<SecretFacts>,
    /// Is it stored as it is here? A preview plans with some that are not, and those must not be used: else whoever may look at plans could
    /// have any password sent to any registry.
    pub stored: bool,
}

impl RegistryAccess {
    /// The newest transaction that wrote it or its Secret.
    pub fn revision(&self) -> Revision {
        let secret = self.password.as_ref().map(|password| password.revision);
        secret.max(Some(self.credential.meta.revision)).unwrap_or_default()
    }

    /// The credential, or why it cannot be used.
    pub(crate) fn usable(&self) -> Result<PullCredential, Blocked> {
        let Resource { meta, spec, .. } = &self.credential;
        let name = meta.key.name();
        let Some(password) = &self.password else {
            return Err(Blocked::PasswordMissing {
                credential: name.to_string(),
                secret: spec.password.secret.to_string(),
            });
        };
        // The object's name is of the keyed digest of the password: it tells passwords apart, and not what they are.
        let mark = format!("{name} {} {} {}", meta.uid, meta.generation, password.object);
        Ok(PullCredential {
            name: name.clone(),
            registry: spec.registry.clone(),
            username: spec.username.clone(),
            secret: password.secret,
            version: password.version,
            mark,
        })
    }
}

/// The credential for the registry of an image, among those of its organisation.
pub fn access<'a>(registries: &'a [RegistryAccess], image: &ImageRef) -> Option<&'a RegistryAccess> {
    let registry = image.registry();
    registries.iter().find(|access| access.credential.spec.registry.as_str() == registry)
}

/// As whom an image is asked for.
pub fn pull_as(registries: &[RegistryAccess], image: &ImageRef) -> Result<PullAs, Blocked> {
    match access(registries, image) {
        Some(access) => Ok(PullAs::Credential(Box::new(access.usable()?))),
        None => Ok(PullAs::Nobody),
    }
}
