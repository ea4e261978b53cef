//! People: how they come in, what they may do where, and that somebody always stays owner.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use skep_schemas::{EmailAddress, Role, Scope};
use skep_store::{
    AuditQuery, Grant, NewInvitation, PeopleError, Person, Precondition, Principal, StoreError,
};

use crate::support::{Bed, actor, finalize, org, org_name};

pub(crate) fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

fn of(org: &str) -> Scope {
    Scope::Org(org_name(org))
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

async fn person(bed: &Bed, email: &str) -> Person {
    bed.store.ensure_person(&address(email), None, &actor()).await.unwrap()
}

/// An invitation to an organisation.
pub(crate) async fn invited(bed: &Bed, org: &str, email: &str, role: Role) -> SecretString {
    let new = NewInvitation { reach: of(org), email: address(email), role, expires_at: in_seconds(600) };
    bed.store.invite(&new, &actor()).await.unwrap()
}

/// A member of an organisation.
pub(crate) async fn member(bed: &Bed, org: &str, email: &str, role: Role) -> Person {
    let text = invited(bed, org, email, role).await;
    let person = person(bed, email).await;
    bed.store.accept_invitation(&person, &text, &actor()).await.unwrap().unwrap();
    person
}

/// An owner of an organisation.
pub(crate) async fn owner(bed: &Bed, org: &str, email: &str) -> Person {
    member(bed, org, email, Role::Owner).await
}

async fn session(bed: &Bed, person: &Person) -> SecretString {
    bed.store.start_session(person, "a test", in_seconds(600), &actor()).await.unwrap()
}

async fn grants(bed: &Bed, session: &SecretString) -> Option<Vec<(Option<String>, Role)>> {
    match bed.store.authenticate(session).await.unwrap()? {
        Principal::Person { grants, .. } => Some(
            grants
                .into_iter()
                .map(|grant| (grant.reach.org().map(ToString::to_string), grant.role))
                .collect(),
        ),
        Principal::Token { name, .. } => panic!("{name} is a token"),
    }
}

async fn roles(bed: &Bed, org: &str) -> Vec<(String, Role)> {
    let members = bed.store.members(&of(org)).await.unwrap();
    members.into_iter().map(|member| (member.email.to_string(), member.role)).collect()
}

#[tokio::test]
async fn an_invitation_makes_the_one_person_it_was_sent_to_a_member_once_and_tells_nobody_else_anything() {
    let bed = Bed::new("invitation").await;
    bed.apply(&[org("acme"), org("globex")]).await.unwrap();
    let text = invited(&bed, "acme", "Alice@Example.com", Role::Deployer).await;
    assert!(!bed.dump().contains(text.expose_secret()), "only its hash is kept");
    let (alice, mallory) =
        (person(&bed, "alice@example.com").await, person(&bed, "mallory@example.com").await);
    let none = [
        (&mallory, text.clone()),
        (&alice, SecretString::from(format!("{}x", text.expose_secret()))),
        (&alice, SecretString::from("skepi_")),
        (&alice, SecretString::from("")),
        (&alice, session(&bed, &alice).await),
    ];
    for (who, wrong) in none {
        assert_eq!(bed.store.accept_invitation(who, &wrong, &actor()).await.unwrap(), None, "{}", who.email);
    }
    let accepting = (0..4).map(|_| {
        let (store, alice, text) = (bed.store.clone(), alice.clone(), text.clone());
        tokio::spawn(async move { store.accept_invitation(&alice, &text, &actor()).await.unwrap() })
    });
    let mut accepted = Vec::new();
    for answer in accepting.collect::<Vec<_>>() {
        accepted.extend(answer.await.unwrap());
    }
    assert_eq!(accepted, [Grant { reach: of("acme"), role: Role::Deployer }], "once, however many ask");
    assert_eq!(roles(&bed, "acme").await, [("alice@example.com".to_owned(), Role::Deployer)]);
    assert_eq!(roles(&bed, "globex").await, []);
    let again = NewInvitation {
        reach: of("acme"),
        email: alice.email.clone(),
        role: Role::Owner,
        expires_at: in_seconds(600),
    };
    let refused = bed.store.invite(&again, &actor()).await.unwrap_err();
    assert!(matches!(refused, StoreError::People(PeopleError::MemberAlready { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_invitation_that_is_over_revoked_or_replaced_is_worth_nothing() {
    let bed = Bed::new("invitation_end").await;
    bed.applied(org("acme")).await;
    let alice = person(&bed, "alice@example.com").await;
    let late = NewInvitation {
        reach: of("acme"),
        email: alice.email.clone(),
        role: Role::Viewer,
        expires_at: in_seconds(-1),
    };
    let over = bed.store.invite(&late, &actor()).await.unwrap();
    assert_eq!(bed.store.invitations(&of("acme")).await.unwrap(), []);
    assert_eq!(bed.store.accept_invitation(&alice, &over, &actor()).await.unwrap(), None);
    let former = invited(&bed, "acme", "alice@example.com", Role::Owner).await;
    let next = invited(&bed, "acme", "alice@example.com", Role::Viewer).await;
    assert_eq!(bed.store.accept_invitation(&alice, &former, &actor()).await.unwrap(), None);
    let listed = bed.store.invitations(&of("acme")).await.unwrap();
    let [only] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(
        (only.email.as_str(), only.role, only.made_by.as_str()),
        ("alice@example.com", Role::Viewer, "tester")
    );
    assert_eq!(bed.store.revoke_invitation(&Scope::Platform, only.id, &actor()).await.unwrap(), None);
    let revoked = bed.store.revoke_invitation(&of("acme"), only.id, &actor()).await.unwrap();
    assert_eq!(revoked, Some(alice.email.clone()));
    assert_eq!(bed.store.accept_invitation(&alice, &next, &actor()).await.unwrap(), None);
    assert_eq!(roles(&bed, "acme").await, []);
}

#[tokio::test]
async fn a_session_allows_what_its_person_may_do_now_and_ends_by_itself_by_request_and_with_the_person() {
    let bed = Bed::new("sessions").await;
    let fence = bed.fence().await;
    let made = bed.apply(&[org("acme"), org("globex")]).await.unwrap();
    owner(&bed, "acme", "other@example.com").await;
    let alice = person(&bed, "alice@example.com").await;
    let text = session(&bed, &alice).await;
    assert!(!bed.dump().contains(text.expose_secret()), "only its hash is kept");
    assert_eq!(grants(&bed, &text).await.unwrap(), [], "an account alone allows nothing");
    member(&bed, "globex", "alice@example.com", Role::Viewer).await;
    member(&bed, "acme", "alice@example.com", Role::Admin).await;
    let both = [(Some("acme".to_owned()), Role::Admin), (Some("globex".to_owned()), Role::Viewer)];
    assert_eq!(grants(&bed, &text).await.unwrap(), both);
    bed.store.set_role(&of("acme"), &alice.email, Role::Viewer, Role::Owner, &actor()).await.unwrap();
    bed.store.remove_member(&of("globex"), &alice.email, Role::Owner, &actor()).await.unwrap();
    assert_eq!(grants(&bed, &text).await.unwrap(), [(Some("acme".to_owned()), Role::Viewer)]);

    // With the organisation, not with its name.
    bed.store.delete(&made[0].resource.meta.key, Precondition::None, &actor()).await.unwrap();
    finalize(&bed, &fence, made[0].resource.meta.uid).await;
    bed.applied(org("acme")).await;
    assert_eq!(grants(&bed, &text).await.unwrap(), []);

    let over = bed.store.start_session(&alice, "a test", in_seconds(-1), &actor()).await.unwrap();
    assert_eq!(grants(&bed, &over).await, None);
    let second = session(&bed, &alice).await;
    let listed = bed.store.sessions(alice.id).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed[1].last_used_at.is_some_and(|used| used >= listed[1].created_at));
    let mallory = person(&bed, "mallory@example.com").await;
    assert!(!bed.store.end_session(mallory.id, listed[1].id, &actor()).await.unwrap(), "another's");
    assert!(bed.store.end_session(alice.id, listed[1].id, &actor()).await.unwrap());
    assert!(!bed.store.end_session(alice.id, listed[1].id, &actor()).await.unwrap());
    assert_eq!(grants(&bed, &text).await, None);
    assert!(bed.store.remove_person(&alice.email, &actor()).await.unwrap());
    assert_eq!(grants(&bed, &second).await, None);
    let refused = bed.store.start_session(&alice, "a test", in_seconds(600), &actor()).await.unwrap_err();
    assert!(matches!(refused, StoreError::People(PeopleError::NoSuchPerson { .. })), "{refused:?}");
    let next = person(&bed, "alice@example.com").await;
    assert_ne!(next.id, alice.id, "whoever has the address later is somebody else");
}

#[tokio::test]
async fn a_person_has_a_bounded_number_of_sessions_and_loses_those_that_were_not_used_for_longest() {
    let bed = Bed::new("session_bound").await;
    let alice = person(&bed, "alice@example.com").await;
    let first = session(&bed, &alice).await;
    let second = session(&bed, &alice).await;
    bed.sql("UPDATE person_session SET last_used_at = now() + interval '1 s' * id, created_at = now() - interval '1 h'");
    bed.sql("UPDATE person_session SET last_used_at = now() + interval '1 h' WHERE id = (SELECT min(id) FROM person_session)");
    bed.sql("UPDATE person_session SET last_used_at = now() - interval '1 h' WHERE id = (SELECT max(id) FROM person_session)");
    for _ in 0..49 {
        session(&bed, &alice).await;
    }
    assert_eq!(bed.store.sessions(alice.id).await.unwrap().len(), 50);
    assert!(grants(&bed, &first).await.is_some(), "in use");
    assert!(grants(&bed, &second).await.is_none(), "not used for longest");
}

#[tokio::test]
async fn the_last_owner_stays_whatever_way_he_was_to_go() {
    let bed = Bed::new("last_owner").await;
    bed.apply(&[org("acme"), org("globex")]).await.unwrap();
    let (alice, bob) =
        (owner(&bed, "acme", "alice@example.com").await, owner(&bed, "acme", "bob@example.com").await);
    member(&bed, "globex", "alice@example.com", Role::Owner).await;
    let leaving = [&alice, &bob].map(|person| {
        let (store, email) = (bed.store.clone(), person.email.clone());
        tokio::spawn(async move { store.remove_member(&of("acme"), &email, Role::Owner, &actor()).await })
    });
    let mut refused = Vec::new();
    for answer in leaving {
        refused.extend(answer.await.unwrap().err());
    }
    assert!(matches!(refused.as_slice(), [StoreError::People(PeopleError::LastOwner)]), "{refused:?}");
    let left = roles(&bed, "acme").await;
    let [(email, Role::Owner)] = left.as_slice() else { panic!("{left:?}") };
    let email = address(email);
    let refused = [
        bed.store.set_role(&of("acme"), &email, Role::Admin, Role::Owner, &actor()).await.unwrap_err(),
        bed.store.remove_person(&alice.email, &actor()).await.unwrap_err(),
    ];
    for refused in refused {
        assert!(matches!(refused, StoreError::People(PeopleError::LastOwner)), "{refused:?}");
    }
    let by_hand = bed.server.psql(&bed.url, "DELETE FROM membership").unwrap_err();
    assert!(format!("{by_hand:#}").contains("the last owner stays"), "{by_hand:#}");
    bed.sql("UPDATE resource SET finalizers = '{}'; DELETE FROM resource WHERE kind = 'Organization'");
    assert_eq!(bed.sql("SELECT count(*) FROM membership"), "0", "they go with their organisation");
    assert!(bed.store.remove_person(&alice.email, &actor()).await.unwrap());
}

#[tokio::test]
async fn nobody_decides_about_a_member_who_is_above_him_and_strangers_are_no_members() {
    let bed = Bed::new("above").await;
    bed.applied(org("acme")).await;
    let alice = owner(&bed, "acme", "alice@example.com").await;
    owner(&bed, "acme", "bob@example.com").await;
    let stranger = person(&bed, "stranger@example.com").await;
    for refused in [
        bed.store.set_role(&of("acme"), &alice.email, Role::Viewer, Role::Admin, &actor()).await.unwrap_err(),
        bed.store.remove_member(&of("acme"), &alice.email, Role::Admin, &actor()).await.unwrap_err(),
    ] {
        assert!(
            matches!(refused, StoreError::People(PeopleError::MemberAbove { role: Role::Owner, .. })),
            "{refused:?}"
        );
    }
    for nobody in [&stranger.email, &address("unknown@example.com")] {
        let refused = bed.store.set_role(&of("acme"), nobody, Role::Viewer, Role::Owner, &actor()).await;
        assert!(matches!(refused, Err(StoreError::People(PeopleError::NotMember { .. }))), "{refused:?}");
    }
    bed.store.set_role(&of("acme"), &alice.email, Role::Viewer, Role::Owner, &actor()).await.unwrap();
    let query = AuditQuery::of(of("acme"), 100);
    let told = bed.store.audit(&query).await.unwrap().entries;
    let told: Vec<_> = told.iter().map(|entry| format!("{} {}", entry.verb, entry.name)).collect();
    for entry in
        ["invite alice@example.com", "accept-invitation bob@example.com", "change-role alice@example.com"]
    {
        assert!(told.iter().any(|one| one == entry), "{entry}: {told:?}");
    }
}
