//! Tokens: whose they are, where they are valid, and when they end.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use skep_schemas::{Role, Scope};
use skep_store::{Grant, NewToken, Precondition, Principal, StoreError};

use crate::support::{Bed, actor, finalize, org, org_name};

fn new_token(name: &str, reach: Scope, role: Role) -> NewToken {
    NewToken { name: name.parse().unwrap(), reach, role, expires_at: None }
}

fn of(org: &str) -> Scope {
    Scope::Org(org_name(org))
}

#[tokio::test]
async fn the_first_token_is_made_once_however_many_ask() {
    let bed = Bed::new("bootstrap").await;
    let asking = (0..4).map(|_| {
        let store = bed.store.clone();
        tokio::spawn(async move { store.bootstrap_token().await.unwrap() })
    });
    let mut made: Vec<SecretString> = Vec::new();
    for answer in asking.collect::<Vec<_>>() {
        made.extend(answer.await.unwrap());
    }
    let [token] = made.as_slice() else { panic!("one token, not {}", made.len()) };
    assert_eq!(bed.store.authenticate(token).await.unwrap().unwrap().name(), "bootstrap");
    assert!(!bed.dump().contains(token.expose_secret()));
    assert!(bed.store.revoke_token(&Scope::Platform, "bootstrap", &actor()).await.unwrap());
    assert!(bed.store.bootstrap_token().await.unwrap().is_none(), "not even after it was revoked");
}

#[tokio::test]
async fn a_token_is_valid_from_its_making_to_its_end() {
    let bed = Bed::new("tokens").await;
    let token =
        bed.store.create_token(&new_token("ci", Scope::Platform, Role::Admin), &actor()).await.unwrap();
    let error =
        bed.store.create_token(&new_token("ci", Scope::Platform, Role::Admin), &actor()).await.unwrap_err();
    assert!(matches!(error, StoreError::TokenNameTaken { .. }), "{error:?}");
    assert_eq!(bed.store.authenticate(&token).await.unwrap().unwrap().name(), "ci");
    assert_eq!(bed.store.tokens(&Scope::Platform).await.unwrap()[0].name, "ci");
    let longer = format!("{}x", token.expose_secret());
    for wrong in ["", "skep_", &longer, &"skep_".repeat(1000)] {
        assert_eq!(bed.store.authenticate(&SecretString::from(wrong)).await.unwrap(), None, "{wrong}");
    }
    assert!(bed.store.revoke_token(&Scope::Platform, "ci", &actor()).await.unwrap());
    assert!(!bed.store.revoke_token(&Scope::Platform, "ci", &actor()).await.unwrap());
    assert_eq!(bed.store.authenticate(&token).await.unwrap(), None);
    let next =
        bed.store.create_token(&new_token("ci", Scope::Platform, Role::Admin), &actor()).await.unwrap();
    assert!(bed.store.authenticate(&next).await.unwrap().is_some());
}

#[tokio::test]
async fn a_token_of_an_organisation_is_valid_there_alone_and_goes_with_it() {
    let bed = Bed::new("token_reach").await;
    let fence = bed.fence().await;
    let made = bed.apply(&[org("acme"), org("globex")]).await.unwrap();
    let token = bed.store.create_token(&new_token("ci", of("acme"), Role::Deployer), &actor()).await.unwrap();
    let known = bed.store.authenticate(&token).await.unwrap().unwrap();
    let grant = Grant { reach: of("acme"), role: Role::Deployer };
    assert_eq!(known, Principal::Token { name: "ci".to_owned(), grant });

    // A name is each organisation's own, and is found and revoked nowhere else.
    bed.store.create_token(&new_token("ci", of("globex"), Role::Viewer), &actor()).await.unwrap();
    bed.store.create_token(&new_token("ci", Scope::Platform, Role::Viewer), &actor()).await.unwrap();
    let twice =
        bed.store.create_token(&new_token("ci", of("acme"), Role::Viewer), &actor()).await.unwrap_err();
    assert!(matches!(twice, StoreError::TokenNameTaken { .. }), "{twice:?}");
    let listed = bed.store.tokens(&of("acme")).await.unwrap();
    let [only] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(
        (only.name.as_str(), only.role, only.made_by.as_deref()),
        ("ci", Role::Deployer, Some("tester"))
    );
    assert!(only.last_used_at.is_some_and(|used| used >= only.created_at));
    assert!(bed.store.revoke_token(&of("globex"), "ci", &actor()).await.unwrap());
    assert!(
        bed.store.authenticate(&token).await.unwrap().is_some(),
        "another's token of that name was revoked"
    );

    // What is made later under the same name is somebody else's.
    bed.store.delete(&made[0].resource.meta.key, Precondition::None, &actor()).await.unwrap();
    let late =
        bed.store.create_token(&new_token("late", of("acme"), Role::Owner), &actor()).await.unwrap_err();
    assert!(matches!(late, StoreError::NotFound { .. }), "{late:?}");
    finalize(&bed, &fence, made[0].resource.meta.uid).await;
    assert_eq!(bed.store.authenticate(&token).await.unwrap(), None);
    bed.applied(org("acme")).await;
    assert_eq!(bed.store.authenticate(&token).await.unwrap(), None);
    assert!(bed.store.tokens(&of("acme")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_none() {
    let bed = Bed::new("token_time").await;
    let at = |seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let ending = |name: &str, seconds| NewToken {
        expires_at: Some(at(seconds)),
        ..new_token(name, Scope::Platform, Role::Viewer)
    };
    let over = bed.store.create_token(&ending("over", -1), &actor()).await.unwrap();
    let valid = bed.store.create_token(&ending("valid", 600), &actor()).await.unwrap();
    assert_eq!(bed.store.authenticate(&over).await.unwrap(), None);
    assert!(bed.store.authenticate(&valid).await.unwrap().is_some());
    let ends: Vec<_> =
        bed.store.tokens(&Scope::Platform).await.unwrap().iter().map(|one| one.expires_at).collect();
    assert!(ends.len() == 2 && ends.iter().all(Option::is_some), "{ends:?}");
}
