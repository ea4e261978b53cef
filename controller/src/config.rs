//! What a server needs to be told, and the checks that it makes before it touches anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use skep_api::{Issuers, ServeOptions};
use skep_planner::InstanceId;
use skep_planner::policy::reach::Reach;
use skep_planner::settings::{Architecture, EdgeSettings, NetworkPool, Settings};
use skep_schemas::kind::Resources;
use skep_schemas::{Bytes, Cpu};
use skep_store::MasterKeys;
use skep_swarm::{CertificateFiles, EngineAddress, PlainTcp, SwarmError};

use crate::logs::LokiUrl;
use crate::safety::SafetySettings;
use crate::signature::TrustedRoot;

/// What one instance gets when neither its process nor a plan says: enough for a small web process, and little enough that a
/// forgotten limit does not take a node down.
const DEFAULT_CPU_MILLIS: u32 = 500;
const DEFAULT_MEMORY: u64 = 512 << 20;
const DEFAULT_PIDS: u32 = 256;

/// What a server needs to be told.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Where the database is, credentials included.
    pub database_url: SecretString,
    /// What secrets are sealed with.
    pub keys: MasterKeys,
    /// The engine, in the form of `DOCKER_HOST`.
    pub docker_host: String,
    /// The directory of `ca.pem`, `cert.pem` and `key.pem` for an engine over TCP.
    pub docker_cert_path: Option<PathBuf>,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// How the API is reached.
    pub serve: ServeOptions,
    /// Who vouches for people.
    pub issuers: Arc<Issuers>,
    /// Where organisations' subnets come from.
    pub pool: NetworkPool,
    /// How the proxy at the edge is set up.
    pub edge: EdgeSettings,
    /// The image with the program that carries links between organisations, if there shall be links.
    pub forward_image: Option<String>,
    /// How often every resource is looked at even if nothing is heard of it.
    pub resync: Duration,
    /// What is decided about safety.
    pub safety: SafetySettings,
    /// How long an image that no release names any more stays on the engine; without it for ever.
    pub image_grace: Option<Duration>,
    /// Which hosts may be asked that tenants name.
    pub reach: Reach,
    /// What signatures of identities are verified with; without it none is.
    pub trusted_root: Option<Arc<TrustedRoot>>,
    /// What keeps output for longer than the engine.
    pub loki: Option<LokiUrl>,
}

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The engine's address or certificates.
    #[error("the engine's address cannot be used")]
    Engine(#[source] SwarmError),
    /// A built-in default is not a quantity: a fault of ours.
    #[error("the default resources are not valid")]
    Defaults,
}

/// The planner's settings for an instance with these networks and this edge.
pub fn settings(
    instance: InstanceId,
    pool: NetworkPool,
    edge: EdgeSettings,
    reach: Reach,
) -> Result<Settings, ConfigError> {
    let cpu = Cpu::from_millis(DEFAULT_CPU_MILLIS).ok_or(ConfigError::Defaults)?;
    let memory = Bytes::from_bytes(DEFAULT_MEMORY).ok_or(ConfigError::Defaults)?;
    Ok(Settings {
        instance,
        pool,
        default_resources: Resources { cpu, memory, pids: DEFAULT_PIDS },
        edge,
        architecture: Architecture::HERE,
        reach,
        forward_image: None,
    })
}

impl ServeConfig {
    /// The planner's settings for this instance.
    pub fn settings(&self, instance: InstanceId) -> Result<Settings, ConfigError> {
        let settings = settings(instance, self.pool, self.edge.clone(), self.reach.clone())?;
        Ok(Settings { forward_image: self.forward_image.clone(), ..settings })
    }

    /// Where the engine is.
    pub fn engine(&self) -> Result<EngineAddress, ConfigError> {
        let certificates = self.docker_cert_path.as_deref().map(CertificateFiles::in_directory);
        EngineAddress::parse(&self.docker_host, certificates, PlainTcp::Refused).map_err(ConfigError::Engine)
    }
}
