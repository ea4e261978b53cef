//! The audit: one chain of everything that was done and denied, which nobody changes unseen.

use std::time::Duration;

use skep_schemas::{Kind, Role, Scope};
use skep_store::{AuditOutcome, AuditQuery, Denied, NewToken, Origin, Retention, Sealed};

use crate::support::{Bed, actor, app, item, key, org, org_name};

const ALL: u32 = 1000;

/// Computes every link again, in the database: how many entries follow from the one before.
fn links(bed: &Bed) -> String {
    bed.sql(
        "SELECT count(*) || ' of ' || (SELECT position FROM audit_head) FROM (
             SELECT a, lag(link, 1, (SELECT floor_link FROM audit_head)) OVER (ORDER BY position) AS previous FROM audit a
         ) chain WHERE (a).link = audit_link(previous, (a).position, a)",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_numbered_without_gaps_and_follow_from_each_other_however_many_write_at_once() {
    let bed = Bed::new("audit_chain").await;
    bed.applied(org("acme")).await;
    let writers = (0..8).map(|writer| {
        let store = bed.store.clone();
        tokio::spawn(async move {
            for number in 0..6 {
                let manifests = [
                    app("acme", &format!("app-{writer}-{number}"), "shop:1"),
                    app("acme", &format!("shared-{number}"), &format!("shop:{writer}")),
                ];
                // A writer that meets another may have to ask again; what it did not do is not told.
                while let Err(error) = store.apply(&manifests.clone().map(item), &actor()).await {
                    assert!(error.is_transient() || error.is_conflict(), "{error:?}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let chain = bed.store.audit_chain(0, ALL).await.unwrap();
    let positions: Vec<i64> = chain.entries.iter().map(|entry| entry.position.unwrap()).collect();
    assert_eq!(positions, (1..=chain.head.position).collect::<Vec<_>>());
    assert!(positions.len() > 48, "{}", positions.len());
    assert_eq!(Some(&chain.head.link), chain.entries.last().and_then(|entry| entry.link.as_ref()));
    assert_eq!(links(&bed), format!("{0} of {0}", positions.len()));
    bed.store.dry_run(&[item(app("acme", "not-done", "shop:1"))], &actor()).await.unwrap();
    assert_eq!(bed.store.audit_chain(0, ALL).await.unwrap().head, chain.head);
}

#[tokio::test]
async fn an_entry_says_who_from_where_in_which_role_and_what_a_spec_was_before_and_after() {
    let bed = Bed::new("audit_entry").await;
    let origin = Origin {
        acting_as: Some("deployer of acme".to_owned()),
        peer: Some("192.0.2.7".parse().unwrap()),
        request_id: Some("request-1".to_owned()),
    };
    let by = actor().with_origin(origin);
    bed.applied(org("acme")).await;
    for image in ["shop:1", "shop:2"] {
        bed.store.apply(&[item(app("acme", "shop", image))], &by).await.unwrap();
    }
    let query =
        AuditQuery { kind: Some("App".to_owned()), ..AuditQuery::of(Scope::Org(org_name("acme")), ALL) };
    let found = bed.store.audit(&query).await.unwrap().entries;
    let [changed, made] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((made.verb.as_str(), changed.verb.as_str()), ("create", "configure"));
    assert_eq!(made.acting_as.as_deref(), Some("deployer of acme"));
    assert_eq!((made.peer.as_deref(), made.request_id.as_deref()), (Some("192.0.2.7"), Some("request-1")));
    assert_eq!((made.before.as_ref(), &made.after), (None, &changed.before));
    assert!(changed.after.is_some() && changed.after != changed.before);
    let spec = bed.sql("SELECT encode(spec_digest(spec), 'hex') FROM resource WHERE kind = 'App'");
    assert_eq!(changed.after.as_deref().map(hex::encode), Some(spec));
}

#[tokio::test]
async fn tokens_and_what_was_denied_are_in_the_audit() {
    let bed = Bed::new("audit_denied").await;
    bed.applied(org("acme")).await;
    let reach = Scope::Org(org_name("acme"));
    let new =
        NewToken { name: "ci".parse().unwrap(), reach: reach.clone(), role: Role::Viewer, expires_at: None };
    bed.store.create_token(&new, &actor()).await.unwrap();
    assert!(bed.store.revoke_token(&reach, "ci", &actor()).await.unwrap());
    assert!(!bed.store.revoke_token(&reach, "ci", &actor()).await.unwrap(), "it is told once");
    let denied = Denied { permission: "delete", org: Some(org_name("acme")), kind: Some("App"), name: None };
    bed.store.record_denied(&actor(), &denied).await.unwrap();
    let found = bed.store.audit(&AuditQuery::of(reach, ALL)).await.unwrap().entries;
    let told: Vec<_> =
        found.iter().map(|entry| (entry.verb.as_str(), entry.kind.as_str(), entry.outcome)).collect();
    assert_eq!(
        told,
        [
            ("delete", "App", AuditOutcome::Denied),
            ("revoke-token", "Token", AuditOutcome::Allowed),
            ("create-token", "Token", AuditOutcome::Allowed),
        ]
    );
}

#[tokio::test]
async fn entries_stay_as_they_are_and_only_the_oldest_may_go() {
    let bed = Bed::new("audit_stays").await;
    for name in ["acme", "globex", "initech"] {
        bed.applied(org(name)).await;
    }
    for wrong in [
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET link = NULL, position = NULL",
        "DELETE FROM audit WHERE position = 2",
        "TRUNCATE audit",
    ] {
        assert!(bed.server.psql(&bed.url, wrong).is_err(), "{wrong}");
    }
    assert_eq!(links(&bed), "3 of 3");
    bed.sql("DELETE FROM audit WHERE position = 1");
    assert_eq!(links(&bed), "2 of 3");
    let swept = bed.store.sweep(&Retention { audit: Duration::ZERO, ..Retention::USUAL }).await.unwrap();
    assert_eq!(swept.audit, 2);
    bed.applied(org("hooli")).await;
    assert_eq!(links(&bed), "1 of 4");
    let chain = bed.store.audit_chain(0, ALL).await.unwrap();
    assert_eq!((chain.head.floor_position, chain.entries[0].position), (3, Some(4)));
}

#[tokio::test]
async fn what_was_written_anew_after_it_was_sealed_is_noticed_and_not_sealed_again() {
    let bed = Bed::new("audit_seal").await;
    assert_eq!(bed.store.seal_audit().await.unwrap(), Sealed::Nothing);
    bed.applied(org("acme")).await;
    bed.applied(app("acme", "shop", "shop:1")).await;
    assert_eq!(bed.store.seal_audit().await.unwrap(), Sealed::At(2));
    assert_eq!(bed.store.seal_audit().await.unwrap(), Sealed::Nothing);
    let sealed = bed.store.audit_chain(0, ALL).await.unwrap().seals;
    assert_eq!(sealed.len(), 1);
    // Somebody with every right in the database makes a chain that fits.
    bed.sql(
        "ALTER TABLE audit DISABLE TRIGGER USER;
         UPDATE audit SET actor = 'nobody' WHERE position = 2;
         UPDATE audit a SET link = audit_link((SELECT link FROM audit WHERE position = 1), 2, a) WHERE position = 2;
         UPDATE audit_head SET link = (SELECT link FROM audit WHERE position = 2);
         ALTER TABLE audit ENABLE TRIGGER USER;",
    );
    assert_eq!(links(&bed), "2 of 2");
    assert_eq!(bed.store.seal_audit().await.unwrap(), Sealed::Broken(2));
    bed.applied(app("acme", "shop", "shop:2")).await;
    assert_eq!(bed.store.seal_audit().await.unwrap(), Sealed::Broken(2));
    assert_eq!(bed.store.audit_chain(0, ALL).await.unwrap().seals, sealed);
}

#[tokio::test]
async fn the_whole_contents_of_a_deleted_organisation_are_told_with_what_they_were() {
    let bed = Bed::new("audit_org").await;
    bed.applied(org("acme")).await;
    bed.applied(app("acme", "shop", "shop:1")).await;
    let item = skep_store::DeleteItem {
        key: key("", Kind::Organization, "acme"),
        precondition: skep_store::Precondition::None,
        confirmation: skep_store::Confirmation::Pending,
        deleter: skep_schemas::Owner::Api,
    };
    bed.store.delete_all(&[item], &actor()).await.unwrap();
    let query = AuditQuery { verb: Some("delete".to_owned()), ..AuditQuery::of(Scope::Platform, ALL) };
    let found = bed.store.audit(&query).await.unwrap().entries;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|entry| entry.before.is_some() && entry.after.is_none()), "{found:?}");
}
