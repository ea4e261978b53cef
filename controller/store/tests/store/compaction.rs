//! Compaction and epochs: a reader that fell behind is told, and never misses anything silently.

use std::time::Duration;

use skep_store::{Cursor, Retention, StoreError, WatchEvent, Watcher};

use crate::support::{Bed, app, connect, org};

async fn with_changes(name: &str, count: u32) -> (Bed, Vec<Cursor>) {
    let bed = Bed::new(name).await;
    let mut cursors = vec![bed.store.cursor().await.unwrap()];
    bed.apply(&[org("acme")]).await.unwrap();
    for n in 0..count {
        cursors.push(bed.store.cursor().await.unwrap());
        bed.apply(&[app("acme", "shop", &format!("shop:{n}")), app("acme", "blog", &format!("blog:{n}"))])
            .await
            .unwrap();
    }
    (bed, cursors)
}

#[tokio::test]
async fn a_cursor_from_before_the_floor_has_expired_and_later_ones_go_on() {
    let (bed, cursors) = with_changes("floor", 6).await;
    // One row of a revision that will be removed was read, one was not.
    let inside = bed.store.changes(cursors[3], 1).await.unwrap().cursor;
    assert_eq!(bed.store.compact(3, Duration::ZERO).await.unwrap(), 1 + 3 * 2);
    for (index, cursor) in cursors.iter().enumerate() {
        let page = bed.store.changes(*cursor, 100).await;
        if index < 4 {
            assert!(matches!(page, Err(StoreError::CursorExpired)), "{index}: {page:?}");
        } else {
            assert_eq!(page.unwrap().changes.len(), (7 - index) * 2, "{index}");
        }
    }
    assert!(matches!(bed.store.changes(inside, 100).await, Err(StoreError::CursorExpired)));
    let mut watcher = Watcher::after(bed.store.clone(), cursors[1]);
    let WatchEvent::Relist { cursor } = watcher.next().await else { panic!("the cursor has expired") };
    assert_eq!(cursor, bed.store.cursor().await.unwrap());
    bed.apply(&[app("acme", "late", "late:1")]).await.unwrap();
    let WatchEvent::Changes(page) = watcher.next().await else { panic!("it goes on after the list") };
    assert_eq!(page.changes.len(), 1);
}

#[tokio::test]
async fn young_changes_and_the_newest_are_kept() {
    let (bed, cursors) = with_changes("kept", 4).await;
    assert_eq!(bed.store.compact(0, Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(bed.store.compact(100, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().changes, 0);
    assert_eq!(bed.store.changes(cursors[0], 100).await.unwrap().changes.len(), 9);
    assert_eq!(bed.store.compact(0, Duration::ZERO).await.unwrap(), 9);
    let now = bed.store.cursor().await.unwrap();
    assert!(bed.store.changes(now, 100).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn a_database_that_moved_has_another_epoch_and_honours_no_old_cursor() {
    let (bed, cursors) = with_changes("epoch", 2).await;
    let last = *cursors.last().unwrap();
    bed.store.migrate().await.unwrap();
    assert_eq!(bed.store.changes(last, 100).await.unwrap().changes.len(), 2, "a restart changes nothing");
    // A copy of the database is another one.
    let copy = bed.server.create_database("copy").unwrap();
    let dump = std::env::temp_dir().join(format!("skep-copy-{}.sql", std::process::id()));
    std::fs::write(&dump, bed.server.dump(&bed.url).unwrap()).unwrap();
    bed.server.run_file(&copy, &dump).unwrap();
    std::fs::remove_file(&dump).unwrap();
    let moved = connect(&copy, &bed.master_key).await;
    moved.migrate().await.unwrap();
    assert!(matches!(moved.changes(last, 100).await, Err(StoreError::CursorExpired)));
    assert_eq!(moved.instance_id().await.unwrap(), bed.store.instance_id().await.unwrap());
    assert_eq!(moved.cursor().await.unwrap().revision(), bed.store.cursor().await.unwrap().revision());
}

#[tokio::test]
async fn a_cursor_from_a_future_that_a_restore_undid_has_expired() {
    let (bed, _) = with_changes("future", 2).await;
    let now = bed.store.cursor().await.unwrap();
    bed.sql("UPDATE cluster_rev SET revision = revision - 1");
    assert!(matches!(bed.store.changes(now, 100).await, Err(StoreError::CursorExpired)));
}
