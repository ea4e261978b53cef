//! The Swarm itself: its managers, its keys, the releases of its engines.

use super::advisories::{AUTHORIZATION, ENGINE, Release, against};
use super::{Check, Look};
use crate::swarm::Node;

/// The longest life of a node's certificate: Swarm's default, 90 days.
const CERTIFICATE_LIFE_MAX: i64 = 90 * 24 * 3600 * 1_000_000_000;
/// With fewer managers than that, one that is lost takes the Swarm with it.
const MANAGERS_MIN: usize = 3;

pub(super) fn checks(look: &Look<'_>) -> Vec<Check> {
    vec![managers(look), autolock(look), certificates(look), releases(look)]
}

fn managers(look: &Look<'_>) -> Check {
    let managers = look.nodes.iter().filter(|node| node.manager_status.is_some()).count();
    let finding = match managers {
        0 => None,
        few if few < MANAGERS_MIN => Some(format!("{few} of the {} nodes manage", look.nodes.len())),
        even if even.is_multiple_of(2) => Some(format!("{even} manage: one fewer would survive as much")),
        _ => None,
    };
    Check {
        id: "cluster.managers",
        benchmark: Some("7.1"),
        title: "an odd number of nodes manages, and at least three",
        why: "the loss of one manager ends every change, and that of its disk all that the Swarm knows",
        fix: "docker node promote NODE",
        looked_at: managers,
        findings: finding.into_iter().collect(),
    }
}

fn autolock(look: &Look<'_>) -> Check {
    let open = look.engine.swarm.filter(|swarm| !swarm.is_autolocked);
    Check {
        id: "cluster.autolock",
        benchmark: Some("7.5"),
        title: "managers have to be unlocked after a restart",
        why: "the key of the managers' log, with every secret of every tenant in it, lies beside it on their disks",
        fix: "docker swarm update --autolock, and keep the key where somebody can enter it at three in the morning",
        looked_at: usize::from(look.engine.swarm.is_some()),
        findings: open.map(|_| "managers unlock themselves".to_owned()).into_iter().collect(),
    }
}

fn certificates(look: &Look<'_>) -> Check {
    let long = look.engine.swarm.filter(|swarm| swarm.certificate_life > CERTIFICATE_LIFE_MAX);
    let days = |life: i64| life / (24 * 3600 * 1_000_000_000);
    Check {
        id: "cluster.certificates",
        benchmark: Some("7.7"),
        title: "certificates of nodes are valid for 90 days at most",
        why: "who has copied one may pass for that node until it ends",
        fix: "docker swarm update --cert-expiry 2160h",
        looked_at: usize::from(look.engine.swarm.is_some()),
        findings: long
            .map(|swarm| format!("they are valid for {} days", days(swarm.certificate_life)))
            .into_iter()
            .collect(),
    }
}

fn releases(look: &Look<'_>) -> Check {
    let has_plugins = !look.engine.authorization_plugins.is_empty();
    Check {
        id: "cluster.engine-releases",
        benchmark: None,
        title: "no engine is of a release with a known weakness",
        why: "what keeps tenants apart is the engines' own work",
        fix: "update the engine; one of a distribution may have the fix under the old number, which its security tracker says",
        looked_at: look.nodes.len(),
        findings: look.nodes.iter().flat_map(|node| weaknesses(node, has_plugins)).collect(),
    }
}

fn weaknesses(node: &Node, has_plugins: bool) -> Vec<String> {
    let (name, version) = (&node.description.hostname, &node.description.engine.engine_version);
    let Some(release) = Release::read(version) else {
        return vec![format!("node {name} has an engine {version}, which is no release")];
    };
    let mut found = against(release, ENGINE);
    if has_plugins {
        found.extend(against(release, AUTHORIZATION));
    }
    found.into_iter().map(|what| format!("node {name}, engine {version}: {what}")).collect()
}
