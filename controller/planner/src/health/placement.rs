//! Where a service may run: which nodes take its tasks now, which could, and why a region takes none. A node that is lost, drained or
//! paused is another thing than one that is not there.

use skep_schemas::Region;

use crate::swarm::{Node, NodeAvailability, NodeState};

/// How many nodes are named that keep a service from being placed: enough to begin with.
const NAMED: usize = 3;

/// Could a task with this region ever run on a node of the cluster? `Err` says why not.
pub fn schedulable(
    nodes: &[Node],
    region: Option<&Region>,
    memory: i64,
    cpu_nanos: i64,
) -> Result<(), String> {
    let usable: Vec<&Node> = nodes.iter().filter(|node| is_usable(node)).collect();
    if usable.is_empty() {
        // Nodes come back; that is an outage, not an impossibility.
        return Ok(());
    }
    let in_region: Vec<&&Node> = usable.iter().filter(|node| fits_region(node, region)).collect();
    if let (true, Some(region)) = (in_region.is_empty(), region) {
        return Err(closed(nodes, region).unwrap_or_else(|| format!("no node has region={region}")));
    }
    if in_region.iter().all(|node| node.description.resources.memory_bytes < memory) {
        return Err("no node has as much memory as one instance may use".to_owned());
    }
    if in_region.iter().all(|node| node.description.resources.nano_cpus < cpu_nanos) {
        return Err("no node has as many CPUs as one instance may use".to_owned());
    }
    Ok(())
}

/// Is the node up and not drained?
pub fn is_usable(node: &Node) -> bool {
    node.status.state == Some(NodeState::Ready) && node.spec.availability != Some(NodeAvailability::Drain)
}

/// May a task of that region run on the node?
pub fn fits_region(node: &Node, region: Option<&Region>) -> bool {
    region.is_none_or(|region| node.spec.labels.get("region").is_some_and(|label| label == region.as_str()))
}

/// Why a region takes no tasks, if it takes none: no node is in it, or none of those that are takes any now.
pub(super) fn closed(nodes: &[Node], region: &Region) -> Option<String> {
    let of_region: Vec<&Node> = nodes.iter().filter(|node| fits_region(node, Some(region))).collect();
    if of_region.is_empty() {
        return Some(format!("no node has region={region}"));
    }
    let why: Vec<String> = of_region
        .iter()
        .map_while(|node| Some(format!("{} is {}", node.description.hostname, away(node)?)))
        .collect();
    if why.len() < of_region.len() {
        return None;
    }
    let (named, others) = why.split_at(why.len().min(NAMED));
    let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
    Some(format!("no node with region={region} takes instances now: {}{more}", named.join(", ")))
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
    use crate::swarm::{Task, TaskState};

    /// What engines say of a task whose region has one node, which is lost, beside two others.
    const LOST: &str = "no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)";

    #[test]
    fn a_region_whose_nodes_are_away_is_not_called_one_without_nodes() {
        let region: Region = "eu".parse().expect("a region");
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
                region: Some(&region),
                nodes: &nodes,
                memory: "64Mi",
                monitor: Duration::from_secs(5),
            };
            let told = last_error(std::iter::once(&waiting), &BTreeMap::new(), expected);
            (told.map(|error| error.message).unwrap_or_default(), schedulable(&nodes, Some(&region), 1, 1))
        };
        let none = "no node has region=eu".to_owned();
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
