//! Placement constraints (`manager/constraint`), and those who enforce them on nodes that change.

use std::net::IpAddr;

use ipnet::IpNet;
use skep_planner::swarm::{Node, NodeAvailability, NodeId, Placement, TaskState};

use super::super::Swarm;

/// One constraint: what has to be, or not to be, what.
pub(in crate::swarm) struct Constraint {
    key: String,
    is_wanted: bool,
    value: String,
}

/// Reads a constraint, or says what the managers say of one that they cannot read.
pub(in crate::swarm) fn parse(text: &str) -> Result<Constraint, String> {
    let split = |operator: &str| text.split_once(operator);
    let (is_wanted, (key, value)) = match (split("=="), split("!=")) {
        (Some(parts), _) => (true, parts),
        (None, Some(parts)) => (false, parts),
        (None, None) => return Err("constraint expected one operator from ==, !=".to_owned()),
    };
    let (key, value) = (key.trim(), value.trim());
    let in_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || key.len() < 2 || !key.chars().all(in_key) {
        return Err(format!("key '{key}' is invalid"));
    }
    let in_value =
        |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || ":-_.*()?+[]\\^$|/".contains(c);
    if value.is_empty() || !value.chars().all(in_value) {
        return Err(format!("value '{value}' is invalid"));
    }
    Ok(Constraint { key: key.to_owned(), is_wanted, value: value.to_owned() })
}

impl Constraint {
    fn says(&self, found: &str) -> bool {
        self.value.eq_ignore_ascii_case(found) == self.is_wanted
    }

    fn matches(&self, node: &Node) -> bool {
        let key = self.key.to_lowercase();
        let label = |prefix: &str| key.starts_with(prefix).then(|| &self.key[prefix.len()..]);
        if let Some(label) = label("node.labels.") {
            return self.says(node.spec.labels.get(label).map_or("", String::as_str));
        }
        if let Some(label) = label("engine.labels.") {
            return self.says(node.description.engine.labels.get(label).map_or("", String::as_str));
        }
        match key.as_str() {
            "node.id" => self.says(node.id.as_str()),
            "node.hostname" => self.says(&node.description.hostname),
            "node.role" => self.says(node.spec.role.as_ref().map_or("worker", |role| role.as_str())),
            "node.platform.os" => self.says(&node.description.platform.os),
            "node.platform.arch" => self.says(&node.description.platform.architecture),
            "node.ip" => self.matches_address(&node.status.addr),
            // A key that nobody knows matches no node.
            _ => false,
        }
    }

    fn matches_address(&self, address: &str) -> bool {
        let Ok(address) = address.parse::<IpAddr>() else { return !self.is_wanted };
        let is_meant = match (self.value.parse::<IpAddr>(), self.value.parse::<IpNet>()) {
            (Ok(meant), _) => meant == address,
            (Err(_), Ok(network)) => network.contains(&address),
            (Err(_), Err(_)) => return false,
        };
        is_meant == self.is_wanted
    }
}

/// Whether a node is one where the constraints of a placement allow tasks.
pub(super) fn allows(placement: Option<&Placement>, node: &Node) -> bool {
    let constraints = placement.into_iter().flat_map(|placement| &placement.constraints);
    constraints.filter_map(|text| parse(text).ok()).all(|constraint| constraint.matches(node))
}

impl Swarm {
    /// Rejects the tasks of a node that it may not have any more.
    pub(super) fn enforce_constraints(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        if node.spec.availability != Some(NodeAvailability::Active) {
            return;
        }
        let mut cpus = node.description.resources.nano_cpus;
        let mut memory = node.description.resources.memory_bytes;
        let mut rejected = Vec::new();
        for task in self.tasks_on(id) {
            let Some(record) = self.tasks.get(&task) else { continue };
            let is_kept = (TaskState::Assigned..=TaskState::Complete).contains(record.desired());
            if !is_kept || *record.state() >= TaskState::Complete {
                continue;
            }
            let service = record.task.service_id.as_ref().and_then(|id| self.services.get(id));
            let placement = service.map_or(record.task.spec.placement.as_ref(), |service| {
                service.service.spec.task_template.placement.as_ref()
            });
            let reserved = record.task.spec.resources.as_ref().and_then(|all| all.reservations.as_ref());
            let (own_cpus, own_memory) =
                reserved.map_or((0, 0), |reserved| (reserved.nano_cpus, reserved.memory_bytes));
            if !allows(placement, node) || own_cpus > cpus || own_memory > memory {
                rejected.push(task);
                continue;
            }
            cpus -= own_cpus;
            memory -= own_memory;
        }
        for task in rejected {
            let (message, err) =
                ("task rejected by constraint enforcer", "assigned node no longer meets constraints");
            self.set_task_state(&task, TaskState::Rejected, message, err);
        }
    }
}
