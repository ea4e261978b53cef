//! Who may do what: nothing without a token, and no secret for anyone.

use anyhow::Result;
use axum::body::Body;
use http::Request;
use secrecy::ExposeSecret;
use serde_json::Value;
use skep_schemas::{Role, Scope};

use crate::support::{Server, manifest};

/// Every operation of the description, which is made from the route table, with its variables filled in.
fn operations() -> Result<Vec<(String, String, bool)>> {
    let document: Value = serde_json::from_str(&skep_api::openapi::document()?)?;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let kind = if path.contains("{org}") { "apps" } else { "plans" };
        let path = path.replace("{org}", "acme").replace("{kind}", kind).replace("{name}", "shop");
        let path = path.replace("{email}", "alice@acme.test").replace("{id}", "1").replace("{version}", "1");
        let path = ["{uid}", "{user}", "{invite}", "{secret}"]
            .iter()
            .fold(path, |path, variable| path.replace(variable, "x"));
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            operations.push((method.to_uppercase(), path.clone(), open));
        }
    }
    Ok(operations)
}

/// What a person does for himself, which no token can.
const ONES_OWN: [&str; 7] = [
    "/v1/invitations/accept",
    "/v1/memberships/leave",
    "/v1/sessions",
    "/v1/sessions/1",
    "/v1/session",
    "/api/organizations/x/members/invite/x/accept",
    "/api/organizations/x/members/invite/x/decline",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_but_the_health_checks_and_the_pages_files_needs_a_token() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let operations = operations()?;
    let open: Vec<_> =
        operations.iter().filter(|(.., open)| *open).map(|(_, path, _)| path.as_str()).collect();
    let (pages, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|path| path.starts_with("/ui/"));
    assert_eq!(pages, ["/ui/drift", "/ui/drift.js", "/ui/login", "/ui/login.js", "/ui/page.css"]);
    assert_eq!(others, ["/healthz", "/readyz", "/v1/login", "/v1/login/web", "/v1/login/web"]);
    assert!(operations.len() >= 20, "{operations:?}");
    let revoked = server.token_of(None, "gone", Role::Owner).await?;
    assert!(server.store.revoke_token(&Scope::Platform, "gone", &skep_store::Actor::new("tester")).await?);
    for (method, path, open) in operations {
        let tokens = ["", "Bearer x", "Basic c2tlcDpza2Vw", &format!("Bearer {}", revoked.expose_secret())]
            .map(str::to_owned);
        for token in tokens {
            let mut request = Request::builder().method(method.as_str()).uri(&path);
            if !token.is_empty() {
                request = request.header("authorization", &token);
            }
            let answer = server.send(request.body(Body::empty())?).await?;
            if open {
                // Of the end of a login nothing was sent.
                assert_eq!(answer.status, if method == "POST" { 415 } else { 200 }, "{method} {path}");
            } else {
                assert_eq!(answer.code(), "SK0401", "{method} {path} {token}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"skep\"");
            }
        }
        let in_url = format!("{path}?token={0}&access_token={0}", server.token.expose_secret());
        let answer =
            server.send(Request::builder().method(method.as_str()).uri(in_url).body(Body::empty())?).await?;
        assert!(open || answer.status == 401, "{method} {path}: a token in a URL is no token");
        // Whatever else is wrong with a bare request, it is not the token.
        let answer = server.send(server.request(&method, &path).body(Body::empty())?).await?;
        let refused = ONES_OWN.contains(&path.as_str());
        assert_eq!(answer.status == 403, refused, "{method} {path}: {answer:?}");
        assert!(![401, 500].contains(&answer.status), "{method} {path}: {answer:?}");
    }
    Ok(())
}

const CANARY: &str = "canary-4711-value";

#[tokio::test(flavor = "multi_thread")]
async fn a_secrets_value_is_in_no_answer_and_not_in_the_database() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let secret = manifest("Secret", "key", &format!("{{description: d, value: {CANARY}}}"));
    let path = "/v1/orgs/acme/secrets/key";
    let mut watch = server.stream("/v1/orgs/acme/secrets?watch=true", None).await?;
    let answers = [
        server.put(path, &secret).await?,
        server.put(path, &secret).await?,
        server.put(&format!("{path}?dryRun=true"), &secret).await?,
        server.post("/v1/apply?org=acme", &secret).await?,
        server.post("/v1/plan?org=acme", &secret).await?,
        server.get(path).await?,
        server.get("/v1/orgs/acme/secrets").await?,
        server.get("/v1/secrets").await?,
        // Wrong in ways in which an error could quote it.
        server.put(path, &secret.replace("description: d", "description: [d]")).await?,
        server.put(path, &secret.replace("value: ", "valeu: ")).await?,
        server.put(path, &secret.replace(CANARY, &format!("[{CANARY}]"))).await?,
        server.put(path, &secret.replace("value: ", "value: \"")).await?,
        server.put("/v1/orgs/acme/secrets/other", &secret).await?,
        server
            .body("PUT", path, "application/json", &format!("{{\"spec\": {{\"value\": \"{CANARY}\"}}}}"))
            .await?,
        server
            .body(
                "POST",
                "/v1/apply",
                "application/json",
                &format!("{{\"documents\": [{{\"value\": {CANARY}}}]}}"),
            )
            .await?,
        server.delete(path).await?,
    ];
    assert_eq!(answers[0].status, 201, "{:?}", answers[0]);
    for (index, answer) in answers.iter().enumerate() {
        assert!(!answer.text().contains("canary"), "{index}: {answer:?}");
        assert!(!format!("{:?}", answer.headers).contains("canary"), "{index}");
    }
    // The list was empty; then several changes in quick succession are told as one.
    for name in ["bookmark", "added"] {
        let event = watch.expect().await?;
        assert_eq!(event.name, name);
        assert!(!event.data.to_string().contains("canary"), "{event:?}");
    }
    let dump = server.postgres.dump(&server.database)?;
    assert!(dump.contains("acme") && !dump.contains("canary"));
    Ok(())
}
