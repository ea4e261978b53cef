//! What a controller shows to Prometheus, in the shape that Kubernetes controllers have made familiar.
//!
//! The caller registers [`Metrics`] once under its own prefix and gives it to every controller, whose name becomes the
//! label `controller`. Counters exist from the start at zero, so that a rate over the first scrape is right. Depths and
//! the longest run are read from the queue when scraped, so they cannot drift from the truth.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::queue::{Priority, QueueStats};

/// Seconds a run or a wait may take: from a pass that finds nothing to do, to a run that hits any sensible time limit.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// The metrics of all controllers of a process; clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    runs: Family<RunLabels, Counter>,
    errors: Family<ControllerLabels, Counter>,
    terminal_errors: Family<ControllerLabels, Counter>,
    panics: Family<ControllerLabels, Counter>,
    conflicts: Family<ControllerLabels, Counter>,
    seconds: Seconds,
    wait_seconds: Seconds,
    active_workers: Family<ControllerLabels, Gauge>,
    max_concurrent: Family<ControllerLabels, Gauge>,
    queues: Arc<QueueCollector>,
}

type Seconds = Family<ControllerLabels, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    controller: &'static str,
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

impl Metrics {
    /// Registers all families under `prefix`.
    pub fn register(registry: &mut Registry, prefix: &str) -> Self {
        let registry = registry.sub_registry_with_prefix(prefix);
        let queues = Arc::new(QueueCollector { sources: Mutex::new(Vec::new()) });
        registry.register_collector(Box::new(Arc::clone(&queues)));
        Self {
            runs: family(registry, "reconcile", "Runs by result", Family::default()),
            errors: family(registry, "reconcile_errors", "Runs that failed", Family::default()),
            terminal_errors: family(
                registry,
                "terminal_errors",
                "Runs that failed for good until the input changes",
                Family::default(),
            ),
            panics: family(registry, "panics", "Runs that panicked", Family::default()),
            conflicts: family(registry, "conflicts", "Runs that met a concurrent change", Family::default()),
            seconds: family(registry, "reconcile_time_seconds", "Duration of a run", seconds()),
            wait_seconds: family(registry, "queue_wait_seconds", "Time from due to running", seconds()),
            active_workers: family(
                registry,
                "active_workers",
                "Workers that are running a key",
                Family::default(),
            ),
            max_concurrent: family(
                registry,
                "max_concurrent",
                "Workers of the controller",
                Family::default(),
            ),
            queues,
        }
    }

    /// The metrics of one controller, all at zero. A second controller of the same name takes over the first's queue
    /// numbers and continues its counters.
    pub(crate) fn controller(
        &self,
        controller: &'static str,
        workers: usize,
        stats: impl Fn() -> QueueStats + Send + Sync + 'static,
    ) -> ControllerMetrics {
        let labels = ControllerLabels { controller };
        for result in RunLabel::ALL.map(RunLabel::name) {
            let _zero = self.runs.get_or_create(&RunLabels { controller, result });
        }
        let _zero = self.seconds.get_or_create(&labels);
        let _zero = self.wait_seconds.get_or_create(&labels);
        self.max_concurrent.get_or_create(&labels).set(i64::try_from(workers).unwrap_or(i64::MAX));
        self.queues.watch(QueueSource { controller, stats: Box::new(stats) });
        ControllerMetrics {
            controller,
            runs: self.runs.clone(),
            errors: self.errors.get_or_create_owned(&labels),
            terminal_errors: self.terminal_errors.get_or_create_owned(&labels),
            panics: self.panics.get_or_create_owned(&labels),
            conflicts: self.conflicts.get_or_create_owned(&labels),
            active_workers: self.active_workers.get_or_create_owned(&labels),
            seconds: self.seconds.get_or_create_owned(&labels),
            wait_seconds: self.wait_seconds.get_or_create_owned(&labels),
        }
    }
}

fn family<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, family: M) -> M {
    registry.register(name, help, family.clone());
    family
}

fn seconds() -> Seconds {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

/// The metrics of one controller.
#[derive(Clone, Debug)]
pub(crate) struct ControllerMetrics {
    controller: &'static str,
    runs: Family<RunLabels, Counter>,
    errors: Counter,
    terminal_errors: Counter,
    panics: Counter,
    conflicts: Counter,
    active_workers: Gauge,
    seconds: Histogram,
    wait_seconds: Histogram,
}

impl ControllerMetrics {
    /// Counts a worker as active until the guard is dropped, also by a panic.
    pub(crate) fn active(&self) -> ActiveWorker {
        self.active_workers.inc();
        ActiveWorker(self.active_workers.clone())
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.wait_seconds.observe(wait.as_secs_f64());
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.inc();
    }

    pub(crate) fn ran(&self, label: RunLabel, took: Duration) {
        self.runs.get_or_create(&RunLabels { controller: self.controller, result: label.name() }).inc();
        self.seconds.observe(took.as_secs_f64());
        if label.is_error() {
            self.errors.inc();
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

/// Reads the queues of all controllers when scraped.
#[derive(Debug)]
struct QueueCollector {
    /// One entry per controller name, so bounded by the program's text.
    sources: Mutex<Vec<QueueSource>>,
}

struct QueueSource {
    controller: &'static str,
    stats: Box<dyn Fn() -> QueueStats + Send + Sync>,
}

impl fmt::Debug for QueueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl QueueCollector {
    fn watch(&self, source: QueueSource) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|other| other.controller != source.controller);
        sources.push(source);
    }
}

impl Collector for QueueCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = sources.iter().map(|source| (source.controller, (source.stats)())).collect();
        drop(sources);

        let name = "workqueue_depth";
        let mut family =
            encoder.encode_descriptor(name, "Keys that could run now", None, MetricType::Gauge)?;
        for (controller, stats) in &all {
            for (priority, depth) in stats.ready {
                let labels = [("controller", *controller), ("priority", Priority::name(priority))];
                family.encode_family(&labels)?.encode_gauge(&depth)?;
            }
        }
        let mut gauge = |name, help, value: &dyn Fn(&QueueStats) -> f64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (controller, stats) in &all {
                family.encode_family(&[("controller", *controller)])?.encode_gauge(&value(stats))?;
            }
            Ok::<(), fmt::Error>(())
        };
        gauge("workqueue_waiting", "Keys that wait for their time", &|stats| float(stats.waiting))?;
        gauge("workqueue_running", "Keys that run", &|stats| float(stats.running))?;
        gauge("longest_running_seconds", "Age of the oldest current run", &|stats| {
            stats.longest_run.unwrap_or_default().as_secs_f64()
        })?;

        let name = "workqueue_refused";
        let help = "Wake-ups refused because the queue was full";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (controller, stats) in &all {
            let labels = [("controller", *controller)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&stats.refused, None)?;
        }
        Ok(())
    }
}

/// A count of keys as a metric value; exact, since a queue holds far fewer keys than 2³².
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            refused: 0,
        };
        let _first = metrics.controller("bees", 4, stats);
        let second = metrics.controller("bees", 4, stats);
        second.ran(RunLabel::Terminal, Duration::from_millis(3));
        let text = scrape(&registry);
        for line in [
            r#"hive_reconcile_total{controller="bees",result="success"} 0"#,
            r#"hive_reconcile_total{controller="bees",result="terminal"} 1"#,
            r#"hive_reconcile_errors_total{controller="bees"} 1"#,
            r#"hive_terminal_errors_total{controller="bees"} 1"#,
            r#"hive_panics_total{controller="bees"} 0"#,
            r#"hive_conflicts_total{controller="bees"} 0"#,
            r#"hive_reconcile_time_seconds_bucket{le="0.005",controller="bees"} 1"#,
            r#"hive_queue_wait_seconds_count{controller="bees"} 0"#,
            r#"hive_active_workers{controller="bees"} 0"#,
            r#"hive_max_concurrent{controller="bees"} 4"#,
            r#"hive_workqueue_depth{controller="bees",priority="urgent"} 0"#,
            r#"hive_workqueue_waiting{controller="bees"} 0.0"#,
            r#"hive_longest_running_seconds{controller="bees"} 0.0"#,
            r#"hive_workqueue_refused_total{controller="bees"} 0"#,
        ] {
            assert_eq!(text.lines().filter(|other| *other == line).count(), 1, "{line} in\n{text}");
        }
    }
}
