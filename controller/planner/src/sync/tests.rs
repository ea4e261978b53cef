//! Removals and what holds them, and documents in the wrong place.

use proptest::prelude::*;
use skep_schemas::{ResourceName, Scope};

use super::*;

fn key(org: &str, kind: Kind, name: &str) -> ResourceKey {
    let scope = if org.is_empty() { Scope::Platform } else { Scope::Org(org.parse().unwrap()) };
    ResourceKey::new(scope, kind, name.parse::<ResourceName>().unwrap()).unwrap()
}

fn document(kind: Kind, name: &str) -> DocumentPlace {
    DocumentPlace { key: key("acme", kind, name), path: format!("deploy/{name}.yaml"), line: 1 }
}

fn owned(kind: Kind, name: &str) -> OwnedResource {
    OwnedResource { uid: Uid::generate(), key: key("acme", kind, name), is_deleting: false }
}

fn apps(count: usize) -> Vec<OwnedResource> {
    (0..count).map(|number| owned(Kind::App, &format!("app-{number}"))).collect()
}

fn documents_of(owned: &[OwnedResource]) -> Vec<DocumentPlace> {
    owned.iter().map(|owned| document(owned.key.kind(), owned.key.name().as_str())).collect()
}

const LIMITS: PruneLimits = PruneLimits { floor: 3, percent: 30 };

fn terms() -> SyncTerms {
    let kinds = [Kind::App, Kind::Environment, Kind::Domain, Kind::Secret];
    SyncTerms { org: "acme".parse().unwrap(), kinds: kinds.into(), prune: Prune::Within(LIMITS) }
}

fn judged(documents: &[DocumentPlace], owned: &[OwnedResource]) -> Sync {
    judge(&terms(), SyncGround::default(), documents, owned, None).unwrap()
}

fn reason(sync: &Sync) -> Option<SyncHoldReason> {
    sync.hold.as_ref().map(|hold| hold.reason)
}

#[test]
fn what_no_document_names_goes_and_what_refers_to_others_goes_first() {
    let owned = [
        owned(Kind::App, "shop"),
        owned(Kind::Environment, "shop"),
        owned(Kind::Domain, "www"),
        owned(Kind::App, "blog"),
    ];
    let sync = judged(&[document(Kind::App, "blog")], &owned);
    let removed: Vec<Kind> = sync.remove.iter().map(|owned| owned.key.kind()).collect();
    assert_eq!(removed, [Kind::Domain, Kind::Environment, Kind::App]);
    assert_eq!((sync.hold, sync.keep), (None, Vec::new()));
}

#[test]
fn what_is_being_deleted_already_is_no_removal() {
    let mut owned = apps(2);
    owned[0].is_deleting = true;
    assert_eq!(judged(&documents_of(&owned[1..]), &owned), Sync::default());
}

#[test]
fn a_source_that_never_removes_tells_what_is_gone() {
    let owned = apps(2);
    let terms = SyncTerms { prune: Prune::Never, ..terms() };
    let sync = judge(&terms, SyncGround::default(), &[], &owned, None).unwrap();
    assert_eq!((sync.keep.len(), sync.remove.len(), sync.hold), (2, 0, None));
}

#[test]
fn an_empty_commit_removes_nothing_however_little_it_would_be() {
    let owned = apps(1);
    assert_eq!(reason(&judged(&[], &owned)), Some(SyncHoldReason::NothingLeft));
    assert_eq!(judged(&[], &[]), Sync::default(), "and there is nothing to hold where nothing is owned");
}

#[test]
fn both_the_floor_and_the_share_have_to_be_exceeded() {
    let removing = |of: usize, gone: usize| {
        let owned = apps(of);
        reason(&judged(&documents_of(&owned[gone..]), &owned))
    };
    assert_eq!(removing(4, 3), None, "few, and most of them");
    assert_eq!(removing(100, 30), None, "many, and a small share of them");
    assert_eq!(removing(100, 31), Some(SyncHoldReason::TooMany));
    assert_eq!(removing(5, 4), Some(SyncHoldReason::TooMany));
}

#[test]
fn history_that_was_written_anew_is_no_matter_until_it_removes_something() {
    let owned = apps(5);
    let ground = SyncGround { is_rewritten: true };
    let sync = judge(&terms(), ground, &documents_of(&owned), &owned, None).unwrap();
    assert_eq!(sync, Sync::default());
    let sync = judge(&terms(), ground, &documents_of(&owned[1..]), &owned, None).unwrap();
    assert_eq!(reason(&sync), Some(SyncHoldReason::Rewritten));
}

#[test]
fn a_secret_goes_only_by_a_word() {
    let owned = [owned(Kind::Secret, "db"), owned(Kind::App, "shop")];
    let sync = judged(&[document(Kind::App, "shop")], &owned);
    assert_eq!(reason(&sync), Some(SyncHoldReason::Irretrievable));
    assert!(sync.hold.is_some_and(|hold| hold.why.contains("db")));
}

#[test]
fn a_word_is_for_the_removals_that_it_was_given_for() {
    let owned = apps(6);
    let hold = judged(&[], &owned).hold.unwrap();
    let again = |documents: &[DocumentPlace]| {
        judge(&terms(), SyncGround::default(), documents, &owned, Some(&hold.hash)).unwrap()
    };
    assert_eq!(again(&[]).remove.len(), 6);
    let fewer = again(&documents_of(&owned[..1]));
    assert_eq!((reason(&fewer), fewer.remove.len()), (Some(SyncHoldReason::TooMany), 0));
    let typed = RemovalHash::given(&format!(" {} ", hold.hash.as_str().to_uppercase()));
    assert_eq!(typed, hold.hash);
}

#[test]
fn one_document_in_the_wrong_place_stops_everything_and_all_are_told() {
    let documents = [
        document(Kind::App, "shop"),
        DocumentPlace { key: key("globex", Kind::App, "shop"), path: "a.yaml".to_owned(), line: 3 },
        DocumentPlace { key: key("", Kind::Plan, "small"), path: "b.yaml".to_owned(), line: 1 },
        document(Kind::ImagePolicy, "images"),
        DocumentPlace { line: 9, ..document(Kind::App, "shop") },
    ];
    let found = judge(&terms(), SyncGround::default(), &documents, &apps(2), None).unwrap_err();
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a.yaml:3: globex/App/shop is not in the organisation `acme`, to which alone this source writes",
            "b.yaml:1: Plan/small is not in the organisation `acme`, to which alone this source writes",
            "deploy/images.yaml:1: this source does not write ImagePolicy; it writes Secret, App, Environment, Domain",
            "deploy/shop.yaml:9: acme/App/shop is written in deploy/shop.yaml:1 already",
        ]
    );
    assert!(found.iter().all(|misplaced| !misplaced.help().is_empty()));
}

proptest! {
    /// Whatever is owned and whatever is left: what is removed was owned and is not named, nothing goes while there is a hold, and nothing is
    /// lost between.
    #[test]
    fn only_what_is_owned_and_not_named_is_ever_removed(
        of in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..40),
        is_rewritten in any::<bool>(),
        never in any::<bool>(),
        floor in 0..10u32,
        percent in 0..=100u8,
    ) {
        let all: Vec<OwnedResource> = of.iter().enumerate().map(|(number, (is_secret, _, is_deleting))| {
            let kind = if *is_secret { Kind::Secret } else { Kind::App };
            OwnedResource { is_deleting: *is_deleting, ..owned(kind, &format!("r-{number}")) }
        }).collect();
        let left: Vec<OwnedResource> = all.iter().zip(&of).filter(|(_, of)| of.1).map(|(owned, _)| owned.clone()).collect();
        let prune = if never { Prune::Never } else { Prune::Within(PruneLimits { floor, percent }) };
        let terms = SyncTerms { prune, ..terms() };
        let ground = SyncGround { is_rewritten };
        let sync = judge(&terms, ground, &documents_of(&left), &all, None).unwrap();
        let gone: Vec<&OwnedResource> = all.iter().filter(|owned| !owned.is_deleting && !left.contains(owned)).collect();
        for removed in sync.remove.iter().chain(&sync.keep) {
            prop_assert!(gone.contains(&removed));
        }
        match &sync.hold {
            Some(hold) => {
                prop_assert!(sync.remove.is_empty() && sync.keep.is_empty());
                prop_assert_eq!(hold.count, gone.len());
                let confirmed = judge(&terms, ground, &documents_of(&left), &all, Some(&hold.hash)).unwrap();
                prop_assert_eq!(confirmed.remove.len(), gone.len());
                prop_assert_eq!(confirmed.hold, None);
            }
            None => prop_assert_eq!(sync.remove.len() + sync.keep.len(), gone.len()),
        }
        if !sync.remove.is_empty() {
            prop_assert!(!is_rewritten && !left.is_empty());
            prop_assert!(sync.remove.iter().all(|owned| owned.key.kind() != Kind::Secret));
        }
    }
}
