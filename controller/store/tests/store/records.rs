//! Events, audit, and what a sweep leaves.

use std::time::Duration;

use skep_planner::Verdict;
use skep_schemas::Kind;
use skep_store::{Precondition, Retention, Severity, StepOutcome};

use crate::convergence::{create_network, judging, plan_of, releasing};
use crate::support::{Bed, actor, app, environment, key, org, org_name, secret};

#[tokio::test]
async fn equal_events_are_counted_and_the_oldest_make_room() {
    let bed = Bed::new("events").await;
    let fence = bed.fence().await;
    let made = bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap();
    let (acme, env) = (made[0].resource.meta.uid, made[1].resource.meta.uid);
    for _ in 0..3 {
        bed.store.record_event(&fence, env, Severity::Warning, "CrashLoop", "exit 1").await.unwrap();
    }
    let events = bed.store.events(env).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].severity, events[0].count), (Severity::Warning, 3));
    assert!(events[0].first_at < events[0].last_at);
    for n in 0..60 {
        bed.store.record_event(&fence, env, Severity::Normal, "Released", &format!("v{n}")).await.unwrap();
    }
    bed.store.record_event(&fence, acme, Severity::Normal, "NetworkCreated", "skep-acme").await.unwrap();
    let events = bed.store.events(env).await.unwrap();
    assert_eq!((events.len(), events[0].message.as_str(), events[49].message.as_str()), (50, "v10", "v59"));
    let all = bed.store.org_events(&org_name("acme"), 2).await.unwrap();
    let told: Vec<_> = all.iter().map(|(key, event)| (key.to_string(), event.message.clone())).collect();
    assert_eq!(
        told,
        [
            ("acme/Environment/production".to_owned(), "v59".to_owned()),
            ("Organization/acme".to_owned(), "skep-acme".to_owned())
        ]
    );
    let long = "x".repeat(5000);
    bed.store.record_event(&fence, env, Severity::Normal, "Long", &long).await.unwrap();
    assert_eq!(bed.store.events(env).await.unwrap()[49].message.len(), 1024);
}

#[tokio::test]
async fn the_audit_says_who_asked_for_what_and_nothing_that_did_not_happen() {
    let bed = Bed::new("audit").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    bed.apply(&[org("acme"), app("acme", "shop", "shop:2")]).await.unwrap();
    bed.apply(&[app("acme", "late", "x:1"), app("none", "late", "x:1")]).await.unwrap_err();
    bed.store.delete(&key("acme", Kind::App, "shop"), Precondition::None, &actor()).await.unwrap();
    let audit = bed.sql(
        "SELECT string_agg(concat_ws(' ', actor, verb, kind, name, generation), ', ' ORDER BY id) FROM audit",
    );
    assert_eq!(
        audit,
        "tester create Organization acme 1, tester create App shop 1, tester configure App shop 2, tester delete App shop 2"
    );
}

#[tokio::test]
async fn a_sweep_keeps_what_is_needed_to_go_back() {
    let bed = Bed::new("sweep").await;
    let fence = bed.fence().await;
    let made = bed
        .apply(&[org("acme"), environment("acme", "production", &["db"]), secret("acme", "db", Some("v1"))])
        .await
        .unwrap();
    let (env, db) = (&made[1].resource, made[2].resource.meta.uid);
    for value in ["v2", "v3", "v4"] {
        bed.applied(secret("acme", "db", Some(value))).await;
    }
    for (version, verdict) in [
        (1, Verdict::Superseded),
        (2, Verdict::Succeeded),
        (3, Verdict::Superseded),
        (4, Verdict::Superseded),
    ] {
        bed.store.begin_plan(&fence, &releasing(env, version, &[("db", version)])).await.unwrap();
        bed.store.begin_plan(&fence, &judging(env, version, verdict)).await.unwrap();
    }
    let plan =
        bed.store.begin_plan(&fence, &plan_of(env, vec![create_network("net")])).await.unwrap().unwrap();
    bed.store.step_finished(&fence, plan.id, 0, &StepOutcome::Conflict).await.unwrap();
    // Values that have just been replaced may still be released.
    bed.sql("UPDATE secret_version SET created_at = now() - interval '2 hours'");
    let keep = Retention {
        releases: 1,
        releases_max: 1,
        plans: Duration::ZERO,
        audit: Duration::ZERO,
        ..Retention::USUAL
    };
    let swept = bed.store.sweep(&keep).await.unwrap();
    assert_eq!((swept.releases, swept.secret_versions, swept.plans), (2, 2, 1));
    assert_eq!(swept.audit, 6);
    assert_eq!(bed.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM release"), "2 4");
    for (version, kept) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(bed.store.open_secret(db, version).await.is_ok(), kept, "{version}");
    }
    assert_eq!(bed.store.sweep(&keep).await.unwrap(), skep_store::Swept::default());
}
