//! A controller whose reconciler is a closure and which writes down every run.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use prometheus_client::registry::Registry;
use skep_runtime::{
    Classify, Controller, ControllerOptions, Disposition, Entropy, Environs, Instant, Metrics, Outcome, Pass,
    QueueOptions, Reconciler, Shutdown, Stopped, SystemClock, WorkQueue,
};
use tokio::task::JoinHandle;

/// An error that is nothing but its disposition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script says {0:?}")]
pub(crate) struct Scripted(pub(crate) Disposition);

impl Classify for Scripted {
    fn disposition(&self) -> Disposition {
        self.0
    }
}

pub(crate) type Answer = Result<Outcome, Scripted>;
pub(crate) const DONE: Answer = Ok(Outcome::AwaitChange);

pub(crate) fn fails(disposition: Disposition) -> Answer {
    Err(Scripted(disposition))
}

/// A run as seen from inside.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) key: String,
    pub(crate) started: Instant,
    pub(crate) ended: Option<Instant>,
}

/// All runs in the order in which they started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Arc<Mutex<Vec<Run>>>);

impl Runs {
    pub(crate) fn all(&self) -> Vec<Run> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn of(&self, key: &str) -> Vec<Run> {
        self.all().into_iter().filter(|run| run.key == key).collect()
    }

    pub(crate) fn count(&self, key: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|run| run.key == key).count()
    }

    /// The pauses between the starts of a key's runs.
    pub(crate) fn gaps(&self, key: &str) -> Vec<Duration> {
        self.of(key).windows(2).map(|pair| pair[1].started - pair[0].started).collect()
    }

    /// The most runs that were under way at the same time, by key.
    pub(crate) fn most_at_once(&self) -> HashMap<String, usize> {
        let runs = self.all();
        let mut most = HashMap::new();
        for run in &runs {
            let overlaps = |other: &&Run| {
                other.key == run.key
                    && other.started <= run.started
                    && other.ended.is_none_or(|ended| ended > run.started)
            };
            let count = runs.iter().filter(overlaps).count();
            let entry = most.entry(run.key.clone()).or_insert(0);
            *entry = count.max(*entry);
        }
        most
    }
}

type Body = Box<dyn Fn(String, usize, Pass) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Calls the script with the key, how often the key has run before, and the pass.
pub(crate) struct Script {
    runs: Runs,
    body: Body,
}

impl Reconciler<String> for Script {
    type Error = Scripted;

    async fn reconcile(&self, key: &String, pass: &Pass) -> Answer {
        let (index, before) = {
            let mut runs = self.runs.0.lock().unwrap();
            let before = runs.iter().filter(|run| run.key == *key).count();
            runs.push(Run { key: key.clone(), started: Instant::now(), ended: None });
            (runs.len() - 1, before)
        };
        let answer = (self.body)(key.clone(), before, pass.clone()).await;
        self.runs.0.lock().unwrap()[index].ended = Some(Instant::now());
        answer
    }
}

/// A running controller; its groups are the first characters of the keys.
pub(crate) struct Rig {
    pub(crate) queue: WorkQueue<String, char>,
    pub(crate) runs: Runs,
    pub(crate) shutdown: Shutdown,
    pub(crate) registry: Registry,
    pub(crate) controller: JoinHandle<Stopped<String, Scripted>>,
}

pub(crate) fn environs() -> Environs {
    Environs { clock: Arc::new(SystemClock), entropy: Entropy::seeded(42) }
}

pub(crate) fn options(workers: usize) -> ControllerOptions {
    ControllerOptions { workers: NonZeroUsize::new(workers).unwrap(), ..ControllerOptions::default() }
}

impl Rig {
    pub(crate) fn start<F>(
        options: ControllerOptions,
        body: impl Fn(String, usize, Pass) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::start_with(options, body, |controller| controller)
    }

    pub(crate) fn start_with<F>(
        options: ControllerOptions,
        body: impl Fn(String, usize, Pass) -> F + Send + Sync + 'static,
        finish: impl FnOnce(Controller<String, char, Script>) -> Controller<String, char, Script>,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let environs = environs();
        let group_of = |key: &String| key.chars().next().unwrap();
        let queue =
            WorkQueue::new(QueueOptions::for_workers(options.workers), Arc::clone(&environs.clock), group_of);
        let runs = Runs::default();
        let body: Body = Box::new(move |key, before, pass| body(key, before, pass).boxed());
        let script = Script { runs: runs.clone(), body };
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, "test");
        let controller = finish(Controller::new("rig", options, queue.clone(), script, environs, metrics));
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let controller = tokio::spawn(async move { controller.run(&stop).await });
        Self { queue, runs, shutdown, registry, controller }
    }

    pub(crate) fn wake(&self, key: &str, priority: skep_runtime::Priority) {
        self.queue.wake(key.to_owned(), priority, Duration::ZERO);
    }

    /// The value of a metric line without its `test_` prefix and `controller` label.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("test_{name} ")));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{text}")).parse().unwrap()
    }

    pub(crate) async fn stop(self) -> Stopped<String, Scripted> {
        self.shutdown.begin();
        self.controller.await.unwrap()
    }
}

/// Lets paused time pass: every timer that is due meanwhile fires in order.
pub(crate) async fn pass_time(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
