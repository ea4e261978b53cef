//! Readings from an engine that is played here.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::json;
use skep_api::wire::{MetricsView, UnreadReason};
use skep_planner::swarm::{ContainerId, ContainerStats, NodeId};
use skep_schemas::Uid;
use skep_swarm::{Call, SwarmError, Verb};
use tokio::time::{Instant, advance};

use super::engine::{Engine, Found, Instance};
use super::{AT_ONCE, AT_ONCE_FOR_ONE, FRESH, KNOWN_MAX, Meter, PATIENCE, READ_MAX};

/// An engine whose containers use a quarter of a core each, and a kilobyte each second.
#[derive(Default)]
struct Played {
    found: Mutex<Found>,
    /// Containers that it never answers for.
    stuck: HashSet<&'static str>,
    /// Containers that are gone.
    gone: HashSet<&'static str>,
    /// How long a reading takes.
    takes: Duration,
    began: Mutex<Option<Instant>>,
    lists: AtomicUsize,
    reads: Mutex<HashMap<String, usize>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    is_down: bool,
}

#[async_trait]
impl Engine for Played {
    async fn running(&self, _: Uid) -> Result<Found, SwarmError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        if self.is_down {
            let source = Arc::new(std::io::Error::other("nobody there"));
            return Err(SwarmError::Unavailable { call: Call::plain(Verb::Info), sent: false, source });
        }
        Ok(self.found.lock().unwrap().clone())
    }

    async fn stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        *self.reads.lock().unwrap().entry(container.to_string()).or_default() += 1;
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        if self.stuck.contains(container.as_str()) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.takes).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.gone.contains(container.as_str()) {
            return Ok(None);
        }
        let began = *self.began.lock().unwrap().get_or_insert_with(Instant::now);
        let passed = began.elapsed();
        let at = jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(1_000) + passed;
        let nanos = u64::try_from(passed.as_nanos()).unwrap();
        Ok(Some(
            serde_json::from_value(json!({
                "read": at.to_string(), "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000 + nanos / 4}},
                "memory_stats": {"usage": 5000, "limit": 10_000, "stats": {"inactive_file": 1000}},
                "networks": {"eth0": {"rx_bytes": nanos / 1_000_000, "tx_bytes": 7}},
            }))
            .unwrap(),
        ))
    }
}

fn instance(process: &str, slot: u64, node: &str) -> Instance {
    Instance {
        process: process.parse().unwrap(),
        slot: Some(slot),
        id: format!("{process}{slot}"),
        node: Some(NodeId::from(node)),
        container: Some(ContainerId::from(format!("{process}{slot}").as_str())),
        cpu_limit: Some(500_000_000),
    }
}

impl Played {
    fn of(instances: Vec<Instance>) -> Self {
        let node = Some(NodeId::from("here"));
        Self { found: Mutex::new(Found { node, instances }), ..Self::default() }
    }

    fn reads(&self, container: &str) -> usize {
        self.reads.lock().unwrap().get(container).copied().unwrap_or_default()
    }
}

fn uid(number: u128) -> Uid {
    uuid(number).parse().unwrap()
}

fn uuid(number: u128) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

fn unread(view: &MetricsView) -> Vec<Option<UnreadReason>> {
    view.items.iter().map(|item| item.unread.as_ref().map(|unread| unread.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_instance_is_told_and_those_on_other_nodes_as_what_cannot_be_read_from_here() {
    let found = vec![instance("worker", 1, "there"), instance("web", 2, "here"), instance("web", 1, "here")];
    let meter = Meter::of(Arc::new(Played::of(found)));
    let view = meter.read(uid(1)).await.unwrap();
    let names: Vec<_> = view.items.iter().map(|item| item.instance.as_str()).collect();
    assert_eq!(names, ["web1", "web2", "worker1"]);
    let usage = view.items[0].usage.clone().unwrap();
    assert_eq!((usage.cpu.cores, usage.cpu.limit, usage.cpu.share), (Some(0.25), Some(0.5), Some(0.5)));
    let memory = &usage.memory;
    assert_eq!((memory.used_bytes, memory.working_set_bytes, memory.limit_bytes), (5000, 4000, Some(10_000)));
    assert_eq!(memory.share, Some(0.4));
    let network = usage.network.unwrap();
    assert_eq!((network.sent_bytes, network.received_each_second), (7, Some(1000)));
    let away = &view.items[2];
    assert_eq!(away.usage, None);
    assert_eq!(away.unread.clone().unwrap().message, "cannot be read from here: runs on another node");
    assert_eq!((view.unread, view.total.cpu.cores, view.total.cpu.limit), (1, Some(0.5), Some(1.0)));
    assert_eq!((view.total.memory.working_set_bytes, view.total.memory.limit_bytes), (8000, Some(20_000)));
}

#[tokio::test(start_paused = true)]
async fn many_who_look_at_once_cost_the_engine_as_much_as_one() {
    let engine = Arc::new(Played::of(vec![instance("web", 1, "here")]));
    let meter = Meter::of(engine.clone());
    let all = join_all((0..50).map(|_| meter.read(uid(1)))).await;
    assert!(all.iter().all(|view| view.as_ref().unwrap() == all[0].as_ref().unwrap()));
    assert_eq!((engine.lists.load(Ordering::SeqCst), engine.reads("web1")), (1, 2), "an average takes two");
    advance(FRESH).await;
    let next = meter.read(uid(1)).await.unwrap();
    assert_eq!((engine.lists.load(Ordering::SeqCst), engine.reads("web1")), (2, 3), "the last one is before");
    assert_eq!(next.items[0].usage.as_ref().unwrap().cpu.cores, Some(0.25));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_the_engine_does_not_answer_for_holds_nobody_up_beyond_its_deadline() {
    let found = vec![instance("web", 1, "here"), instance("web", 2, "here"), instance("web", 3, "here")];
    let played = Played::of(found);
    let engine = Played { stuck: ["web1"].into(), gone: ["web3"].into(), ..played };
    let meter = Meter::of(Arc::new(engine));
    let began = Instant::now();
    let view = meter.read(uid(1)).await.unwrap();
    assert!(began.elapsed() < PATIENCE + Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(unread(&view), [Some(UnreadReason::NoAnswer), None, Some(UnreadReason::Ended)]);
    assert_eq!(view.items[1].usage.as_ref().unwrap().cpu.cores, Some(0.25));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_at_once_than_is_good_for_the_engine_and_the_rest_is_told_as_not_read() {
    let many = u64::try_from(READ_MAX).unwrap() + 3;
    let played = Played::of((1..=many).map(|slot| instance("web", slot, "here")).collect());
    let engine = Arc::new(Played { takes: Duration::from_millis(10), ..played });
    let meter = Meter::of(engine.clone());
    let view = meter.read(uid(1)).await.unwrap();
    assert_eq!(engine.most_at_once.load(Ordering::SeqCst), AT_ONCE_FOR_ONE);
    assert_eq!((view.unread, view.items.len()), (3, READ_MAX + 3));
    assert_eq!(unread(&view).last(), Some(&Some(UnreadReason::TooMany)));
    join_all((2..20).map(|number| meter.read(uid(number)))).await;
    assert_eq!(engine.most_at_once.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_has_a_bound_and_goes_when_nobody_asks() {
    let engine = Arc::new(Played::of(Vec::new()));
    let meter = Meter::of(engine.clone());
    for number in 0..=KNOWN_MAX {
        meter.read(uid(u128::try_from(number).unwrap())).await.unwrap();
    }
    assert_eq!(meter.known.lock().unwrap().len(), KNOWN_MAX);
    advance(super::BEFORE_MAX).await;
    meter.read(uid(1)).await.unwrap();
    assert_eq!(meter.known.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_down_is_asked_once_by_all_who_look_and_again_later() {
    let engine = Arc::new(Played { is_down: true, ..Played::default() });
    let meter = Meter::of(engine.clone());
    let all = join_all((0..20).map(|_| meter.read(uid(1)))).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(engine.lists.load(Ordering::SeqCst), 1);
    advance(FRESH).await;
    assert!(meter.read(uid(1)).await.is_err());
    assert_eq!(engine.lists.load(Ordering::SeqCst), 2);
}
