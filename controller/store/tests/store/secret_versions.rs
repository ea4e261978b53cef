//! Values that are made at random, rotated and returned to: made once, told without themselves, and only within reach.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use skep_planner::{ReleaseVersion, Verdict};
use skep_schemas::kind::SecretValue;
use skep_schemas::{Generation, Kind, Manifest, ResourceKey, Scope, Uid};
use skep_store::{Actor, Intervention, Outcome, SecretHistory, SecretOrigin, StoreError};

use crate::convergence::{judging, releasing};
use crate::support::{Bed, actor, environment, item, key, manifest, org, org_name, secret};

fn generated(generate: Value) -> Manifest {
    manifest(key("acme", Kind::Secret, "db"), json!({ "generate": generate }))
}

fn db() -> ResourceKey {
    key("acme", Kind::Secret, "db")
}

async fn value(bed: &Bed, uid: Uid, version: u32) -> String {
    bed.store.open_secret(uid, version).await.unwrap().expose_secret().to_owned()
}

async fn history(bed: &Bed) -> SecretHistory {
    bed.store.secret_history(&db()).await.unwrap().unwrap()
}

async fn versions(bed: &Bed) -> Vec<(u32, SecretOrigin)> {
    history(bed).await.versions.iter().map(|version| (version.version, version.origin)).collect()
}

async fn rotate(bed: &Bed, new: Option<&str>) -> Result<u32, StoreError> {
    let new = new.map(|new| SecretValue::new(new.to_owned()));
    bed.store.rotate_secret(&db(), new.as_ref(), &Actor::new("ann")).await.map(|rotated| rotated.version)
}

#[tokio::test]
async fn a_random_value_is_made_once_and_another_one_only_when_its_form_changes() {
    let bed = Bed::new("generate").await;
    let made = bed.apply(&[org("acme"), generated(json!({}))]).await.unwrap().remove(1);
    let uid = made.resource.meta.uid;
    let first = value(&bed, uid, 1).await;
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "32 characters");
    let stored = made.resource.spec.to_json().unwrap();
    assert_eq!(stored, json!({"generate": {"length": 32, "alphabet": "alphanumeric"}}));
    // The same again, also written out, makes nothing; neither does leaving it out.
    for same in [json!({}), json!({"length": 32}), json!({"alphabet": "alphanumeric"})] {
        let again = bed.apply(&[generated(same)]).await.unwrap().remove(0);
        assert_eq!(again.outcome, Outcome::Unchanged);
    }
    let changed = bed.applied(generated(json!({"length": 64, "alphabet": "hex"}))).await;
    assert_eq!(changed.meta.generation, Generation::new(2));
    let second = value(&bed, uid, 2).await;
    assert!(second.len() == 64 && second.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let left_out = bed.applied(secret("acme", "db", None)).await;
    assert_eq!(left_out.meta.generation, Generation::new(3));
    bed.applied(secret("acme", "db", Some("by hand"))).await;
    bed.applied(generated(json!({}))).await;
    let (written, random) = (SecretOrigin::Written, SecretOrigin::Generated);
    assert_eq!(versions(&bed).await, [(4, random), (3, written), (2, random), (1, random)]);
    assert_ne!(value(&bed, uid, 4).await, first);
    let dump = bed.server.dump(&bed.url).unwrap();
    assert!(!dump.contains(&first) && !dump.contains(&second));
}

#[tokio::test]
async fn a_rehearsal_makes_no_random_value_that_differs_from_the_last() {
    let bed = Bed::new("rehearsed").await;
    bed.applied(org("acme")).await;
    let mut digests = Vec::new();
    for _ in 0..2 {
        let items = [item(generated(json!({})))];
        let (_, mut snapshot) = bed.store.rehearse(&items, &[], &actor()).await.unwrap();
        let current = snapshot.secret_current(&org_name("acme")).await.unwrap();
        digests.push(current["db"].digest.clone());
        snapshot.discard().await.unwrap();
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(bed.sql("SELECT count(*) FROM secret_version"), "0");
    let made = bed.applied(generated(json!({}))).await;
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let current = snapshot.secret_current(&org_name("acme")).await.unwrap();
    assert_ne!(current["db"].digest, digests[0], "what is made has been in no preview");
    assert_eq!(made.meta.generation, Generation::new(1));
}

#[tokio::test]
async fn a_rotation_is_a_new_version_and_a_new_generation_and_is_told_in_the_audit() {
    let bed = Bed::new("rotation").await;
    let made = bed.apply(&[org("acme"), secret("acme", "db", Some("one"))]).await.unwrap().remove(1);
    let uid = made.resource.meta.uid;
    let head = bed.head();
    assert_eq!(rotate(&bed, Some("two")).await.unwrap(), 2);
    assert_eq!(value(&bed, uid, 2).await, "two");
    let now = bed.store.get(&db()).await.unwrap().unwrap();
    assert_eq!((now.meta.generation, now.meta.revision.get()), (Generation::new(2), head + 1));
    let told = bed.sql("SELECT verb || ' ' || actor || ' ' || name FROM audit ORDER BY id DESC LIMIT 1");
    assert_eq!(told, "rotate-secret ann db");
    let error = rotate(&bed, Some("two")).await.unwrap_err();
    assert!(matches!(error, StoreError::SecretValueSame { .. }), "{error:?}");
    let error = rotate(&bed, None).await.unwrap_err();
    assert!(matches!(error, StoreError::SecretNotGenerated { .. }), "{error:?}");
    bed.applied(generated(json!({}))).await;
    assert_eq!(rotate(&bed, None).await.unwrap(), 4);
    assert_ne!(value(&bed, uid, 4).await, value(&bed, uid, 3).await);
    let error = rotate(&bed, Some("three")).await.unwrap_err();
    assert!(matches!(error, StoreError::SecretGenerated { .. }), "{error:?}");
    // The manifest asks for the same as before, so it makes nothing.
    let again = bed.apply(&[generated(json!({}))]).await.unwrap().remove(0);
    assert_eq!(again.outcome, Outcome::Unchanged);
    let missing =
        bed.store.rotate_secret(&key("acme", Kind::Secret, "no"), None, &actor()).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing:?}");
    assert_eq!(bed.head(), head + 3);
}

#[tokio::test]
async fn a_former_value_returns_as_a_new_version_under_the_name_that_it_had() {
    let bed = Bed::new("restored").await;
    let made = bed.apply(&[org("acme"), generated(json!({}))]).await.unwrap().remove(1);
    let uid = made.resource.meta.uid;
    rotate(&bed, None).await.unwrap();
    let everything = bed.store.within(Some(&Scope::Platform));
    let restored = bed.store.restore_secret(&everything, &db(), 1, &Actor::new("bob")).await.unwrap();
    assert_eq!(restored.version, 3);
    assert_eq!(value(&bed, uid, 3).await, value(&bed, uid, 1).await);
    let SecretHistory { versions, .. } = history(&bed).await;
    assert_eq!(
        (versions[0].origin, versions[0].made_by.as_deref()),
        (SecretOrigin::Restored { from: 1 }, Some("bob"))
    );
    assert_eq!(versions[1].made_by.as_deref(), Some("ann"));
    let same = bed.sql("SELECT count(DISTINCT digest) FROM secret_version WHERE version IN (1, 3)");
    assert_eq!(same, "1", "its object has the same name");
    for (version, same) in [(1, true), (9, false)] {
        let error = bed.store.restore_secret(&everything, &db(), version, &actor()).await.unwrap_err();
        let expected = if same {
            matches!(error, StoreError::SecretValueSame { .. })
        } else {
            matches!(error, StoreError::SecretVersionMissing { version: 9, .. })
        };
        assert!(expected, "{version}: {error:?}");
    }
    assert!(
        bed.sql("SELECT string_agg(verb, ' ' ORDER BY id) FROM audit")
            .ends_with("rotate-secret restore-secret")
    );
}

#[tokio::test]
async fn an_organisation_rotates_and_restores_its_own_secrets_and_finds_no_others() {
    let bed = Bed::new("reach").await;
    let made = bed.apply(&[org("acme"), org("globex"), generated(json!({}))]).await.unwrap().remove(2);
    let within = |name: &str| bed.store.within(Some(&Scope::Org(org_name(name))));
    let (acme, globex) = (within("acme"), within("globex"));
    let dump = bed.dump();
    assert!(globex.secret_history(&db()).await.unwrap().is_none());
    let outcomes = [
        globex.rotate_secret(&db(), None, &actor()).await,
        bed.store.restore_secret(&globex, &db(), 1, &actor()).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::NotFound { .. })), "{outcome:?}");
    }
    assert_eq!(bed.dump(), dump, "nothing was written");
    assert_eq!(acme.rotate_secret(&db(), None, &actor()).await.unwrap().version, 2);
    assert_eq!(bed.store.restore_secret(&acme, &db(), 1, &actor()).await.unwrap().version, 3);
    assert_eq!(acme.secret_history(&db()).await.unwrap().unwrap().versions.len(), 3);
    let uid = made.resource.meta.uid;
    assert_eq!(value(&bed, uid, 3).await, value(&bed, uid, 1).await);
}

#[tokio::test]
async fn a_history_tells_which_releases_have_which_version_and_which_of_them_need_it() {
    let bed = Bed::new("uses").await;
    let made = bed
        .apply(&[
            org("acme"),
            secret("acme", "db", Some("one")),
            secret("acme", "mail", Some("two")),
            environment("acme", "production", &["db", "mail"]),
            environment("acme", "staging", &["mail"]),
        ])
        .await
        .unwrap();
    let fence = bed.fence().await;
    let production = &made[3].resource;
    for version in 1..=4 {
        let used = if version < 4 { vec![("db", version.min(2)), ("mail", 1)] } else { vec![("mail", 1)] };
        bed.store.begin_plan(&fence, &releasing(production, version, &used)).await.unwrap();
        if version < 4 {
            bed.store.begin_plan(&fence, &judging(production, version, Verdict::Succeeded)).await.unwrap();
        }
    }
    bed.sql(&format!(
        "INSERT INTO inventory (owner, kind, name) VALUES ('{}', 'secret', 'acme_db_000000000000')",
        made[1].resource.meta.uid
    ));
    let SecretHistory { uses, objects, referrers, .. } = history(&bed).await;
    let told: Vec<_> = uses.iter().map(|one| (one.release.get(), one.version, one.needed)).collect();
    // The newest release is pending and has it no more; the newest that succeeded still needs it.
    assert_eq!(told, [(3, 2, true), (2, 2, false), (1, 1, false)]);
    assert!(uses.iter().all(|one| one.environment.as_str() == "production" && one.file == "db"));
    assert_eq!(uses[0].release, ReleaseVersion::new(3));
    assert_eq!(referrers.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["production"]);
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].version, None, "no value that is kept has that name");
}

#[tokio::test]
async fn who_wrote_something_last_is_told_and_a_pause_is_no_writing() {
    let bed = Bed::new("authors").await;
    bed.apply(&[org("acme"), generated(json!({ "length": 32 }))]).await.unwrap();
    let changed = async || bed.store.get(&db()).await.unwrap().unwrap().meta.changed.unwrap();
    let first = changed().await;
    assert_eq!(first.by, "tester");
    let pause = Intervention::Pause { reason: "exam".to_owned(), until: None };
    bed.store.intervene(&db(), &pause, &Actor::new("ann")).await.unwrap();
    assert_eq!(changed().await, first);
    rotate(&bed, None).await.unwrap();
    let second = changed().await;
    assert!(second.by == "ann" && second.at > first.at, "{second:?}");
    let current = bed.store.snapshot().await.unwrap().secret_current(&org_name("acme")).await.unwrap();
    assert_eq!(current["db"].made.as_ref().map(|made| made.by.as_str()), Some("ann"));
    // The same again is no change.
    let again = item(generated(json!({ "length": 32 })));
    bed.store.apply(&[again], &Actor::new("eve")).await.unwrap();
    assert_eq!(changed().await, second);
}
