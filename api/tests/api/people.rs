//! People over HTTP: coming in, acting in several organisations, and leaving.

use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::SecretString;
use serde_json::{Value, json};
use skep_schemas::{Role, Scope};
use skep_store::{Actor, NewInvitation};

use crate::support::{Answer, Server, manifest};

impl Server {
    /// The session of a person who is a member of these; absent for the platform.
    pub(crate) async fn session_of(
        &self,
        email: &str,
        memberships: &[(Option<&str>, Role)],
    ) -> Result<SecretString> {
        let (by, store) = (Actor::new("tester"), &self.store);
        let person = store.ensure_person(&email.parse()?, None, &by).await?;
        let expires_at = jiff::Timestamp::now().checked_add(Duration::from_secs(600))?;
        for (org, role) in memberships {
            let reach = org.map_or(Ok(Scope::Platform), |org| org.parse().map(Scope::Org))?;
            let new = NewInvitation { reach, email: person.email.clone(), role: *role, expires_at };
            let code = store.invite(&new, &by).await?;
            store.accept_invitation(&person, &code, &by).await?.context("it was for this person")?;
        }
        Ok(store.start_session(&person, "a test", expires_at, &by).await?)
    }
}

fn body(value: &Value) -> Option<(&'static str, String)> {
    Some(("application/json", value.to_string()))
}

async fn two_organisations() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?;
    Ok(server)
}

/// Somebody who accepts a code, as the answer tells it.
async fn accept(server: &Server, who: &SecretString, code: &str) -> Result<Answer> {
    server.ask(who, "POST", "/v1/invitations/accept", body(&json!({ "code": code }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_comes_in_by_an_invitation_to_his_address_and_acts_in_each_organisation_as_he_may_there()
-> Result<()> {
    let server = two_organisations().await?;
    let made =
        server.body("POST", "/v1/people", "application/json", r#"{"email": "Alice@Example.com"}"#).await?;
    assert_eq!(made.json(), json!({"email": "alice@example.com"}), "{made:?}");
    let path = "/v1/people/alice@example.com/sessions";
    let made = server.body("POST", path, "application/json", r#"{"expiresIn": "12h"}"#).await?;
    let alice = SecretString::from(made.json()["token"].as_str().unwrap().to_owned());
    let who = server.ask(&alice, "GET", "/v1/whoami", None).await?;
    assert_eq!(who.json(), json!({"name": "alice@example.com", "grants": []}));
    for path in ["/v1/orgs/acme/apps", "/v1/orgs/nowhere/apps"] {
        assert_eq!(server.ask(&alice, "GET", path, None).await?.code(), "SK0601", "{path}");
    }
    assert_eq!(server.ask(&alice, "GET", "/v1/plans", None).await?.code(), "SK0403");

    let admin = server.token_of(Some("acme"), "admin", Role::Admin).await?;
    let invite = |role: &str| body(&json!({"email": "alice@example.com", "role": role}));
    let refused = server.ask(&admin, "POST", "/v1/orgs/acme/invitations", invite("owner")).await?;
    assert_eq!(refused.status, 400, "nobody gives out more than he has: {refused:?}");
    let invited = server.ask(&admin, "POST", "/v1/orgs/acme/invitations", invite("deployer")).await?;
    let code = invited.json()["code"].as_str().unwrap().to_owned();
    let listed = server.ask(&admin, "GET", "/v1/orgs/acme/invitations", None).await?;
    assert!(listed.text().contains("alice@example.com") && !listed.text().contains(&code), "{listed:?}");

    let mallory = server.session_of("mallory@example.com", &[]).await?;
    let mut refusals = Vec::new();
    for (who, code) in [(&mallory, code.as_str()), (&mallory, "skepi_x"), (&alice, "nonsense"), (&alice, "")]
    {
        let refused = accept(&server, who, code).await?;
        let mut told = refused.json();
        told.as_object_mut().unwrap().retain(|field, _| !["requestId", "instance"].contains(&field.as_str()));
        refusals.push((refused.status, told));
    }
    assert_eq!(refusals[0].0, 404, "{refusals:?}");
    assert!(refusals.iter().all(|one| *one == refusals[0]), "{refusals:?}");
    let accepted = accept(&server, &alice, &code).await?;
    assert_eq!(accepted.json(), json!({"grant": {"org": "acme", "role": "deployer"}}), "{accepted:?}");
    assert_eq!(accept(&server, &alice, &code).await?.status, 404, "once");

    let sent = r#"{"email": "alice@example.com", "role": "viewer"}"#;
    let invited = server.body("POST", "/v1/orgs/globex/invitations", "application/json", sent).await?;
    let code = invited.json()["code"].as_str().unwrap().to_owned();
    accept(&server, &alice, &code).await?;
    let app = Some((
        "application/yaml",
        manifest("App", "shop", "{source: {image: shop:1}, processes: {web: {}}}"),
    ));
    for (org, status) in [("acme", 201), ("globex", 403)] {
        let answer = server.ask(&alice, "PUT", &format!("/v1/orgs/{org}/apps/shop"), app.clone()).await?;
        assert_eq!(answer.status, status, "{org}: {answer:?}");
    }
    let told = server.get("/v1/orgs/acme/audit").await?.text();
    for text in ["deployer of acme", "accept-invitation", "\"actor\":\"alice@example.com\""] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(server.get("/v1/orgs/globex/audit").await?.text().contains("viewer of globex"), "the denial");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_person_is_made_in_one_organisation_and_of_several_refused_in_words() -> Result<()> {
    let server = two_organisations().await?;
    let both = [(Some("acme"), Role::Deployer), (Some("globex"), Role::Owner)];
    let person = server.session_of("alice@example.com", &both).await?;
    let document = |org: &str| {
        json!({"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"org": org, "name": "shop"},
            "spec": {"source": {"image": "shop:1"}, "processes": {"web": {}}}})
    };
    let apply = async |orgs: &[&str]| {
        let documents: Vec<_> = orgs.iter().map(|org| document(org).to_string()).collect();
        let sent = Some(("application/yaml", documents.join("\n---\n")));
        server.ask(&person, "POST", "/v1/apply", sent).await
    };
    let together = apply(&["acme", "globex"]).await?;
    assert_eq!((together.status, together.code().as_str()), (400, "SK0602"), "{together:?}");
    assert!(together.text().contains("one organisation at a time"), "{together:?}");
    assert_eq!(server.get("/v1/orgs/acme/apps/shop").await?.status, 404, "nothing was done");
    for org in ["acme", "globex"] {
        let alone = apply(&[org]).await?;
        assert_eq!(alone.status, 200, "{org}: {alone:?}");
    }
    assert_eq!(apply(&["initech"]).await?.code(), "SK0601");
    let delete = json!({"delete": [{"org": "acme", "kind": "App", "name": "shop"}]});
    let refused = server.ask(&person, "POST", "/v1/delete", body(&delete)).await?;
    assert_eq!(
        refused.code(),
        "SK0403",
        "a deployer deletes nothing, whatever he owns elsewhere: {refused:?}"
    );
    let delete = json!({"delete": [{"org": "globex", "kind": "App", "name": "shop"}]});
    assert_eq!(server.ask(&person, "POST", "/v1/delete", body(&delete)).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_seen_by_members_changed_by_those_above_them_and_the_last_owner_stays() -> Result<()> {
    let server = two_organisations().await?;
    let session = async |name: &str, role| {
        server.session_of(&format!("{name}@acme.test"), &[(Some("acme"), role)]).await
    };
    let owner = session("owner", Role::Owner).await?;
    let admin = session("admin", Role::Admin).await?;
    let viewer = session("viewer", Role::Viewer).await?;
    let members = "/v1/orgs/acme/members";
    let listed = server.ask(&viewer, "GET", members, None).await?.json();
    let found: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(found, ["admin", "owner", "viewer"], "{listed}");
    let put = async |who: &SecretString, name: &str, role: &str| {
        server.ask(who, "PUT", &format!("{members}/{name}@acme.test"), body(&json!({ "role": role }))).await
    };
    for (who, name, role, status, code) in [
        (&viewer, "viewer", "owner", 403, "SK0403"),
        (&admin, "admin", "owner", 400, "SK0602"),
        (&admin, "owner", "viewer", 400, "SK0602"),
        (&admin, "stranger", "viewer", 404, "SK0601"),
        (&owner, "owner", "admin", 409, "SK0308"),
    ] {
        let refused = put(who, name, role).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{name} {role}: {refused:?}");
    }
    let gone = server.ask(&owner, "DELETE", &format!("{members}/owner@acme.test"), None).await?;
    assert_eq!((gone.status, gone.code().as_str()), (409, "SK0308"), "{gone:?}");
    assert_eq!(put(&admin, "viewer", "deployer").await?.status, 200);
    assert_eq!(put(&owner, "admin", "owner").await?.status, 200);
    let gone = server.ask(&admin, "DELETE", &format!("{members}/owner@acme.test"), None).await?;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(server.ask(&owner, "GET", members, None).await?.code(), "SK0601", "from the next request on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_a_member_can_leave_unless_nobody_would_be_owner() -> Result<()> {
    let server = two_organisations().await?;
    let both = [(Some("acme"), Role::Viewer), (Some("globex"), Role::Owner)];
    let person = server.session_of("alice@example.com", &both).await?;
    server.session_of("owner@acme.test", &[(Some("acme"), Role::Owner)]).await?;
    let leave = async |what: Value| server.ask(&person, "POST", "/v1/memberships/leave", body(&what)).await;
    let left = leave(json!({"org": "acme"})).await?;
    assert_eq!((left.status, left.json()), (200, json!({"email": "alice@example.com"})));
    assert_eq!(server.ask(&person, "GET", "/v1/orgs/acme/members", None).await?.code(), "SK0601");
    assert!(!server.get("/v1/orgs/acme/members").await?.text().contains("alice"));
    assert_eq!(leave(json!({"org": "globex"})).await?.code(), "SK0308", "the last owner stays");
    let said = |answer: crate::support::Answer| answer.json()["detail"].as_str().unwrap().to_owned();
    for org in ["acme", "nobodys"] {
        let refused = leave(json!({ "org": org })).await?;
        assert_eq!(refused.status, 404);
        assert_eq!(said(refused), format!("you are no member of {org}"), "whether there is one or not");
    }
    assert_eq!(said(leave(json!({})).await?), "you are no member of the platform");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_and_ends_his_own_sessions_and_no_one_elses() -> Result<()> {
    let server = two_organisations().await?;
    let (first, second) = (
        server.session_of("alice@example.com", &[]).await?,
        server.session_of("alice@example.com", &[]).await?,
    );
    let bob = server.session_of("bob@example.com", &[(None, Role::Admin)]).await?;
    let listed = server.ask(&first, "GET", "/v1/sessions", None).await?.json();
    let current: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|one| one["current"].clone()).collect();
    assert_eq!(current, [false, true], "{listed}");
    let path = format!("/v1/sessions/{}", listed["items"][0]["id"]);
    assert_eq!(server.ask(&bob, "DELETE", &path, None).await?.status, 404, "another's");
    assert_eq!(server.ask(&first, "DELETE", &path, None).await?.status, 200);
    assert_eq!(server.ask(&second, "GET", "/v1/whoami", None).await?.status, 401);
    assert_eq!(server.ask(&first, "DELETE", "/v1/session", None).await?.status, 200);
    assert_eq!(server.ask(&first, "GET", "/v1/whoami", None).await?.status, 401);
    // Whoever makes sessions in others' names has their rights.
    let path = "/v1/people/bob@example.com/sessions";
    let refused = server.ask(&bob, "POST", path, body(&json!({"expiresIn": "1h"}))).await?;
    assert_eq!(refused.code(), "SK0403", "{refused:?}");
    for wrong in ["0s", "100000h"] {
        let refused =
            server.body("POST", path, "application/json", &json!({"expiresIn": wrong}).to_string()).await?;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_person_ends_when_the_membership_does() -> Result<()> {
    let server = two_organisations().await?;
    server.session_of("owner@acme.test", &[(Some("acme"), Role::Owner)]).await?;
    let both = [(Some("acme"), Role::Viewer), (Some("globex"), Role::Viewer)];
    let person = server.session_of("alice@example.com", &both).await?;
    let mut stream = server.stream_as(&person, "/v1/orgs/acme/apps?watch=true").await?;
    assert_eq!(stream.expect().await?.name, "bookmark");
    let removed = server.delete("/v1/orgs/acme/members/alice@example.com").await?;
    assert_eq!(removed.status, 200, "{removed:?}");
    let ended = stream.next_within(std::time::Duration::from_secs(60)).await?;
    assert_eq!(ended.map(|event| event.name).as_deref(), Some("problem"));
    assert_eq!(server.ask(&person, "GET", "/v1/orgs/globex/apps", None).await?.status, 200);
    Ok(())
}
