//! What the task driver does with tasks, on paused time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{environs, pass_time};
use skep_runtime::{
    ActivationCause, ActivationResult, Activator, BackgroundTask, Drained, Instant, Shutdown, TaskContext,
    TaskDriver, TaskReport, TaskSpec, TaskState, TaskStatus,
};

#[derive(Debug, thiserror::Error)]
#[error("the step fails")]
struct Fails;

/// What one activation does.
enum Step {
    Report(TaskReport),
    Fail,
    Panic,
    Hang,
}

/// Follows its steps, then is idle; every activation takes a tenth of a second.
#[derive(Clone, Default)]
struct Steps {
    steps: Arc<Mutex<VecDeque<Step>>>,
    started: Arc<Mutex<Vec<Instant>>>,
}

impl Steps {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Arc::new(Mutex::new(steps.into_iter().collect())), ..Self::default() }
    }

    fn count(&self) -> usize {
        self.started.lock().unwrap().len()
    }

    fn gaps(&self) -> Vec<Duration> {
        self.started.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl BackgroundTask for Steps {
    type Error = Fails;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, Fails> {
        self.started.lock().unwrap().push(Instant::now());
        pass_time(0.1).await;
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            None => Ok(TaskReport::idle()),
            Some(Step::Report(report)) => Ok(report),
            Some(Step::Fail) => Err(Fails),
            Some(Step::Panic) => panic!("as the test wants"),
            Some(Step::Hang) => std::future::pending().await,
        }
    }
}

struct Rig {
    shutdown: Shutdown,
    driver: TaskDriver,
    steps: Steps,
    activator: Activator,
    made: Arc<Mutex<u32>>,
}

impl Rig {
    fn start(spec: TaskSpec, steps: impl IntoIterator<Item = Step>) -> Self {
        let shutdown = Shutdown::new();
        let driver = TaskDriver::new(environs(), shutdown.clone());
        let (steps, made) = (Steps::new(steps), Arc::new(Mutex::new(0)));
        let (each, count) = (steps.clone(), Arc::clone(&made));
        let activator = driver.start(spec, move || {
            *count.lock().unwrap() += 1;
            each.clone()
        });
        Self { shutdown, driver, steps, activator, made }
    }

    fn status(&self) -> TaskStatus {
        self.driver.statuses().remove(0)
    }

    fn last(&self) -> (ActivationCause, ActivationResult) {
        let last = self.status().last.unwrap();
        (last.cause, last.result)
    }
}

fn every(seconds: u64) -> TaskSpec {
    TaskSpec::new("sweeper", Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_at_the_start_and_then_at_its_period_or_up_to_a_quarter_later() {
    let rig = Rig::start(every(100), []);
    pass_time(1000.0).await;
    let gaps = rig.steps.gaps();
    assert!(gaps.len() >= 7);
    assert!(gaps.iter().all(|gap| (100..=126).contains(&gap.as_secs())), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap != gaps[0]));
    assert_eq!(rig.last(), (ActivationCause::Timer, ActivationResult::Done("nothing to do".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn activations_during_a_run_are_merged_into_exactly_one_more() {
    let rig = Rig::start(every(100), []);
    pass_time(0.05).await;
    for _ in 0..10 {
        rig.activator.activate();
    }
    pass_time(50.0).await;
    assert_eq!(rig.steps.count(), 2);
    assert_eq!(rig.last().0, ActivationCause::Activator);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_ask_to_be_activated_earlier_than_its_period() {
    let report = TaskReport::did("half of it").again_within(Duration::from_secs(2));
    let rig = Rig::start(every(100), [Step::Report(report)]);
    pass_time(1.0).await;
    assert_eq!(rig.last().1, ActivationResult::Done("half of it".to_owned()));
    pass_time(2.0).await;
    assert_eq!(rig.steps.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_repeated_with_backoff_that_activations_do_not_shorten() {
    let rig = Rig::start(every(1000), (0..6).map(|_| Step::Fail));
    for _ in 0..300 {
        rig.activator.activate();
        pass_time(0.05).await;
    }
    let gaps = rig.steps.gaps();
    for (gap, ceiling) in gaps.iter().zip([500, 1000, 2000, 4000, 8000]) {
        assert!(*gap >= Duration::from_millis(ceiling / 2 + 100), "{gaps:?}");
        assert!(*gap <= Duration::from_millis(ceiling + 110), "{gaps:?}");
    }
    assert_eq!(rig.last(), (ActivationCause::Retry, ActivationResult::Failed("the step fails".to_owned())));
    assert!(rig.status().failures_in_row >= 4);
    assert_eq!(*rig.made.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_contained_and_the_task_is_made_anew() {
    let rig = Rig::start(every(1000), [Step::Panic]);
    pass_time(0.2).await;
    assert_eq!(
        rig.last(),
        (ActivationCause::Start, ActivationResult::Panicked("as the test wants".to_owned()))
    );
    assert_eq!(rig.status().failures_in_row, 1);
    pass_time(1.0).await;
    assert_eq!(rig.last().0, ActivationCause::Retry);
    assert_eq!(rig.status().failures_in_row, 0);
    assert_eq!(*rig.made.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_activation_over_its_limit_is_dropped_and_repeated() {
    let rig = Rig::start(every(1000).limit(Duration::from_secs(5)), [Step::Hang]);
    pass_time(4.0).await;
    assert!(matches!(rig.status().state, TaskState::Running { cause: ActivationCause::Start, .. }));
    pass_time(1.1).await;
    assert_eq!(rig.last().1, ActivationResult::TimedOut);
    pass_time(1.0).await;
    assert_eq!(rig.steps.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_running_activation_and_ends_the_task() {
    let rig = Rig::start(every(1000), []);
    pass_time(0.05).await;
    let asked = Instant::now();
    assert_eq!(rig.shutdown.drain(Duration::from_secs(1)).await, Drained::Clean);
    assert!(asked.elapsed() >= Duration::from_millis(49));
    assert_eq!(rig.status().state, TaskState::Stopped);
    assert_eq!(rig.status().activations, 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_can_activate_each_other_through_activators_made_before_them() {
    let bell = Activator::new();
    let rig = Rig::start(every(1000).activated_by(&bell), []);
    pass_time(1.0).await;
    bell.activate();
    pass_time(1.0).await;
    assert_eq!(rig.steps.count(), 2);
}
