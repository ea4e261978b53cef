//! The regions that nodes are in: which of them are for somebody, and whether they take instances now.
//!
//! A region is the node label that placement compares ([`crate::constraint`]), so what is listed here is what a manifest can name. A node that
//! is kept for others makes no region for somebody: neither its name nor that it is there.

use std::collections::BTreeMap;

use skep_schemas::Region;

use crate::constraint::{Constraints, REGION};
use crate::health;
use crate::swarm::Node;

/// The region of a node; none if it has no such label, or one that no manifest can name.
pub fn of(node: &Node) -> Option<Region> {
    // Swarm compares without regard to case, and manifests write small letters.
    node.spec.labels.get(REGION)?.to_ascii_lowercase().parse().ok()
}

/// The regions of the nodes that meet these constraints, with those nodes.
pub fn offered<'a>(nodes: &'a [Node], constraints: &Constraints) -> BTreeMap<Region, Vec<&'a Node>> {
    let mut regions: BTreeMap<Region, Vec<&Node>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| constraints.allow(node)) {
        if let Some(region) = of(node) {
            regions.entry(region).or_default().push(node);
        }
    }
    regions
}

/// Is there a node among these that takes instances now?
pub fn takes_work(nodes: &[&Node]) -> bool {
    nodes.iter().any(|node| health::takes_tasks(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::isolation::{Isolation, LEVEL_LABEL};
    use crate::swarm::{NodeAvailability, NodeState};

    fn node(region: Option<&str>, state: NodeState, availability: NodeAvailability) -> Node {
        let mut node = Node::default();
        node.spec.labels.extend(region.map(|region| ("region".to_owned(), region.to_owned())));
        (node.status.state, node.spec.availability) = (Some(state), Some(availability));
        node
    }

    #[test]
    fn a_region_takes_work_while_one_of_its_nodes_is_up_and_active() {
        let nodes = [
            node(Some("EU"), NodeState::Down, NodeAvailability::Active),
            node(Some("eu"), NodeState::Ready, NodeAvailability::Active),
            node(Some("us"), NodeState::Ready, NodeAvailability::Drain),
            node(Some("us"), NodeState::Down, NodeAvailability::Active),
            node(Some("ap"), NodeState::Ready, NodeAvailability::Pause),
            node(Some("no manifest names it"), NodeState::Ready, NodeAvailability::Active),
            node(None, NodeState::Ready, NodeAvailability::Active),
        ];
        let regions = offered(&nodes, &Constraints::default());
        let told: Vec<_> =
            regions.iter().map(|(name, nodes)| (name.as_str(), nodes.len(), takes_work(nodes))).collect();
        assert_eq!(told, [("ap", 1, false), ("eu", 2, true), ("us", 2, false)]);
    }

    #[test]
    fn a_region_of_nodes_that_are_kept_for_others_is_not_there() {
        let mut kept = node(Some("vault"), NodeState::Ready, NodeAvailability::Active);
        kept.spec.labels.insert(LEVEL_LABEL.to_owned(), "dedicated".to_owned());
        let nodes = [kept, node(Some("eu"), NodeState::Ready, NodeAvailability::Active)];
        let everybody = Isolation::standard().constraints(&"acme".parse().unwrap());
        let regions = offered(&nodes, &Constraints::new(None, everybody));
        assert_eq!(regions.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["eu"]);
    }
}
