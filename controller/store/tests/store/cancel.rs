//! Releases that somebody cancels: asked for once, while they are pending, and not judged otherwise by a plan from before that.

use skep_planner::{ReleaseVersion, Verdict};
use skep_schemas::{Resource, Scope};
use skep_store::StoreError;

use crate::convergence::{judging, releasing};
use crate::support::{Bed, actor, environment, org, org_name};

async fn cancel(bed: &Bed, env: &Resource, version: u32) -> Result<(), StoreError> {
    bed.store.cancel_release(&env.meta.key, ReleaseVersion::new(version), &actor()).await
}

fn cancelled() -> Verdict {
    Verdict::Cancelled { reason: "cancelled by tester".to_owned() }
}

#[tokio::test]
async fn a_release_is_cancelled_while_it_is_pending_and_nothing_is_said_over_the_head_of_whoever_did() {
    let bed = Bed::new("cancel").await;
    let fence = bed.fence().await;
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    let begin = async |plan| bed.store.begin_plan(&fence, &plan).await;
    let verdicts = async || {
        let mut snapshot = bed.store.snapshot().await.unwrap();
        let known = snapshot.releases(env.meta.uid, 10).await.unwrap();
        known.into_iter().map(|release| release.verdict).collect::<Vec<_>>()
    };
    begin(releasing(&env, 1, &[])).await.unwrap();
    begin(judging(&env, 1, Verdict::Succeeded)).await.unwrap();
    begin(releasing(&env, 2, &[])).await.unwrap();
    let head = bed.head();
    cancel(&bed, &env, 2).await.unwrap();
    assert!(bed.head() > head, "whoever follows the changes is woken");
    let head = bed.head();
    cancel(&bed, &env, 2).await.unwrap();
    assert_eq!(bed.head(), head, "once is enough");
    // A plan that was made before does not say that it runs.
    let error = begin(judging(&env, 2, Verdict::Succeeded)).await.unwrap_err();
    assert!(matches!(error, StoreError::CancelStale { .. }) && error.is_conflict(), "{error:?}");
    assert_eq!(verdicts().await, [Verdict::Pending, Verdict::Succeeded]);
    begin(judging(&env, 2, cancelled())).await.unwrap();
    assert_eq!(verdicts().await, [cancelled(), Verdict::Succeeded]);
    let error = cancel(&bed, &env, 2).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("release v2 of {} is cancelled, and no longer being rolled out", env.meta.key)
    );
    assert!(matches!(cancel(&bed, &env, 1).await, Err(StoreError::ReleaseOver { went: "succeeded", .. })));
    assert!(matches!(cancel(&bed, &env, 9).await, Err(StoreError::ReleaseMissing { .. })));
    // Nor does one that makes the next release say that nobody did.
    begin(releasing(&env, 3, &[])).await.unwrap();
    cancel(&bed, &env, 3).await.unwrap();
    begin(releasing(&env, 4, &[])).await.unwrap();
    assert_eq!(verdicts().await, [Verdict::Pending, cancelled(), cancelled(), Verdict::Succeeded]);
    for tampering in
        ["cancelled_by = 'eve'", "cancelled_by = NULL, cancelled_at = NULL", "verdict = 'succeeded'"]
    {
        let sql = format!("UPDATE release SET {tampering} WHERE version = 2");
        assert!(bed.server.psql(&bed.url, &sql).is_err(), "{tampering}");
    }
    bed.applied(org("globex")).await;
    let within = |org: &str| bed.store.within(Some(&Scope::Org(org_name(org))));
    let (acme, globex, newest) = (within("acme"), within("globex"), ReleaseVersion::new(4));
    let elsewhere = globex.cancel_release(&env.meta.key, newest, &actor()).await;
    assert!(matches!(elsewhere, Err(StoreError::NotFound { .. })), "{elsewhere:?}");
    acme.cancel_release(&env.meta.key, newest, &actor()).await.unwrap();
    let verbs = "SELECT string_agg(verb, ' ' ORDER BY id) FROM audit WHERE verb LIKE 'cancel%'";
    assert_eq!(bed.sql(verbs), "cancel cancel cancel");
}
