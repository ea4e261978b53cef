//! The names and labels of everything that Skep makes in a Swarm.
//!
//! Names are deterministic, so that creating twice collides instead of duplicating (invariant I4), and readable, because
//! people will see them in `docker service ls`. The parts are DNS labels, which hold no underscore, so joining them by
//! underscores is unambiguous: `a-b_c` and `a_b-c` cannot meet. Names that Skep makes for itself begin with `skep-` and hold no
//! underscore, so no tenant can take one. `skep_schemas::scalar` proves at compile time that all of them fit Swarm's limits.
//!
//! Labels say whose an object is. Skep touches only what carries its own instance id (invariant I5).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use skep_schemas::{Kind, OrgName, ProcessName, ResourceKey, ResourceName, Uid};

use crate::run::RunNumber;
use crate::settings::Architecture;
use crate::swarm::Labels;

/// Which Skep made an object: the id of the instance, made once per database.
pub const LABEL_INSTANCE: &str = "skep.dev/instance";
/// The organisation that an object belongs to.
pub const LABEL_ORG: &str = "skep.dev/org";
/// The uid of the resource that owns an object.
pub const LABEL_UID: &str = "skep.dev/uid";
/// The kind of the resource that owns an object.
pub const LABEL_KIND: &str = "skep.dev/kind";
/// The name of the resource that owns an object.
pub const LABEL_NAME: &str = "skep.dev/name";
/// The process that a service runs.
pub const LABEL_PROCESS: &str = "skep.dev/process";
/// The run that a service is for.
pub const LABEL_RUN: &str = "skep.dev/run";
/// The release that a service's task template was rendered from.
pub const LABEL_RELEASE: &str = "skep.dev/release";
/// How many instances a service had that was stopped: where no manifest says the number, it is known nowhere else.
pub const LABEL_STOPPED: &str = "skep.dev/stopped";
/// How often people asked Skep to restart a service, as far as it was sent: the counter that restarts it can also be raised by hand.
pub const LABEL_RESTARTS: &str = "skep.dev/restarts";
/// The RegistryCredential that a service was last given to pull its image with, and which password: see [`crate::pull`].
pub const LABEL_REGISTRY_CREDENTIAL: &str = "skep.dev/registry-credential";
/// On a forwarder: the organisation that its link leads to. Whose it is, the organisation that uses the link, the other labels say.
pub const LABEL_LINK_TO: &str = "skep.dev/link-to";
/// Marks services that play a part for Skep: see [`ROLE_EDGE`].
pub const LABEL_ROLE: &str = "skep.dev/role";
/// The role of the proxy at the edge; its tasks are connected to every organisation's network.
pub const ROLE_EDGE: &str = "edge";

/// The role of the config that holds the entry program.
pub const ROLE_ENTRY: &str = "entry";
/// Counts what the entry program does differently than before. Services that use it are restarted when this changes, so it changes
/// only for what is worth that; the same program by another compiler keeps its number.
pub const ENTRY_VERSION: u32 = 2;

/// The role of the config that says whose the Swarm is.
pub const ROLE_CLAIM: &str = "claim";
/// On that config: the epoch of the store that last confirmed it.
pub const LABEL_STORE_EPOCH: &str = "skep.dev/store-epoch";
/// The name of that config. One name in every Swarm, so that making it is a claim that only one can win.
pub const CLAIM: &str = "skep-instance";

/// Identifies one Skep installation. Made at random when its database is first migrated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// From its text.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The network of an organisation.
pub fn network(org: &OrgName) -> String {
    format!("skep-{org}")
}

/// The service that keeps an organisation's network present on every node with an edge task.
pub fn anchor(org: &OrgName) -> String {
    format!("skep-anchor-{org}")
}

/// The forwarder of a link, by the organisation that uses it and the name that it has there. One underscore: services of tenants have two, and
/// what Skep makes else has none.
pub fn forwarder(org: &OrgName, alias: &ResourceName) -> String {
    format!("skep-link-{org}_{alias}")
}

/// The name under which a link is found inside the network of the organisation that uses it. Names of processes there end in two labels
/// before `internal` at most ([`aliases`]), so none of them can be a link's.
pub fn link_address(alias: &ResourceName) -> String {
    format!("{alias}.links.skep.internal")
}

/// The name of a process as who is on its organisation's network and on others finds it there and nowhere else: engines read a network's name
/// behind the name of what is on it.
pub fn process_on_network(org: &OrgName, environment: &ResourceName, process: &ProcessName) -> String {
    format!("{process}.{environment}.internal.{}", network(org))
}

/// The config with the entry program, one for the whole Swarm.
pub fn entry(architecture: Architecture) -> String {
    format!("skep-entry-{ENTRY_VERSION}-{architecture}")
}

/// The service of a process.
pub fn service(org: &OrgName, environment: &ResourceName, process: &ProcessName) -> String {
    format!("{org}_{environment}_{process}")
}

/// The service of a run. It has one underscore more than that of a process.
pub fn run(org: &OrgName, environment: &ResourceName, number: RunNumber) -> String {
    format!("{org}_{environment}_run_{number}")
}

/// The object of one value of a secret. `digest` is the keyed digest of the value, in hexadecimal; twelve digits of it make a
/// collision within one secret a matter of 2^24 rotations.
pub fn secret(org: &OrgName, secret: &ResourceName, digest: &str) -> String {
    let short: String = digest.chars().take(12).collect();
    format!("{org}_{secret}_{short}")
}

/// A named volume of an environment.
pub fn volume(org: &OrgName, environment: &ResourceName, volume: &ResourceName) -> String {
    format!("{org}_{environment}_{volume}")
}

/// The name that every process has inside its organisation's network.
pub fn address(environment: &ResourceName, process: &ProcessName) -> String {
    format!("{process}.{environment}.internal")
}

/// The names under which a process is found inside its organisation's network.
pub fn aliases(environment: &ResourceName, process: &ProcessName) -> Vec<String> {
    let long = address(environment, process);
    if process.as_str() == "web" { vec![format!("{environment}.internal"), long] } else { vec![long] }
}

/// The name of a domain's Traefik router. It carries organisation and uid: two routers of one name drop each other.
pub fn router(org: &OrgName, domain: &ResourceName, uid: Uid) -> String {
    format!("{org}-{domain}-{}", uid.uuid().simple())
}

/// Whose an object is, as labels.
pub fn owner_labels(instance: &InstanceId, key: &ResourceKey, uid: Uid) -> Labels {
    let org = match (key.kind(), key.org()) {
        (Kind::Organization, _) => key.name().as_str(),
        (_, Some(org)) => org.as_str(),
        (_, None) => "",
    };
    [
        (LABEL_INSTANCE, instance.as_str()),
        (LABEL_ORG, org),
        (LABEL_KIND, key.kind().as_str()),
        (LABEL_NAME, key.name().as_str()),
        (LABEL_UID, &uid.to_string()),
    ]
    .into_iter()
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .collect()
}

/// Does an object with these labels belong to that resource of this instance?
pub fn is_owned_by(labels: &BTreeMap<String, String>, instance: &InstanceId, uid: Uid) -> bool {
    labels.get(LABEL_INSTANCE).is_some_and(|found| found == instance.as_str())
        && labels.get(LABEL_UID).is_some_and(|found| *found == uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_different_owners_never_meet() {
        let one = service(&"a-b".parse().unwrap(), &"c".parse().unwrap(), &"web".parse().unwrap());
        let other = service(&"a".parse().unwrap(), &"b-c".parse().unwrap(), &"web".parse().unwrap());
        assert_ne!(one, other);
    }

    #[test]
    fn a_link_is_nothing_elses_name() {
        let name = |text: &str| -> ResourceName { text.parse().unwrap() };
        let org = |text: &str| -> OrgName { text.parse().unwrap() };
        assert_ne!(forwarder(&org("a-b"), &name("c")), forwarder(&org("a"), &name("b-c")));
        let of_tenant = service(&org("skep-link-a"), &name("b"), &"c".parse().unwrap());
        assert_ne!(forwarder(&org("a"), &name("b-c")).matches('_').count(), of_tenant.matches('_').count());
        // An environment may be called after what stands in the names of links.
        for (environment, process) in [("links", "pay"), ("skep", "links"), ("pay", "web")] {
            let environment = name(environment);
            let taken = aliases(&environment, &process.parse().unwrap());
            assert!(!taken.contains(&link_address(&name("pay"))), "{taken:?}");
        }
    }

    #[test]
    fn the_longest_names_fit_swarms_limits() {
        let org: OrgName = "o".repeat(20).parse().unwrap();
        let name: ResourceName = "n".repeat(30).parse().unwrap();
        let process: ProcessName = "p".repeat(11).parse().unwrap();
        assert!(service(&org, &name, &process).len() <= 63);
        assert!(secret(&org, &name, &"f".repeat(64)).len() <= 64);
        assert!(network(&org).len() <= 63 && anchor(&org).len() <= 63 && forwarder(&org, &name).len() <= 63);
    }
}
