//! Containers attached to networks by the engine they run on, beside what the manager allocates.

use std::net::Ipv4Addr;

use skep_planner::swarm::{ContainerId, NetworkId};
use skep_swarm::{By, EngineClient, LabelFilter, SwarmApi, SwarmError, TaskFilter};
use skep_testbed::EngineVersion;

use crate::setup::{engine, network, on_each_engine, on_network, running_task, service, soon};

on_each_engine!(a_task_is_attached_to_a_second_network_at_a_chosen_address_and_detached_again);

/// The address a container has on a network, as the engine lists it.
async fn address(client: &EngineClient, container: &ContainerId, network: &NetworkId) -> Option<String> {
    let filter = LabelFilter::any().having("com.docker.swarm.task.id");
    let containers = client.list_containers(&filter).await.expect("containers");
    let container = containers.into_iter().find(|found| found.id == *container).expect("the container");
    let mut networks = container.network_settings.networks.into_values();
    networks.find(|attached| attached.network_id == *network).map(|attached| attached.ip_address)
}

async fn a_task_is_attached_to_a_second_network_at_a_chosen_address_and_detached_again(
    version: EngineVersion,
) {
    let (_engine, client) = engine(version).await;
    let edge_net = client.create_network(&network("edge", 94)).await.expect("created");
    let org_net = client.create_network(&network("acme", 95)).await.expect("created");
    let edge = service("edge", &["sleep", "1000"]);
    let edge = client.create_service(&on_network(edge, &edge_net), None).await.expect("created");
    let edge_task = running_task(&client, &TaskFilter::of_service(edge.clone())).await;
    let container = edge_task.status.container_status.expect("a container").container_id;
    let chosen = Ipv4Addr::new(10, 95, 0, 7);

    let error = client.connect_network(&org_net, &container, chosen).await.expect_err("not on this node yet");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");

    let anchor = service("anchor", &["sleep", "1000"]);
    let anchor = client.create_service(&on_network(anchor, &org_net), None).await.expect("created");
    let anchor_task = running_task(&client, &TaskFilter::of_service(anchor.clone())).await;
    let anchor_container = anchor_task.status.container_status.expect("a container").container_id;

    client.connect_network(&org_net, &container, chosen).await.expect("connected");
    assert_eq!(address(&client, &container, &org_net).await, Some(chosen.to_string()));
    let seen = client.inspect_network(By::Id(&org_net)).await.expect("an answer").expect("the network");
    assert_eq!(seen.containers[container.as_str()].ipv4_address, format!("{chosen}/24"));

    let error = client.connect_network(&org_net, &container, chosen).await.expect_err("connected already");
    assert!(matches!(error, SwarmError::NameTaken { .. }), "{error:?}");
    let error = client.connect_network(&edge_net, &anchor_container, Ipv4Addr::new(10, 95, 0, 9)).await;
    let error = error.expect_err("an address of another network");
    assert!(matches!(error, SwarmError::Invalid { .. } | SwarmError::Other { .. }), "{error:?}");

    client.disconnect_network(&org_net, &container, false).await.expect("disconnected");
    assert_eq!(address(&client, &container, &org_net).await, None);
    let error = client.disconnect_network(&org_net, &container, false).await.expect_err("not connected");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");

    let still = running_task(&client, &TaskFilter::of_service(edge)).await;
    assert_eq!(still.id, edge_task.id, "attaching and detaching restart nothing");
    client.remove_service(&anchor).await.expect("removed");
    soon("the network to be free", || async { client.remove_network(&org_net).await.ok() }).await;
}
