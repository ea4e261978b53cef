//! The suite on the simulator, in no time.

use skep_contract::{Case, Outcome, alone, in_step, on_simulator, together};
use skep_simulator::Behaviour;

fn all() -> Vec<Case> {
    [together(), alone(), in_step().concat()].concat()
}

async fn passes(behaviour: Behaviour) {
    let cases = all();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut failed = Vec::new();
    for (case, number) in cases.iter().zip(0..) {
        if let Outcome::Failed(why) = on_simulator(case, number, behaviour).await {
            failed.push(format!("{}: {why}", case.name));
        }
    }
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[tokio::test]
async fn the_simulated_engine_20_10_keeps_the_contract() {
    passes(Behaviour::V20_10).await;
}

#[tokio::test]
async fn the_simulated_engine_26_1_keeps_the_contract() {
    passes(Behaviour::V26_1).await;
}

#[tokio::test]
async fn equal_runs_give_equal_accounts() {
    for (case, number) in all().iter().zip(0..) {
        let first = on_simulator(case, number, Behaviour::V26_1).await;
        let second = on_simulator(case, number, Behaviour::V26_1).await;
        if first != second {
            panic!("{}: {first:?}\n{second:?}", case.name);
        }
    }
}
