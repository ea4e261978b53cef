//! Deleting: marks, finalizers, and the order in which rows go.

use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::{Kind, Revision};
use skep_store::{Deletion, Finalized, Precondition, StoreError};

use crate::convergence::{create_network, plan_of};
use crate::support::{Bed, actor, app, domain, environment, finalize, key, org, secret};

#[tokio::test]
async fn a_resource_with_objects_in_the_swarm_stays_until_they_are_gone() {
    let bed = Bed::new("finalizer").await;
    let fence = bed.fence().await;
    let made = bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap();
    let env = made[1].resource.clone();
    let plan = plan_of(&env, vec![create_network("net-1")]);
    bed.store.begin_plan(&fence, &plan).await.unwrap();
    let error = bed.store.finalize(&fence, env.meta.uid).await.unwrap_err();
    assert!(matches!(error, StoreError::NotDeleting { .. }), "{error:?}");
    let Deletion::Marked(marked) =
        bed.store.delete(&env.meta.key, Precondition::None, &actor()).await.unwrap()
    else {
        panic!("the environment has a finalizer");
    };
    assert_eq!((marked.meta.revision, marked.meta.is_deleting()), (Revision::new(2), true));
    let error = bed.store.finalize(&fence, env.meta.uid).await.unwrap_err();
    assert!(matches!(error, StoreError::StillOwns { objects: 1, .. }), "{error:?}");
    bed.store.forget(&fence, env.meta.uid, &[ObjectRef::new(ObjectKind::Network, "net-1")]).await.unwrap();
    assert_eq!(bed.store.finalize(&fence, env.meta.uid).await.unwrap(), Finalized::Removed);
    assert_eq!(bed.store.finalize(&fence, env.meta.uid).await.unwrap(), Finalized::Absent);
    assert_eq!(bed.store.get(&env.meta.key).await.unwrap(), None);
}

#[tokio::test]
async fn deleting_again_changes_nothing() {
    let bed = Bed::new("idempotent").await;
    let made = bed.applied(org("acme")).await;
    let first = bed.store.delete(&made.meta.key, Precondition::None, &actor()).await.unwrap();
    let (head, audit) = (bed.head(), bed.sql("SELECT count(*) FROM audit"));
    assert_eq!(bed.store.delete(&made.meta.key, Precondition::None, &actor()).await.unwrap(), first);
    assert_eq!((bed.head(), bed.sql("SELECT count(*) FROM audit")), (head, audit));
    let absent = key("acme", Kind::App, "none");
    assert_eq!(bed.store.delete(&absent, Precondition::None, &actor()).await.unwrap(), Deletion::Absent);
}

#[tokio::test]
async fn deleting_what_was_changed_meanwhile_is_refused() {
    let bed = Bed::new("conflict").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1")]).await.unwrap();
    bed.applied(app("acme", "shop", "shop:2")).await;
    let stale = Precondition::Revision(Revision::new(1));
    let error = bed.store.delete(&key("acme", Kind::App, "shop"), stale, &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::RevisionConflict { .. }), "{error:?}");
}

#[tokio::test]
async fn an_organisation_takes_everything_with_it_and_goes_last() {
    let bed = Bed::new("cascade").await;
    let fence = bed.fence().await;
    let batch = [
        org("acme"),
        secret("acme", "db", Some("canary")),
        app("acme", "shop", "shop:1"),
        environment("acme", "production", &["db"]),
        domain("acme", "www", "www.acme.test"),
        org("other"),
        app("other", "shop", "shop:1"),
    ];
    let uids: Vec<_> = bed.apply(&batch).await.unwrap().iter().map(|one| one.resource.meta.uid).collect();
    let deleted = bed.store.delete(&batch[0].key, Precondition::None, &actor()).await.unwrap();
    assert!(matches!(deleted, Deletion::Marked(_)));
    assert_eq!(bed.head(), 2, "one transaction");
    let left = "SELECT string_agg(kind || CASE WHEN deletion_requested_at IS NULL THEN '' ELSE '-' END, ' ' ORDER BY kind)
                FROM resource WHERE org = 'acme' OR name = 'acme'";
    assert_eq!(bed.sql(left), "Environment- Organization- Secret-");
    assert_eq!(bed.sql("SELECT count(*) FROM domain_claim"), "0");
    for late in [app("acme", "blog", "blog:1"), org("acme"), environment("acme", "production", &[])] {
        let error = bed.apply(&[late]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Deleting { key } if *key == batch[0].key), "{error:?}");
    }
    let error = bed.store.finalize(&fence, uids[0]).await.unwrap_err();
    assert!(matches!(error, StoreError::OrgNotEmpty { resources: 2, .. }), "{error:?}");
    for uid in [uids[3], uids[1], uids[0]] {
        finalize(&bed, &fence, uid).await;
    }
    assert_eq!(
        bed.sql("SELECT string_agg(kind || '/' || name, ' ' ORDER BY kind) FROM resource"),
        "App/shop Organization/other"
    );
    assert_eq!(bed.sql("SELECT count(*) FROM secret_version"), "0");
    assert_eq!(bed.sql("SELECT count(*) FROM organization_key"), "1");
    bed.apply(&batch).await.unwrap();
}

#[tokio::test]
async fn a_resource_that_is_being_deleted_cannot_be_applied() {
    let bed = Bed::new("deleting").await;
    bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap();
    let env = key("acme", Kind::Environment, "production");
    bed.store.delete(&env, Precondition::None, &actor()).await.unwrap();
    let error = bed.apply(&[environment("acme", "production", &[])]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Deleting { key } if *key == env), "{error:?}");
}
