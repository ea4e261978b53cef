//! Watching, the promise that everything else rests on: no reader misses a change or sees two out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use skep_schemas::{Generation, Kind, Uid};
use skep_store::{Change, ChangeOp, Cursor, Fence, Precondition, Store, WatchEvent, Watcher};
use skep_testbed::Postgres;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::support::{Bed, actor, app, domain, environment, item, key, labelled, org};

/// Longer than any watcher may take, with a lost notification and a poll.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows until everything up to a revision was seen.
async fn follow(mut watcher: Watcher, until: i64) -> Vec<Change> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|change: &Change| change.revision.get() < until) {
        match timeout(PATIENCE, watcher.next()).await.expect("a change within the patience") {
            WatchEvent::Changes(page) => seen.extend(page.changes),
            WatchEvent::Relist { .. } => panic!("nothing was compacted"),
        }
    }
    seen
}

async fn all_changes(store: &Store, mut cursor: Cursor, limit: u32) -> Vec<Change> {
    let mut seen = Vec::new();
    loop {
        let page = store.changes(cursor, limit).await.unwrap();
        cursor = page.cursor;
        seen.extend(page.changes);
        if !page.more {
            return seen;
        }
    }
}

fn ops(changes: &[Change]) -> Vec<(i64, ChangeOp, String)> {
    changes.iter().map(|change| (change.revision.get(), change.op, change.key.name().to_string())).collect()
}

#[tokio::test]
async fn every_sort_of_change_is_told_with_what_it_concerns() {
    let bed = Bed::new("ops").await;
    let fence = bed.fence().await;
    let start = bed.store.cursor().await.unwrap();
    let made = bed.apply(&[org("acme"), domain("acme", "www", "www.acme.test")]).await.unwrap();
    bed.applied(labelled(domain("acme", "www", "www.acme.test"), "a", "b")).await;
    let mut moved = domain("acme", "www", "www.acme.test");
    moved.spec = skep_schemas::AnySpec::from_json(
        Kind::Domain,
        json!({"host": "www.acme.test", "environment": "staging"}),
    )
    .unwrap();
    bed.applied(moved).await;
    let org_uid = made[0].resource.meta.uid;
    bed.store.write_status(&fence, org_uid, Generation::new(1), &json!({})).await.unwrap();
    bed.store.delete(&key("", Kind::Organization, "acme"), Precondition::None, &actor()).await.unwrap();
    bed.store.finalize(&fence, org_uid).await.unwrap();
    let changes = all_changes(&bed.store, start, 100).await;
    let expected = [
        (1, ChangeOp::Created, "acme"),
        (1, ChangeOp::Created, "www"),
        (2, ChangeOp::Meta, "www"),
        (3, ChangeOp::Spec, "www"),
        (4, ChangeOp::Status, "acme"),
        (5, ChangeOp::Removed, "www"),
        (5, ChangeOp::Deleting, "acme"),
        (6, ChangeOp::Meta, "acme"),
        (6, ChangeOp::Removed, "acme"),
    ];
    assert_eq!(ops(&changes), expected.map(|(revision, op, name)| (revision, op, name.to_owned())));
    let refs = |index: usize| changes[index].refs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(refs(1), ["acme/Environment/production"]);
    assert_eq!(refs(3), ["acme/Environment/production", "acme/Environment/staging"], "before and after");
    assert_eq!(refs(5), ["acme/Environment/staging"], "of a resource that is gone");
}

#[tokio::test]
async fn pages_that_end_inside_a_transaction_lose_nothing() {
    let bed = Bed::new("pages_of_changes").await;
    let start = bed.store.cursor().await.unwrap();
    bed.apply(&[org("acme")]).await.unwrap();
    for round in 0..3 {
        let batch: Vec<_> = (0..7).map(|n| app("acme", &format!("app-{n}"), &format!("x:{round}"))).collect();
        bed.apply(&batch).await.unwrap();
    }
    let whole = all_changes(&bed.store, start, 500).await;
    assert_eq!(whole.len(), 22);
    for limit in [1, 2, 3, 5, 7, 11, 22] {
        assert_eq!(all_changes(&bed.store, start, limit).await, whole, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_slow_transaction_is_seen_after_the_fast_one_that_overtook_it() {
    let bed = Bed::new("slow").await;
    bed.apply(&[org("acme"), app("acme", "slow", "x:1")]).await.unwrap();
    let mut slow = PgConnection::connect(&bed.url).await.unwrap();
    let mut slow = slow.begin().await.unwrap();
    // It draws the lower sequence number, and commits last.
    let write = "UPDATE resource SET labels = '{\"a\": \"b\"}' WHERE name = 'slow'";
    sqlx::query(write).execute(&mut *slow).await.unwrap();
    let start = bed.store.cursor().await.unwrap();
    bed.applied(app("acme", "fast", "x:1")).await;
    let first = bed.store.changes(start, 100).await.unwrap();
    assert_eq!(ops(&first.changes), [(2, ChangeOp::Created, "fast".to_owned())]);
    slow.commit().await.unwrap();
    let second = bed.store.changes(first.cursor, 100).await.unwrap();
    assert_eq!(ops(&second.changes), [(3, ChangeOp::Meta, "slow".to_owned())]);
    let seqs = bed.sql("SELECT string_agg(name, ' ' ORDER BY seq) FROM change_log WHERE revision > 1");
    assert_eq!(seqs, "slow fast", "by sequence number it would have been missed");
}

#[tokio::test]
async fn a_rolled_back_transaction_leaves_no_gap() {
    let bed = Bed::new("gap").await;
    let start = bed.store.cursor().await.unwrap();
    bed.applied(org("acme")).await;
    bed.apply(&[app("acme", "a", "x:1"), app("none", "b", "x:1")]).await.unwrap_err();
    bed.store.dry_run(&[item(app("acme", "a", "x:1"))], &actor()).await.unwrap();
    bed.sql("BEGIN; UPDATE resource SET labels = '{\"a\": \"b\"}'; ROLLBACK");
    bed.applied(app("acme", "a", "x:1")).await;
    let revisions: Vec<_> =
        all_changes(&bed.store, start, 100).await.iter().map(|change| change.revision.get()).collect();
    assert_eq!(revisions, [1, 2]);
}

/// Writes at random until told to stop: batches, deletions, statuses, rows by hand, slowly and with roll-backs.
async fn write_at_random(bed: &Bed, fence: &Fence, writer: u32, rounds: u32) {
    let mut by_hand = PgConnection::connect(&bed.url).await.unwrap();
    for round in 0..rounds {
        let name = format!("r-{}", rand::random_range(0..6));
        match rand::random_range(0..8) {
            0..=2 => {
                let tier = round.to_string();
                let batch = [
                    labelled(app("acme", &name, &format!("x:{writer}-{}", round % 3)), "tier", &tier),
                    app("acme", &format!("w-{writer}"), &format!("x:{round}")),
                ];
                bed.apply(&batch).await.unwrap();
            }
            3 => {
                let deleted =
                    bed.store.delete(&key("acme", Kind::App, &name), Precondition::None, &actor()).await;
                deleted.unwrap();
            }
            4 => {
                if let Some(app) = bed.store.get(&key("acme", Kind::App, &name)).await.unwrap() {
                    let status = json!({ "writer": writer, "round": round });
                    bed.store.write_status(fence, app.meta.uid, app.meta.generation, &status).await.unwrap();
                }
            }
            5 => {
                bed.store.dry_run(&[item(app("acme", &name, "x:dry"))], &actor()).await.unwrap();
            }
            kind => {
                let mut tx = by_hand.begin().await.unwrap();
                let write =
                    "UPDATE resource SET annotations = jsonb_build_object('at', clock_timestamp()::text)
                             WHERE kind = 'App' AND name = $1";
                sqlx::query(write).bind(format!("slow-{writer}")).execute(&mut *tx).await.unwrap();
                // Slow on purpose: the others overtake it while it is open.
                tokio::time::sleep(Duration::from_millis(rand::random_range(1..40))).await;
                if kind == 6 { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
            }
        }
    }
}

/// Applies the told changes to an empty world. What is alive at the end, and at which generation?
fn replay(changes: &[Change]) -> BTreeMap<Uid, (String, i64)> {
    let mut world = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for change in changes {
        assert!(!gone.contains(&change.uid), "{change:?} comes after its resource was removed");
        match change.op {
            ChangeOp::Created => {
                let before = world.insert(change.uid, (change.key.to_string(), 1));
                assert_eq!(before, None, "{change:?} comes twice");
            }
            ChangeOp::Spec => world.get_mut(&change.uid).expect("it was created before").1 += 1,
            ChangeOp::Meta | ChangeOp::Status | ChangeOp::Deleting => {
                assert!(world.contains_key(&change.uid), "{change:?} comes before its resource");
            }
            ChangeOp::Removed => {
                world.remove(&change.uid).expect("it was created before");
                gone.insert(change.uid);
            }
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_watcher_misses_or_reorders_a_change_whatever_writers_and_connections_do() {
    const WRITERS: u32 = 8;
    let bed = Arc::new(Bed::new("model").await);
    let fence = bed.fence().await;
    let start = bed.store.cursor().await.unwrap();
    let slow: Vec<_> = (0..WRITERS).map(|writer| app("acme", &format!("slow-{writer}"), "x:1")).collect();
    bed.apply(&[org("acme")]).await.unwrap();
    bed.apply(&slow).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn(kill_listeners(bed.clone(), stop.clone()));
    // The watchers run all the while, into channels that are read when it is known what they should have seen.
    let watchers: Vec<_> = (0..3)
        .map(|_| {
            let (told, seen) = tokio::sync::mpsc::unbounded_channel();
            let mut watcher = Watcher::after(bed.store.clone(), start);
            let task = tokio::spawn(async move { while told.send(watcher.next().await).is_ok() {} });
            (task, seen)
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (bed, fence) = (bed.clone(), fence.clone());
            tokio::spawn(async move { write_at_random(&bed, &fence, writer, 40).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(killer.await.unwrap() > 0, "the listeners were disturbed");

    let head = bed.head();
    let truth = all_changes(&bed.store, start, 500).await;
    let revisions: BTreeSet<i64> = truth.iter().map(|change| change.revision.get()).collect();
    assert_eq!(revisions, (1..=head).collect(), "revisions are dense");
    assert!(truth.is_sorted_by_key(|change| change.revision), "and in order");
    assert!(head > 100, "there was something to miss: {head}");
    for (task, mut seen) in watchers {
        let mut told: Vec<Change> = Vec::new();
        while told.last().is_none_or(|change| change.revision.get() < head) {
            match timeout(PATIENCE, seen.recv()).await.expect("it catches up in time").unwrap() {
                WatchEvent::Changes(page) => told.extend(page.changes),
                WatchEvent::Relist { .. } => panic!("nothing was compacted"),
            }
        }
        assert_eq!(told, truth);
        task.abort();
    }
    let mut alive = BTreeMap::new();
    let mut snapshot = bed.store.snapshot().await.unwrap();
    for kind in Kind::ALL {
        for entry in snapshot.keys(*kind, None).await.unwrap() {
            let generation = snapshot.get(&entry.key).await.unwrap().unwrap().meta.generation.get();
            alive.insert(entry.uid, (entry.key.to_string(), generation));
        }
    }
    assert_eq!(replay(&truth), alive);
}

/// Ends the connections that listen, again and again. How many?
async fn kill_listeners(bed: Arc<Bed>, stop: Arc<AtomicBool>) -> u32 {
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = 'skep-watch' AND datname = current_database()";
    let mut killed = 0;
    while !stop.load(Ordering::Relaxed) {
        killed += bed.sql(kill).parse::<u32>().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    killed
}

#[tokio::test]
async fn a_notification_arrives_long_before_the_poll() {
    let bed = Bed::new("hint").await;
    let mut watcher = Watcher::new(bed.store.clone());
    assert!(matches!(watcher.next().await, WatchEvent::Relist { .. }), "first of all, list");
    for round in 0..5 {
        let (store, name) = (bed.store.clone(), format!("org-{round}"));
        let write = tokio::spawn(async move { store.apply(&[item(org(&name))], &actor()).await.unwrap() });
        // The poll comes after five seconds at the earliest.
        let event = timeout(Duration::from_secs(3), watcher.next()).await.expect("a hint");
        assert!(matches!(event, WatchEvent::Changes(page) if page.changes.len() == 1));
        write.await.unwrap();
    }
    assert_eq!((watcher.stats().connects, watcher.stats().failures), (1, 0));
}

#[tokio::test]
async fn a_look_that_is_cancelled_is_repeated() {
    let bed = Bed::new("cancel").await;
    let start = bed.store.cursor().await.unwrap();
    let mut watcher = Watcher::after(bed.store.clone(), start);
    bed.applied(org("acme")).await;
    let mut seen = None;
    // Each attempt gets a little further before it is cancelled.
    for micros in (0..).step_by(200) {
        if let Ok(event) = timeout(Duration::from_micros(micros), watcher.next()).await {
            seen = Some(event);
            break;
        }
    }
    let Some(WatchEvent::Changes(page)) = seen else { panic!("{seen:?}") };
    assert_eq!(ops(&page.changes), [(1, ChangeOp::Created, "acme".to_owned())]);
}

#[tokio::test]
async fn a_watcher_outlives_a_crash_of_the_server() {
    let mut bed = Bed::on(Postgres::start().unwrap(), "crash").await;
    let start = bed.store.cursor().await.unwrap();
    let watcher = Watcher::after(bed.store.clone(), start);
    let following = tokio::spawn(follow(watcher, 2));
    bed.applied(org("acme")).await;
    bed.server.stop_immediate().unwrap();
    bed.server.restart().unwrap();
    timeout(PATIENCE, async {
        while let Err(error) = bed.apply(&[environment("acme", "production", &[])]).await {
            assert!(error.is_transient(), "{error:?}");
        }
    })
    .await
    .unwrap();
    let seen = following.await.unwrap();
    assert_eq!(
        ops(&seen),
        [(1, ChangeOp::Created, "acme".to_owned()), (2, ChangeOp::Created, "production".to_owned())]
    );
}
