//! What many ask at once is answered as it is answered to one.

use std::sync::Arc;

use futures::future::{join, join_all};
use skep_planner::swarm::ServiceMode;
use skep_swarm::{By, Gathered, SwarmApi, TaskFilter};
use skep_testbed::EngineVersion;

use crate::setup::{engine, on_each_engine, running_task, service};

on_each_engine!(gathered_answers_are_those_that_each_would_have_had);

/// More than go into one call.
const SERVICES: usize = 70;

async fn gathered_answers_are_those_that_each_would_have_had(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let client = Arc::new(client);
    // Each name but the first few is the beginning of another, which is all that the engine's own filter looks at.
    let names: Vec<String> = (0..SERVICES).map(|number| format!("copy-{number}")).collect();
    for name in &names {
        let mut spec = service(name, &["sleep", "1000"]);
        spec.mode = Some(ServiceMode::replicated(u64::from(name == "copy-1")));
        client.create_service(&spec, None).await.expect("created");
    }
    let one = client.inspect_service(By::Name("copy-1")).await.expect("an answer").expect("it is there").id;
    running_task(&client, &TaskFilter::of_service(one.clone())).await;
    let gone = client.inspect_service(By::Name("copy-2")).await.expect("an answer").expect("it is there").id;
    client.remove_service(&gone).await.expect("removed");

    let gathered = Gathered::new(client.clone());
    let asked: Vec<String> = names.iter().cloned().chain(["copy".to_owned(), "Copy-3".to_owned()]).collect();
    let together = join_all(asked.iter().map(|name| gathered.inspect_service(By::Name(name)))).await;
    let mut ids = vec![gone];
    for (name, together) in asked.iter().zip(together) {
        let alone = client.inspect_service(By::Name(name)).await.expect("an answer");
        let together = together.expect("an answer");
        ids.extend(together.iter().map(|service| service.id.clone()));
        assert_eq!(together, alone, "{name}");
    }
    assert_eq!(ids.len(), SERVICES, "one that is gone, and all others");

    let filters: Vec<TaskFilter> = ids.iter().cloned().map(TaskFilter::of_service).collect();
    let together = join_all(filters.iter().map(|filter| gathered.list_tasks(filter))).await;
    for (id, tasks) in ids.iter().zip(together) {
        let tasks = tasks.expect("a service that is gone hides no other");
        assert_eq!(tasks.len(), usize::from(*id == one), "{id}");
    }
    let (nodes, network) = join(gathered.list_nodes(), gathered.inspect_network(By::Name("ingress"))).await;
    assert_eq!(nodes.expect("nodes"), client.list_nodes().await.expect("nodes"));
    assert_eq!(network.expect("an answer").expect("it is there").name, "ingress");
}
