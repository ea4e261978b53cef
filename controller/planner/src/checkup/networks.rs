//! Networks between nodes.

use super::{Check, Look};
use crate::render::ENCRYPTED;
use crate::swarm::Network;

pub(super) fn checks(look: &Look<'_>) -> Vec<Check> {
    // On a single node nothing travels.
    let of_cluster: Vec<&Network> =
        look.networks.iter().filter(|network| network.driver == "overlay").collect();
    let travels = look.nodes.len() > 1;
    let open = |network: &&&Network| !network.options.contains_key(ENCRYPTED);
    let findings = of_cluster.iter().filter(open).filter(|_| travels);
    vec![Check {
        id: "cluster.encrypted-networks",
        benchmark: Some("7.3"),
        title: "what containers on different nodes say to each other is encrypted",
        why: "whoever listens between the nodes reads it, and whoever reaches their VXLAN port can write into it",
        fix: "`network: {encrypted: true}` in the Plan, for networks of organisations; keep UDP port 4789 to the nodes alone in any case",
        looked_at: if travels { of_cluster.len() } else { 0 },
        findings: findings.map(|network| format!("network {} is not", network.name)).collect(),
    }]
}
