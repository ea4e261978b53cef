//! The matrix: workflows without a fault, and with every one.
//!
//! With `SKEP_SIEVE=full` everything is tried that a campaign tries; what is to be told of it stands in lines that begin with
//! `campaign| `.

use anyhow::Result;
use skep_sieve::campaign::{self, Plan};
use skep_sieve::{Bench, Fault, Kind, workflows};
use skep_testbed::Postgres;

async fn bench(server: &Postgres) -> Result<Bench> {
    Bench::new(&server.create_database("sieve")?).await
}

#[test]
fn whatever_goes_wrong_at_whichever_call_the_end_is_the_same_and_then_there_is_silence() {
    let server = Postgres::shared().unwrap();
    let full = std::env::var("SKEP_SIEVE").is_ok_and(|value| value == "full");
    let plan = if full { Plan::full() } else { Plan::reduced() };
    let outcome = campaign::run(&server, &plan, &|failure| eprintln!("{failure}")).unwrap();
    for line in outcome.to_string().lines() {
        println!("campaign| {line}");
    }
    let total = outcome.total();
    assert!(total.run > 350, "{total:?}");
    assert!(outcome.failures.is_empty(), "{} failures, see above", outcome.failures.len());
    assert_eq!(total.passed, total.run);
}

#[tokio::test]
async fn the_same_seed_and_fault_give_the_same_trace() {
    let server = Postgres::shared().unwrap();
    let (mut one, mut two) = (bench(&server).await.unwrap(), bench(&server).await.unwrap());
    let workflow = workflows::by_name("rotate-secret").unwrap();
    for kind in [Kind::CrashAfter, Kind::Takeover, Kind::LostAnswer] {
        let fault = Some(Fault::new(kind, 1));
        let count = kind == Kind::LostAnswer;
        let first = one.run(workflow, 7, fault, count).await.unwrap();
        let second = two.run(workflow, 7, fault, count).await.unwrap();
        assert!(first.fired, "{kind}");
        assert_eq!(first.trace, second.trace, "{kind}");
    }
}

#[tokio::test]
async fn in_whatever_order_passes_are_made_a_workflow_comes_to_the_same() {
    let server = Postgres::shared().unwrap();
    let mut bench = bench(&server).await.unwrap();
    for name in ["create", "delete-organization"] {
        let workflow = workflows::by_name(name).unwrap();
        let first = bench.run(workflow, 0, None, false).await.unwrap();
        for seed in 1..4 {
            let other = bench.run(workflow, seed, None, false).await.unwrap();
            assert_ne!(first.trace, other.trace, "{name}, seed {seed}: it is another order");
            let differences = first.picture.differences(&other.picture);
            assert!(differences.is_empty(), "{name}, seed {seed}: {differences:#?}");
        }
    }
}
