//! The suite on Docker Engine 20.10, and each account beside the simulator's.

use skep_contract::{Company, EngineArena, alone, on_engine, together};
use skep_simulator::Behaviour;

#[tokio::test(flavor = "multi_thread")]
async fn engine_20_10_and_its_simulation_give_the_same_accounts() {
    let arena = EngineArena::start(Behaviour::V20_10).await.expect("an engine");
    let mut differences = on_engine(&together(), 0, &arena, Company::Some).await;
    let first = u8::try_from(together().len()).expect("few cases");
    differences.extend(on_engine(&alone(), first, &arena, Company::None).await);
    assert!(differences.is_empty(), "{} cases differ:\n{}", differences.len(), differences.join("\n"));
}
