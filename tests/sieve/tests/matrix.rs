//! Workflows without and with faults.

use skep_sieve::{Bench, workflows};
use skep_testbed::Postgres;

#[tokio::test]
async fn a_workflow_comes_to_rest_and_is_then_silent() {
    let server = Postgres::shared().unwrap();
    let url = server.create_database("sieve").unwrap();
    let mut bench = Bench::new(&url).await.unwrap();
    for name in ["create", "rotate-secret", "adopt"] {
        let workflow = workflows::by_name(name).unwrap();
        let run = bench.run(workflow, 0, None, false).await.unwrap();
        assert!(run.noise.is_empty(), "{}: {:#?}\n{}", workflow.name, run.noise, run.trace.join("\n"));
    }
}
