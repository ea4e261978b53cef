//! Tokens that others sign, over HTTP: who somebody is then, and what that allows.

use anyhow::Result;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::SecretString;
use serde_json::{Value, json};
use skep_api::{IdentityConfig, Issuers};
use skep_schemas::Role;

use crate::support::{Server, manifest};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn server(roles_claim: Option<&str>) -> Result<Server> {
    let config: IdentityConfig = serde_json::from_value(json!({"issuers": [{
        "issuer": "https://panel.test", "audience": "skep", "algorithm": "HS256", "secretFile": "panel",
        "rolesClaim": roles_claim
    }]}))?;
    let server = Server::with_issuers(Issuers::new(config, |_| Ok(SecretString::from(SECRET)))?).await?;
    for org in ["acme", "globex"] {
        server.put(&format!("/v1/organizations/{org}"), &manifest("Organization", org, "{}")).await?;
    }
    Ok(server)
}

/// What the panel signs for somebody.
fn token(subject: &str, email: &str, more: &Value) -> Result<SecretString> {
    let mut claims = json!({"iss": "https://panel.test", "aud": "skep", "sub": subject, "email": email,
        "email_verified": true, "exp": Timestamp::now().as_second() + 600});
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(SecretString::from(encode(&Header::new(Algorithm::HS256), &claims, &key)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_panel_vouches_for_is_a_person_who_may_nothing_until_invited() -> Result<()> {
    let server = server(None).await?;
    let alice = token("7", "Alice@Example.com", &json!({"name": "Alice", "skep_roles": {"acme": "owner"}}))?;
    let who = server.ask(&alice, "GET", "/v1/whoami", None).await?;
    assert_eq!(who.json(), json!({"name": "alice@example.com", "displayName": "Alice", "grants": []}));
    assert_eq!(server.ask(&alice, "GET", "/v1/orgs/acme/apps", None).await?.code(), "SK0601");
    let body = Some(("application/json", r#"{"email": "alice@example.com", "role": "deployer"}"#.to_owned()));
    let invited = server.ask(&server.token, "POST", "/v1/orgs/acme/invitations", body).await?.json();
    let accept = Some(("application/json", json!({"code": invited["code"]}).to_string()));
    assert_eq!(server.ask(&alice, "POST", "/v1/invitations/accept", accept).await?.status, 200);
    let app = Some((
        "application/yaml",
        manifest("App", "shop", "{source: {image: shop:1}, processes: {web: {}}}"),
    ));
    assert_eq!(server.ask(&alice, "PUT", "/v1/orgs/acme/apps/shop", app).await?.status, 201);

    // The subject is who somebody is; the address only says so the first time.
    let moved = token("7", "alice@new.example.com", &json!({}))?;
    let who = server.ask(&moved, "GET", "/v1/whoami", None).await?.json();
    assert_eq!(who["name"], "alice@example.com");
    let mallory = token("8", "alice@example.com", &json!({}))?;
    let refused = server.ask(&mallory, "GET", "/v1/orgs/acme/apps", None).await?;
    assert_eq!(refused.code(), "SK0401", "the address of another subject: {refused:?}");
    assert_eq!(server.ask(&alice, "DELETE", "/v1/session", None).await?.status, 400);
    let told = server.get("/v1/audit").await?.text();
    assert!(told.contains("link-person") && told.contains("\"actor\":\"https://panel.test\""), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_may_give_roles_gives_them_for_the_token_alone_and_never_on_the_platform() -> Result<()>
{
    let server = server(Some("skep_roles")).await?;
    let roles = |roles: Value| token("7", "alice@example.com", &json!({"skep_roles": roles}));
    let viewer = roles(json!({"acme": "viewer"}))?;
    assert_eq!(server.ask(&viewer, "GET", "/v1/orgs/acme/apps", None).await?.status, 200);
    assert_eq!(server.ask(&viewer, "GET", "/v1/orgs/globex/apps", None).await?.code(), "SK0601");
    assert_eq!(server.ask(&viewer, "GET", "/v1/orgs/acme/tokens", None).await?.code(), "SK0403");
    assert!(!server.get("/v1/orgs/acme/members").await?.text().contains("alice"), "no membership");
    let none = roles(json!({}))?;
    assert_eq!(server.ask(&none, "GET", "/v1/orgs/acme/apps", None).await?.code(), "SK0601");
    for wrong in [json!({"": "owner"}), json!("owner"), json!({"acme": "root"})] {
        assert_eq!(server.ask(&roles(wrong)?, "GET", "/v1/whoami", None).await?.status, 401);
    }
    let everywhere = roles(json!({"platform": "owner", "acme": "owner", "globex": "owner"}))?;
    for path in ["/v1/apps", "/v1/people", "/metrics"] {
        assert_eq!(server.ask(&everywhere, "GET", path, None).await?.code(), "SK0403", "{path}");
    }
    // The greater of a membership and a claim counts, and a membership stays without the claim.
    server.session_of("alice@example.com", &[(Some("globex"), Role::Owner)]).await?;
    let both = roles(json!({"globex": "viewer"}))?;
    assert_eq!(server.ask(&both, "GET", "/v1/orgs/globex/tokens", None).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_believes_nobody_refuses_every_token_of_others() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let alice = token("7", "alice@example.com", &json!({"skep_roles": {"acme": "owner"}}))?;
    assert_eq!(server.ask(&alice, "GET", "/v1/whoami", None).await?.code(), "SK0401");
    assert!(!server.postgres.dump(&server.database)?.contains("alice"), "nothing is kept of it");
    Ok(())
}
