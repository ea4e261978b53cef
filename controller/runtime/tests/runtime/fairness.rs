//! One group's trouble is not another group's delay.

use std::time::Duration;

use crate::support::{DONE, Rig, fails, options, pass_time};
use skep_runtime::{Disposition, Instant, Priority};

/// How long a run of a failing key takes.
const RUN: Duration = Duration::from_millis(200);

/// Group `a` (and more groups, if wanted) have a thousand keys each that always fail; everything else succeeds at once.
fn rig_with_failing(groups: &'static [char], workers: usize) -> Rig {
    let rig = Rig::start(options(workers), move |key, _, _| async move {
        if groups.contains(&key.chars().next().unwrap()) {
            tokio::time::sleep(RUN).await;
            return fails(Disposition::Retry);
        }
        DONE
    });
    for group in groups {
        for key in 0..1000 {
            rig.wake(&format!("{group}{key}"), Priority::Change);
        }
    }
    rig
}

/// Wakes healthy keys of group `z` at many moments and returns the longest delay of one.
async fn longest_delay(rig: &Rig) -> Duration {
    let mut longest = Duration::ZERO;
    for round in 0..60 {
        let key = format!("z{round}");
        let woken = Instant::now();
        rig.wake(&key, Priority::Change);
        while rig.runs.count(&key) == 0 {
            pass_time(0.001).await;
            assert!(woken.elapsed() < Duration::from_secs(30), "never run");
        }
        longest = longest.max(rig.runs.of(&key)[0].started - woken);
        pass_time(0.317).await;
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn a_group_with_a_thousand_failing_keys_does_not_delay_another_groups_key() {
    let rig = rig_with_failing(&['a'], 4);
    let longest = longest_delay(&rig).await;
    assert!(longest <= Duration::from_millis(2), "{longest:?}");
    assert!(rig.runs.all().len() > 150, "the failing keys must keep the workers busy");
}

#[tokio::test(start_paused = true)]
async fn groups_that_fill_all_workers_delay_another_groups_key_by_two_runs_at_most() {
    let rig = rig_with_failing(&['a', 'b', 'c'], 4);
    let longest = longest_delay(&rig).await;
    assert!(longest <= 2 * RUN + Duration::from_millis(2), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn even_a_single_worker_serves_another_groups_key_within_two_runs() {
    let rig = rig_with_failing(&['a'], 1);
    let longest = longest_delay(&rig).await;
    assert!(longest <= 2 * RUN + Duration::from_millis(2), "{longest:?}");
}
