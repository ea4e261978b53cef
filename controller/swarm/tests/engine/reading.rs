//! What is read: tasks, nodes, the engine itself, and answers with words nobody knows.

use skep_planner::swarm::{NodeRole, NodeState, ServiceMode, TaskState};
use skep_swarm::{
    ApiVersion, By, ClientOptions, EngineAddress, LabelFilter, SwarmApi, SwarmError, TaskFilter,
};
use skep_testbed::EngineVersion;

use crate::proxy::{Answers, Proxy};
use crate::setup::{client_with, engine, on_each_engine, running_task, service, update};

on_each_engine!(
    tasks_are_filtered_by_what_is_said,
    the_engine_and_its_node_are_known,
    a_word_nobody_knows_does_not_fail_a_list,
    an_answer_beyond_the_bound_is_refused,
);

async fn tasks_are_filtered_by_what_is_said(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let mut spec = service("web", &["sleep", "1000"]);
    let web = client.create_service(&spec, None).await.expect("created");
    let other = client.create_service(&service("other", &["sleep", "1000"]), None).await.expect("created");
    let first = running_task(&client, &TaskFilter::of_service(web.clone())).await;
    running_task(&client, &TaskFilter::of_service(other.clone())).await;

    spec.task_template.force_update = 1;
    update(&client, &web, &spec).await.expect("updated");
    let current = TaskFilter { up_to_date: Some(true), ..TaskFilter::of_service(web.clone()) };
    let second = running_task(&client, &current).await;
    assert_ne!(second.id, first.id);
    let wanted =
        TaskFilter { desired_states: vec![TaskState::Running], ..TaskFilter::of_service(web.clone()) };
    let tasks = client.list_tasks(&wanted).await.expect("tasks");
    assert_eq!(tasks.iter().map(|task| &task.id).collect::<Vec<_>>(), [&second.id]);

    let on_node = TaskFilter { node: second.node_id.clone(), ..TaskFilter::default() };
    assert_eq!(client.list_tasks(&on_node).await.expect("tasks").len(), 3, "the ended one is history");
    client.remove_service(&other).await.expect("removed");
    let gone = TaskFilter::of_service(other.clone());
    assert_eq!(client.list_tasks(&gone).await.expect("no tasks is no error"), []);
    let both = TaskFilter { services: vec![web.clone(), other], ..TaskFilter::default() };
    let tasks = client.list_tasks(&both).await.expect("a service that is gone hides no other");
    assert_eq!(tasks.iter().filter(|task| task.service_id.as_ref() == Some(&web)).count(), 2);
}

async fn the_engine_and_its_node_are_known(version: EngineVersion) {
    let (engine, client) = engine(version).await;
    let info = client.info().await.expect("info");
    let expected = match version {
        EngineVersion::V20_10 => ApiVersion { major: 1, minor: 41 },
        EngineVersion::V26_1 => ApiVersion { major: 1, minor: 45 },
    };
    assert_eq!(info.api_version, expected);
    assert!(info.engine_version.starts_with(version.prefix()), "{info:?}");
    assert!(info.is_manager && info.cluster_id.is_some(), "{info:?}");
    assert!(
        info.posture.security_options.iter().any(|option| option.starts_with("name=seccomp")),
        "{info:?}"
    );
    let nodes = client.list_nodes().await.expect("nodes");
    assert_eq!(nodes.len(), 1);
    assert_eq!(Some(&nodes[0].id), info.node_id.as_ref());
    assert_eq!(nodes[0].spec.role, Some(NodeRole::Manager));
    assert_eq!(nodes[0].status.state, Some(NodeState::Ready));
    assert_eq!(nodes[0].description.hostname, engine.name());
    assert_eq!(nodes[0].description.engine.engine_version, info.engine_version);
}

async fn a_word_nobody_knows_does_not_fail_a_list(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    let web = direct.create_service(&service("web", &["sleep", "1000"]), None).await.expect("created");
    running_task(&direct, &TaskFilter::of_service(web)).await;
    let proxy = Proxy::before(&engine.socket());
    let client = client_with(proxy.address(), ClientOptions::default()).await;
    proxy.answers(Answers::Reword(r#""State":"running""#, r#""State":"hovered""#));
    let tasks = client.list_tasks(&TaskFilter::default()).await.expect("tasks");
    assert_eq!(tasks[0].status.state, Some(TaskState::Other("hovered".to_owned())));
    proxy.answers(Answers::Reword(r#""Slot""#, r#""Slit""#));
    let tasks = client.list_tasks(&TaskFilter::default()).await.expect("tasks");
    assert_eq!(tasks[0].extra["Slit"], 1);
    proxy.answers(Answers::Reword(r#""Replicated":"#, r#""Replicated"!"#));
    let error = client.list_services(&LabelFilter::any()).await.expect_err("not JSON any more");
    assert!(matches!(error, SwarmError::Decode { .. }), "{error:?}");
}

async fn an_answer_beyond_the_bound_is_refused(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    for n in 0..20 {
        let mut spec = service(&format!("web-{n}"), &["sleep", "1000"]);
        spec.mode = Some(ServiceMode::replicated(0));
        direct.create_service(&spec, None).await.expect("created");
    }
    let options = ClientOptions { answer_limit: 4096, ..ClientOptions::default() };
    let client = client_with(EngineAddress::unix(engine.socket()), options).await;
    let error = client.list_services(&LabelFilter::any()).await.expect_err("too large");
    assert!(matches!(error, SwarmError::AnswerTooLarge { limit: 4096, .. }), "{error:?}");
    assert!(client.inspect_service(By::Name("web-1")).await.expect("a small answer").is_some());
}
