//! The regions that the nodes are in, for one organisation or for all.

use skep_api::wire::{NodeItem, RegionList, RegionNodes, RegionView};
use skep_api::{PortError, RegionRequest};
use skep_planner::blocked::Blocked;
use skep_planner::constraint::Constraints;
use skep_planner::health;
use skep_planner::policy::isolation::LEVEL_LABEL;
use skep_planner::region;
use skep_planner::swarm::{Node, NodeState};
use skep_schemas::kind::OrganizationSpec;
use skep_schemas::{OrgName, ResourceKey};
use skep_store::{ScopedStore, StoreError};
use skep_swarm::SwarmApi;

use crate::desired::typed;
use crate::policies;

/// One look at the nodes.
pub(crate) async fn regions(
    store: &ScopedStore,
    swarm: &dyn SwarmApi,
    request: RegionRequest,
) -> Result<RegionList, PortError> {
    let RegionRequest { org, with_nodes } = request;
    let constraints = match &org {
        Some(org) => constraints(store, org).await?,
        None => Ok(Constraints::default()),
    };
    let constraints = match constraints {
        Ok(constraints) => constraints,
        Err(Missing(name)) => return Ok(RegionList { missing: Some(name), ..RegionList::default() }),
    };
    let nodes = swarm.list_nodes().await;
    let nodes = nodes.map_err(|error| PortError::EngineUnavailable { source: Box::new(error) })?;
    Ok(told(&nodes, &constraints, with_nodes))
}

fn told(nodes: &[Node], constraints: &Constraints, with_nodes: bool) -> RegionList {
    let items = region::offered(nodes, constraints).into_iter().map(|(name, nodes)| RegionView {
        name,
        takes_work: region::takes_work(&nodes),
        nodes: with_nodes.then(|| sum(nodes)),
    });
    let elsewhere = || {
        let elsewhere = nodes.iter().filter(|node| constraints.allow(node) && region::of(node).is_none());
        Some(sum(elsewhere.collect())).filter(|nodes| !nodes.items.is_empty())
    };
    RegionList { items: items.collect(), elsewhere: with_nodes.then(elsewhere).flatten(), missing: None }
}

/// A resource of the platform that an organisation names and that is not there.
struct Missing(String);

/// What must be so of the nodes that an organisation's tasks run on.
async fn constraints(store: &ScopedStore, org: &OrgName) -> Result<Result<Constraints, Missing>, PortError> {
    let key = ResourceKey::organization(org);
    let mut snapshot = store.snapshot().await.map_err(refused)?;
    let organization = typed::<OrganizationSpec>(&mut snapshot, &key).await.map_err(refused)?;
    let organization = organization.ok_or(PortError::NotFound { key })?;
    let terms = policies::terms(&mut snapshot, Some(&organization)).await.map_err(refused)?;
    Ok(match terms.isolation() {
        Ok(isolation) => Ok(Constraints::new(None, isolation.constraints(org))),
        Err(Blocked::ReferenceMissing { resource }) => Err(Missing(resource)),
        Err(other) => Err(Missing(other.to_string())),
    })
}

fn refused(source: StoreError) -> PortError {
    PortError::Store { source }
}

fn sum(mut nodes: Vec<&Node>) -> RegionNodes {
    nodes.sort_by(|one, other| {
        (&one.description.hostname, &one.id).cmp(&(&other.description.hostname, &other.id))
    });
    let ready = || nodes.iter().filter(|node| node.status.state == Some(NodeState::Ready));
    let count = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
    RegionNodes {
        ready: count(ready().count()),
        active: count(ready().filter(|node| health::takes_tasks(node)).count()),
        cpu_millis: ready().map(|node| cpu_millis(node)).sum(),
        memory_bytes: ready().map(|node| memory_bytes(node)).sum(),
        items: nodes.iter().map(|node| item(node)).collect(),
    }
}

fn item(node: &Node) -> NodeItem {
    let unknown = || "unknown".to_owned();
    NodeItem {
        id: node.id.to_string(),
        hostname: node.description.hostname.clone(),
        state: node.status.state.as_ref().map_or_else(unknown, |state| state.as_str().to_owned()),
        availability: node.spec.availability.as_ref().map_or_else(unknown, |word| word.as_str().to_owned()),
        isolation: node.spec.labels.get(LEVEL_LABEL).cloned(),
        cpu_millis: cpu_millis(node),
        memory_bytes: memory_bytes(node),
    }
}

fn cpu_millis(node: &Node) -> u64 {
    u64::try_from(node.description.resources.nano_cpus / 1_000_000).unwrap_or_default()
}

fn memory_bytes(node: &Node) -> u64 {
    u64::try_from(node.description.resources.memory_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(hostname: &str, region: Option<&str>, state: &str, availability: &str) -> Node {
        let labels: serde_json::Map<_, _> =
            region.map(|region| ("region".to_owned(), json!(region))).into_iter().collect();
        serde_json::from_value(json!({
            "ID": format!("id-of-{hostname}"), "Spec": {"Labels": labels, "Availability": availability},
            "Description": {"Hostname": hostname, "Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 1024}},
            "Status": {"State": state},
        }))
        .unwrap()
    }

    #[test]
    fn a_region_is_told_without_its_nodes_or_with_them_and_what_they_have() {
        let nodes = [
            node("two", Some("eu"), "ready", "drain"),
            node("one", Some("eu"), "ready", "active"),
            node("three", Some("eu"), "down", "active"),
            node("four", None, "ready", "active"),
        ];
        let names = told(&nodes, &Constraints::default(), false);
        assert_eq!(
            serde_json::to_value(names).unwrap(),
            json!({"items": [{"name": "eu", "takesWork": true}]})
        );
        let all = told(&nodes, &Constraints::default(), true);
        let eu = all.items[0].nodes.clone().unwrap();
        assert_eq!((eu.ready, eu.active, eu.cpu_millis, eu.memory_bytes), (2, 1, 8000, 2048));
        let hosts: Vec<_> =
            eu.items.iter().map(|node| (node.hostname.as_str(), node.state.as_str())).collect();
        assert_eq!(hosts, [("one", "ready"), ("three", "down"), ("two", "ready")]);
        assert_eq!(all.elsewhere.unwrap().items[0].hostname, "four");
    }
}
