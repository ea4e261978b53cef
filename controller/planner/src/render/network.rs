//! An organisation's overlay network.

use skep_schemas::{OrgName, ResourceKey, Uid};

use crate::naming::{self, InstanceId};
use crate::settings::OrgSubnet;
use crate::swarm::{Ipam, IpamConfig, NetworkCreate};

/// The network of an organisation: attachable, so that edge tasks can be connected to it, and with the manager's addresses
/// confined to the upper half of the subnet, so that theirs cannot clash with those of tasks.
pub fn network_spec(
    instance: &InstanceId,
    org: &OrgName,
    key: &ResourceKey,
    uid: Uid,
    subnet: OrgSubnet,
) -> NetworkCreate {
    NetworkCreate {
        name: naming::network(org),
        driver: "overlay".to_owned(),
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
        labels: naming::owner_labels(instance, key, uid),
        ..NetworkCreate::default()
    }
}
