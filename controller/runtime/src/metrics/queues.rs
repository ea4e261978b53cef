//! The numbers of all queues, read when somebody asks.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::queue::{Priority, QueueStats};

/// Reads the queues of all controllers when scraped.
#[derive(Debug, Default)]
pub(super) struct QueueCollector {
    /// One entry per controller name, so bounded by the program's text.
    sources: Mutex<Vec<QueueSource>>,
}

pub(super) struct QueueSource {
    pub(super) controller: &'static str,
    pub(super) stats: Box<dyn Fn() -> QueueStats + Send + Sync>,
}

impl fmt::Debug for QueueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl QueueCollector {
    pub(super) fn watch(&self, source: QueueSource) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|other| other.controller != source.controller);
        sources.push(source);
    }

    pub(super) fn look(&self) -> Vec<(&'static str, QueueStats)> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|source| (source.controller, (source.stats)())).collect()
    }
}

impl Collector for QueueCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let all = self.look();
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
        let longest = "workqueue_longest_running_processor_seconds";
        gauge(longest, "Age of the oldest current run", &|stats| {
            stats.longest_run.unwrap_or_default().as_secs_f64()
        })?;
        let unfinished = "workqueue_unfinished_work_seconds";
        gauge(unfinished, "Ages of all current runs, added up", &|stats| stats.unfinished.as_secs_f64())?;

        let mut counter = |name, help, value: &dyn Fn(&QueueStats) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (controller, stats) in &all {
                let labels = [("controller", *controller)];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value(stats), None)?;
            }
            Ok::<(), fmt::Error>(())
        };
        let adds = "Wake-ups that caused a run, those merged into an earlier one left out";
        counter("workqueue_adds", adds, &|stats| stats.added)?;
        counter("workqueue_retries", "Runs that ended in a wait because they failed", &|stats| {
            stats.retried
        })?;
        let refused = "Wake-ups refused because the queue was full";
        counter("workqueue_refused", refused, &|stats| stats.refused)
    }
}

/// A count of keys as a metric value; exact, since a queue holds far fewer keys than 2³².
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
