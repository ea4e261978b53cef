//! Members: they know of each other, keep what they renew, and pass on what they give up or can no longer keep.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use skep_schemas::Generation;
use skep_store::{Fence, Member, StoreError};

use crate::support::{Bed, org};

const LONG: Duration = Duration::from_secs(600);

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|&name| name.to_owned()).collect()
}

fn held(fences: &[Fence]) -> Vec<&str> {
    fences.iter().map(Fence::name).collect()
}

fn member(bed: &Bed, id: &str) -> Member {
    bed.store.member(id.to_owned(), LONG)
}

#[tokio::test]
async fn members_learn_of_each_other_and_of_what_is_free() {
    let bed = Bed::new("members").await;
    let all = names(&["a", "b", "c"]);
    let (mut one, mut two) = (member(&bed, "one"), member(&bed, "two"));
    let first = one.beat(&[], &all).await.unwrap();
    assert_eq!((first.renewed, first.others, first.free), (vec![], vec![], all.clone()));
    let fences = one.take(&names(&["a", "b"])).await.unwrap();
    assert_eq!(held(&fences), ["a", "b"]);
    let second = two.beat(&[], &all).await.unwrap();
    assert_eq!((second.others, second.free), (names(&["one"]), names(&["c"])));
    assert_eq!(two.take(&all).await.unwrap().iter().map(Fence::name).collect::<Vec<_>>(), ["c"]);
    let again = one.beat(&fences, &all).await.unwrap();
    assert_eq!((again.renewed, again.others, again.free), (names(&["a", "b"]), names(&["two"]), vec![]));
    one.leave().await.unwrap();
    assert!(two.beat(&[], &all).await.unwrap().others.is_empty());
}

#[tokio::test]
async fn a_member_that_says_nothing_is_gone_and_its_leases_pass_on_with_another_epoch() {
    let bed = Bed::new("silent").await;
    let all = names(&["a", "b"]);
    let mut silent = member(&bed, "silent");
    silent.beat(&[], &all).await.unwrap();
    let lost = silent.take(&all).await.unwrap();
    let mut next = member(&bed, "next");
    assert!(next.take(&all).await.unwrap().is_empty());
    bed.sql("UPDATE lease SET expires_at = now(); UPDATE controller_member SET expires_at = now() WHERE id = 'silent'");
    let won = next.take(&all).await.unwrap();
    assert_eq!(won.iter().map(Fence::epoch).collect::<Vec<_>>(), [2, 2]);
    assert!(next.beat(&won, &all).await.unwrap().others.is_empty());
    // It wakes up and believes to hold them.
    let beat = silent.beat(&lost, &all).await.unwrap();
    assert!(beat.renewed.is_empty() && beat.free.is_empty(), "{beat:?}");
    silent.release(&lost).await.unwrap();
    assert_eq!(next.beat(&won, &all).await.unwrap().renewed, all);
}

#[tokio::test]
async fn a_lease_has_one_holder_however_many_members_want_it_at_once() {
    let bed = Bed::new("rivals").await;
    let all: Vec<String> = (0..16).map(|n| format!("shard-{n:02}")).collect();
    let rivals = (0..8).map(|n| {
        let mut rival = member(&bed, &format!("rival-{n}"));
        let mut wanted = all.clone();
        wanted.rotate_left(2 * n);
        tokio::spawn(async move {
            rival.beat(&[], &wanted).await.unwrap();
            rival.take(&wanted).await.unwrap()
        })
    });
    let mut won = Vec::new();
    for rival in rivals.collect::<Vec<_>>() {
        won.extend(rival.await.unwrap());
    }
    assert_eq!(won.len(), 16);
    assert_eq!(won.iter().map(|fence| fence.name().to_owned()).collect::<BTreeSet<_>>().len(), 16);
}

#[tokio::test]
async fn a_lease_that_is_given_up_is_announced_and_its_fence_is_worth_nothing() {
    let bed = Bed::new("given").await;
    let acme = bed.applied(org("acme")).await;
    let all = names(&["a"]);
    let (mut one, mut two) = (member(&bed, "one"), member(&bed, "two"));
    let fences = one.take(&all).await.unwrap();
    two.beat(&[], &all).await.unwrap();
    one.release(&fences).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), two.told()).await.unwrap();
    assert_eq!(held(&two.take(&all).await.unwrap()), ["a"]);
    let write = bed.store.write_status(&fences[0], acme.meta.uid, Generation::new(1), &json!({"x": 1})).await;
    assert!(matches!(write, Err(StoreError::Fenced { .. })), "{write:?}");
}

#[tokio::test]
async fn a_write_under_way_delays_a_takeover_of_its_lease_alone_and_no_renewal() {
    let bed = Bed::new("underway").await;
    let all = names(&["a", "b"]);
    let mut old = member(&bed, "old");
    let fences = old.take(&all).await.unwrap();
    // As a write of the controller does, and then its process is stopped.
    let write = "BEGIN; SELECT 1 FROM lease WHERE name = 'a' FOR KEY SHARE; SELECT pg_sleep(600)";
    let url = bed.url.clone();
    let stopped = std::thread::spawn(move || {
        let psql = ["--no-psqlrc", "--quiet", "--dbname", &url, "--command", write];
        std::process::Command::new("psql").args(psql).output()
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    while bed.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'",
    ) != "1"
    {
        assert!(Instant::now() < deadline, "the write never began");
    }
    assert_eq!(old.beat(&fences, &all).await.unwrap().renewed, all);
    bed.sql("UPDATE lease SET expires_at = '-infinity'");
    let mut next = member(&bed, "next");
    assert_eq!(held(&next.take(&all).await.unwrap()), ["b"]);
    bed.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    drop(stopped.join());
    assert_eq!(held(&next.take(&all).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_member_goes_on_after_its_connection_was_cut() {
    let bed = Bed::new("cut").await;
    let all = names(&["a"]);
    let mut one = member(&bed, "one");
    let fences = one.take(&all).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = 'skep-member' AND datname = current_database()";
    assert_eq!(bed.sql(cut), "1");
    let lost = one.beat(&fences, &all).await.unwrap_err();
    assert!(lost.is_transient(), "{lost:?}");
    assert_eq!(one.beat(&fences, &all).await.unwrap().renewed, all);
}
