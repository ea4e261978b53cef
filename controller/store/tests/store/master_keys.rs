//! Master keys: one takes the place of another while everything goes on, and what a missing key costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use secrecy::ExposeSecret;
use skep_schemas::{Manifest, Uid};
use skep_store::{
    AuditKey, AuditSeal, FURTHER_KEYS_MAX, MasterKey, MasterKeys, Rotation, Sealed, Store, StoreError,
    StoreOptions,
};

use crate::support::{Bed, actor, item, org, secret};

/// More organisations than three batches have.
const ORGS: usize = 310;

async fn with_keys(bed: &Bed, own: &MasterKey, further: &[&MasterKey]) -> Store {
    let further = further.iter().copied().cloned().collect();
    let keys = MasterKeys::new(own.clone(), further).unwrap();
    Store::connect(&bed.url, StoreOptions::new(keys)).await.unwrap()
}

/// Organisations, each with a secret whose value is its own name.
async fn organizations(bed: &Bed, count: usize) -> Vec<Uid> {
    let names: Vec<String> = (0..count).map(|number| format!("org-{number}")).collect();
    let manifests: Vec<Manifest> =
        names.iter().flat_map(|name| [org(name), secret(name, "db", Some(name))]).collect();
    let applied = bed.apply(&manifests).await.unwrap();
    applied.iter().skip(1).step_by(2).map(|applied| applied.resource.meta.uid).collect()
}

async fn rotated(store: &Store) -> Rotation {
    let mut all = store.rotate_master_key(None, None, &actor()).await.unwrap();
    while let Some(after) = all.next {
        let batch = store.rotate_master_key(Some(&all.in_force), Some(after), &actor()).await.unwrap();
        assert!(!batch.began);
        all.rewrapped += batch.rewrapped;
        all = Rotation { left: batch.left, next: batch.next, ..all };
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_written_and_opened_all_the_while_the_master_key_changes() {
    let bed = Bed::new("rotation").await;
    let secrets = organizations(&bed, ORGS).await;
    let new = MasterKey::generate().unwrap();
    // As it is in the middle of an update: the one server has the new key beside its own, the other one the former.
    let before = with_keys(&bed, &bed.master_key, &[&new]).await;
    let after = with_keys(&bed, &new, &[&bed.master_key]).await;
    for store in [&before, &after] {
        store.migrate().await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = [&before, &after]
        .into_iter()
        .enumerate()
        .map(|(user, store)| {
            let (store, done, secrets) = (store.clone(), done.clone(), secrets.clone());
            tokio::spawn(async move {
                let mut rounds = 0;
                // At least one round after the last batch.
                let mut is_last = false;
                while !is_last {
                    is_last = done.load(Ordering::SeqCst);
                    for number in (0..ORGS).skip(rounds % 7).step_by(37) {
                        let name = format!("org-{number}");
                        let value = format!("{user} in round {rounds}");
                        let items = [
                            item(secret(&name, &format!("mine-{user}"), Some(&value))),
                            item(org(&format!("new-{user}-{rounds}-{number}"))),
                        ];
                        let applied = store.apply(&items, &actor()).await.unwrap();
                        let mine = &applied[0].resource.meta;
                        let version = u32::try_from(mine.generation.get()).unwrap();
                        let opened = store.open_secret(mine.uid, version).await.unwrap();
                        assert_eq!(opened.expose_secret(), value);
                        let other = store.open_secret(secrets[number], 1).await.unwrap();
                        assert_eq!(other.expose_secret(), name);
                    }
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    let rotation = rotated(&after).await;
    assert!(rotation.began && rotation.rewrapped >= u64::try_from(ORGS).unwrap(), "{rotation:?}");
    done.store(true, Ordering::SeqCst);
    for user in users {
        assert!(user.await.unwrap() >= 1);
    }
    // Also the organisations that were made meanwhile, by either server.
    assert_eq!(rotated(&after).await.left, 0);

    let alone = with_keys(&bed, &new, &[]).await;
    alone.migrate().await.unwrap();
    for (number, uid) in secrets.iter().enumerate() {
        assert_eq!(alone.open_secret(*uid, 1).await.unwrap().expose_secret(), format!("org-{number}"));
    }
    let error = with_keys(&bed, &bed.master_key, &[]).await.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error:?}");
    let audited = bed.sql("SELECT DISTINCT verb, kind, name FROM audit WHERE verb = 'rotate-master-key'");
    assert_eq!(audited, format!("rotate-master-key|MasterKey|{}", rotation.in_force));
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_told_by_organisation_and_goes_on_where_it_ended() {
    let bed = Bed::new("cut_off").await;
    let secrets = organizations(&bed, 150).await;
    let new = MasterKey::generate().unwrap();
    let both = with_keys(&bed, &new, &[&bed.master_key]).await;
    let first = both.rotate_master_key(None, None, &actor()).await.unwrap();
    assert_eq!((first.began, first.rewrapped, first.left), (true, 100, 50));
    assert!(first.next.is_some());

    // The former key is taken away too early: what is open stays so.
    let early = with_keys(&bed, &new, &[]).await;
    early.migrate().await.unwrap();
    let standing = early.master_key_standing().await.unwrap();
    let closed: Vec<&str> = standing.closed.iter().map(|closed| closed.org.as_str()).collect();
    assert_eq!((closed.len(), standing.in_force.as_str()), (50, standing.own.as_str()));
    let (mut open, mut shut) = (0, 0);
    for (number, uid) in secrets.iter().enumerate() {
        let name = format!("org-{number}");
        let opened = early.open_secret(*uid, 1).await;
        let written = early.apply(&[item(secret(&name, "db", Some("another")))], &actor()).await;
        if closed.contains(&name.as_str()) {
            shut += 1;
            assert!(matches!(opened, Err(StoreError::KeyClosed { .. })), "{opened:?}");
            assert!(matches!(written, Err(StoreError::KeyClosed { .. })), "{written:?}");
        } else {
            open += 1;
            assert_eq!(opened.unwrap().expose_secret(), name);
            written.unwrap();
        }
    }
    assert_eq!((open, shut), (100, 50));
    let without = early.rotate_master_key(None, None, &actor()).await.unwrap();
    assert_eq!((without.rewrapped, without.left, without.closed.len()), (0, 50, 50));

    let rest = rotated(&both).await;
    assert_eq!((rest.began, rest.rewrapped, rest.left), (false, 50, 0));
    assert!(early.master_key_standing().await.unwrap().closed.is_empty());
    assert_eq!(rotated(&early).await.rewrapped, 0);
}

#[tokio::test]
async fn a_key_that_a_live_controller_lacks_does_not_come_into_force() {
    let bed = Bed::new("not_everywhere").await;
    organizations(&bed, 1).await;
    let new = MasterKey::generate().unwrap();
    let mut lacking = bed.store.member("lacking".to_owned(), Duration::from_secs(600));
    lacking.beat(&[], &[]).await.unwrap();
    let both = with_keys(&bed, &new, &[&bed.master_key]).await;
    let mut ready = both.member("ready".to_owned(), Duration::from_secs(600));
    ready.beat(&[], &[]).await.unwrap();
    let error = both.rotate_master_key(None, None, &actor()).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::MasterKeyNotEverywhere { without, .. } if without == &["lacking"]),
        "{error:?}"
    );
    let standing = both.master_key_standing().await.unwrap();
    assert_ne!(standing.in_force, standing.own);
    lacking.leave().await.unwrap();
    assert_eq!(rotated(&both).await.left, 0);
}

#[tokio::test]
async fn a_key_that_was_replaced_or_is_not_given_does_not_come_into_force() {
    let bed = Bed::new("replaced").await;
    organizations(&bed, 1).await;
    let new = MasterKey::generate().unwrap();
    let former = bed.store.master_key_standing().await.unwrap().in_force;
    let both = with_keys(&bed, &new, &[&bed.master_key]).await;
    rotated(&both).await;
    let error = both.rotate_master_key(Some(&former), None, &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::MasterKeyReplaced { .. }), "{error:?}");
    let error = both.rotate_master_key(Some("0011223344556677"), None, &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::MasterKeyMissing { .. }), "{error:?}");
    let many: Vec<MasterKey> = (0..=FURTHER_KEYS_MAX).map(|_| MasterKey::generate().unwrap()).collect();
    assert!(MasterKeys::new(new, many).is_err());
}

#[tokio::test]
async fn seals_of_the_audit_follow_from_the_former_key_to_the_next_at_one_place() {
    let bed = Bed::new("seals").await;
    let new = MasterKey::generate().unwrap();
    let before = with_keys(&bed, &bed.master_key, &[&new]).await;
    let after = with_keys(&bed, &new, &[&bed.master_key]).await;
    bed.applied(org("acme")).await;
    let Sealed::At(first) = before.seal_audit().await.unwrap() else { panic!("nothing was sealed") };
    rotated(&after).await;
    // Whichever server seals, and whatever its own key is, it is done with the key in force.
    let Sealed::At(second) = before.seal_audit().await.unwrap() else { panic!("nothing was sealed") };
    after.apply(&[item(org("globex"))], &actor()).await.unwrap();
    let Sealed::At(third) = after.seal_audit().await.unwrap() else { panic!("nothing was sealed") };

    let chain = bed.store.audit_chain(0, 1000).await.unwrap();
    let [former, next] = chain.keys.as_slice() else { panic!("{:?}", chain.keys) };
    assert_eq!((former.endorsed_by.as_ref(), former.after_position), (None, 0));
    assert_eq!((next.endorsed_by.as_ref(), next.after_position), (Some(&former.public_key), first));
    let by = |position: i64| {
        let seal: Option<&AuditSeal> = chain.seals.iter().find(|seal| seal.position == position);
        seal.unwrap().public_key.clone()
    };
    assert_eq!(by(first), former.public_key);
    assert_eq!((by(second), by(third)), (next.public_key.clone(), next.public_key.clone()));
    let instance = bed.store.instance_id().await.unwrap().to_string();
    let message = AuditKey::message(&instance, next.after_position, &next.public_key);
    let endorsement = next.endorsement.as_ref().unwrap();
    let former = UnparsedPublicKey::new(&ED25519, &former.public_key);
    assert!(former.verify(message.as_bytes(), endorsement).is_ok());
    assert!(former.verify(format!("{message}0").as_bytes(), endorsement).is_err());
}
