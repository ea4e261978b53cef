//! What is known of signatures: one that was found stays, and one that was not has a history.

use skep_planner::policy::signature::{Found, SignatureFact, Signed};
use skep_schemas::PublicKey;

use crate::support::{Bed, org_name};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";

#[tokio::test]
async fn a_signature_that_was_found_stays_and_one_that_was_not_is_known_since_the_first_look() {
    let bed = Bed::new("signatures").await;
    let (acme, key): (_, PublicKey) = (org_name("acme"), KEY.parse().unwrap());
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let signed = Signed { repository: "ghcr.io/acme/shop".to_owned(), digest };
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    let note = async |found: Option<Found>, second| {
        bed.store.note_signatures(&acme, &signed, &[(key.clone(), found)], at(second)).await.unwrap();
        let known = bed.store.signatures(&acme, &signed).await.unwrap();
        assert_eq!((known.len(), &known[0].0), (1, &key));
        known[0].1.clone()
    };
    let unsigned =
        |found, checked| SignatureFact::Unsigned { found, since: at(100), checked_at: at(checked) };
    assert_eq!(bed.store.signatures(&acme, &signed).await.unwrap(), []);
    assert_eq!(note(Some(Found::Nothing), 100).await, unsigned(Found::Nothing, 100));
    assert_eq!(note(Some(Found::Others { count: 2 }), 200).await, unsigned(Found::Others { count: 2 }, 200));
    assert_eq!(note(None, 300).await, SignatureFact::Signed);
    assert_eq!(note(Some(Found::Nothing), 400).await, SignatureFact::Signed);
    assert_eq!(bed.store.signatures(&org_name("globex"), &signed).await.unwrap(), []);
}
