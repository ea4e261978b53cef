//! What an engine says of itself, and of an image.

use skep_planner::ImageStart;
use skep_planner::checkup::EnginePosture;
use skep_planner::swarm::{NodeId, Platform};

use crate::version::ApiVersion;

/// What an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// The API version spoken with it: the lower of its newest and ours.
    pub api_version: ApiVersion,
    /// Its own version, like `26.1.5`.
    pub engine_version: String,
    /// Its host name.
    pub name: String,
    /// Its node in the Swarm, when it is a member.
    pub node_id: Option<NodeId>,
    /// The Swarm it manages; two engines with the same one are the same cluster.
    pub cluster_id: Option<String>,
    /// Whether it can be asked about the Swarm.
    pub is_manager: bool,
    /// How it is set up, as far as that weakens or strengthens what tenants are promised.
    pub posture: EnginePosture,
}

/// An image reference, resolved at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The reference that was asked for.
    pub reference: String,
    /// What it means, and who said so.
    pub identity: ImageIdentity,
    /// Platforms it is made for; empty when nobody said.
    pub platforms: Vec<Platform>,
    /// What it starts by itself, if the engine has it.
    pub start: Option<ImageStart>,
}

/// What an image reference means, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageIdentity {
    /// The registry's word: every node that pulls gets this.
    Registry {
        /// `sha256:…` of the manifest.
        digest: String,
    },
    /// The engine pulled or pushed it before and remembers the digest; no registry confirmed it now.
    EngineDigest {
        /// `sha256:…` of the manifest.
        digest: String,
    },
    /// The image was made on the engine and has no digest anywhere: it runs only where the same image is present.
    EngineOnly {
        /// `sha256:…` of the image's configuration.
        image_id: String,
    },
}

impl ResolvedImage {
    /// The reference a service should name: with the digest when there is one, else as it was asked for.
    pub fn pinned_reference(&self) -> String {
        match &self.identity {
            ImageIdentity::Registry { digest } | ImageIdentity::EngineDigest { digest } => {
                let name = self.reference.split_once('@').map_or(self.reference.as_str(), |(name, _)| name);
                format!("{name}@{digest}")
            }
            ImageIdentity::EngineOnly { .. } => self.reference.clone(),
        }
    }

    /// What tells two images of one reference apart: the digest, or the local id.
    pub fn identity_text(&self) -> &str {
        match &self.identity {
            ImageIdentity::Registry { digest } | ImageIdentity::EngineDigest { digest } => digest,
            ImageIdentity::EngineOnly { image_id } => image_id,
        }
    }
}
