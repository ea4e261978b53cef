//! What a controller shows to Prometheus, in the shape that Kubernetes controllers have made familiar.
//!
//! The caller registers [`Metrics`] once under its own prefix and gives it to every controller, whose name becomes the
//! label `controller`. Counters exist from the start at zero, so that a rate over the first scrape is right. Depths and
//! the longest run are read from the queue when scraped, so they cannot drift from the truth. What runs right now is
//! kept as well, for a debug page: a key is no label, there are too many of them.

mod queues;
mod runs;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use runs::CurrentRun;
pub(crate) use runs::{RunGuard, Runs};

use crate::queue::QueueStats;
use queues::{QueueCollector, QueueSource};

/// Seconds a run or a wait may take: from a pass that finds nothing to do, to a run that hits any sensible time limit.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// The metrics of all controllers of a process; clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    runs: Family<RunLabels, Counter>,
    errors: Family<KindLabels, Counter>,
    terminal_errors: Family<ControllerLabels, Counter>,
    panics: Family<ControllerLabels, Counter>,
    conflicts: Family<ControllerLabels, Counter>,
    seconds: Family<KindLabels, Histogram, fn() -> Histogram>,
    wait_seconds: Seconds,
    work_seconds: Seconds,
    active_workers: Family<ControllerLabels, Gauge>,
    max_concurrent: Family<ControllerLabels, Gauge>,
    queues: Arc<QueueCollector>,
    current: Runs,
}

type Seconds = Family<ControllerLabels, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    controller: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    controller: &'static str,
    kind: &'static str,
    result: &'static str,
}

/// How a run ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunLabel {
    Success,
    RequeueAfter,
    Error,
    Conflict,
    Blocked,
    Terminal,
    Fenced,
    Panic,
    Timeout,
}

impl RunLabel {
    const ALL: [Self; 9] = [
        Self::Success,
        Self::RequeueAfter,
        Self::Error,
        Self::Conflict,
        Self::Blocked,
        Self::Terminal,
        Self::Fenced,
        Self::Panic,
        Self::Timeout,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
            Self::Conflict => "conflict",
            Self::Blocked => "blocked",
            Self::Terminal => "terminal",
            Self::Fenced => "fenced",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
        }
    }

    /// Whether somebody should look at it. A conflict or a missing dependency is ordinary life.
    fn is_error(self) -> bool {
        match self {
            Self::Success | Self::RequeueAfter | Self::Conflict | Self::Blocked => false,
            Self::Error | Self::Terminal | Self::Fenced | Self::Panic | Self::Timeout => true,
        }
    }
}

/// Which sorts of keys a controller runs. The label is bounded by what the caller lists.
#[derive(Debug)]
pub(crate) struct Kinds<K> {
    pub(crate) all: Vec<&'static str>,
    pub(crate) of: fn(&K) -> &'static str,
}

impl<K> Default for Kinds<K> {
    /// All keys are of one sort.
    fn default() -> Self {
        Self { all: vec!["key"], of: |_| "key" }
    }
}

impl Metrics {
    /// Registers all families under `prefix`.
    pub fn register(registry: &mut Registry, prefix: &str) -> Self {
        let registry = registry.sub_registry_with_prefix(prefix);
        let queues = Arc::new(QueueCollector::default());
        registry.register_collector(Box::new(Arc::clone(&queues)));
        Self {
            runs: family(registry, "reconcile", "Runs by result", Family::default()),
            errors: family(registry, "reconcile_errors", "Runs that failed", Family::default()),
            terminal_errors: family(
                registry,
                "terminal_reconcile_errors",
                "Runs that failed for good until the input changes",
                Family::default(),
            ),
            panics: family(registry, "reconcile_panics", "Runs that panicked", Family::default()),
            conflicts: family(
                registry,
                "reconcile_conflicts",
                "Runs that met a concurrent change",
                Family::default(),
            ),
            seconds: family(
                registry,
                "reconcile_time_seconds",
                "Duration of a run",
                Family::new_with_constructor(histogram),
            ),
            wait_seconds: family(
                registry,
                "workqueue_queue_duration_seconds",
                "Time from due to running",
                Family::new_with_constructor(histogram),
            ),
            work_seconds: family(
                registry,
                "workqueue_work_duration_seconds",
                "Time that a key occupied a worker, runs repeated at once included",
                Family::new_with_constructor(histogram),
            ),
            active_workers: family(
                registry,
                "active_workers",
                "Workers that are running a key",
                Family::default(),
            ),
            max_concurrent: family(
                registry,
                "max_concurrent_reconciles",
                "Workers of the controller",
                Family::default(),
            ),
            queues,
            current: Runs::default(),
        }
    }

    /// The runs of all controllers that are under way, oldest first: at most as many as there are workers.
    #[must_use]
    pub fn current_runs(&self) -> Vec<CurrentRun> {
        self.current.list()
    }

    /// A look at the queue of every controller.
    #[must_use]
    pub fn queues(&self) -> Vec<(&'static str, QueueStats)> {
        self.queues.look()
    }

    /// The metrics of one controller, all at zero. A second controller of the same name takes over the first's queue
    /// numbers and continues its counters.
    pub(crate) fn controller(
        &self,
        controller: &'static str,
        kinds: &[&'static str],
        workers: usize,
        stats: impl Fn() -> QueueStats + Send + Sync + 'static,
    ) -> ControllerMetrics {
        let labels = ControllerLabels { controller };
        for kind in kinds.iter().copied() {
            for result in RunLabel::ALL.map(RunLabel::name) {
                let _zero = self.runs.get_or_create(&RunLabels { controller, kind, result });
            }
            let _zero = self.errors.get_or_create(&KindLabels { controller, kind });
            let _zero = self.seconds.get_or_create(&KindLabels { controller, kind });
        }
        self.max_concurrent.get_or_create(&labels).set(i64::try_from(workers).unwrap_or(i64::MAX));
        self.queues.watch(QueueSource { controller, stats: Box::new(stats) });
        ControllerMetrics {
            controller,
            runs: self.runs.clone(),
            errors: self.errors.clone(),
            seconds: self.seconds.clone(),
            terminal_errors: self.terminal_errors.get_or_create_owned(&labels),
            panics: self.panics.get_or_create_owned(&labels),
            conflicts: self.conflicts.get_or_create_owned(&labels),
            active_workers: self.active_workers.get_or_create_owned(&labels),
            wait_seconds: self.wait_seconds.get_or_create_owned(&labels),
            work_seconds: self.work_seconds.get_or_create_owned(&labels),
            current: self.current.clone(),
        }
    }
}

fn family<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, family: M) -> M {
    registry.register(name, help, family.clone());
    family
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// The metrics of one controller.
#[derive(Clone, Debug)]
pub(crate) struct ControllerMetrics {
    controller: &'static str,
    runs: Family<RunLabels, Counter>,
    errors: Family<KindLabels, Counter>,
    seconds: Family<KindLabels, Histogram, fn() -> Histogram>,
    terminal_errors: Counter,
    panics: Counter,
    conflicts: Counter,
    active_workers: Gauge,
    wait_seconds: Histogram,
    work_seconds: Histogram,
    current: Runs,
}

impl ControllerMetrics {
    /// Counts a worker as active until the guard is dropped, also by a panic.
    pub(crate) fn active(&self) -> ActiveWorker {
        self.active_workers.inc();
        ActiveWorker(self.active_workers.clone())
    }

    /// Shows a run as under way until the guard is dropped, also by a panic.
    pub(crate) fn running(&self, run: CurrentRun) -> RunGuard {
        self.current.add(run)
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.wait_seconds.observe(wait.as_secs_f64());
    }

    pub(crate) fn worked(&self, took: Duration) {
        self.work_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.inc();
    }

    pub(crate) fn ran(&self, kind: &'static str, label: RunLabel, took: Duration) {
        let controller = self.controller;
        self.runs.get_or_create(&RunLabels { controller, kind, result: label.name() }).inc();
        self.seconds.get_or_create(&KindLabels { controller, kind }).observe(took.as_secs_f64());
        if label.is_error() {
            self.errors.get_or_create(&KindLabels { controller, kind }).inc();
        }
        match label {
            RunLabel::Terminal => drop(self.terminal_errors.inc()),
            RunLabel::Panic => drop(self.panics.inc()),
            RunLabel::Success
            | RunLabel::RequeueAfter
            | RunLabel::Error
            | RunLabel::Conflict
            | RunLabel::Blocked
            | RunLabel::Fenced
            | RunLabel::Timeout => {}
        }
    }
}

/// A worker that is running a key.
#[derive(Debug)]
pub(crate) struct ActiveWorker(Gauge);

impl Drop for ActiveWorker {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Priority;

    fn scrape(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn everything_is_shown_at_zero_before_the_first_run_and_once_per_name() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, "hive");
        let stats = || QueueStats {
            ready: Priority::ALL.map(|priority| (priority, 0)),
            waiting: 0,
            running: 0,
            longest_run: None,
            unfinished: Duration::from_millis(2500),
            added: 7,
            retried: 3,
            refused: 0,
        };
        let _first = metrics.controller("bees", &["queen", "drone"], 4, stats);
        let second = metrics.controller("bees", &["queen", "drone"], 4, stats);
        second.ran("drone", RunLabel::Terminal, Duration::from_millis(3));
        let text = scrape(&registry);
        for line in [
            r#"hive_reconcile_total{controller="bees",kind="queen",result="success"} 0"#,
            r#"hive_reconcile_total{controller="bees",kind="drone",result="terminal"} 1"#,
            r#"hive_reconcile_errors_total{controller="bees",kind="drone"} 1"#,
            r#"hive_reconcile_errors_total{controller="bees",kind="queen"} 0"#,
            r#"hive_terminal_reconcile_errors_total{controller="bees"} 1"#,
            r#"hive_reconcile_panics_total{controller="bees"} 0"#,
            r#"hive_reconcile_conflicts_total{controller="bees"} 0"#,
            r#"hive_reconcile_time_seconds_bucket{le="0.005",controller="bees",kind="drone"} 1"#,
            r#"hive_workqueue_queue_duration_seconds_count{controller="bees"} 0"#,
            r#"hive_workqueue_work_duration_seconds_count{controller="bees"} 0"#,
            r#"hive_active_workers{controller="bees"} 0"#,
            r#"hive_max_concurrent_reconciles{controller="bees"} 4"#,
            r#"hive_workqueue_depth{controller="bees",priority="urgent"} 0"#,
            r#"hive_workqueue_waiting{controller="bees"} 0.0"#,
            r#"hive_workqueue_longest_running_processor_seconds{controller="bees"} 0.0"#,
            r#"hive_workqueue_unfinished_work_seconds{controller="bees"} 2.5"#,
            r#"hive_workqueue_adds_total{controller="bees"} 7"#,
            r#"hive_workqueue_retries_total{controller="bees"} 3"#,
            r#"hive_workqueue_refused_total{controller="bees"} 0"#,
        ] {
            assert_eq!(text.lines().filter(|other| *other == line).count(), 1, "{line} in\n{text}");
        }
        assert_eq!(metrics.queues().len(), 1);
    }
}
