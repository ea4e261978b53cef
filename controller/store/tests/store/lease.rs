//! Leases: one holder at a time, and a former holder changes nothing.

use std::time::Duration;

use serde_json::json;
use skep_planner::{NetworkPool, ObjectKind, ObjectRef};
use skep_schemas::Generation;
use skep_store::{Severity, StepOutcome, StoreError};

use crate::convergence::{create_network, plan_of};
use crate::support::{Bed, org};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_lease_that_is_held_cannot_be_taken_even_by_its_own_holder() {
    let bed = Bed::new("held").await;
    let fence = bed.store.acquire_lease("work", "one", LONG).await.unwrap().unwrap();
    assert_eq!((fence.name(), fence.epoch()), ("work", 1));
    assert_eq!(bed.store.acquire_lease("work", "two", LONG).await.unwrap(), None);
    assert_eq!(bed.store.acquire_lease("work", "one", LONG).await.unwrap(), None);
    bed.store.release_lease(&fence).await.unwrap();
    let next = bed.store.acquire_lease("work", "two", LONG).await.unwrap().unwrap();
    assert!(next.epoch() > fence.epoch());
    // Of a lease that has moved on there is nothing to give up.
    bed.store.release_lease(&fence).await.unwrap();
    assert_eq!(bed.store.acquire_lease("work", "one", LONG).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_who_want_an_expired_lease_one_gets_it() {
    let bed = Bed::new("expired").await;
    bed.store.acquire_lease("work", "old", Duration::ZERO).await.unwrap().unwrap();
    let rivals = (0..8).map(|n| {
        let store = bed.store.clone();
        tokio::spawn(async move { store.acquire_lease("work", &format!("rival-{n}"), LONG).await.unwrap() })
    });
    let mut won = Vec::new();
    for rival in rivals.collect::<Vec<_>>() {
        won.extend(rival.await.unwrap());
    }
    assert_eq!(won.iter().map(skep_store::Fence::epoch).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn after_a_takeover_no_write_of_the_former_holder_matches_anything() {
    let bed = Bed::new("fenced").await;
    let acme = bed.applied(org("acme")).await;
    let uid = acme.meta.uid;
    let old = bed.store.acquire_lease("work", "old", Duration::ZERO).await.unwrap().unwrap();
    let record =
        bed.store.begin_plan(&old, &plan_of(&acme, vec![create_network("n")])).await.unwrap().unwrap();
    let new = bed.store.acquire_lease("work", "new", LONG).await.unwrap().unwrap();
    let before = bed.dump();
    let pool = NetworkPool::new("10.128.0.0/16".parse().unwrap(), 24).unwrap();
    let store = &bed.store;
    let generation = Generation::new(1);
    let refused = [
        store.begin_plan(&old, &plan_of(&acme, vec![create_network("m")])).await.map(drop),
        store.step_started(&old, record.id, 0).await,
        store.step_finished(&old, record.id, 0, &StepOutcome::Conflict).await,
        store.forget(&old, uid, &[ObjectRef::new(ObjectKind::Network, "n")]).await,
        store.finalize(&old, uid).await.map(drop),
        store.write_status(&old, uid, generation, &json!({"x": 1})).await.map(drop),
        store.allocate_subnet(&old, uid, &pool, &[]).await.map(drop),
        store.record_event(&old, uid, Severity::Normal, "Late", "too late").await,
    ];
    for result in refused {
        assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
    }
    assert_eq!(bed.dump(), before);
    assert!(store.write_status(&new, uid, generation, &json!({"x": 1})).await.unwrap());
}
