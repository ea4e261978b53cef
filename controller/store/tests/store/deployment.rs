//! Deployments: what is noted of a release while it is pending, and how it is found by its uid.

use serde_json::json;
use skep_planner::deployment::{DeploymentState, Timeline};
use skep_planner::{Noted, Plan, ReleaseVersion, Verdict};
use skep_schemas::{Generation, Resource, Scope, Uid};
use skep_store::{Fence, RecordedRelease};

use crate::convergence::{judging, releasing};
use crate::support::{Bed, environment, org, org_name};

fn noted(version: u32, timeline: serde_json::Value) -> Noted {
    Noted { release: ReleaseVersion::new(version), timeline: serde_json::from_value(timeline).unwrap() }
}

async fn newest(bed: &Bed, env: &Resource) -> RecordedRelease {
    let mut snapshot = bed.store.snapshot().await.unwrap();
    snapshot.release_history(env.meta.uid, None, 1).await.unwrap().remove(0)
}

async fn report(bed: &Bed, fence: &Fence, env: &Resource, noted: &Noted) -> bool {
    let status = json!({"conditions": []});
    let written = bed.store.write_status_and_tell(
        fence,
        env.meta.uid,
        Generation::new(1),
        status,
        Vec::new(),
        Some(noted),
    );
    written.await.unwrap()
}

#[tokio::test]
async fn what_is_noted_of_a_release_comes_with_the_status_and_the_verdict_and_then_stays() {
    let bed = Bed::new("deployment").await;
    let fence = bed.fence().await;
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    bed.store.begin_plan(&fence, &releasing(&env, 1, &[])).await.unwrap();
    assert_eq!(newest(&bed, &env).await.release.timeline, Some(Timeline::default()));
    let waits = json!({"waits": [{"why": "no network", "since": "2026-01-01T00:00:00Z"}]});
    let first = noted(1, waits.clone());
    assert!(report(&bed, &fence, &env, &first).await);
    assert!(!report(&bed, &fence, &env, &first).await, "the status says the same");
    assert_eq!(newest(&bed, &env).await.release.timeline.as_ref(), Some(&first.timeline));
    assert_eq!(newest(&bed, &env).await.deployment().state, DeploymentState::Queued);
    let mut more = waits;
    more["processes"] = json!({"web": {"sent": "2026-01-01T00:00:02Z", "up": "2026-01-01T00:00:05Z"}});
    let second = noted(1, more);
    let judged = Plan { noted: Some(second.clone()), ..judging(&env, 1, Verdict::Succeeded) };
    bed.store.begin_plan(&fence, &judged).await.unwrap();
    report(&bed, &fence, &env, &first).await;
    let found = newest(&bed, &env).await;
    assert_eq!(
        found.release.timeline.as_ref(),
        Some(&second.timeline),
        "it is over, and stays as it was noted"
    );
    assert_eq!(found.deployment().state, DeploymentState::Done);
    // A deployment is found in its own organisation alone.
    let uid = found.uid.unwrap();
    let within = |org: &str| bed.store.within(Some(&Scope::Org(org_name(org))));
    bed.applied(org("globex")).await;
    let own = within("acme").find_deployment(&org_name("acme"), uid).await.unwrap();
    assert_eq!(own, Some((env.meta.key.clone(), ReleaseVersion::FIRST)));
    for (store, name) in [("globex", "acme"), ("globex", "globex"), ("acme", "globex")] {
        assert_eq!(within(store).find_deployment(&org_name(name), uid).await.unwrap(), None);
    }
    assert_eq!(within("acme").find_deployment(&org_name("acme"), Uid::generate()).await.unwrap(), None);
    for tampering in ["timeline = '{}'", "uid = gen_random_uuid()"] {
        let sql = format!("UPDATE release SET {tampering} WHERE version = 1");
        assert!(bed.server.psql(&bed.url, &sql).is_err(), "{tampering}");
    }
}
