//! What is known of signatures: one that was found stays, and one that was not has a history.

use serde_json::json;
use skep_planner::policy::signature::{Found, SignatureFact, Signed};
use skep_schemas::kind::Signer;

use crate::support::{Bed, org_name};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";

/// The SHA-256 of a trusted root.
const ROOT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn what_is_known_of_an_identity_is_known_under_the_trusted_root_it_was_found_with() {
    let bed = Bed::new("signers").await;
    let (acme, other) = (org_name("acme"), "b".repeat(64));
    let identity =
        json!({"identity": {"issuer": "https://accounts.google.com", "subject": "release@acme.example"}});
    let identity: Signer = serde_json::from_value(identity).unwrap();
    let key = Signer::Key(KEY.parse().unwrap());
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let signed = Signed { repository: "ghcr.io/acme/shop".to_owned(), digest };
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    let note = async |found: Option<Found>, root: Option<&str>, second| {
        let found = [(identity.clone(), found), (key.clone(), None)];
        bed.store.note_signatures(&acme, &signed, &found, root, at(second)).await.unwrap();
    };
    let known = async |root: Option<&str>| {
        let known = bed.store.signatures(&acme, &signed, root).await.unwrap();
        assert!(known.contains(&(key.clone(), SignatureFact::Signed)));
        known.into_iter().find(|(signer, _)| *signer == identity).map(|(_, fact)| fact)
    };
    note(None, None, 100).await;
    assert_eq!(known(None).await, None, "nothing is known of an identity without a root");
    note(None, Some(ROOT), 200).await;
    assert_eq!(known(Some(ROOT)).await, Some(SignatureFact::Signed));
    assert_eq!((known(None).await, known(Some(&other)).await), (None, None));
    note(Some(Found::Nothing), Some(&other), 300).await;
    let unsigned = SignatureFact::Unsigned { found: Found::Nothing, since: at(300), checked_at: at(300) };
    assert_eq!(known(Some(&other)).await, Some(unsigned));
    assert_eq!(known(Some(ROOT)).await, None);
}

#[tokio::test]
async fn a_signature_that_was_found_stays_and_one_that_was_not_is_known_since_the_first_look() {
    let bed = Bed::new("signatures").await;
    let (acme, key) = (org_name("acme"), Signer::Key(KEY.parse().unwrap()));
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let signed = Signed { repository: "ghcr.io/acme/shop".to_owned(), digest };
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    let note = async |found: Option<Found>, second| {
        bed.store.note_signatures(&acme, &signed, &[(key.clone(), found)], None, at(second)).await.unwrap();
        let known = bed.store.signatures(&acme, &signed, None).await.unwrap();
        assert_eq!((known.len(), &known[0].0), (1, &key));
        known[0].1.clone()
    };
    let unsigned =
        |found, checked| SignatureFact::Unsigned { found, since: at(100), checked_at: at(checked) };
    assert_eq!(bed.store.signatures(&acme, &signed, None).await.unwrap(), []);
    assert_eq!(note(Some(Found::Nothing), 100).await, unsigned(Found::Nothing, 100));
    assert_eq!(note(Some(Found::Others { count: 2 }), 200).await, unsigned(Found::Others { count: 2 }, 200));
    assert_eq!(note(None, 300).await, SignatureFact::Signed);
    assert_eq!(note(Some(Found::Nothing), 400).await, SignatureFact::Signed);
    assert_eq!(bed.store.signatures(&org_name("globex"), &signed, Some(ROOT)).await.unwrap(), []);
}
