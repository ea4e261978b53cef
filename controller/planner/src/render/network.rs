//! An organisation's overlay network.

use skep_schemas::kind::{Egress, NetworkRules};
use skep_schemas::{OrgName, ResourceKey, Uid};

use crate::naming::{self, InstanceId};
use crate::settings::OrgSubnet;
use crate::swarm::{Ipam, IpamConfig, Labels, NetworkCreate};

/// The option by which the overlay driver encrypts what leaves a node; its value means nothing (libnetwork, `drivers/overlay`).
pub const ENCRYPTED: &str = "encrypted";

/// The network of an organisation: attachable, so that edge tasks can be connected to it, and with the manager's addresses
/// confined to the upper half of the subnet, so that theirs cannot clash with those of tasks.
pub fn network_spec(
    instance: &InstanceId,
    org: &OrgName,
    key: &ResourceKey,
    uid: Uid,
    subnet: OrgSubnet,
    rules: NetworkRules,
) -> NetworkCreate {
    NetworkCreate {
        name: naming::network(org),
        driver: "overlay".to_owned(),
        // Tasks on an internal network get no leg on their node's bridge, so there is no way out of it, to the node itself neither.
        internal: rules.egress == Egress::Deny,
        attachable: true,
        ipam: Some(Ipam {
            driver: "default".to_owned(),
            config: vec![IpamConfig {
                subnet: subnet.net().to_string(),
                ip_range: subnet.task_range().to_string(),
                ..IpamConfig::default()
            }],
            ..Ipam::default()
        }),
        options: rules
            .encrypted
            .then(|| (ENCRYPTED.to_owned(), String::new()))
            .into_iter()
            .collect::<Labels>(),
        labels: naming::owner_labels(instance, key, uid),
        ..NetworkCreate::default()
    }
}
