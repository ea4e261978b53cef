//! Quotas: nobody gets beyond what the plan allows, however many try at once.

use serde_json::{Value, json};
use skep_planner::quota::Counted;
use skep_schemas::{Kind, Manifest, Scope};
use skep_store::{ScopedStore, StoreError};
use tokio::task::JoinSet;

use crate::support::{Bed, actor, app, domain, item, key, manifest, org_name, secret};

fn plan(quota: &Value) -> Manifest {
    let instance = json!({"cpu": "500m", "memory": "256Mi", "pids": 100});
    manifest(key("", Kind::Plan, "small"), json!({"instance": instance, "quota": quota}))
}

fn organization() -> Manifest {
    manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"}))
}

fn running(name: &str, instances: u32) -> Manifest {
    let spec = json!({"app": "shop", "processes": {"web": {"instances": instances}}});
    manifest(key("acme", Kind::Environment, name), spec)
}

fn refusal(result: Result<impl std::fmt::Debug, StoreError>) -> String {
    match result {
        Err(error @ StoreError::QuotaExceeded { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A hundred that each want an environment of two instances.
async fn rush(store: &ScopedStore) -> (usize, usize) {
    let mut rush = JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        rush.spawn(async move {
            let name = format!("env-{number}");
            match store.apply(&[item(running(&name, 2))], &actor()).await {
                Ok(_) => true,
                Err(StoreError::QuotaExceeded { .. }) => false,
                Err(other) => panic!("{name}: {other:?}"),
            }
        });
    }
    let done = rush.join_all().await;
    let made = done.iter().filter(|made| **made).count();
    (made, done.len() - made)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_at_once_exactly_as_many_get_through_as_there_may_be() {
    let bed = Bed::new("rush").await;
    let quota = json!({"environments": 50, "instances": 21, "memory": "100Gi"});
    bed.apply(&[plan(&quota), organization(), app("acme", "shop", "shop:1")]).await.unwrap();
    // One that is there takes one of the instances: ten more with two each fit in exactly.
    bed.applied(running("first", 1)).await;
    let tenant = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    assert_eq!(rush(&tenant).await, (10, 90));
    let standing = tenant.standing(&org_name("acme")).await.unwrap();
    assert_eq!(standing.usage.get(Counted::Instances), 21);
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE kind = 'Environment'"), "11");
}

#[tokio::test]
async fn a_batch_beyond_the_quota_changes_nothing_and_says_by_how_much() {
    let bed = Bed::new("beyond").await;
    let quota = json!({"domains": 1, "cpu": "1", "secrets": 5});
    bed.apply(&[plan(&quota), organization(), app("acme", "shop", "shop:1")]).await.unwrap();
    bed.apply(&[running("production", 2), domain("acme", "www", "www.acme.test")]).await.unwrap();
    let before = bed.dump();
    let batch =
        [secret("acme", "db", Some("x")), running("production", 3), domain("acme", "api", "api.acme.test")];
    assert_eq!(
        refusal(bed.apply(&batch).await),
        "organisation acme would have 2 domains where 1 may be, 1500m CPU where 1 may be"
    );
    let items: Vec<_> = batch.into_iter().map(item).collect();
    refusal(bed.store.dry_run(&items, &actor()).await);
    assert_eq!(bed.dump(), before);
    // What an app asks for counts in each of its environments.
    let hungry = json!({"source": {"image": "shop:1"}, "processes": {"worker": {"instances": 1}}});
    let hungry = manifest(key("acme", Kind::App, "shop"), hungry);
    assert_eq!(
        refusal(bed.apply(std::slice::from_ref(&hungry)).await),
        "organisation acme would have 1500m CPU where 1 may be"
    );
    bed.apply(&[hungry, running("production", 1)]).await.unwrap();
}

#[tokio::test]
async fn an_organisation_with_more_than_a_smaller_plan_allows_may_only_have_less() {
    let bed = Bed::new("smaller").await;
    bed.apply(&[plan(&json!({})), organization(), app("acme", "shop", "shop:1"), running("production", 4)])
        .await
        .unwrap();
    bed.applied(plan(&json!({"instances": 2, "environments": 1}))).await;
    let said = refusal(bed.apply(&[running("production", 5)]).await);
    assert_eq!(said, "organisation acme would have 5 instances where 2 may be");
    bed.applied(running("production", 3)).await;
    // What does not count is not in the way, and neither is another organisation.
    bed.applied(secret("acme", "db", Some("x"))).await;
    bed.apply(&[manifest(key("", Kind::Organization, "globex"), json!({})), app("globex", "shop", "shop:1")])
        .await
        .unwrap();
    refusal(bed.apply(&[running("second", 0)]).await);
    bed.applied(running("production", 1)).await;
    bed.applied(running("production", 2)).await;
}

#[tokio::test]
async fn a_quota_that_comes_with_the_batch_holds_for_it() {
    let bed = Bed::new("withit").await;
    let batch = |quota: Value| {
        [plan(&quota), organization(), app("acme", "shop", "shop:1"), running("one", 1), running("two", 1)]
    };
    refusal(bed.apply(&batch(json!({"environments": 1}))).await);
    assert_eq!(bed.sql("SELECT count(*) FROM resource"), "0");
    bed.apply(&batch(json!({"environments": 2}))).await.unwrap();
}
