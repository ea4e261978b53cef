//! Where a service may run: which nodes take its tasks now, which could, and why none of those where it may run does. A node that is lost, drained
//! or paused is another thing than one that is not there.

use crate::constraint::{Constraints, REGION};
use crate::policy::isolation::LEVEL_LABEL;
use crate::region;
use crate::swarm::{Node, NodeAvailability, NodeState};

/// How many nodes are named that keep a service from being placed: enough to begin with.
const NAMED: usize = 3;

/// How many regions are named to who names one that is not there: a typing error is seen at once, and a status stays short.
const REGIONS_NAMED: usize = 10;

/// Could a task with these constraints ever run on a node of the cluster? `Err` says why not.
pub fn schedulable(
    nodes: &[Node],
    constraints: &Constraints,
    memory: i64,
    cpu_nanos: i64,
) -> Result<(), String> {
    let usable: Vec<&Node> = nodes.iter().filter(|node| is_usable(node)).collect();
    if usable.is_empty() {
        // Nodes come back; that is an outage, not an impossibility.
        return Ok(());
    }
    let in_place: Vec<&&Node> = usable.iter().filter(|node| constraints.allow(node)).collect();
    if in_place.is_empty() {
        let why = closed(nodes, constraints).unwrap_or_else(|| missing(nodes, constraints));
        return Err(format!("{why}{}", how_to_label(nodes, constraints)));
    }
    let most_memory =
        in_place.iter().map(|node| node.description.resources.memory_bytes).max().unwrap_or_default();
    if most_memory < memory {
        return Err(format!(
            "no node has as much memory as one instance may use: {}, and the largest has {}",
            mebibytes(memory),
            mebibytes(most_memory)
        ));
    }
    let most_cpu = in_place.iter().map(|node| node.description.resources.nano_cpus).max().unwrap_or_default();
    if most_cpu < cpu_nanos {
        return Err(format!(
            "no node has as many CPUs as one instance may use: {}, and the largest has {}",
            thousandths(cpu_nanos),
            thousandths(most_cpu)
        ));
    }
    Ok(())
}

fn mebibytes(bytes: i64) -> String {
    format!("{}Mi", bytes >> 20)
}

fn thousandths(nanos: i64) -> String {
    format!("{}m", nanos / 1_000_000)
}

/// Is the node up and not drained?
pub fn is_usable(node: &Node) -> bool {
    node.status.state == Some(NodeState::Ready) && node.spec.availability != Some(NodeAvailability::Drain)
}

/// Is the node up, and does it take new tasks?
pub fn takes_tasks(node: &Node) -> bool {
    away(node).is_none()
}

/// Why no node where a task may run takes any, if that is so: there is none, or none takes any now.
pub(super) fn closed(nodes: &[Node], constraints: &Constraints) -> Option<String> {
    let in_place: Vec<&Node> = nodes.iter().filter(|node| constraints.allow(node)).collect();
    if in_place.is_empty() {
        return (!nodes.is_empty()).then(|| missing(nodes, constraints));
    }
    let why: Vec<String> = in_place
        .iter()
        .map_while(|node| Some(format!("{} is {}", node.description.hostname, away(node)?)))
        .collect();
    if why.len() < in_place.len() {
        return None;
    }
    let (named, others) = why.split_at(why.len().min(NAMED));
    let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
    let with = with_labels(constraints).map(|labels| format!(" with {labels}")).unwrap_or_default();
    Some(format!("no node{with} takes instances now: {}{more}", named.join(", ")))
}

/// Which nodes there are none of.
fn missing(nodes: &[Node], constraints: &Constraints) -> String {
    let with = with_labels(constraints);
    if nodes.iter().any(|node| constraints.are_met_by_the_labels_of(node)) {
        let with = with.map(|labels| format!(" with {labels}")).unwrap_or_default();
        return format!("every node{with} is kept for others by its label {LEVEL_LABEL}");
    }
    format!("no node has {}{}", with.unwrap_or_default(), regions(nodes, constraints))
}

/// The regions that there are instead of one that no node is in, for those whom these constraints are of.
fn regions(nodes: &[Node], constraints: &Constraints) -> String {
    let (Some(wanted), others) = constraints.apart_from_region() else { return String::new() };
    if !nodes.iter().any(|node| others.allow(node)) {
        return String::new();
    }
    let offered = region::offered(nodes, &others);
    if offered.is_empty() {
        return format!(
            " (none says a region; an operator says a node's by `docker node update --label-add {REGION}={wanted} NODE`)"
        );
    }
    let names: Vec<&str> = offered.keys().take(REGIONS_NAMED).map(|name| name.as_str()).collect();
    let more = if offered.len() > names.len() { ", …" } else { "" };
    format!(" (regions that there are: {}{more})", names.join(", "))
}

/// The command by which a node becomes one of those that are kept for somebody, if there is none.
fn how_to_label(nodes: &[Node], constraints: &Constraints) -> String {
    let keeps = constraints.labels().any(|(label, _)| label == LEVEL_LABEL);
    if !keeps || nodes.iter().any(|node| constraints.allow(node)) {
        return String::new();
    }
    let arguments: String =
        constraints.labels().map(|(label, value)| format!(" --label-add {label}={value}")).collect();
    format!(" (an operator gives them to one by `docker node update{arguments} NODE`)")
}

/// The labels that nodes must have, in words.
fn with_labels(constraints: &Constraints) -> Option<String> {
    let labels: Vec<String> = constraints.labels().map(|(label, value)| format!("{label}={value}")).collect();
    (!labels.is_empty()).then(|| labels.join(" and "))
}

/// Why a node takes no tasks, in a word.
fn away(node: &Node) -> Option<&str> {
    match (node.status.state.as_ref(), node.spec.availability.as_ref()) {
        (Some(NodeState::Ready) | None, Some(NodeAvailability::Drain)) => Some("drained"),
        (Some(NodeState::Ready) | None, Some(NodeAvailability::Pause)) => Some("paused"),
        (Some(NodeState::Ready) | None, _) => None,
        (Some(state), _) => Some(state.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skep_schemas::Duration;

    use super::*;
    use crate::health::{Expectations, last_error};
    use crate::policy::isolation::Isolation;
    use crate::swarm::{Task, TaskState};

    /// What engines say of a task whose region has one node, which is lost, beside two others.
    const LOST: &str = "no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)";

    #[test]
    fn who_names_a_region_that_is_not_there_is_told_of_those_that_are_there_for_him() {
        let region = "eu".parse().expect("a region");
        let everybody = Isolation::standard().constraints(&"acme".parse().expect("a name"));
        let constraints = Constraints::new(Some(&region), everybody);
        let node = |labels: &[(&str, &str)]| {
            let mut node = Node::default();
            node.status.state = Some(NodeState::Ready);
            node.spec.labels =
                labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
            node
        };
        let told = |nodes: &[Node]| schedulable(nodes, &constraints, 1, 1);
        let vault = node(&[("region", "vault"), (LEVEL_LABEL, "dedicated")]);
        let nowhere = node(&[]);
        assert_eq!(
            told(&[nowhere.clone(), vault.clone()]).unwrap_err(),
            "no node has region=eu (none says a region; an operator says a node's by `docker node update --label-add region=eu NODE`)"
        );
        let many: Vec<Node> = (10..22).map(|one| node(&[("region", &format!("r{one}"))])).collect();
        let words = told(&[vec![vault.clone(), nowhere], many].concat()).unwrap_err();
        assert!(words.starts_with("no node has region=eu (regions that there are: r10, r11, "), "{words}");
        assert!(words.ends_with(", r19, …)"), "{words}");
        assert_eq!(told(&[vault]).unwrap_err(), "no node has region=eu");
    }

    #[test]
    fn a_region_whose_nodes_are_away_is_not_called_one_without_nodes() {
        let region = "eu".parse().expect("a region");
        let constraints = Constraints::new(Some(&region), []);
        let node = |name: &str, region: &str, state: NodeState, availability: NodeAvailability| {
            let mut node = Node::default();
            node.description.hostname = name.to_owned();
            node.spec.labels.insert("region".to_owned(), region.to_owned());
            (node.status.state, node.spec.availability) = (Some(state), Some(availability));
            node
        };
        let elsewhere = node("node-1", "us", NodeState::Ready, NodeAvailability::Active);
        let words = |of_region: &[Node]| {
            let nodes = [std::slice::from_ref(&elsewhere), of_region].concat();
            let mut waiting = Task::default();
            waiting.status.state = Some(TaskState::Pending);
            waiting.status.timestamp = "2026-01-01T00:00:01Z".to_owned();
            LOST.clone_into(&mut waiting.status.err);
            let expected = Expectations {
                constraints: &constraints,
                nodes: &nodes,
                memory: "64Mi",
                monitor: Duration::from_secs(5),
            };
            let told = last_error(std::iter::once(&waiting), &BTreeMap::new(), expected);
            (told.map(|error| error.message).unwrap_or_default(), schedulable(&nodes, &constraints, 1, 1))
        };
        let none = "no node has region=eu (regions that there are: us)".to_owned();
        assert_eq!(words(&[]), (none.clone(), Err(none)));
        let lost = node("node-3", "eu", NodeState::Down, NodeAvailability::Active);
        let down = "no node with region=eu takes instances now: node-3 is down".to_owned();
        assert_eq!(words(std::slice::from_ref(&lost)), (down.clone(), Err(down)));
        let drained = node("node-2", "eu", NodeState::Ready, NodeAvailability::Drain);
        let both = "no node with region=eu takes instances now: node-3 is down, node-2 is drained".to_owned();
        assert_eq!(words(&[lost.clone(), drained]), (both.clone(), Err(both)));
        let paused = node("node-2", "eu", NodeState::Ready, NodeAvailability::Pause);
        let (told, _) = words(&[paused, lost.clone()]);
        assert_eq!(told, "no node with region=eu takes instances now: node-2 is paused, node-3 is down");
        let (told, _) = words(&vec![lost.clone(); 5]);
        assert!(told.ends_with("node-3 is down, and 2 more"), "{told}");
        // It is back, and Swarm has not placed the task yet.
        let back = node("node-3", "eu", NodeState::Ready, NodeAvailability::Active);
        assert_eq!(words(&[back, lost]).0, LOST);
    }
}
