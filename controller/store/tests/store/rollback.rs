//! Rollbacks: asked for, superseded, over, and what they keep.

use std::time::Duration;

use serde_json::json;
use skep_planner::{NewRelease, Plan, ReleaseVersion, Verdict};
use skep_schemas::{Kind, Resource, Rollback};
use skep_store::{Fence, Retention, StoreError};

use crate::convergence::{judging, plan_of, releasing};
use crate::support::{Bed, actor, environment, key, manifest, org, org_name, secret};

/// An environment with four releases, each with the value that the secret had then. The third failed.
async fn four_releases(bed: &Bed, fence: &Fence) -> Resource {
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    for version in 1..=4 {
        bed.applied(secret("acme", "db", Some(&format!("value {version}")))).await;
        let verdict = match version {
            3 => Verdict::RolledBack { reason: "unhealthy".to_owned() },
            _ => Verdict::Succeeded,
        };
        bed.store.begin_plan(fence, &releasing(&env, version, &[("db", version)])).await.unwrap();
        bed.store.begin_plan(fence, &judging(&env, version, verdict)).await.unwrap();
    }
    env
}

async fn back(bed: &Bed, env: &Resource, to: u32) -> Result<Rollback, StoreError> {
    bed.store.roll_back(&env.meta.key, ReleaseVersion::new(to), &actor()).await
}

async fn standing(bed: &Bed, env: &Resource) -> Option<Rollback> {
    bed.store.get(&env.meta.key).await.unwrap().unwrap().meta.rollback
}

/// A plan that makes a release and knows of that rollback.
fn knowing(plan: Plan, rollback: Option<&Rollback>) -> Plan {
    Plan { rollback: rollback.map(|rollback| rollback.since), ..plan }
}

#[tokio::test]
async fn a_rollback_stands_until_a_plan_that_knows_of_it_says_that_it_is_over() {
    let bed = Bed::new("rollback").await;
    let fence = bed.fence().await;
    let env = four_releases(&bed, &fence).await;
    let head = bed.head();
    let first = back(&bed, &env, 2).await.unwrap();
    assert_eq!((first.to, first.instead_of, first.generation), (2, 4, env.meta.generation));
    assert!(bed.head() > head, "whoever follows the changes is woken");
    assert_eq!(standing(&bed, &env).await, Some(first.clone()));
    // What was planned before does not slip in between.
    let error = bed.store.begin_plan(&fence, &releasing(&env, 5, &[])).await.unwrap_err();
    assert!(matches!(error, StoreError::RollbackStale { .. }) && error.is_conflict(), "{error:?}");
    let returning = releasing(&env, 5, &[("db", 2)]);
    let release =
        NewRelease { rollback_to: Some(ReleaseVersion::new(2)), ..returning.release.clone().unwrap() };
    let returning = Plan { release: Some(release), ..returning };
    bed.store.begin_plan(&fence, &knowing(returning, Some(&first))).await.unwrap();
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let newest = snapshot.release_history(env.meta.uid, None, 1).await.unwrap().remove(0);
    assert_eq!(newest.release.rollback_to, Some(ReleaseVersion::new(2)));
    assert_eq!(newest.made_by.as_deref(), Some("ann"));
    // What is planned for needs the newest alone, and what the rollback names.
    let known: Vec<u32> =
        snapshot.releases(env.meta.uid, 1).await.unwrap().iter().map(|one| one.version.get()).collect();
    assert_eq!(known, [5, 4, 2]);
    drop(snapshot);
    // From one return to the next the manifests have asked for the same.
    let second = back(&bed, &env, 1).await.unwrap();
    assert_eq!((second.to, second.instead_of), (1, 4));
    let over = Plan { ends_rollback: true, ..plan_of(&env, Vec::new()) };
    let error = bed.store.begin_plan(&fence, &knowing(over.clone(), Some(&first))).await.unwrap_err();
    assert!(matches!(error, StoreError::RollbackStale { .. }), "{error:?}");
    bed.store.begin_plan(&fence, &knowing(over, Some(&second))).await.unwrap();
    assert_eq!(standing(&bed, &env).await, None);
    back(&bed, &env, 1).await.unwrap();
    let ended = bed.store.end_rollback(&env.meta.key, &actor()).await.unwrap();
    assert_eq!(ended.map(|rollback| rollback.to), Some(1));
    assert_eq!(bed.store.end_rollback(&env.meta.key, &actor()).await.unwrap(), None);
    let verbs = "SELECT string_agg(verb, ' ' ORDER BY id) FROM audit WHERE verb LIKE '%roll%'";
    assert_eq!(bed.sql(verbs), "roll-back roll-back roll-back end-rollback");
}

#[tokio::test]
async fn what_a_rollback_names_is_kept_and_what_is_not_kept_is_no_place_to_return_to() {
    let bed = Bed::new("rollkeep").await;
    let fence = bed.fence().await;
    let env = four_releases(&bed, &fence).await;
    back(&bed, &env, 2).await.unwrap();
    let in_use = bed.store.snapshot().await.unwrap().secret_versions_in_use(&org_name("acme")).await.unwrap();
    assert_eq!(in_use.keys().collect::<Vec<_>>(), ["db-2", "db-4"]);
    let named = std::slice::from_ref(&env.meta.key);
    let secrets = bed.store.secrets_returned_to(named).await.unwrap();
    assert_eq!(secrets, [key("acme", Kind::Secret, "db")]);
    bed.sql("UPDATE secret_version SET created_at = now() - interval '2 hours'");
    let some = Retention { releases: 1, releases_max: 1, ..Retention::USUAL };
    bed.store.sweep(&some).await.unwrap();
    let kept = "SELECT string_agg(version::text, ' ' ORDER BY version) FROM release";
    assert_eq!(bed.sql(kept), "2 4");
    assert_eq!(bed.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM secret_version"), "2 4");
    for gone in [1, 3, 9] {
        let error = back(&bed, &env, gone).await.unwrap_err();
        assert!(matches!(error, StoreError::ReleaseMissing { .. }), "{error:?}");
    }
    // Nor is one with a value that went with its Secret.
    bed.sql("DELETE FROM secret_version WHERE version = 2");
    let error = back(&bed, &env, 2).await.unwrap_err();
    assert_eq!(error.to_string(), "version 2 of acme/Secret/db is not kept");
    let error =
        bed.store.roll_back(&key("acme", Kind::Environment, "none"), ReleaseVersion::FIRST, &actor()).await;
    assert!(matches!(error, Err(StoreError::NotFound { .. })), "{error:?}");
}

#[tokio::test]
async fn releases_of_a_quarter_are_kept_up_to_a_bound_and_the_newest_however_old() {
    let bed = Bed::new("rollage").await;
    let fence = bed.fence().await;
    let env = four_releases(&bed, &fence).await;
    let kept = || bed.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM release");
    let of_a_day = Duration::from_secs(24 * 3600);
    let keep = Retention { releases: 2, releases_max: 3, releases_age: of_a_day, ..Retention::USUAL };
    bed.store.sweep(&keep).await.unwrap();
    assert_eq!(kept(), "2 3 4");
    bed.sql("UPDATE release SET created_at = now() - interval '2 days'");
    bed.store.sweep(&keep).await.unwrap();
    assert_eq!(kept(), "3 4");
    assert!(standing(&bed, &env).await.is_none());
}

#[tokio::test]
async fn a_return_counts_against_the_quota_for_as_long_as_it_stands() {
    let bed = Bed::new("rollquota").await;
    let fence = bed.fence().await;
    let plan = json!({"instance": {"cpu": "500m", "memory": "64Mi"}, "quota": {"cpu": "1500m"}});
    let app = json!({"source": {"image": "shop:1"}, "processes": {"web": {}}});
    let batch = [
        manifest(key("", Kind::Plan, "small"), plan),
        manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"})),
        manifest(key("acme", Kind::App, "shop"), app),
        environment("acme", "production", &[]),
    ];
    let env = bed.apply(&batch).await.unwrap().remove(3).resource;
    for (version, cpu) in [(1, "2"), (2, "1"), (3, "100m")] {
        let plan = releasing(&env, version, &[]);
        let mut release = plan.release.clone().unwrap();
        let web = json!({
            "entrypoint": null, "command": null, "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
            "resources": {"cpu": cpu, "memory": "64Mi"}, "volumes": [], "stopGracePeriod": "30s"
        });
        release.content.processes = [("web".parse().unwrap(), serde_json::from_value(web).unwrap())].into();
        bed.store.begin_plan(&fence, &Plan { release: Some(release), ..plan }).await.unwrap();
    }
    let error = back(&bed, &env, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "organisation acme would have 2 CPU where 1500m may be");
    back(&bed, &env, 2).await.unwrap();
    let error = bed.apply(&[environment("acme", "staging", &[]), environment("acme", "third", &[])]).await;
    assert_eq!(error.unwrap_err().to_string(), "organisation acme would have 2 CPU where 1500m may be");
    bed.store.end_rollback(&env.meta.key, &actor()).await.unwrap();
    bed.apply(&[environment("acme", "staging", &[]), environment("acme", "third", &[])]).await.unwrap();
    let error = back(&bed, &env, 2).await.unwrap_err();
    assert!(matches!(error, StoreError::QuotaExceeded { .. }), "{error:?}");
}
