//! The queue with its clock and its waiters.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::clock::SystemClock;

type Queue = WorkQueue<&'static str, char>;

/// A queue whose groups are the first letters of the keys.
fn queue(group_share: usize) -> Queue {
    let options = QueueOptions { group_share: NonZeroUsize::new(group_share).unwrap(), max_keys: 8 };
    WorkQueue::new(options, Arc::new(SystemClock), |key: &&'static str| key.chars().next().unwrap())
}

async fn next(queue: &Queue) -> Lease<&'static str, char> {
    queue.next().await.expect("the queue is open")
}

async fn drain(queue: &Queue) -> Vec<&'static str> {
    let mut order = Vec::new();
    while !queue.is_empty() {
        order.push(*next(queue).await.key());
    }
    order
}

#[tokio::test(start_paused = true)]
async fn the_earliest_time_and_the_highest_priority_win() {
    let queue = queue(4);
    let start = Instant::now();
    assert_eq!(queue.wake("a", Priority::Resync, Duration::from_secs(9)), Woken::Added);
    assert_eq!(queue.wake("a", Priority::Change, Duration::from_secs(20)), Woken::Merged);
    assert_eq!(queue.wake("a", Priority::Hint, Duration::from_secs(5)), Woken::Merged);
    let lease = next(&queue).await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(lease.priority(), Priority::Change);
    drop(lease);
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn due_keys_come_by_priority_and_then_in_turn() {
    let queue = queue(4);
    for (key, priority) in [
        ("a1", Priority::Resync),
        ("a2", Priority::Change),
        ("a3", Priority::Change),
        ("b1", Priority::Change),
        ("b2", Priority::Urgent),
        ("c1", Priority::Retry),
    ] {
        queue.wake(key, priority, Duration::ZERO);
    }
    queue.wake("a1", Priority::Hint, Duration::ZERO);
    assert_eq!(drain(&queue).await, ["b2", "a2", "b1", "a3", "a1", "c1"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_woken_while_running_is_held_and_then_run_exactly_once_more() {
    let queue = queue(4);
    queue.wake("a", Priority::Hint, Duration::ZERO);
    let lease = next(&queue).await;
    for _ in 0..5 {
        assert_eq!(queue.wake("a", Priority::Hint, Duration::ZERO), Woken::Held);
    }
    assert!(matches!(queue.try_next(), Next::Nothing { due: None }));
    drop(lease);
    drop(next(&queue).await);
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_dropped_by_a_panic_ends_the_run() {
    let queue = queue(4);
    queue.wake("a", Priority::Hint, Duration::ZERO);
    let lease = next(&queue).await;
    let task = tokio::spawn(async move {
        let _lease = lease;
        panic!("as the test wants");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(queue.is_empty());
    assert_eq!(queue.wake("a", Priority::Hint, Duration::ZERO), Woken::Added);
    assert_eq!(*next(&queue).await.key(), "a");
}

#[tokio::test(start_paused = true)]
async fn hints_do_not_hurry_a_key_that_backs_off_but_a_change_does() {
    let queue = queue(4);
    let start = Instant::now();
    queue.wake("a", Priority::Hint, Duration::ZERO);
    let lease = next(&queue).await;
    queue.wake("a", Priority::Hint, Duration::ZERO);
    lease.finish(After::BackOff(Duration::from_secs(10)));
    queue.wake("a", Priority::Resync, Duration::ZERO);
    queue.wake("a", Priority::Hint, Duration::ZERO);
    next(&queue).await.finish(After::BackOff(Duration::from_secs(10)));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    queue.wake("a", Priority::Change, Duration::ZERO);
    let lease = next(&queue).await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    // A change during the run outlives the backoff that the run ends with.
    queue.wake("a", Priority::Change, Duration::ZERO);
    lease.finish(After::BackOff(Duration::from_secs(10)));
    drop(next(&queue).await);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn any_wake_up_comes_before_a_poll() {
    let queue = queue(4);
    let start = Instant::now();
    queue.wake("a", Priority::Hint, Duration::ZERO);
    next(&queue).await.finish(After::Poll(Duration::from_secs(10)));
    queue.wake("a", Priority::Resync, Duration::from_secs(1));
    next(&queue).await.finish(After::Poll(Duration::from_secs(10)));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    drop(next(&queue).await);
    assert_eq!(start.elapsed(), Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_group_never_has_more_than_its_share_running() {
    let queue = queue(2);
    for key in ["a1", "a2", "a3", "b1"] {
        queue.wake(key, Priority::Change, Duration::ZERO);
    }
    let (one, two, three) = (next(&queue).await, next(&queue).await, next(&queue).await);
    assert_eq!([*one.key(), *two.key(), *three.key()], ["a1", "b1", "a2"]);
    assert!(matches!(queue.try_next(), Next::Nothing { due: None }));
    drop(one);
    assert_eq!(*next(&queue).await.key(), "a3");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_new_keys_but_still_merges_known_ones() {
    let queue = queue(2);
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert_eq!(queue.wake(key, Priority::Hint, Duration::ZERO), Woken::Added);
    }
    assert_eq!(queue.wake("i", Priority::Urgent, Duration::ZERO), Woken::Refused);
    assert_eq!(queue.wake("h", Priority::Urgent, Duration::ZERO), Woken::Merged);
    assert_eq!(queue.stats().refused, 1);
    assert_eq!(queue.len(), 8);
    assert_eq!(drain(&queue).await, ["h", "a", "b", "c", "d", "e", "f", "g"]);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_waiter_and_refuses_wake_ups() {
    let queue = queue(2);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next().await.is_none() })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.close();
    for waiter in waiters {
        assert!(waiter.await.unwrap());
    }
    assert_eq!(queue.wake("a", Priority::Hint, Duration::ZERO), Woken::Closed);
}

#[tokio::test(start_paused = true)]
async fn several_keys_due_at_once_reach_several_waiters_and_a_dropped_waiter_loses_none() {
    let queue = queue(4);
    let mut dropped = Box::pin(queue.next());
    assert!(futures::poll!(&mut dropped).is_pending());
    for key in ["a", "b", "c"] {
        queue.wake(key, Priority::Hint, Duration::from_secs(1));
    }
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let lease = queue.next().await.unwrap();
                // Held for long: each key must reach a waiter of its own.
                tokio::time::sleep(Duration::from_secs(60)).await;
                *lease.key()
            })
        })
        .collect();
    drop(dropped);
    let start = Instant::now();
    let mut keys = Vec::new();
    for waiter in waiters {
        keys.push(waiter.await.unwrap());
    }
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b", "c"]);
    assert_eq!(start.elapsed(), Duration::from_secs(61));
}

#[tokio::test(start_paused = true)]
async fn stats_tell_what_waits_what_is_ready_and_how_long_the_oldest_run_runs() {
    let queue = queue(1);
    queue.wake("a1", Priority::Change, Duration::ZERO);
    queue.wake("a2", Priority::Hint, Duration::ZERO);
    queue.wake("a3", Priority::Hint, Duration::from_secs(99));
    let _lease = next(&queue).await;
    tokio::time::advance(Duration::from_secs(7)).await;
    let stats = queue.stats();
    assert_eq!(stats.ready[Priority::Hint.index()], (Priority::Hint, 1));
    assert_eq!((stats.waiting, stats.running), (1, 1));
    assert_eq!(stats.longest_run, Some(Duration::from_secs(7)));
}

/// Real threads and real time: the one test here that looks for races.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_many_wakers_and_many_workers() {
    const KEYS: usize = 16;
    const WAKES: usize = 4000;
    let share = NonZeroUsize::new(2).unwrap();
    let options = QueueOptions { group_share: share, max_keys: KEYS };
    let queue = WorkQueue::new(options, Arc::new(SystemClock), |key: &usize| key % 3);
    // What was written before a wake-up must be seen by a run after it.
    let written: Arc<[AtomicUsize; KEYS]> = Arc::default();
    let seen: Arc<[AtomicUsize; KEYS]> = Arc::default();
    for _ in 0..4 {
        let (queue, written, seen) = (queue.clone(), Arc::clone(&written), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Some(lease) = queue.next().await {
                let key = *lease.key();
                seen[key].store(written[key].load(SeqCst), SeqCst);
                tokio::task::yield_now().await;
            }
        });
    }
    let wakers = (0..3).map(|waker| {
        let (queue, written) = (queue.clone(), Arc::clone(&written));
        tokio::spawn(async move {
            for step in 0..WAKES {
                let key = (step * 7 + waker) % KEYS;
                written[key].fetch_add(1, SeqCst);
                queue.wake(
                    key,
                    Priority::ALL[step % 5],
                    Duration::from_micros((step % 3 * 50).try_into().unwrap()),
                );
                if step.is_multiple_of(11) {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    for waker in wakers.collect::<Vec<_>>() {
        waker.await.unwrap();
    }
    let emptied = async {
        while !queue.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), emptied)
        .await
        .expect("every key that was woken gets its run");
    for key in 0..KEYS {
        assert_eq!(seen[key].load(SeqCst), written[key].load(SeqCst), "key {key}");
    }
    queue.close();
}
