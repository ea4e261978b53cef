//! Whole waits over a connection that breaks: they end as they should, and they always end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use skep_api::wire::{EVENT_STREAM, ResourceView};

use super::*;
use crate::address::key_of;
use crate::fixture::{ready, rolling_out, stalled};
use crate::loopback::{answer, client, server};
use crate::wait::{Goal, Seen, Target};

fn event(name: &str, id: &str, view: &ResourceView) -> String {
    format!("event: {name}\nid: {id}\ndata: {}\n\n", json!({"type": name, "resource": view}))
}

fn snapshot(view: &ResourceView) -> String {
    event("added", "c1", view) + "event: bookmark\nid: c1\ndata: {\"type\":\"bookmark\"}\n\n"
}

/// Waits for the environment to be ready, on a server that sends one of these streams for each connection, and nothing but
/// 503 after the last.
async fn wait_for(streams: Vec<String>, timeout: Duration) -> End {
    let next = Arc::new(AtomicUsize::new(0));
    let url = server(move |_| match streams.get(next.fetch_add(1, Ordering::SeqCst)) {
        Some(stream) => answer(200, EVENT_STREAM, stream),
        None => answer(503, "text/plain", "restarting"),
    })
    .await;
    let mut tracker = Tracker::default();
    tracker.add(key_of(&ready(1)).unwrap(), Target::named(Goal::Ready), Seen::Nothing);
    run(&client(&url), tracker, timeout, Display::Lines(BTreeMap::new())).await.unwrap()
}

#[tokio::test]
async fn a_wait_ends_when_the_roll_out_has_converged_although_the_connection_broke_before() {
    let streams = vec![snapshot(&rolling_out(2, 0)), event("modified", "c2", &ready(2))];
    assert_eq!(wait_for(streams, Duration::from_secs(30)).await, End::Reached);
}

#[tokio::test]
async fn a_wait_ends_early_when_the_roll_out_has_failed() {
    let end = wait_for(vec![snapshot(&stalled(2))], Duration::from_secs(30)).await;
    let End::Failed(lines) = end else { panic!("{end:?}") };
    assert!(lines[0].starts_with("acme/Environment/shop: RolledBack: "), "{lines:?}");
}

#[tokio::test]
async fn a_wait_ends_at_its_time_whatever_the_server_does() {
    let end = wait_for(vec![snapshot(&rolling_out(2, 1))], Duration::from_millis(300)).await;
    let End::TimedOut(lines) = end else { panic!("{end:?}") };
    assert_eq!(lines, ["acme/Environment/shop: RollingOut: tasks are being replaced"]);
}
