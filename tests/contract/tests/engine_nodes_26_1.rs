//! The cases of several nodes on Docker Engine 26.1, and each account beside the simulator's.

use skep_contract::{Company, EngineArena, in_step, on_engine};
use skep_simulator::Behaviour;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_engine_26_1_come_and_go_as_their_simulation_does() {
    let arena = EngineArena::start_cluster(Behaviour::V26_1).await.expect("a cluster");
    let (mut differences, mut number) = (Vec::new(), 0);
    for group in in_step() {
        differences.extend(on_engine(&group, number, &arena, Company::InStep).await);
        number += u8::try_from(group.len()).expect("few cases");
    }
    assert!(differences.is_empty(), "{} cases differ:\n{}", differences.len(), differences.join("\n"));
}
