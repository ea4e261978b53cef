//! Logs and events.

use std::time::Duration;

use futures::StreamExt;
use skep_swarm::{
    ClientOptions, HintKind, LogLine, LogQuery, LogSource, LogTarget, SwarmApi, SwarmError, TaskFilter,
};
use skep_testbed::EngineVersion;

use crate::proxy::{Answers, Proxy};
use crate::setup::{SOON, client_with, engine, network, on_each_engine, running_task, service, soon};

on_each_engine!(
    lines_tell_who_wrote_them_and_where,
    changes_give_hints,
    a_stream_whose_other_end_vanished_ends,
);

const TALK: &str = "echo one; echo two >&2; echo three; exec sleep 1000";

async fn lines_tell_who_wrote_them_and_where(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let id = client.create_service(&service("talk", &["sh", "-c", TALK]), None).await.expect("created");
    let task = running_task(&client, &TaskFilter::of_service(id.clone())).await;
    let target = LogTarget::Service(id.clone());
    let read = |target: LogTarget, query: LogQuery| {
        let client = client.clone();
        async move {
            let lines = client.logs(&target, &query).await.expect("a log");
            lines.map(|line| line.expect("a line")).collect::<Vec<LogLine>>().await
        }
    };
    let lines = soon("three lines", || async {
        Some(read(target.clone(), LogQuery::default()).await).filter(|lines| lines.len() == 3)
    })
    .await;
    let written = |source: LogSource| {
        lines
            .iter()
            .filter(|line| line.source == source)
            .map(|line| line.message.as_ref())
            .collect::<Vec<_>>()
    };
    assert_eq!(written(LogSource::Stdout), [&b"one"[..], b"three"]);
    assert_eq!(written(LogSource::Stderr), [b"two"]);
    for line in &lines {
        assert_eq!((line.task.as_ref(), line.node.as_ref()), (Some(&task.id), task.node_id.as_ref()));
        assert!(line.timestamp.ends_with('Z'), "{line:?}");
    }
    let last =
        read(LogTarget::Task(task.id.clone()), LogQuery { tail: Some(1), ..LogQuery::default() }).await;
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].task, Some(task.id));
    let later = LogQuery { since: Some(4_000_000_000), ..LogQuery::default() };
    assert_eq!(read(target.clone(), later).await, []);

    let follow = LogQuery { follow: true, ..LogQuery::default() };
    let mut followed = client.logs(&target, &follow).await.expect("a log");
    for _ in 0..3 {
        let line = tokio::time::timeout(SOON, followed.next()).await.expect("in time");
        line.expect("a line").expect("readable");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(300), followed.next()).await;
    assert!(quiet.is_err(), "a followed log waits for more: {quiet:?}");

    let error =
        client.logs(&LogTarget::Service("nonesuch".into()), &follow).await.err().expect("no such log");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
}

async fn changes_give_hints(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let mut hints = client.events().await.expect("events");
    let net = client.create_network(&network("acme", 94)).await.expect("created");
    let web = client.create_service(&service("web", &["sleep", "1000"]), None).await.expect("created");
    let (mut saw_network, mut saw_service, mut saw_container) = (false, false, false);
    while !(saw_network && saw_service && saw_container) {
        let hint = tokio::time::timeout(SOON, hints.next()).await.expect("in time").expect("a hint");
        let hint = hint.expect("readable");
        assert!(hint.time_nanos > 0, "{hint:?}");
        match hint.kind {
            HintKind::Network if hint.id == net.as_str() && hint.action == "create" => {
                assert_eq!(hint.name.as_deref(), Some("acme"));
                saw_network = true;
            }
            HintKind::Service if hint.id == web.as_str() && hint.action == "create" => {
                assert_eq!(hint.name.as_deref(), Some("web"));
                saw_service = true;
            }
            HintKind::Container if hint.action == "start" => {
                assert_eq!(hint.service_id(), Some(web.clone()));
                assert!(hint.task_id().is_some());
                saw_container = true;
            }
            _ => {}
        }
    }
}

async fn a_stream_whose_other_end_vanished_ends(version: EngineVersion) {
    let (engine, direct) = engine(version).await;
    let proxy = Proxy::before(&engine.socket());
    let options = ClientOptions { events_idle: Duration::from_secs(2), ..ClientOptions::default() };
    let client = client_with(proxy.address(), options).await;
    let mut hints = client.events().await.expect("events");
    direct.create_network(&network("heard", 94)).await.expect("created");
    let first = tokio::time::timeout(SOON, hints.next()).await.expect("in time").expect("a hint");
    assert_eq!(first.expect("readable").name.as_deref(), Some("heard"));

    proxy.answers(Answers::Vanish);
    direct.create_network(&network("unheard", 95)).await.expect("created");
    let end = loop {
        match tokio::time::timeout(SOON, hints.next()).await.expect("the stream does not hang") {
            Some(Ok(before)) => assert_eq!(before.name.as_deref(), Some("heard")),
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(SwarmError::Timeout { .. }))), "{end:?}");
    assert!(hints.next().await.is_none());
}
