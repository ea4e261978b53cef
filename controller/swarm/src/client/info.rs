//! What an engine says of itself (`GET /info`), as far as it is of interest here.

use std::collections::BTreeMap;

use serde::Deserialize;
use skep_planner::checkup::{EnginePosture, SwarmSettings};
use skep_planner::swarm::NodeId;

use crate::engine::EngineInfo;
use crate::version::ApiVersion;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Info {
    name: String,
    server_version: String,
    experimental_build: bool,
    security_options: Option<Vec<String>>,
    warnings: Option<Vec<String>>,
    plugins: Plugins,
    registry_config: Option<RegistryConfig>,
    swarm: SwarmInfo,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Plugins {
    authorization: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RegistryConfig {
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_ranges: Option<Vec<String>>,
    index_configs: Option<BTreeMap<String, IndexConfig>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct IndexConfig {
    secure: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SwarmInfo {
    #[serde(rename = "NodeID")]
    node_id: String,
    control_available: bool,
    cluster: Option<ClusterInfo>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ClusterInfo {
    #[serde(rename = "ID")]
    id: String,
    spec: ClusterSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ClusterSpec {
    #[serde(rename = "CAConfig")]
    authority: Authority,
    encryption_config: EncryptionConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Authority {
    node_cert_expiry: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EncryptionConfig {
    auto_lock_managers: bool,
}

impl Info {
    /// As the rest of Skep knows it.
    pub(super) fn into_engine(self, api_version: ApiVersion) -> EngineInfo {
        let Self { name, server_version, experimental_build, .. } = self;
        let registries = self.registry_config.unwrap_or_default();
        let named = registries.index_configs.unwrap_or_default().into_iter();
        let insecure = named.filter(|(_, index)| !index.secure).map(|(name, _)| name);
        let cluster = self.swarm.cluster.filter(|cluster| !cluster.id.is_empty());
        let settings = cluster.as_ref().map(|cluster| SwarmSettings {
            is_autolocked: cluster.spec.encryption_config.auto_lock_managers,
            certificate_life: cluster.spec.authority.node_cert_expiry,
        });
        EngineInfo {
            api_version,
            engine_version: server_version,
            name,
            node_id: Some(NodeId::from(self.swarm.node_id)).filter(|id| !id.is_empty()),
            cluster_id: cluster.map(|cluster| cluster.id),
            is_manager: self.swarm.control_available,
            posture: EnginePosture {
                security_options: self.security_options.unwrap_or_default(),
                warnings: self.warnings.unwrap_or_default(),
                insecure_registries: registries
                    .insecure_ranges
                    .unwrap_or_default()
                    .into_iter()
                    .chain(insecure)
                    .collect(),
                authorization_plugins: self.plugins.authorization.unwrap_or_default(),
                is_experimental: experimental_build,
                swarm: settings,
            },
        }
    }
}
