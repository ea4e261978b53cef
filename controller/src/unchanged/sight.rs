//! What a pass over an environment saw in the Swarm, by versions, and the Swarm by versions as a look finds it.
//!
//! An object with the same id and version is the same object: Swarm gives it another version with each change, and another id when it is
//! made anew. Networks cannot be changed at all. The lists hold what carries a label of ours; what has lost it counts as gone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use skep_planner::health::is_telling;
use skep_planner::reconcile::environment::EnvironmentObservation;
use skep_planner::render::EngineFeatures;
use skep_planner::swarm::{NetworkId, Node, SecretId, ServiceId, Task};

use crate::observe::Versioned;

/// Everything that a pass over an environment saw in the Swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    engine: EngineFeatures,
    /// Of all nodes, by id and version.
    nodes: u64,
    network: (String, NetworkId),
    secrets: Vec<(String, SecretId)>,
    services: Vec<(String, Seen)>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    id: ServiceId,
    version: u64,
    /// Of all its tasks, by id and version.
    tasks: u64,
}

impl Sight {
    /// What this observation rests on; none if something is missing or unknown, or has no version.
    pub(crate) fn of(observed: &EnvironmentObservation) -> Option<Self> {
        // Whatever is observed besides has to be thought of here. Containers are looked at for telling tasks only.
        // Nobody can remove the config of the entry program while a service refers to it.
        let EnvironmentObservation {
            engine,
            network,
            secrets,
            entry: _,
            services,
            // While there is one, it is looked at all the time.
            runs,
            outputs: _,
            last_lines: _,
            tasks,
            containers: _,
            nodes,
            image,
            // Of that image.
            image_start: _,
        } = observed;
        if image.is_some() || !runs.is_empty() || tasks.values().flatten().any(is_telling) {
            return None;
        }
        let network = network.present()?;
        let secrets = secrets.iter().map(|(name, id)| Some((name.clone(), id.present()?.clone())));
        let services = services.iter().map(|(name, service)| {
            let service = service.present()?;
            let tasks = tasks.get(&service.id).map_or(&[][..], Vec::as_slice);
            let (id, version) = (service.id.clone(), service.version.index);
            Some((name.clone(), Seen { id, version, tasks: of_tasks(tasks) }))
        });
        Some(Self {
            engine: *engine.present()?,
            nodes: of_nodes(nodes.present()?),
            network: (network.name.clone(), network.id.clone()),
            secrets: secrets.collect::<Option<_>>()?,
            services: services.collect::<Option<_>>()?,
        })
    }
}

/// The Swarm by versions.
pub(super) struct Overview {
    engine: EngineFeatures,
    nodes: u64,
    networks: HashMap<String, NetworkId>,
    secrets: HashMap<String, SecretId>,
    services: HashMap<String, Seen>,
}

impl Overview {
    /// The versions of what was found.
    pub(super) fn of(found: &Versioned) -> Self {
        let Versioned { engine, nodes, networks, secrets, services, tasks } = found;
        let mut of_service: HashMap<&ServiceId, Vec<&Task>> = HashMap::new();
        for task in tasks {
            if let Some(service) = &task.service_id {
                of_service.entry(service).or_default().push(task);
            }
        }
        let services = services.iter().map(|service| {
            let tasks = of_service.remove(&service.id).unwrap_or_default();
            let (id, version) = (service.id.clone(), service.version.index);
            (service.spec.name.clone(), Seen { id, version, tasks: of_tasks(tasks) })
        });
        Self {
            engine: *engine,
            nodes: of_nodes(nodes),
            services: services.collect(),
            networks: networks.iter().map(|network| (network.name.clone(), network.id.clone())).collect(),
            secrets: secrets.iter().map(|secret| (secret.spec.name.clone(), secret.id.clone())).collect(),
        }
    }

    /// Is everything there that was seen, as it was then?
    pub(super) fn shows(&self, seen: &Sight) -> bool {
        let Sight { engine, nodes, network, secrets, services } = seen;
        *engine == self.engine
            && *nodes == self.nodes
            && self.networks.get(&network.0) == Some(&network.1)
            && secrets.iter().all(|(name, id)| self.secrets.get(name) == Some(id))
            && services.iter().all(|(name, service)| self.services.get(name) == Some(service))
    }
}

fn of_nodes(nodes: &[Node]) -> u64 {
    of_versions(nodes.iter().map(|node| (node.id.as_str(), node.version.index)).collect())
}

fn of_tasks<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> u64 {
    of_versions(tasks.into_iter().map(|task| (task.id.as_str(), task.version.index)).collect())
}

/// Lists come in any order.
fn of_versions(mut items: Vec<(&str, u64)>) -> u64 {
    items.sort_unstable();
    let mut hasher = DefaultHasher::new();
    items.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use skep_planner::Observed;
    use skep_planner::swarm::Service;

    use super::*;

    fn object<T: DeserializeOwned>(json: Value) -> T {
        serde_json::from_value(json).unwrap()
    }

    fn versioned<T: DeserializeOwned>(id: &str, name: &str) -> T {
        object(json!({ "ID": id, "Version": { "Index": 1 }, "Spec": { "Name": name } }))
    }

    fn task(id: &str, state: &str) -> Task {
        let (version, status) = (json!({ "Index": 1 }), json!({ "State": state }));
        object(
            json!({ "ID": id, "Version": version, "ServiceID": "s1", "DesiredState": state, "Status": status }),
        )
    }

    /// A Swarm with a service of two tasks, a secret and a network.
    pub(in super::super) fn swarm() -> Versioned {
        Versioned {
            engine: EngineFeatures::of_api(1, 45),
            nodes: vec![versioned("n1", ""), versioned("n2", "")],
            networks: vec![object(json!({ "Id": "w1", "Name": "skep-acme" }))],
            secrets: vec![versioned("k1", "acme_key_1")],
            services: vec![versioned("s1", "acme_prod_web"), versioned("s2", "acme_prod_other")],
            tasks: vec![task("t1", "running"), task("t2", "running")],
        }
    }

    fn observation(swarm: Versioned) -> EnvironmentObservation {
        let Versioned { engine, nodes, mut networks, mut secrets, services, tasks } = swarm;
        let web = services.into_iter().find(|service: &Service| service.id.as_str() == "s1").unwrap();
        EnvironmentObservation {
            engine: Observed::Present(engine),
            network: Observed::Present(networks.remove(0)),
            secrets: BTreeMap::from([("acme_key_1".to_owned(), Observed::Present(secrets.remove(0).id))]),
            entry: Observed::Absent,
            tasks: BTreeMap::from([(web.id.clone(), tasks)]),
            services: BTreeMap::from([("acme_prod_web".to_owned(), Observed::Present(web))]),
            runs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            last_lines: None,
            containers: BTreeMap::new(),
            nodes: Observed::Present(nodes),
            image: None,
            image_start: None,
        }
    }

    /// What a pass sees of it that looks at the service.
    pub(in super::super) fn web() -> Sight {
        Sight::of(&observation(swarm())).unwrap()
    }

    fn shows_after(change: impl FnOnce(&mut Versioned)) -> bool {
        let mut changed = swarm();
        change(&mut changed);
        Overview::of(&changed).shows(&web())
    }

    #[test]
    fn the_order_of_lists_and_what_others_have_say_nothing() {
        assert!(shows_after(|_| {}));
        assert!(shows_after(|swarm| {
            swarm.nodes.reverse();
            swarm.tasks.reverse();
            swarm.services.reverse();
        }));
        assert!(shows_after(|swarm| drop(swarm.services.remove(1))));
    }

    #[test]
    fn whatever_was_seen_and_is_not_as_it_was_is_noticed() {
        assert!(!shows_after(|swarm| swarm.engine = EngineFeatures::of_api(1, 40)), "another engine");
        assert!(!shows_after(|swarm| swarm.nodes[1].version.index = 2), "a node changed");
        assert!(!shows_after(|swarm| drop(swarm.nodes.pop())), "a node went");
        assert!(!shows_after(|swarm| swarm.networks.clear()), "the network went");
        assert!(!shows_after(|swarm| swarm.networks[0].id = NetworkId::from("w2")), "it was made anew");
        assert!(!shows_after(|swarm| swarm.secrets.clear()), "a secret went");
        assert!(!shows_after(|swarm| swarm.secrets[0].id = SecretId::from("k2")), "it was made anew");
        assert!(!shows_after(|swarm| swarm.services[0].version.index = 2), "a service was changed");
        assert!(!shows_after(|swarm| swarm.services[0].id = ServiceId::from("s3")), "it was made anew");
        assert!(!shows_after(|swarm| drop(swarm.services.remove(0))), "it went, or has lost its label");
        assert!(!shows_after(|swarm| swarm.tasks[0].version.index = 2), "a task changed its state");
        assert!(!shows_after(|swarm| drop(swarm.tasks.pop())), "a task went");
        assert!(!shows_after(|swarm| swarm.tasks.push(task("t3", "running"))), "a task came");
    }

    #[test]
    fn nothing_rests_on_what_is_missing_or_unknown_or_has_no_version() {
        let rests = |change: &dyn Fn(&mut EnvironmentObservation)| {
            let mut observed = observation(swarm());
            change(&mut observed);
            Sight::of(&observed).is_some()
        };
        let unknown = || "no answer".to_owned();
        assert!(rests(&|_| {}));
        assert!(!rests(&|observed| observed.engine = Observed::Unknown { why: unknown() }));
        assert!(!rests(&|observed| observed.nodes = Observed::Unknown { why: unknown() }));
        assert!(!rests(&|observed| observed.network = Observed::Absent));
        assert!(!rests(&|observed| drop(observed.secrets.insert("k".to_owned(), Observed::Absent))));
        assert!(!rests(&|observed| drop(observed.services.insert("s".to_owned(), Observed::Absent))));
        let failed = |observed: &mut EnvironmentObservation| {
            for tasks in observed.tasks.values_mut() {
                tasks.push(object(
                    json!({ "ID": "t9", "Status": { "State": "failed", "Err": "task: exit (1)" } }),
                ));
            }
        };
        assert!(!rests(&failed), "its container may tell why");
    }
}
