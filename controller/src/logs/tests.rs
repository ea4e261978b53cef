//! Output from an engine that is played here, line by line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use skep_api::wire::{InstanceState, LogEvent, LogGapReason, LogLine, LogPlace};
use skep_api::{LogItem, LogItems, LogRequest};
use skep_planner::swarm::ServiceId;
use skep_schemas::Uid;
use skep_swarm::{Call, LogLineStream, LogQuery, LogSource, SwarmError, Verb};
use tokio::sync::mpsc;

use super::engine::{Engine, Instance, Service};
use super::feed::{BYTES_MAX, EVENTS_MAX, Feed, Listener};
use super::line::LINE_BYTES_MAX;
use super::loki::Loki;
use super::loki::tests::{loki, streams};
use super::{Environment, Logs, line};

type Told = Result<skep_swarm::LogLine, SwarmError>;

/// An engine that keeps every line.
#[derive(Default)]
struct Played(Mutex<State>);

#[derive(Default)]
struct State {
    services: Vec<Service>,
    instances: HashMap<ServiceId, Vec<Instance>>,
    lines: HashMap<ServiceId, Vec<skep_swarm::LogLine>>,
    followers: Vec<(ServiceId, mpsc::UnboundedSender<Told>)>,
    is_down: bool,
    /// Followers that were ever accepted.
    opened: usize,
}

impl Played {
    fn of(processes: &[&str]) -> Arc<Self> {
        let played = Arc::new(Self::default());
        for process in processes {
            played.add(process);
        }
        played
    }

    fn add(&self, process: &str) {
        let mut state = self.0.lock().unwrap();
        let id = ServiceId::from(process);
        state.services.push(Service { id: id.clone(), process: process.parse().unwrap(), run: None });
        state.instances.insert(id, vec![instance(&format!("{process}task1"), 1, true)]);
    }

    /// A task writes a line at an instant.
    fn write(&self, service: &str, task: &str, at: Timestamp, text: &str) {
        let line = skep_swarm::LogLine {
            source: LogSource::Stdout,
            task: Some(task.into()),
            node: None,
            timestamp: at.to_string(),
            message: Bytes::copy_from_slice(text.as_bytes()),
        };
        let mut state = self.0.lock().unwrap();
        let id = ServiceId::from(service);
        state.lines.entry(id.clone()).or_default().push(line.clone());
        state.followers.retain(|(of, follower)| *of != id || follower.send(Ok(line.clone())).is_ok());
    }

    fn now(&self, service: &str, text: &str) {
        self.write(service, &format!("{service}task1"), Timestamp::now(), text);
    }

    fn cut(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_down = true;
        for (_, follower) in state.followers.drain(..) {
            let _ = follower.send(Err(broken()));
        }
    }

    fn mend(&self) {
        self.0.lock().unwrap().is_down = false;
    }
}

fn broken() -> SwarmError {
    let source = Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    SwarmError::Unavailable { call: Call::plain(Verb::ReadLogs), sent: true, source }
}

fn instance(id: &str, slot: u64, runs: bool) -> Instance {
    Instance { id: line::short(id), slot: Some(slot), runs, exit_code: (!runs).then_some(137) }
}

#[async_trait]
impl Engine for Played {
    async fn services(&self, _: Uid) -> Result<Vec<Service>, SwarmError> {
        let state = self.0.lock().unwrap();
        if state.is_down { Err(broken()) } else { Ok(state.services.clone()) }
    }

    async fn instances(&self, service: &ServiceId) -> Result<Vec<Instance>, SwarmError> {
        Ok(self.0.lock().unwrap().instances.get(service).cloned().unwrap_or_default())
    }

    async fn lines(&self, service: &ServiceId, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        let mut state = self.0.lock().unwrap();
        if state.is_down {
            return Err(broken());
        }
        let since = query.since.map_or(Timestamp::MIN, |since| Timestamp::from_second(since).unwrap());
        let all = state.lines.get(service).cloned().unwrap_or_default();
        let mut tasks: HashMap<String, Vec<Told>> = HashMap::new();
        for line in all.into_iter().filter(|line| line.timestamp.parse::<Timestamp>().unwrap() >= since) {
            tasks.entry(line.task.clone().unwrap().to_string()).or_default().push(Ok(line));
        }
        let tail = query.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap());
        let kept: Vec<Told> = tasks
            .into_values()
            .flat_map(|lines| {
                let skip = lines.len().saturating_sub(tail);
                lines.into_iter().skip(skip)
            })
            .collect();
        let kept = futures::stream::iter(kept);
        if !query.follow {
            return Ok(kept.boxed());
        }
        let (follower, lines) = mpsc::unbounded_channel();
        state.followers.push((service.clone(), follower));
        state.opened += 1;
        let live = futures::stream::unfold(lines, |mut lines| async move {
            let line = lines.recv().await?;
            Some((line, lines))
        });
        Ok(kept.chain(live).boxed())
    }
}

fn asked(follow: bool, tail: u32) -> LogRequest {
    LogRequest { process: None, run: None, instance: None, since: None, tail, follow, after: None }
}

fn environment() -> Environment {
    Environment {
        uid: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
        org: "acme".parse().unwrap(),
        name: "production".parse().unwrap(),
        made: Timestamp::UNIX_EPOCH,
    }
}

async fn read(logs: &Logs, request: LogRequest) -> LogItems {
    logs.read(environment(), request).await.expect("the engine answers")
}

async fn next(items: &mut LogItems) -> LogItem {
    let next = tokio::time::timeout(Duration::from_secs(60), items.next()).await;
    next.expect("in time").expect("it goes on").expect("no failure")
}

async fn texts(items: &mut LogItems, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        if let LogEvent::Line(line) = next(items).await.event {
            texts.push(line.text);
        }
    }
    texts
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn the_newest_lines_of_each_process_come_in_the_order_of_time_whichever_instance_wrote_them() {
    let engine = Played::of(&["web", "worker"]);
    for at in 0..10 {
        engine.write("web", if at % 2 == 0 { "webtask1" } else { "webtask2" }, second(at), &format!("w{at}"));
    }
    engine.write("worker", "workertask1", second(8), "job");
    let logs = Logs::of(engine, None);
    let items: Vec<LogItem> = read(&logs, asked(false, 3)).await.map(Result::unwrap).collect().await;
    let told: Vec<&LogLine> = items
        .iter()
        .map(|item| match &item.event {
            LogEvent::Line(line) => line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["w7", "w8", "job", "w9"]);
    assert_eq!((told[1].slot, told[0].slot), (Some(1), None), "an instance that is gone has no number");
    let only = LogRequest { instance: Some("1".parse().unwrap()), ..asked(false, 2) };
    let mut items = read(&logs, only).await;
    assert_eq!(texts(&mut items, 3).await, ["w6", "w8", "job"]);
}

#[tokio::test]
async fn what_loki_keeps_is_put_together_with_what_the_engine_keeps_and_missed_aloud() {
    let engine = Played::of(&["web"]);
    let before = Timestamp::now().checked_sub(Duration::from_secs(60)).unwrap();
    let at = |second: u64| before.checked_add(Duration::from_secs(second)).unwrap();
    engine.write("web", "webtask1", at(2), "both");
    engine.write("web", "webtask1", at(3), "too new for Loki");
    let nanos = |second: u64| at(second).as_nanosecond().to_string();
    let answer = streams(&serde_json::json!([
        {"stream": {"container_name": "acme_production_web.1.webtask1"}, "values": [[nanos(2), "both"]]},
        {"stream": {"container_name": "acme_production_web.2.webtaskgone"},
         "values": [[nanos(0), "older"], [nanos(1), "of one that is gone"]]},
    ]));
    let (url, asked_of_it) = loki("200 OK", answer).await;
    let logs = Logs::of(engine.clone(), Some(Arc::new(Loki::new(url).unwrap())));
    let mut items = read(&logs, asked(true, 3)).await;
    let told = texts(&mut items, 3).await;
    assert_eq!(told, ["of one that is gone", "both", "too new for Loki"]);
    engine.now("web", "live");
    assert_eq!(texts(&mut items, 1).await, ["live"]);
    drop(read(&logs, asked(true, 0)).await);
    assert_eq!(asked_of_it.lock().unwrap().len(), 1, "who wants no former lines does not wait for Loki");

    let (url, _) = loki("503 Service Unavailable", String::new()).await;
    let logs = Logs::of(engine, Some(Arc::new(Loki::new(url).unwrap())));
    let mut items = read(&logs, asked(false, 2)).await;
    let LogEvent::Gap(gap) = next(&mut items).await.event else { panic!("a gap") };
    assert!(gap.message.contains("Loki does not answer"), "{}", gap.message);
    assert_eq!(texts(&mut items, 2).await, ["too new for Loki", "live"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_joins_is_told_each_line_once_though_what_was_and_what_comes_overlap() {
    let engine = Played::of(&["web"]);
    for number in 0..5 {
        engine.now("web", &format!("before {number}"));
    }
    let logs = Logs::of(engine.clone(), None);
    let mut first = read(&logs, asked(true, 2)).await;
    assert_eq!(texts(&mut first, 2).await, ["before 3", "before 4"]);
    engine.now("web", "after");
    assert_eq!(texts(&mut first, 1).await, ["after"]);
    // Another one shares the reader, and one who asks for no former lines is told none.
    let mut second = read(&logs, asked(true, 0)).await;
    engine.now("web", "last");
    assert_eq!(texts(&mut first, 1).await, ["last"]);
    assert_eq!(texts(&mut second, 1).await, ["last"]);
    assert_eq!((engine.0.lock().unwrap().opened, logs.feeds.read()), (1, 1));
    drop((first, second));
    assert_eq!(logs.feeds.read(), 0, "a reader that nobody listens to ends");
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_told_and_what_was_printed_meanwhile_comes_when_it_is_back() {
    let engine = Played::of(&["web"]);
    let logs = Logs::of(engine.clone(), None);
    let mut items = read(&logs, asked(true, 0)).await;
    engine.now("web", "one");
    assert_eq!(texts(&mut items, 1).await, ["one"]);
    engine.cut();
    let LogEvent::Gap(lost) = next(&mut items).await.event else { panic!("a gap") };
    assert_eq!((lost.reason, lost.lines), (LogGapReason::Connection, None));
    engine.now("web", "unheard");
    engine.mend();
    let LogEvent::Gap(back) = next(&mut items).await.event else { panic!("a gap") };
    assert!(back.message.contains("is back"), "{}", back.message);
    engine.now("web", "two");
    assert_eq!(texts(&mut items, 2).await, ["unheard", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_stream_goes_on_exactly_where_it_was_even_at_another_server() {
    let engine = Played::of(&["web", "worker"]);
    let logs = Logs::of(engine.clone(), None);
    let mut items = read(&logs, asked(true, 10)).await;
    let now = Timestamp::now();
    // Both of one instant: what tells them apart is what they say.
    engine.write("web", "webtask1", now, "a");
    engine.write("web", "webtask1", now, "b");
    let mut place = None;
    for _ in 0..2 {
        place = next(&mut items).await.place.or(place);
    }
    drop(items);
    engine.write("web", "webtask1", now, "c");
    engine.write("worker", "workertask1", now.checked_sub(Duration::from_secs(3)).unwrap(), "late");
    let place: LogPlace = place.expect("an id").to_string().parse().unwrap();
    let other = Logs::of(engine.clone(), None);
    let mut items = read(&other, LogRequest { after: Some(place), ..asked(true, 0) }).await;
    assert_eq!(texts(&mut items, 2).await, ["late", "c"]);
    engine.now("web", "d");
    assert_eq!(texts(&mut items, 1).await, ["d"]);
}

#[tokio::test(start_paused = true)]
async fn instances_that_come_and_go_and_processes_that_are_new_are_told() {
    let engine = Played::of(&["web"]);
    let logs = Logs::of(engine.clone(), None);
    let mut items = read(&logs, asked(true, 0)).await;
    engine.now("web", "old");
    assert_eq!(texts(&mut items, 1).await, ["old"]);
    let instances = vec![instance("webtask1", 1, false), instance("webtask2", 1, true)];
    engine.0.lock().unwrap().instances.insert("web".into(), instances);
    let mut changes = Vec::new();
    while changes.len() < 2 {
        if let LogEvent::Instance(change) = next(&mut items).await.event {
            changes.push((change.instance, change.slot, change.state, change.exit_code));
        }
    }
    assert_eq!(
        changes,
        [
            ("webtask1".to_owned(), Some(1), InstanceState::Ended, Some(137)),
            ("webtask2".to_owned(), Some(1), InstanceState::Running, None)
        ]
    );
    engine.now("worker", "its first line");
    engine.add("worker");
    assert_eq!(texts(&mut items, 1).await, ["its first line"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_held_within_bounds_and_who_is_slow_is_told_how_much_is_missing_and_delays_nobody() {
    const FLOOD: u64 = 300_000;
    let feed = Arc::new(Feed::new());
    let (mut slow, mut quick) = (Listener::new(&feed, None), Listener::new(&feed, None));
    let reading = tokio::spawn(async move {
        let mut told = 0;
        let mut missed = 0;
        while let Some(batch) = quick.next().await {
            missed += batch.missed;
            told += u64::try_from(batch.events.len()).unwrap();
        }
        (told, missed)
    });
    let before = std::time::Instant::now();
    let web = "web".parse().unwrap();
    for number in 0..FLOOD / 100 {
        let lines = (0..100).map(|line| skep_swarm::LogLine {
            source: LogSource::Stdout,
            task: Some("webtask1".into()),
            node: None,
            timestamp: second(i64::try_from(number).unwrap()).to_string(),
            message: Bytes::from(format!("{number} {line} {}", "x".repeat(400))),
        });
        feed.push(lines.map(|told| line::read(told, &web, &HashMap::new())));
        let (events, bytes) = feed.holds();
        assert!(events <= EVENTS_MAX && bytes <= BYTES_MAX, "{events} {bytes}");
        if number % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let rate = 300_000.0 / before.elapsed().as_secs_f64();
    feed.close();
    let (told, missed) = reading.await.unwrap();
    assert_eq!(told + missed, FLOOD, "no line is lost without a word");
    // The slow one took nothing until now: what is there still, and the length of what is not.
    let batch = slow.next().await.expect("what is there");
    let (events, _) = feed.holds();
    assert_eq!(batch.missed + u64::try_from(events).unwrap(), FLOOD);
    let mut rest = batch.events.len();
    while let Some(batch) = slow.next().await {
        assert_eq!(batch.missed, 0);
        rest += batch.events.len();
    }
    assert_eq!(rest, events);
    println!("{rate:.0} lines/s through a feed with a slow and a quick listener");
}

#[test]
fn a_line_that_is_too_long_is_cut_and_says_so_and_what_the_engine_says_of_itself_is_a_gap() {
    let long = |source, length: usize| skep_swarm::LogLine {
        source,
        task: Some("abcdefghijklmnopqrstuvwxy".into()),
        node: None,
        timestamp: "2026-01-02T03:04:05.000000006Z".to_owned(),
        message: Bytes::from("x".repeat(length)),
    };
    let web = "web".parse().unwrap();
    let read = |source, length| line::read(long(source, length), &web, &HashMap::new());
    let LogEvent::Line(cut) = read(LogSource::Stderr, LINE_BYTES_MAX + 1) else { panic!("a line") };
    assert!(cut.cut && cut.text.len() == LINE_BYTES_MAX && cut.instance == "abcdefghijkl");
    let LogEvent::Line(whole) = read(LogSource::Stdout, LINE_BYTES_MAX) else { panic!("a line") };
    assert!(!whole.cut && whole.at.subsec_nanosecond() == 6);
    let LogEvent::Gap(gap) = read(LogSource::Engine, 5) else { panic!("a gap") };
    assert!(gap.reason == LogGapReason::Unreadable && !gap.message.contains("xxxxx"), "{gap:?}");
}
