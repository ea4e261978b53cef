//! Nodes: their labels, whether they take tasks, and whether they answer.

use skep_planner::swarm::{
    EngineDescription, ManagerStatus, Node, NodeAvailability, NodeDescription, NodeId, NodeResources,
    NodeRole, NodeSpec, NodeState, NodeStatus, Platform, Reachability,
};
use skep_swarm::HintKind;

use super::agenda::Due;
use super::{ASKED_NODE, Change, Swarm};
use crate::behaviour::GRACE;

impl Swarm {
    /// All nodes.
    pub fn list_nodes(&self) -> Vec<Node> {
        self.nodes.values().cloned().collect()
    }

    /// Changes a node, or makes it first: active, ready, 8 processors and 16 GiB. Its id is its name.
    pub fn set_node(&mut self, name: &str, change: impl FnOnce(&mut Node)) {
        let id = NodeId::from(name);
        let (version, now) = (self.next_version(), self.now.to_string());
        let is_new = !self.nodes.contains_key(&id);
        let made = new_node(name, self.behaviour.engine_version(), &now);
        let node = self.nodes.entry(id.clone()).or_insert(made);
        let before = (node.spec.availability.clone(), node.status.state.clone());
        change(node);
        (node.version, node.updated_at) = (version, now);
        let mut said = Vec::new();
        let word = |availability: &Option<NodeAvailability>| {
            availability.as_ref().map_or_else(String::new, ToString::to_string)
        };
        let state = |state: &Option<NodeState>| state.as_ref().map_or_else(String::new, ToString::to_string);
        if before.0 != node.spec.availability {
            said.push(("availability.new", word(&node.spec.availability)));
            said.push(("availability.old", word(&before.0)));
        }
        if before.1 != node.status.state {
            said.push(("state.new", state(&node.status.state)));
            said.push(("state.old", state(&before.1)));
        }
        let action = if is_new { "create" } else { "update" };
        self.announce(HintKind::Node, name, name, action, &said);
        self.changed(Change::Node(id));
    }

    /// Sets one label of a node.
    pub fn label_node(&mut self, name: &str, label: &str, value: &str) {
        self.set_node(name, |node| {
            node.spec.labels.insert(label.to_owned(), value.to_owned());
        });
    }

    /// Says whether a node takes tasks, keeps those it has, or gives them away.
    pub fn set_availability(&mut self, name: &str, availability: NodeAvailability) {
        self.set_node(name, |node| node.spec.availability = Some(availability));
    }

    /// A node falls silent: the managers notice after a while. What runs on it runs on.
    pub fn lose_node(&mut self, name: &str) {
        let id = NodeId::from(name);
        let silence = self.orchestrator.fall_silent(&id);
        self.due_in(self.pace.heartbeat * GRACE, Due::NodeDown(id, silence));
    }

    /// A node loses its power: it falls silent, and when it is back nothing runs on it any more.
    pub fn switch_off_node(&mut self, name: &str) {
        self.lose_node(name);
        self.orchestrator.lose_power(&NodeId::from(name));
    }

    /// A node is back.
    pub fn restore_node(&mut self, name: &str) {
        let id = NodeId::from(name);
        self.orchestrator.speak_again(&id);
        self.set_node(name, |node| {
            node.status.state = Some(NodeState::Ready);
            node.status.message.clear();
        });
        if self.orchestrator.has_power_again(&id) {
            self.containers_are_gone(&id);
        }
        self.agents_resume(&id);
    }

    /// A node is removed for good, and nobody will ever know what becomes of its tasks.
    pub fn remove_node(&mut self, name: &str) {
        let id = NodeId::from(name);
        if self.nodes.remove(&id).is_some() {
            self.orchestrator.speak_again(&id);
            self.orchestrator.has_power_again(&id);
            self.orphan_removed(&id);
            self.next_version();
            self.announce(HintKind::Node, name, name, "remove", &[]);
            self.changed(Change::NodeGone(id));
        }
    }

    /// The managers have not heard from a node for too long.
    pub(super) fn node_down(&mut self, id: &NodeId, silence: u64) {
        if self.orchestrator.is_silent(id) != Some(silence) {
            return;
        }
        self.set_node(id.as_ref(), |node| {
            node.status.state = Some(NodeState::Down);
            node.status.message = "heartbeat failure".to_owned();
        });
        self.due_in(super::orchestrator::ORPHANED_AFTER, Due::Orphan(id.clone(), silence));
    }
}

fn new_node(name: &str, engine: &str, now: &str) -> Node {
    let is_asked = name == ASKED_NODE;
    let role = if is_asked { NodeRole::Manager } else { NodeRole::Worker };
    let manager = ManagerStatus {
        leader: true,
        reachability: Some(Reachability::Reachable),
        addr: "127.0.0.1:2377".to_owned(),
        ..ManagerStatus::default()
    };
    Node {
        id: NodeId::from(name),
        created_at: now.to_owned(),
        spec: NodeSpec {
            role: Some(role),
            availability: Some(NodeAvailability::Active),
            ..NodeSpec::default()
        },
        description: NodeDescription {
            hostname: name.to_owned(),
            platform: Platform {
                architecture: "x86_64".to_owned(),
                os: "linux".to_owned(),
                ..Platform::default()
            },
            resources: NodeResources {
                nano_cpus: 8_000_000_000,
                memory_bytes: 16 << 30,
                ..NodeResources::default()
            },
            engine: EngineDescription { engine_version: engine.to_owned(), ..EngineDescription::default() },
            ..NodeDescription::default()
        },
        status: NodeStatus {
            state: Some(NodeState::Ready),
            addr: "127.0.0.1".to_owned(),
            ..NodeStatus::default()
        },
        manager_status: is_asked.then_some(manager),
        ..Node::default()
    }
}
