//! A Swarm whose managers have no majority: nothing that they alone know may be taken for absent.

use skep_planner::swarm::NetworkCreate;
use skep_swarm::{By, ClientOptions, EngineAddress, LabelFilter, SwarmApi, SwarmError};
use skep_testbed::{Cluster, ClusterOptions, EngineVersion, http, wait, wait_until};

use crate::setup::{SOON, client_with, on_each_engine};

async fn without_a_leader_a_network_is_unknown_and_not_absent(version: EngineVersion) {
    let options = ClusterOptions { version, managers: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(2, &options).expect("two managers");
    let socket = cluster.manager().expect("a manager").socket();
    let client = client_with(EngineAddress::unix(socket.clone()), ClientOptions::default()).await;
    let network = NetworkCreate {
        name: "acme".to_owned(),
        driver: "overlay".to_owned(),
        attachable: true,
        ..NetworkCreate::default()
    };
    let id = client.create_network(&network).await.expect("a network");
    assert!(client.inspect_network(By::Id(&id)).await.expect("an answer").is_some());
    assert_eq!(client.inspect_network(By::Name("nonesuch")).await.expect("an answer"), None);

    cluster.kill(1).expect("a manager less");
    // The engine itself says that there is no such network.
    wait_until("the leader to be gone", SOON, || {
        let answer = http::get_unix(&socket, "/networks/acme")?;
        wait::ready(answer.status == 404, &answer.head)
    })
    .expect("it steps down");
    for network in [By::Id(&id), By::Name("acme"), By::Name("nonesuch")] {
        let answer = client.inspect_network(network).await;
        assert!(matches!(answer, Err(SwarmError::NoManager { .. })), "{answer:?}");
    }
    let answer = client.list_networks(&LabelFilter::any()).await;
    assert!(matches!(answer, Err(SwarmError::NoManager { .. })), "{answer:?}");
}

on_each_engine!(without_a_leader_a_network_is_unknown_and_not_absent);
