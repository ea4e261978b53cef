//! What runs in the background: tasks that happen again and again, and loops that follow something.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use skep_runtime::{TaskDriver, TaskState};

/// Reads the background tasks when scraped. Their names are in the program's text.
#[derive(Debug)]
pub(super) struct TaskCollector(Arc<TaskDriver>);

impl TaskCollector {
    pub(super) const fn new(tasks: Arc<TaskDriver>) -> Self {
        Self(tasks)
    }
}

impl Collector for TaskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let tasks = self.0.statuses();
        let help = "Activations of a background task that have ended";
        let mut family = encoder.encode_descriptor("task_activations", help, None, MetricType::Counter)?;
        for task in &tasks {
            let labels = [("task", task.name)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&task.activations, None)?;
        }
        let help = "The latest activations of a background task that failed in a row";
        let mut family = encoder.encode_descriptor("task_failures_in_row", help, None, MetricType::Gauge)?;
        for task in &tasks {
            family.encode_family(&[("task", task.name)])?.encode_gauge(&i64::from(task.failures_in_row))?;
        }
        let help = "1 while a background task is active, else 0";
        let mut family = encoder.encode_descriptor("task_active", help, None, MetricType::Gauge)?;
        for task in &tasks {
            let active = matches!(task.state, TaskState::Running { .. });
            family.encode_family(&[("task", task.name)])?.encode_gauge(&i64::from(active))?;
        }
        Ok(())
    }
}

/// Loops that follow something (the change log, the engine's events) for as long as they can, and begin again when it ends.
#[derive(Clone, Debug, Default)]
pub struct Followers(Arc<Mutex<BTreeMap<&'static str, Follower>>>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// What it follows.
    pub name: &'static str,
    /// Since when it does so without a break; absent while it does not.
    pub since: Option<Timestamp>,
    /// How often it began again after the first time.
    pub restarts: u64,
    /// Why it last ended.
    pub last_end: Option<String>,
}

impl Followers {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let followers = Self::default();
        registry.register_collector(Box::new(followers.clone()));
        followers
    }

    /// It follows from now on.
    pub fn began(&self, name: &'static str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Some(Timestamp::now());
        all.entry(name)
            .and_modify(|follower| {
                follower.restarts += 1;
                follower.since = since;
            })
            .or_insert(Follower { name, since, restarts: 0, last_end: None });
    }

    /// It ended, or could not begin.
    pub fn ended(&self, name: &'static str, why: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = all.entry(name).or_insert(Follower { name, since: None, restarts: 0, last_end: None });
        follower.since = None;
        follower.last_end = Some(why.to_owned());
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Follower> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Collector for Followers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let all = self.list();
        let help = "1 while a follower is connected to what it follows, else 0";
        let mut family = encoder.encode_descriptor("follower_connected", help, None, MetricType::Gauge)?;
        for follower in &all {
            let connected = i64::from(follower.since.is_some());
            family.encode_family(&[("follower", follower.name)])?.encode_gauge(&connected)?;
        }
        let help = "Times that a follower had to begin again";
        let mut family = encoder.encode_descriptor("follower_restarts", help, None, MetricType::Counter)?;
        for follower in &all {
            let labels = [("follower", follower.name)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&follower.restarts, None)?;
        }
        Ok(())
    }
}
