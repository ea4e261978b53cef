//! What the controller does with the answers of its reconciler, on paused time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{DONE, Rig, Scripted, fails, options, pass_time};
use skep_runtime::{
    ControllerOptions, Disposition, Instant, MAX_CONFLICT_RERUNS, Outcome, PANICS_BEFORE_QUARANTINE,
    Priority, StopCause, Stopped,
};

#[tokio::test(start_paused = true)]
async fn a_key_never_runs_twice_at_once_however_often_it_is_woken() {
    let rig = Rig::start(options(8), |_, _, _| async {
        pass_time(0.35).await;
        DONE
    });
    for step in 0..200 {
        for key in ["a", "b", "c"] {
            let priority = Priority::ALL[step % Priority::ALL.len()];
            rig.wake(key, priority);
        }
        pass_time(0.1).await;
    }
    pass_time(2.0).await;
    let most = rig.runs.most_at_once();
    assert_eq!(most.len(), 3);
    assert!(most.values().all(|count| *count == 1), "{most:?}");
    assert!(rig.runs.count("a") > 30);
}

#[tokio::test(start_paused = true)]
async fn a_wake_during_a_run_leads_to_exactly_one_more_run() {
    let rig = Rig::start(options(4), |_, _, _| async {
        pass_time(1.0).await;
        DONE
    });
    rig.wake("a", Priority::Hint);
    pass_time(0.5).await;
    for _ in 0..10 {
        rig.wake("a", Priority::Hint);
    }
    pass_time(60.0).await;
    assert_eq!(rig.runs.count("a"), 2);
    assert!(rig.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_backs_off_to_at_most_a_minute_and_success_starts_it_over() {
    let rig = Rig::start(options(2), |_, before, _| async move {
        if before == 20 {
            Ok(Outcome::RequeueAfter(Duration::from_secs(5)))
        } else {
            fails(Disposition::Retry)
        }
    });
    rig.wake("a", Priority::Change);
    while rig.runs.count("a") < 24 {
        pass_time(1.0).await;
    }
    let gaps = rig.runs.gaps("a");
    let bounds =
        |ceiling_ms: u64| Duration::from_millis(ceiling_ms / 2)..=Duration::from_millis(ceiling_ms + 2);
    for (gap, ceiling) in gaps.iter().zip([500, 1000, 2000, 4000, 8000, 16_000, 32_000]) {
        assert!(bounds(ceiling).contains(gap), "{gap:?} for {ceiling}");
    }
    assert!(gaps[7..20].iter().all(|gap| bounds(60_000).contains(gap)), "{gaps:?}");
    assert!(gaps[20] >= Duration::from_secs(5) && gaps[20] < Duration::from_millis(5010));
    assert!(bounds(500).contains(&gaps[21]), "{gaps:?}");
    assert_eq!(rig.metric(r#"reconcile_errors_total{controller="rig",kind="key"}"#), 23.0);
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_the_backoff_and_starts_it_over_but_a_hint_does_neither() {
    let rig = Rig::start(options(2), |_, _, _| async { fails(Disposition::Retry) });
    rig.wake("a", Priority::Change);
    while rig.runs.count("a") < 12 {
        pass_time(1.0).await;
    }
    rig.wake("a", Priority::Hint);
    rig.wake("a", Priority::Resync);
    pass_time(20.0).await;
    assert_eq!(rig.runs.count("a"), 12);
    let changed = Instant::now();
    rig.wake("a", Priority::Change);
    pass_time(2.0).await;
    let runs = rig.runs.of("a");
    assert!(runs[12].started - changed < Duration::from_millis(5));
    assert!(runs[13].started - runs[12].started <= Duration::from_millis(502));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_runs_again_at_once_without_an_error() {
    let rig = Rig::start(options(2), |_, before, _| async move {
        if before < 3 { fails(Disposition::Conflict) } else { DONE }
    });
    let woken = Instant::now();
    rig.wake("a", Priority::Change);
    pass_time(0.01).await;
    let runs = rig.runs.of("a");
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.started - woken < Duration::from_millis(5)));
    assert_eq!(rig.metric(r#"reconcile_conflicts_total{controller="rig"}"#), 3.0);
    assert_eq!(rig.metric(r#"reconcile_errors_total{controller="rig",kind="key"}"#), 0.0);
    assert_eq!(rig.metric(r#"reconcile_total{controller="rig",kind="key",result="success"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn conflicts_without_end_become_a_failure_with_backoff() {
    let rig = Rig::start(options(2), |_, _, _| async { fails(Disposition::Conflict) });
    rig.wake("a", Priority::Change);
    pass_time(0.2).await;
    let at_once = usize::try_from(MAX_CONFLICT_RERUNS).unwrap() + 1;
    assert_eq!(rig.runs.count("a"), at_once);
    assert_eq!(rig.metric(r#"reconcile_errors_total{controller="rig",kind="key"}"#), 1.0);
    pass_time(0.5).await;
    assert_eq!(rig.runs.count("a"), 2 * at_once);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_key_runs_on_any_wake_up_and_about_every_minute_without() {
    let rig = Rig::start(options(2), |_, _, _| async { fails(Disposition::Blocked) });
    rig.wake("a", Priority::Change);
    pass_time(10.0).await;
    rig.wake("a", Priority::Hint);
    pass_time(200.0).await;
    let gaps = rig.runs.gaps("a");
    assert!(gaps[0] < Duration::from_secs(11));
    assert!(gaps.len() >= 3);
    assert!(gaps[1..].iter().all(|gap| (60..=75).contains(&gap.as_secs())), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_error_is_not_repeated_until_the_key_is_woken() {
    let rig = Rig::start(options(2), |_, _, _| async { fails(Disposition::Terminal) });
    rig.wake("a", Priority::Change);
    pass_time(100_000.0).await;
    assert_eq!(rig.runs.count("a"), 1);
    rig.wake("a", Priority::Resync);
    pass_time(1.0).await;
    assert_eq!(rig.runs.count("a"), 2);
    assert_eq!(rig.metric(r#"terminal_reconcile_errors_total{controller="rig"}"#), 2.0);
}

#[tokio::test(start_paused = true)]
async fn panics_are_contained_counted_and_lead_to_quarantine_until_a_change() {
    let rig = Rig::start(options(2), |key, _, _| async move {
        assert!(key != "panics", "as the test wants");
        DONE
    });
    rig.wake("panics", Priority::Change);
    pass_time(30.0).await;
    rig.wake("sound", Priority::Change);
    rig.wake("panics", Priority::Hint);
    pass_time(30.0).await;
    let until_quarantine = usize::try_from(PANICS_BEFORE_QUARANTINE).unwrap();
    assert_eq!(rig.runs.count("panics"), until_quarantine);
    assert_eq!(rig.runs.count("sound"), 1);
    assert_eq!(rig.metric(r#"reconcile_panics_total{controller="rig"}"#), 3.0);
    assert_eq!(rig.metric(r#"active_workers{controller="rig"}"#), 0.0);
    rig.wake("panics", Priority::Change);
    pass_time(0.1).await;
    assert_eq!(rig.runs.count("panics"), until_quarantine + 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_over_its_limit_is_dropped_and_repeated_and_never_overlaps_its_successor() {
    struct Alive(Arc<Mutex<u32>>);
    impl Drop for Alive {
        fn drop(&mut self) {
            *self.0.lock().unwrap() -= 1;
        }
    }
    let alive = Arc::new(Mutex::new(0));
    let limit = Duration::from_secs(10);
    let options = ControllerOptions { run_limit: limit, ..options(2) };
    let rig = Rig::start(options, move |_, before, _| {
        let alive = Arc::clone(&alive);
        async move {
            *alive.lock().unwrap() += 1;
            let guard = Alive(alive);
            assert_eq!(*guard.0.lock().unwrap(), 1);
            if before == 0 {
                std::future::pending::<()>().await;
            }
            DONE
        }
    });
    rig.wake("a", Priority::Hint);
    pass_time(5.0).await;
    assert!(rig.metric(r#"workqueue_longest_running_processor_seconds{controller="rig"}"#) >= 4.9);
    pass_time(10.0).await;
    assert_eq!(rig.runs.count("a"), 2);
    assert!(rig.runs.gaps("a")[0] >= limit);
    assert_eq!(rig.metric(r#"reconcile_total{controller="rig",kind="key",result="timeout"}"#), 1.0);
    assert_eq!(rig.metric(r#"reconcile_total{controller="rig",kind="key",result="success"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_joins_running_work_and_starts_nothing_new() {
    let rig = Rig::start(options(2), |_, _, pass| async move {
        pass.stopping().await;
        pass_time(3.0).await;
        DONE
    });
    for key in ["a", "b", "c"] {
        rig.wake(key, Priority::Change);
    }
    pass_time(1.0).await;
    let runs = rig.runs.clone();
    let asked = Instant::now();
    assert_eq!(rig.stop().await, Stopped { cause: StopCause::Shutdown, cut_off: 0 });
    assert_eq!(asked.elapsed().as_secs(), 3);
    assert_eq!(runs.all().len(), 2);
    assert!(runs.all().iter().all(|run| run.ended.is_some()));
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_off_work_that_does_not_end_in_time() {
    let rig = Rig::start(options(2), |key, _, _| async move {
        if key == "deaf" {
            std::future::pending::<()>().await;
        }
        DONE
    });
    rig.wake("deaf", Priority::Change);
    rig.wake("polite", Priority::Change);
    pass_time(1.0).await;
    let asked = Instant::now();
    assert_eq!(rig.stop().await, Stopped { cause: StopCause::Shutdown, cut_off: 1 });
    assert_eq!(asked.elapsed().as_secs(), ControllerOptions::default().stop_within.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_fenced_run_stops_the_whole_controller_and_is_reported() {
    let rig = Rig::start(options(4), |key, _, pass| async move {
        if key == "fenced" {
            pass_time(1.0).await;
            return fails(Disposition::Fenced);
        }
        pass.stopping().await;
        DONE
    });
    for key in ["other", "fenced"] {
        rig.wake(key, Priority::Change);
    }
    let stopped = rig.controller.await.unwrap();
    let cause = StopCause::Fenced { key: "fenced".to_owned(), error: Scripted(Disposition::Fenced) };
    assert_eq!(stopped, Stopped { cause, cut_off: 0 });
    assert!(!rig.shutdown.is_requested());
    assert_eq!(
        rig.queue.wake("late".to_owned(), Priority::Urgent, Duration::ZERO),
        skep_runtime::Woken::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn resync_runs_every_key_at_the_start_and_then_spreads_them_over_the_interval() {
    let interval = Duration::from_secs(300);
    let keys: Vec<String> = (0..2000).map(|key| format!("{}{key}", ["a", "b", "c"][key % 3])).collect();
    let listed = keys.clone();
    let rig = Rig::start_with(
        options(4),
        |_, _, _| async { DONE },
        |controller| {
            controller.with_resync(interval, move || {
                let listed = listed.clone();
                async move { Ok::<_, std::io::Error>(listed) }
            })
        },
    );
    let start = Instant::now();
    pass_time(1.0).await;
    assert_eq!(rig.runs.all().len(), keys.len());
    pass_time(600.0).await;
    let second: Vec<u64> =
        rig.runs.all()[2000..4000].iter().map(|run| (run.started - start).as_secs() - 300).collect();
    let distinct: HashSet<&str> = HashSet::from_iter(keys.iter().map(String::as_str));
    let run: HashSet<String> = rig.runs.all()[2000..4000].iter().map(|run| run.key.clone()).collect();
    assert_eq!(run.len(), distinct.len());
    // Of 2000 keys over ten half minutes each should hold about 200, in bunches of 32; none may be empty or hold a burst.
    for part in 0..10 {
        let count = second.iter().filter(|second| **second / 30 == part).count();
        assert!((130..=270).contains(&count), "{count} keys in part {part}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_or_panics_is_repeated_until_it_works() {
    let calls = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&calls);
    let rig = Rig::start_with(
        options(2),
        |_, _, _| async { DONE },
        |controller| {
            controller.with_resync(Duration::from_secs(300), move || {
                let seen = Arc::clone(&seen);
                async move {
                    let call = {
                        let mut calls = seen.lock().unwrap();
                        *calls += 1;
                        *calls
                    };
                    match call {
                        1 => Err(std::io::Error::other("not yet")),
                        2 => panic!("as the test wants"),
                        _ => Ok(vec!["a".to_owned()]),
                    }
                }
            })
        },
    );
    pass_time(5.0).await;
    assert_eq!(*calls.lock().unwrap(), 3);
    assert_eq!(rig.runs.count("a"), 1);
}
