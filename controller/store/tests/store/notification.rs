//! Messages of Notifications: written with what they tell of, claimed by one at a time, and never told to others.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use skep_planner::ReleaseVersion;
use skep_planner::reconcile::notification::NotificationStanding;
use skep_schemas::kind::MessageType;
use skep_schemas::{Kind, Uid};
use skep_store::{Attempt, Claimed, Fence, NewEvent, Notice, Precondition, Retention, Severity, StoreError};

use crate::support::{Bed, actor, app, environment, key, manifest, org, secret};

const PAUSE: Duration = Duration::from_secs(5);

fn failed(release: u32) -> NewEvent {
    NewEvent {
        severity: Severity::Warning,
        reason: "ReleaseFailed".to_owned(),
        message: format!("release {release} failed: it exits"),
        notice: Some(Notice {
            message_type: MessageType::ReleaseFailed,
            release: Some(ReleaseVersion::new(release)),
        }),
    }
}

fn drifted() -> NewEvent {
    NewEvent {
        severity: Severity::Warning,
        reason: "Drifted".to_owned(),
        message: "somebody changed it".to_owned(),
        notice: Some(Notice::of(MessageType::DriftFound)),
    }
}

fn webhook(more: Value) -> Value {
    let mut spec = json!({ "webhook": { "url": "https://hooks.acme.test/skep", "secret": "key" } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// An organisation with an environment and these Notifications.
async fn told(bed: &Bed, name: &str, notifications: &[(&str, Value)]) -> Uid {
    bed.applied(org(name)).await;
    bed.apply(&[app(name, "shop", "shop:1"), secret(name, "key", Some("a value"))]).await.unwrap();
    for (notification, more) in notifications {
        bed.applied(manifest(key(name, Kind::Notification, notification), webhook(more.clone()))).await;
    }
    bed.applied(environment(name, "production", &[])).await.meta.uid
}

impl Bed {
    /// The messages that there are: for whom, in which state, and what they tell of.
    fn messages(&self) -> Vec<String> {
        let rows = self.sql(
            "SELECT r.org || '/' || r.name || ' ' || d.state || ' ' || d.type || ' ' || (d.body::jsonb->'data'->>'message')
             FROM notification_delivery d JOIN resource r ON r.uid = d.notification ORDER BY r.org, r.name, d.id",
        );
        rows.lines().map(str::to_owned).collect()
    }

    async fn claim(&self, fence: &Fence, most: usize) -> Vec<Claimed> {
        self.store.claim_notifications(fence, most).await.unwrap()
    }

    async fn note(&self, fence: &Fence, claimed: &Claimed, attempt: Attempt) {
        self.store.note_notification(fence, claimed, &attempt).await.unwrap();
    }

    async fn standing(&self, notification: Uid) -> NotificationStanding {
        self.store.snapshot().await.unwrap().notification_standing(notification).await.unwrap()
    }
}

fn again(after: u64) -> Attempt {
    Attempt::Again { why: "status 500".to_owned(), after: Duration::from_secs(after), pause: PAUSE }
}

#[tokio::test]
async fn a_message_is_written_with_its_event_for_those_who_want_it_and_for_nobody_else() {
    let bed = Bed::new("outbox").await;
    let fence = bed.fence().await;
    let env = told(
        &bed,
        "acme",
        &[
            ("all", json!({})),
            ("deploys", json!({ "events": ["Deploy"] })),
            ("drift", json!({ "events": ["Drift", "Quota"] })),
            ("production", json!({ "environments": ["production"] })),
            ("staging", json!({ "environments": ["staging"] })),
        ],
    )
    .await;
    told(&bed, "globex", &[("all", json!({}))]).await;
    let quiet = NewEvent { notice: None, ..failed(1) };
    bed.store.record_events(&fence, env, vec![quiet]).await.unwrap();
    assert!(bed.messages().is_empty());
    bed.store.record_events(&fence, env, vec![failed(2)]).await.unwrap();
    let told = "waiting release.failed release 2 failed: it exits";
    let names = ["all", "deploys", "production"].map(|name| format!("acme/{name} {told}"));
    assert_eq!(bed.messages(), names);
    let body: Value =
        serde_json::from_str(&bed.sql("SELECT body FROM notification_delivery LIMIT 1")).unwrap();
    assert_eq!(body["type"], "release.failed");
    assert_eq!(
        body["data"],
        json!({ "organization": "acme", "kind": "Environment", "name": "production", "reason": "ReleaseFailed",
                "severity": "warning", "message": "release 2 failed: it exits", "release": 2 })
    );
    assert!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{body}");
    // A controller that has lost its lease tells nothing, and leaves no event behind either.
    bed.store.release_lease(&fence).await.unwrap();
    let late = bed.store.record_events(&fence, env, vec![failed(3)]).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
    assert_eq!(bed.sql("SELECT count(*) FROM event WHERE message LIKE 'release 3%'"), "0");
    assert_eq!(bed.messages().len(), 3);
}

#[tokio::test]
async fn what_says_the_same_is_told_once_in_ten_minutes() {
    let bed = Bed::new("sameness").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("all", json!({}))]).await;
    bed.store.record_events(&fence, env, vec![drifted(), drifted()]).await.unwrap();
    bed.store.record_events(&fence, env, vec![drifted(), failed(1)]).await.unwrap();
    assert_eq!(bed.messages().len(), 2);
    bed.sql("UPDATE notification_delivery SET created_at = created_at - interval '11 minutes'");
    bed.store.record_events(&fence, env, vec![drifted()]).await.unwrap();
    assert_eq!(bed.messages().len(), 3);
}

#[tokio::test]
async fn a_thousand_messages_wait_and_what_is_beyond_is_counted() {
    let bed = Bed::new("bounds").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("all", json!({})), ("deploys", json!({ "events": ["Deploy"] }))]).await;
    bed.sql(
        "INSERT INTO notification_delivery (notification, type, body, sameness)
         SELECT t.uid, 'run.failed', '{}', n::text FROM notification_target t JOIN resource r USING (uid), generate_series(1, 999) n
         WHERE r.name = 'all'",
    );
    let head = bed.head();
    bed.store.record_events(&fence, env, vec![failed(1), failed(2), failed(3)]).await.unwrap();
    assert_eq!(bed.sql("SELECT count(*) FROM notification_delivery"), "1003");
    let dropped = "SELECT string_agg(t.dropped::text, ' ' ORDER BY r.name) FROM notification_target t JOIN resource r USING (uid)";
    assert_eq!(bed.sql(dropped), "2 0");
    assert!(bed.head() > head, "whoever assesses the Notification is woken");
    bed.sql("UPDATE notification_target SET dropped_at = now() - interval '31 days' WHERE dropped > 0");
    bed.store.sweep(&Retention::USUAL).await.unwrap();
    assert_eq!(bed.sql(dropped), "0 0");
}

#[tokio::test]
async fn of_each_target_one_message_is_under_way_in_their_order_and_of_each_organisation_two() {
    let bed = Bed::new("claims").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("a", json!({})), ("b", json!({})), ("c", json!({}))]).await;
    let other = told(&bed, "globex", &[("a", json!({}))]).await;
    for release in 1..=3 {
        bed.store.record_events(&fence, env, vec![failed(release)]).await.unwrap();
    }
    bed.store.record_events(&fence, other, vec![failed(1)]).await.unwrap();
    let (one, two) = tokio::join!(bed.claim(&fence, 16), bed.claim(&fence, 16));
    let claimed: Vec<Claimed> = one.into_iter().chain(two).collect();
    let names: BTreeSet<String> =
        claimed.iter().map(|claimed| format!("{}/{}", claimed.org, claimed.name)).collect();
    assert_eq!(names, BTreeSet::from(["acme/a", "acme/b", "globex/a"].map(str::to_owned)));
    assert_eq!(claimed.len(), 3, "no target is claimed twice");
    assert!(claimed.iter().all(|claimed| claimed.body.contains("release 1 failed")), "{claimed:?}");
    assert!(claimed.iter().all(|claimed| claimed.secret.is_some_and(|(_, version)| version == 1)));
    assert!(bed.claim(&fence, 16).await.is_empty());
    // What is done makes room, for the others of the organisation first.
    bed.note(&fence, &claimed[0], Attempt::Delivered).await;
    let next = bed.claim(&fence, 16).await;
    assert_eq!(next.len(), 1);
    bed.note(&fence, &next[0], Attempt::Delivered).await;
    for claimed in &claimed[1..] {
        bed.note(&fence, claimed, Attempt::Delivered).await;
    }
    let mut of_a = Vec::new();
    while let Some(claimed) = bed.claim(&fence, 1).await.pop() {
        if claimed.org.as_str() == "acme" && claimed.name.as_str() == "a" {
            of_a.push(claimed.body.contains("release 2 failed"));
        }
        bed.note(&fence, &claimed, Attempt::Delivered).await;
    }
    assert_eq!(of_a, [true, false]);
    assert!(bed.messages().iter().all(|message| message.contains(" delivered ")));
}

#[tokio::test]
async fn what_was_sent_and_not_noted_is_sent_again_under_the_same_id() {
    let bed = Bed::new("cutoff").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("all", json!({}))]).await;
    bed.store.record_events(&fence, env, vec![failed(1)]).await.unwrap();
    let first = bed.claim(&fence, 16).await.remove(0);
    assert!(bed.claim(&fence, 16).await.is_empty());
    bed.sql("UPDATE notification_target SET claimed_until = now()");
    let second = bed.claim(&fence, 16).await.remove(0);
    assert_eq!((second.id, second.message_id), (first.id, first.message_id));
    // The first comes back after all. The second's claim stays with it.
    bed.note(&fence, &first, Attempt::Delivered).await;
    bed.store.record_events(&fence, env, vec![failed(2)]).await.unwrap();
    assert!(bed.claim(&fence, 16).await.is_empty());
    bed.note(&fence, &second, again(5)).await;
    assert!(bed.messages()[0].contains(" delivered "), "what was taken stays so");
    // Another process has the lease now.
    bed.store.release_lease(&fence).await.unwrap();
    bed.sql("UPDATE notification_target SET paused_until = NULL");
    assert!(matches!(bed.store.claim_notifications(&fence, 1).await, Err(StoreError::Fenced { .. })));
    let noted = bed.store.note_notification(&fence, &second, &Attempt::Delivered).await;
    assert!(matches!(noted, Err(StoreError::Fenced { .. })), "{noted:?}");
}

#[tokio::test]
async fn a_target_that_does_not_take_messages_is_left_alone_and_says_so_and_others_go_on() {
    let bed = Bed::new("failing").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("bad", json!({})), ("good", json!({}))]).await;
    bed.store.record_events(&fence, env, vec![failed(1), failed(2)]).await.unwrap();
    let uid = |name: &str| -> Uid {
        bed.sql(&format!("SELECT uid FROM resource WHERE kind = 'Notification' AND name = '{name}'"))
            .parse()
            .unwrap()
    };
    let bad = uid("bad");
    let head = bed.head();
    for failures in 1..=3 {
        let claimed = bed.claim(&fence, 16).await;
        let claimed = claimed.iter().find(|claimed| claimed.name.as_str() == "bad").unwrap();
        assert_eq!(claimed.failures, failures - 1);
        bed.note(&fence, claimed, again(3600)).await;
        assert!(bed.claim(&fence, 16).await.iter().all(|claimed| claimed.name.as_str() == "good"));
        bed.sql("UPDATE notification_target SET paused_until = NULL; UPDATE notification_delivery SET next_at = now()");
    }
    let standing =
        NotificationStanding { failures: 3, last_error: Some("status 500".to_owned()), dead: 0, dropped: 0 };
    assert_eq!(bed.standing(bad).await, standing);
    assert!(bed.head() > head, "three in a row wake whoever assesses it");
    let head = bed.head();
    bed.sql("UPDATE notification_delivery SET next_at = now()");
    let claimed = bed.claim(&fence, 16).await;
    let claimed = claimed.iter().find(|claimed| claimed.name.as_str() == "bad").unwrap();
    bed.note(&fence, claimed, Attempt::Dead { why: "status 410".to_owned(), pause: PAUSE }).await;
    assert_eq!((bed.standing(bad).await.dead, bed.head() > head), (1, true));
    assert_eq!(bed.standing(uid("good")).await, NotificationStanding::default());
    // Dead ones are kept for a month, delivered ones for a week.
    bed.sql("UPDATE notification_delivery SET state = 'delivered', ended_at = now() - interval '8 days' WHERE state = 'waiting'");
    bed.sql("UPDATE notification_delivery SET ended_at = now() - interval '8 days' WHERE state = 'dead'");
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().notifications, 3);
    bed.sql("UPDATE notification_delivery SET ended_at = now() - interval '31 days'");
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().notifications, 1);
}

#[tokio::test]
async fn messages_go_with_their_notification_and_while_there_is_none_nothing_is_written() {
    let bed = Bed::new("gone").await;
    let fence = bed.fence().await;
    let env = told(&bed, "acme", &[("all", json!({}))]).await;
    bed.store.record_events(&fence, env, vec![failed(1)]).await.unwrap();
    let claimed = bed.claim(&fence, 16).await.remove(0);
    bed.store.delete(&key("acme", Kind::Notification, "all"), Precondition::None, &actor()).await.unwrap();
    assert_eq!(bed.sql("SELECT count(*) FROM notification_delivery"), "0");
    bed.note(&fence, &claimed, again(5)).await;
    bed.store.record_events(&fence, env, vec![failed(2)]).await.unwrap();
    assert!(bed.messages().is_empty());
}
