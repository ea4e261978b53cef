//! Applying: batches, generations, revisions, conflicts, hosts.

use std::sync::Arc;

use serde_json::json;
use skep_schemas::{Generation, Kind, Revision};
use skep_store::{Deletion, Outcome, Precondition, StoreError};

use crate::support::{Bed, actor, app, domain, environment, item, key, labelled, manifest, org, secret};

fn outcomes(applied: &[skep_store::Applied]) -> Vec<Outcome> {
    applied.iter().map(|one| one.outcome).collect()
}

#[tokio::test]
async fn a_batch_has_one_revision_and_answers_in_its_own_order() {
    let bed = Bed::new("apply").await;
    let batch = [environment("acme", "production", &[]), app("acme", "shop", "shop:1"), org("acme")];
    let applied = bed.apply(&batch).await.unwrap();
    assert_eq!(outcomes(&applied), [Outcome::Created; 3]);
    for (one, wanted) in applied.iter().zip(&batch) {
        assert_eq!(one.resource.meta.key, wanted.key);
        assert_eq!(one.resource.meta.revision, Revision::new(1));
        assert_eq!(one.resource.meta.generation, Generation::new(1));
        assert_eq!(bed.store.get(&wanted.key).await.unwrap().as_ref(), Some(&one.resource));
    }
}

#[tokio::test]
async fn applying_the_same_again_consumes_no_revision_and_writes_nothing() {
    let bed = Bed::new("again").await;
    let batch = [
        org("acme"),
        app("acme", "shop", "shop:1"),
        environment("acme", "production", &["db"]),
        domain("acme", "www", "www.acme.test"),
        secret("acme", "db", Some("canary")),
        manifest(key("", Kind::Plan, "small"), json!({"instance": {"cpu": "500m", "memory": "256Mi"}})),
    ];
    let first = bed.apply(&batch).await.unwrap();
    let (head, before) = (bed.head(), bed.dump());
    let second = bed.apply(&batch).await.unwrap();
    assert_eq!(outcomes(&second), [Outcome::Unchanged; 6]);
    assert!(first.iter().zip(&second).all(|(first, second)| first.resource == second.resource));
    assert_eq!(bed.head(), head);
    assert_eq!(bed.dump(), before);
    // An item beside one that changes is not written either.
    let mixed = [batch[1].clone(), app("acme", "blog", "blog:1")];
    assert_eq!(outcomes(&bed.apply(&mixed).await.unwrap()), [Outcome::Unchanged, Outcome::Created]);
    assert_eq!(bed.store.get(&mixed[0].key).await.unwrap().unwrap().meta.revision, Revision::new(1));
}

#[tokio::test]
async fn only_a_changed_spec_raises_the_generation() {
    let bed = Bed::new("generation").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    let labelled = bed.applied(labelled(app("acme", "shop", "shop:1"), "tier", "web")).await.meta;
    assert_eq!((labelled.generation, labelled.revision), (Generation::new(1), Revision::new(2)));
    let changed = bed.applied(app("acme", "shop", "shop:2")).await.meta;
    assert_eq!((changed.generation, changed.revision), (Generation::new(2), Revision::new(3)));
    assert!(changed.labels.is_empty());
}

#[tokio::test]
async fn a_writer_who_read_an_older_revision_is_told_so() {
    let bed = Bed::new("optimistic").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    let mut late = item(app("acme", "shop", "shop:2"));
    late.precondition = Precondition::Revision(Revision::new(1));
    bed.store.apply(std::slice::from_ref(&late), &actor()).await.unwrap();
    late.manifest = app("acme", "shop", "shop:3");
    let error = bed.store.apply(&[late.clone()], &actor()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::RevisionConflict { expected, found: Some(found), .. }
            if (expected, found) == (Revision::new(1), Revision::new(2))),
        "{error:?}"
    );
    late.precondition = Precondition::MustNotExist;
    let error = bed.store.apply(&[late.clone()], &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error:?}");
    late.manifest = app("acme", "gone", "gone:1");
    late.precondition = Precondition::Revision(Revision::new(1));
    let error = bed.store.apply(&[late], &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::RevisionConflict { found: None, .. }), "{error:?}");
}

#[tokio::test]
async fn of_many_optimistic_writers_exactly_one_wins_each_revision() {
    let bed = Arc::new(Bed::new("race").await);
    bed.apply(&[org("acme"), app("acme", "shop", "shop:0")]).await.unwrap();
    let writers = (1..=8).map(|n| {
        let bed = bed.clone();
        tokio::spawn(async move {
            let mut item = item(app("acme", "shop", &format!("shop:{n}")));
            item.precondition = Precondition::Revision(Revision::new(1));
            bed.store.apply(&[item], &actor()).await
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, StoreError::RevisionConflict { .. }), "{error:?}"),
        }
    }
    assert_eq!((won, bed.head()), (1, 2));
}

#[tokio::test]
async fn one_bad_item_leaves_nothing_of_its_batch() {
    let bed = Bed::new("atomic").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    let before = bed.sql("SELECT count(*) FROM audit");
    let batch = [
        app("acme", "blog", "blog:1"),
        app("acme", "shop", "shop:2"),
        domain("acme", "www", "www.acme.test"),
        secret("acme", "late", None),
    ];
    let error = bed.apply(&batch).await.unwrap_err();
    assert!(matches!(&error, StoreError::SecretValueMissing { key } if *key == batch[3].key), "{error:?}");
    assert_eq!(bed.store.get(&batch[0].key).await.unwrap(), None);
    assert_eq!(bed.store.get(&batch[1].key).await.unwrap().unwrap().meta.generation, Generation::new(1));
    assert_eq!(bed.sql("SELECT count(*) FROM domain_claim"), "0");
    assert_eq!((bed.head(), bed.sql("SELECT count(*) FROM audit")), (1, before));
}

#[tokio::test]
async fn a_host_belongs_to_one_domain_whatever_the_organisation() {
    let bed = Bed::new("host").await;
    bed.apply(&[org("acme"), org("other"), domain("acme", "www", "www.acme.test")]).await.unwrap();
    let error = bed.apply(&[domain("other", "mine", "www.acme.test")]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::HostTaken { host } if host.to_string() == "www.acme.test"),
        "{error:?}"
    );
    let twice = [domain("other", "one", "a.test.io"), domain("other", "two", "a.test.io")];
    assert!(matches!(bed.apply(&twice).await.unwrap_err(), StoreError::HostTaken { .. }));
    // Two domains can swap their hosts, and a host that was given up is free.
    bed.apply(&[domain("other", "one", "a.test.io"), domain("other", "two", "b.test.io")]).await.unwrap();
    bed.apply(&[domain("other", "one", "b.test.io"), domain("other", "two", "a.test.io")]).await.unwrap();
    let deleted = bed.store.delete(&key("acme", Kind::Domain, "www"), Precondition::None, &actor()).await;
    assert_eq!(deleted.unwrap(), Deletion::Removed);
    bed.apply(&[domain("other", "mine", "www.acme.test")]).await.unwrap();
    let claims = bed.sql("SELECT string_agg(host || '=' || r.name, ' ' ORDER BY host) FROM domain_claim JOIN resource r USING (uid)");
    assert_eq!(claims, "a.test.io=two b.test.io=one www.acme.test=mine");
}

#[tokio::test]
async fn of_many_who_claim_a_host_at_once_one_gets_it() {
    let bed = Arc::new(Bed::new("claims").await);
    let orgs: Vec<_> = (0..8).map(|n| org(&format!("org-{n}"))).collect();
    bed.apply(&orgs).await.unwrap();
    let claimants = (0..8).map(|n| {
        let bed = bed.clone();
        tokio::spawn(async move { bed.apply(&[domain(&format!("org-{n}"), "www", "www.test.io")]).await })
    });
    let mut won = 0;
    for claimant in claimants.collect::<Vec<_>>() {
        match claimant.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, StoreError::HostTaken { .. }), "{error:?}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE kind = 'Domain'"), "1");
}

#[tokio::test]
async fn an_organisation_must_exist_or_come_in_the_same_batch() {
    let bed = Bed::new("orgs").await;
    let error = bed.apply(&[app("acme", "shop", "shop:1")]).await.unwrap_err();
    assert!(matches!(&error, StoreError::OrgMissing { org } if org.as_str() == "acme"), "{error:?}");
    bed.apply(&[app("acme", "shop", "shop:1"), org("acme")]).await.unwrap();
}

#[tokio::test]
async fn a_key_cannot_appear_twice_in_a_batch() {
    let bed = Bed::new("twice").await;
    let error = bed.apply(&[org("acme"), org("acme")]).await.unwrap_err();
    assert!(matches!(error, StoreError::DuplicateKey { .. }), "{error:?}");
}

#[tokio::test]
async fn batches_in_opposite_orders_never_deadlock() {
    let bed = Arc::new(Bed::new("deadlock").await);
    bed.apply(&[org("one"), org("two")]).await.unwrap();
    let batch = |round: u32| {
        let mut batch: Vec<_> = (0..6)
            .flat_map(|n| {
                let org = if n % 2 == 0 { "one" } else { "two" };
                let name = format!("r-{n}");
                [
                    app(org, &name, &format!("image:{round}")),
                    // Some resources are new in every round.
                    app(org, &format!("new-{n}-{}", round / 2), "image:1"),
                    secret(org, &name, Some(&format!("value-{round}"))),
                    domain(org, &name, &format!("{name}.test.io")),
                ]
            })
            .collect();
        batch.push(labelled(org("one"), "round", &round.to_string()));
        batch
    };
    let writers = (0..4_u32).map(|writer| {
        let bed = bed.clone();
        tokio::spawn(async move {
            for round in 0..12 {
                let mut batch = batch(round * 4 + writer);
                if writer % 2 == 0 {
                    batch.reverse();
                }
                bed.apply(&batch).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // Statistics are flushed when sessions end.
    bed.store.close().await;
    let deadlocks = "SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(bed.sql(deadlocks).trim_start_matches('|'), "0");
}

#[tokio::test]
async fn a_dry_run_tells_everything_and_changes_nothing() {
    let bed = Bed::new("dryrun").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    let items = [app("acme", "shop", "shop:2"), app("acme", "blog", "blog:1"), org("acme")].map(item);
    let told = bed.store.dry_run(&items, &actor()).await.unwrap();
    assert_eq!(outcomes(&told), [Outcome::Configured, Outcome::Created, Outcome::Unchanged]);
    assert_eq!(told[0].resource.meta.generation, Generation::new(2));
    assert_eq!(bed.head(), 1);
    assert_eq!(bed.store.get(&items[1].manifest.key).await.unwrap(), None);
    let error = bed.store.dry_run(&[item(app("none", "x", "x:1"))], &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::OrgMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_rehearsal_shows_the_store_as_it_would_be() {
    let bed = Bed::new("rehearse").await;
    let batch = [org("acme"), app("acme", "shop", "shop:1"), environment("acme", "production", &["db"])];
    bed.apply(&batch).await.unwrap();
    bed.apply(&[secret("acme", "db", Some("old")), domain("acme", "www", "www.acme.test")]).await.unwrap();
    let items = [item(secret("acme", "db", Some("new")))];
    let deletions = [key("acme", Kind::Domain, "www"), key("acme", Kind::Environment, "production")];
    let (applied, mut inside) = bed.store.rehearse(&items, &deletions, &actor()).await.unwrap();
    assert_eq!(outcomes(&applied), [Outcome::Configured]);
    let name = "acme".parse().unwrap();
    assert_eq!(inside.secret_current(&name).await.unwrap()["db"].version, 2);
    assert_eq!(inside.get(&deletions[0]).await.unwrap(), None);
    assert!(inside.get(&deletions[1]).await.unwrap().unwrap().meta.is_deleting());
    inside.discard().await.unwrap();
    let mut outside = bed.store.snapshot().await.unwrap();
    assert_eq!(outside.secret_current(&name).await.unwrap()["db"].version, 1);
    assert!(!outside.get(&deletions[1]).await.unwrap().unwrap().meta.is_deleting());
    assert_eq!(bed.head(), 2);
}

#[tokio::test]
async fn rows_written_by_hand_obey_the_same_rules() {
    let bed = Bed::new("byhand").await;
    let uid = bed.applied(org("acme")).await.meta.uid;
    bed.sql(&format!(r#"UPDATE resource SET spec = '{{"displayName": "ACME"}}' WHERE uid = '{uid}'"#));
    let stored = bed.store.get(&key("", Kind::Organization, "acme")).await.unwrap().unwrap();
    assert_eq!((stored.meta.generation, stored.meta.revision), (Generation::new(2), Revision::new(2)));
    for broken in [
        format!("DELETE FROM resource WHERE uid = '{uid}'"),
        format!("UPDATE resource SET name = 'other' WHERE uid = '{uid}'"),
        format!("UPDATE resource SET spec = '[]' WHERE uid = '{uid}'"),
    ] {
        assert!(bed.server.psql(&bed.url, &broken).is_err(), "{broken}");
    }
    bed.sql(&format!("UPDATE resource SET deletion_requested_at = now() WHERE uid = '{uid}'"));
    let back = format!("UPDATE resource SET deletion_requested_at = NULL WHERE uid = '{uid}'");
    assert!(bed.server.psql(&bed.url, &back).is_err());
}
