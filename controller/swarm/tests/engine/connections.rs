//! Connections: how many, and what is said when they fail.

use std::time::Duration;

use skep_planner::swarm::ServiceId;
use skep_swarm::{
    By, ClientOptions, Effect, EngineAddress, LabelFilter, LogQuery, LogTarget, SwarmApi, SwarmError,
};
use skep_testbed::EngineVersion;

use crate::proxy::{Answers, Proxy};
use crate::setup::{client_with, engine, network, on_each_engine, service, soon};

on_each_engine!(
    a_hundred_inspects_in_a_row_open_one_connection,
    calls_at_once_are_bounded_and_all_answered,
    a_lost_answer_to_a_mutation_leaves_its_effect_unknown,
    an_engine_that_restarts_is_found_again,
    a_stream_that_nobody_reads_any_more_closes_its_connection,
);

async fn a_hundred_inspects_in_a_row_open_one_connection(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    let id = direct.create_service(&service("web", &["sleep", "1000"]), None).await.expect("created");
    let proxy = Proxy::before(&engine.socket());
    let client = client_with(proxy.address(), ClientOptions::default()).await;
    for _ in 0..100 {
        let service = client.inspect_service(By::Id(&id)).await.expect("an answer").expect("the service");
        assert_eq!(service.id, id);
    }
    assert_eq!(proxy.accepted(), 1);
}

async fn calls_at_once_are_bounded_and_all_answered(version: EngineVersion) {
    let (engine, _) = engine(version).await;
    let proxy = Proxy::before(&engine.socket());
    let options = ClientOptions { concurrent_calls: 3, ..ClientOptions::default() };
    let client = client_with(proxy.address(), options).await;
    let calls =
        (0..60).map(|_| async { client.list_services(&LabelFilter::any()).await.map(|list| list.len()) });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(0))), "{answers:?}");
    assert!(proxy.accepted() <= 3, "{} connections", proxy.accepted());
}

async fn a_lost_answer_to_a_mutation_leaves_its_effect_unknown(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    let proxy = Proxy::before(&engine.socket());
    let options = ClientOptions { request_timeout: Duration::from_secs(1), ..ClientOptions::default() };
    let client = client_with(proxy.address(), options).await;
    client.ping().await.expect("an answer");

    proxy.answers(Answers::Vanish);
    let error = client.create_network(&network("acme-one", 91)).await.expect_err("no answer");
    assert!(matches!(error, SwarmError::Timeout { sent: true, .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::Unknown);
    let error = client.list_services(&LabelFilter::any()).await.expect_err("no answer");
    assert_eq!(error.effect(), Effect::None, "reading has no effect");

    proxy.answers(Answers::Close);
    let error = client.create_network(&network("acme-two", 92)).await.expect_err("no answer");
    assert!(matches!(error, SwarmError::Unavailable { sent: true, .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::Unknown);

    for name in ["acme-one", "acme-two"] {
        soon("a network that was made though nobody heard", || async {
            direct.inspect_network(By::Name(name)).await.expect("an answer")
        })
        .await;
    }
}

async fn an_engine_that_restarts_is_found_again(version: EngineVersion) {
    let (mut engine, client) = engine(version).await;
    client.create_service(&service("web", &["sleep", "1000"]), None).await.expect("created");
    engine.node_mut().kill_engine().expect("killed");
    let error = client.remove_service(&ServiceId::from("web")).await.expect_err("nobody there");
    assert!(matches!(error, SwarmError::Unavailable { .. }), "{error:?}");
    let error = client.remove_service(&ServiceId::from("web")).await.expect_err("nobody there");
    assert!(matches!(error, SwarmError::Unavailable { sent: false, .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::None, "there was no connection to send on");
    engine.node_mut().start_engine().expect("started");
    soon("the services after the restart", || async {
        client.list_services(&LabelFilter::any()).await.ok().filter(|services| services.len() == 1)
    })
    .await;
}

async fn a_stream_that_nobody_reads_any_more_closes_its_connection(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    let id = direct.create_service(&service("web", &["sleep", "1000"]), None).await.expect("created");
    let proxy = Proxy::before(&engine.socket());
    let client = client_with(proxy.address(), ClientOptions::default()).await;
    client.ping().await.expect("an answer");
    let hints = client.events().await.expect("events");
    let query = LogQuery { follow: true, ..LogQuery::default() };
    let lines = client.logs(&LogTarget::Service(id), &query).await.expect("a log");
    client.ping().await.expect("streams take no call's turn");
    let calls = proxy.open() - 2;
    drop((hints, lines));
    soon("the streams' connections to close", || async { (proxy.open() == calls).then_some(()) }).await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_said_by_its_path() {
    let client = client_with(EngineAddress::unix("/nonexistent/engine.sock"), ClientOptions::default()).await;
    let error = client.ping().await.expect_err("nobody there");
    assert!(matches!(error, SwarmError::Unavailable { sent: false, .. }), "{error:?}");
    let mut causes = String::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(causes.contains("/nonexistent/engine.sock"), "{causes}");
}
