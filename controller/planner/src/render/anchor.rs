//! The anchor of an organisation's network.
//!
//! An edge task can only be connected to a network that exists on its node, and an overlay network exists only where a task uses
//! it. The anchor is a global service of one idle task wherever the edge runs, and it does nothing but use the network.

use skep_schemas::{OrgName, ResourceKey, Uid};

use crate::naming::{self, InstanceId};
use crate::settings::AnchorImage;
use crate::swarm::{
    ContainerSpec, EndpointMode, EndpointSpec, Limits, Nanos, NetworkAttachmentConfig, NetworkId, Placement,
    Resources, ServiceMode, ServiceSpec, TaskSpec,
};

/// What an idle task may use: it waits, and nothing else.
const MEMORY: i64 = 16 << 20;
const CPU_NANOS: i64 = 50_000_000;
const PIDS: i64 = 16;

/// The anchor of an organisation's network, on the nodes that the edge may run on.
pub fn anchor_spec(
    instance: &InstanceId,
    org: &OrgName,
    key: &ResourceKey,
    uid: Uid,
    network: &NetworkId,
    image: &AnchorImage,
    edge_constraints: &[String],
) -> ServiceSpec {
    let constraints = edge_constraints.to_vec();
    ServiceSpec {
        name: naming::anchor(org),
        labels: naming::owner_labels(instance, key, uid),
        task_template: TaskSpec {
            container_spec: Some(ContainerSpec {
                image: image.image.clone(),
                args: image.args.clone(),
                read_only: true,
                stop_grace_period: Some(Nanos::from_secs(1)),
                capability_drop: vec!["ALL".to_owned()],
                ..ContainerSpec::default()
            }),
            resources: Some(Resources {
                limits: Some(Limits {
                    nano_cpus: CPU_NANOS,
                    memory_bytes: MEMORY,
                    pids: PIDS,
                    ..Limits::default()
                }),
                ..Resources::default()
            }),
            placement: (!constraints.is_empty()).then(|| Placement { constraints, ..Placement::default() }),
            networks: vec![NetworkAttachmentConfig {
                target: network.to_string(),
                ..NetworkAttachmentConfig::default()
            }],
            ..TaskSpec::default()
        },
        mode: Some(ServiceMode::global()),
        endpoint_spec: Some(EndpointSpec {
            mode: Some(EndpointMode::DnsRoundRobin),
            ..EndpointSpec::default()
        }),
        ..ServiceSpec::default()
    }
}
