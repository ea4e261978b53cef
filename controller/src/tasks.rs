//! What this process is doing right now, as the debug page shows it.

use std::sync::Arc;
use std::time::SystemTime;

use skep_api::wire::{
    ActivationView, FollowerView, LeaseView, QueueView, ReconcileView, TaskView, TasksView,
};
use skep_runtime::{
    ActivationCause, ActivationResult, CurrentRun, LastActivation, QueueStats, TaskDriver, TaskState,
    TaskStatus,
};

use crate::clock::timestamp;
use crate::metrics::{Follower, HeldLease, Metrics};

/// Where it can be seen.
pub(crate) struct Works {
    /// What is measured: queues, passes, followers, leases.
    pub(crate) metrics: Metrics,
    /// The background tasks.
    pub(crate) tasks: Arc<TaskDriver>,
}

impl Works {
    /// Everything that runs here.
    pub(crate) fn view(&self) -> TasksView {
        let Self { metrics, tasks } = self;
        let now = SystemTime::now();
        TasksView {
            tasks: tasks.statuses().into_iter().map(task).collect(),
            followers: metrics.followers.list().into_iter().map(follower).collect(),
            queues: metrics.runtime.queues().into_iter().map(|(name, stats)| queue(name, &stats)).collect(),
            reconciles: metrics.runtime.current_runs().into_iter().map(|run| reconcile(run, now)).collect(),
            leases: metrics.leases.held().into_iter().map(lease).collect(),
        }
    }
}

fn task(status: TaskStatus) -> TaskView {
    let (state, at) = match status.state {
        TaskState::Waiting { until } => ("waiting", Some(until)),
        TaskState::Running { since, .. } => ("running", Some(since)),
        TaskState::Stopped => ("stopped", None),
    };
    TaskView {
        name: status.name.to_owned(),
        state: state.to_owned(),
        at: at.map(timestamp),
        every_seconds: status.every.as_secs_f64(),
        activations: status.activations,
        failures_in_row: status.failures_in_row,
        last: status.last.map(activation),
    }
}

fn activation(last: LastActivation) -> ActivationView {
    let (result, message) = match last.result {
        ActivationResult::Done(what) => ("done", what),
        ActivationResult::Failed(why) => ("failed", why),
        ActivationResult::Panicked(why) => ("panicked", why),
        ActivationResult::TimedOut => {
            ("timedOut", "it took longer than its limit and was dropped".to_owned())
        }
    };
    let cause = match last.cause {
        ActivationCause::Start => "start",
        ActivationCause::Timer => "timer",
        ActivationCause::Activator => "activator",
        ActivationCause::Retry => "retry",
    };
    ActivationView {
        started: timestamp(last.started),
        seconds: last.took.as_secs_f64(),
        cause: cause.to_owned(),
        result: result.to_owned(),
        message,
    }
}

fn follower(follower: Follower) -> FollowerView {
    FollowerView {
        name: follower.name.to_owned(),
        since: follower.since,
        restarts: follower.restarts,
        last_end: follower.last_end,
    }
}

fn queue(controller: &str, stats: &QueueStats) -> QueueView {
    let count = |keys: usize| u64::try_from(keys).unwrap_or(u64::MAX);
    let ready = stats.ready.iter().map(|(priority, keys)| (priority.name().to_owned(), count(*keys)));
    QueueView {
        controller: controller.to_owned(),
        ready: ready.collect(),
        waiting: count(stats.waiting),
        running: count(stats.running),
        refused: stats.refused,
    }
}

fn reconcile(run: CurrentRun, now: SystemTime) -> ReconcileView {
    ReconcileView {
        controller: run.controller.to_owned(),
        key: run.key,
        reconcile_id: run.id.to_string(),
        trigger: run.trigger.name().to_owned(),
        since: timestamp(run.since),
        // The clock may have been set back since.
        age_seconds: now.duration_since(run.since).unwrap_or_default().as_secs_f64(),
    }
}

fn lease(held: HeldLease) -> LeaseView {
    LeaseView { name: held.name, epoch: held.epoch, since: held.since }
}
