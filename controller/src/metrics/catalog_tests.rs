//! The guide lists exactly the metrics that there are, and every rule and panel speaks of one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use skep_executor::StepWatch;
use skep_planner::swarm::NetworkId;
use skep_planner::{Cost, ObjectKind, ObjectRef, Op, Step};
use skep_runtime::{
    BackgroundTask, Classify, Controller, ControllerOptions, Disposition, Entropy, Environs, Outcome, Pass,
    QueueOptions, Reconciler, Shutdown, SystemClock, TaskContext, TaskReport, TaskSpec, WorkQueue,
};
use skep_schemas::Reason;
use skep_store::StepOutcome;
use skep_swarm::{Hint, HintKind, Verb};

use super::*;

/// Labels that may stand on a metric: their values are words of the program, or names of leases.
const LABELS: [&str; 19] = [
    "class",
    "controller",
    "follower",
    "kind",
    "lease",
    "le",
    "method",
    "object",
    "outcome",
    "policy",
    "priority",
    "ready",
    "reason",
    "result",
    "route",
    "state",
    "status",
    "task",
    "verb",
];

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

struct Nothing;

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Classify for Never {
    fn disposition(&self) -> Disposition {
        Disposition::Retry
    }
}

impl Reconciler<String> for Nothing {
    type Error = Never;

    async fn reconcile(&self, _: &String, _: &Pass) -> Result<Outcome, Never> {
        Ok(Outcome::AwaitChange)
    }
}

impl BackgroundTask for Nothing {
    type Error = Never;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, Never> {
        Ok(TaskReport::idle())
    }
}

/// What a server shows after everything that is counted has happened once: families without members are not shown.
async fn everything() -> BTreeMap<String, Entry> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let environs = Environs { clock: Arc::new(SystemClock), entropy: Entropy::seeded(1) };
    let shutdown = Shutdown::new();
    let tasks = Arc::new(TaskDriver::new(environs.clone(), shutdown.clone()));
    tasks.start(TaskSpec::new("nothing", Duration::from_secs(60)), || Nothing);
    let none = || Connections { used: 0, idle: 0, max: 0 };
    Metrics::watch(&mut registry, none, Arc::clone(&tasks));
    let api = skep_api::Metrics::register(&mut registry);
    api.answered(&Method::GET, "/metrics", StatusCode::OK, Duration::ZERO);

    let options = ControllerOptions::default();
    let queue: WorkQueue<String, ()> =
        WorkQueue::new(QueueOptions::for_workers(options.workers), Arc::clone(&environs.clock), |_| ());
    let controller = Controller::new("resource", options, queue, Nothing, environs, metrics.runtime.clone());
    let stop = shutdown.clone();
    tokio::spawn(async move { stop.begin() });
    controller.run(&shutdown).await;

    let op = Op::RemoveNetwork { id: NetworkId::from("n1") };
    let step = Step::new(ObjectRef::new(ObjectKind::Network, "net"), op, "", Cost::Delete);
    metrics.convergence.ended(&step, &StepOutcome::Conflict, Duration::ZERO);
    metrics.engine.called(Verb::Ping, None, Duration::ZERO);
    metrics.engine.heard(&Hint {
        kind: HintKind::Service,
        id: String::new(),
        name: None,
        action: String::new(),
        time_nanos: 0,
        attributes: BTreeMap::new(),
    });
    metrics.own_writes.wrote(HintKind::Service, "s1", Instant::now());
    metrics.leases.known("controller");
    metrics.followers.began("changes");
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    entries(&text)
}

/// The families of a scrape, by the name of their samples (a counter's carries `_total`).
fn entries(text: &str) -> BTreeMap<String, Entry> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    let mut current = String::new();
    let mut help = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, text] => drop(help.insert((*name).to_owned(), (*text).to_owned())),
            ["#", "TYPE", name, kind] => {
                let suffix = if *kind == "counter" { "_total" } else { "" };
                current = format!("{name}{suffix}");
                let help = help.remove(*name).unwrap_or_default();
                let entry = Entry { kind: (*kind).to_owned(), help, labels: BTreeSet::new() };
                assert!(found.insert(current.clone(), entry).is_none(), "{current} is registered twice");
            }
            ["#", ..] => {}
            _ => {
                let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
                let pairs = labels.map(|(labels, _)| labels.split("\",")).into_iter().flatten();
                let names = pairs.filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned());
                found.get_mut(&current).unwrap().labels.extend(names);
            }
        }
    }
    found
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table(entries: &BTreeMap<String, Entry>) -> String {
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, Entry { kind, help, labels }) in entries {
        let labels: Vec<&str> = labels.iter().map(String::as_str).filter(|label| *label != "le").collect();
        let help = help.trim_end_matches('.');
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    table
}

#[tokio::test]
async fn the_guide_lists_every_metric_with_its_type_labels_and_meaning_and_no_other() {
    const BEGIN: &str = "<!-- metrics: begin -->\n";
    const END: &str = "<!-- metrics: end -->\n";
    let path = workspace().join("docs/guides/metrics.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let found = table(&everything().await);
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{found}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, found, "run with SKEP_BLESS=1 to write the table anew");
    }
}

#[tokio::test]
async fn names_say_their_unit_and_labels_are_bounded() {
    for (name, entry) in everything().await {
        assert!(name.starts_with("skep_"), "{name}");
        assert!(!entry.help.is_empty(), "{name} has no help");
        assert_eq!(name.ends_with("_total"), entry.kind == "counter", "{name}: {entry:?}");
        assert!(entry.kind != "histogram" || name.ends_with("_seconds"), "{name}: {entry:?}");
        for label in &entry.labels {
            assert!(LABELS.contains(&label.as_str()), "{name}: is {label} bounded?");
        }
    }
    assert!(Reason::ALL.len() < 100, "a label for each reason must stay cheap");
}

/// The names of our metrics in an expression, and the labels are left out.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !word(c)).filter(|word| word.starts_with("skep_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_of_the_rules_and_of_the_dashboard_is_one_that_the_server_shows() {
    let known = everything().await;
    for file in ["alerts.yaml", "alerts_test.yaml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(workspace().join("manifests/observability").join(file)).unwrap();
        let named = metrics_in(&text);
        assert!(!named.is_empty(), "{file} names none");
        for name in named {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let shown = known.contains_key(&name)
                || family.and_then(|family| known.get(family)).is_some_and(|entry| entry.kind == "histogram");
            assert!(shown, "{file} speaks of {name}, which no server shows");
        }
    }
}

fn promtool(args: &[&str]) {
    let directory = workspace().join("manifests/observability");
    let mut promtool = skep_testbed::command::command("promtool", args);
    // `cargo xtask test` installs Debian's prometheus, which brings it.
    let output = promtool.current_dir(directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?}\n{said}");
}

#[test]
fn promtool_accepts_the_rules_and_the_scrape_configuration() {
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["check", "config", "--syntax-only", "prometheus.yaml"]);
}

#[test]
fn every_alert_fires_when_it_should_and_stays_silent_when_it_should() {
    promtool(&["test", "rules", "alerts_test.yaml"]);
    let read =
        |file: &str| std::fs::read_to_string(workspace().join("manifests/observability").join(file)).unwrap();
    let (rules, tests) = (read("alerts.yaml"), read("alerts_test.yaml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        for outcome in ["fires", "stays silent"] {
            let name = format!("- name: {alert} {outcome}");
            assert_eq!(tests.lines().filter(|line| line.trim() == name).count(), 1, "{name}");
        }
    }
}
