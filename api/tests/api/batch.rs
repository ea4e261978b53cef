//! Many documents at once.

use anyhow::Result;
use serde_json::json;
use skep_api::wire::{ApplyAction, ApplyAnswer, PreviewView};

use crate::support::{Server, manifest};

fn three() -> String {
    let org = manifest("Organization", "acme", "{}");
    let app = manifest("App", "shop", "{description: one}");
    let environment = manifest("Environment", "live", "{app: shop, image: example.com/shop}");
    // References and their targets in the wrong order: a batch is a set.
    format!("{environment}---\n{app}---\n{org}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_applied_and_its_answers_are_in_its_order() -> Result<()> {
    let server = Server::start().await?;
    let first: ApplyAnswer = server.post("/v1/apply?org=acme", &three()).await?.read();
    let summary = |answer: &ApplyAnswer| -> Vec<(String, ApplyAction)> {
        answer.results.iter().map(|one| (one.resource.metadata.name.to_string(), one.action)).collect()
    };
    use ApplyAction::{Configured, Created, Unchanged};
    let named = |actions: [ApplyAction; 3]| {
        let names = ["live", "shop", "acme"].map(str::to_owned);
        names.into_iter().zip(actions).collect::<Vec<_>>()
    };
    assert_eq!(summary(&first), named([Created, Created, Created]));
    let second: ApplyAnswer = server.post("/v1/apply?org=acme", &three()).await?.read();
    assert_eq!(summary(&second), named([Unchanged, Unchanged, Unchanged]));
    let changed = three().replace("one", "two");
    let third: ApplyAnswer = server.post("/v1/apply?org=acme", &changed).await?.read();
    assert_eq!(summary(&third), named([Unchanged, Configured, Unchanged]));
    assert_eq!(third.results[1].resource, server.get("/v1/orgs/acme/apps/shop").await?.read());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn json_documents_are_applied_like_yaml_ones() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let app = json!({"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"name": "shop"}, "spec": {}});
    let body = json!({ "documents": [app] }).to_string();
    let answer = server.body("POST", "/v1/apply?org=acme", "application/json", &body).await?;
    assert_eq!(
        (answer.status, answer.json()["results"][0]["action"].as_str()),
        (200, Some("created")),
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_batch_writes_nothing() -> Result<()> {
    let server = Server::start().await?;
    let before = server.postgres.dump(&server.database)?;
    let answer: ApplyAnswer = server.post("/v1/apply?org=acme&dryRun=true", &three()).await?.read();
    assert!(answer.dry_run && answer.results.iter().all(|one| one.action == ApplyAction::Created));
    let rows = |dump: &str| dump.lines().filter(|line| !line.starts_with("SELECT pg_catalog.setval")).count();
    assert_eq!(rows(&server.postgres.dump(&server.database)?), rows(&before));
    assert_eq!(server.get("/v1/organizations/acme").await?.status, 404);
    assert!(server.control.woken.lock().unwrap().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_document_means_that_nothing_is_applied() -> Result<()> {
    let server = Server::start().await?;
    let secret = manifest("Secret", "key", "{}");
    let taken = "{host: shop.example.com, environment: live}";
    let two_hosts = format!("{}---\n{}", manifest("Domain", "a", taken), manifest("Domain", "b", taken));
    for (bad, code, line) in [
        (manifest("App", "Shop", "{}"), "SK0108", 18),
        (manifest("App", "other", "{colour: red}"), "SK0104", 19),
        (manifest("App", "shop", "{}"), "SK0122", 16),
        (secret, "SK0204", 16),
        (two_hosts, "SK0303", 16),
        (
            "apiVersion: skep.dev/v1\nkind: App\nmetadata: {org: nobody, name: x}\nspec: {}\n".to_owned(),
            "SK0202",
            16,
        ),
    ] {
        let answer = server.post("/v1/apply?org=acme", &format!("{}---\n{bad}", three())).await?;
        assert_eq!(answer.code(), code, "{answer:?}");
        let diagnostic = &answer.json()["diagnostics"][0];
        assert_eq!(
            (diagnostic["source"].as_str(), diagnostic["line"].as_u64()),
            (Some("body"), Some(line)),
            "{answer:?}"
        );
        assert_eq!(server.get("/v1/organizations/acme").await?.status, 404, "{bad}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_json_batch_is_told_with_its_document() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let body = r#"{"documents": [
        {"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"name": "a"}, "spec": {"colour": 1}},
        {"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"name": "b"}, "spec": {}},
        {"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"name": "c", "name": "d"}, "spec": {}}
    ]}"#;
    let answer = server.body("POST", "/v1/apply?org=acme", "application/json", body).await?;
    let problem = answer.json();
    let told: Vec<_> = problem["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["source"].as_str().unwrap(), one["code"].as_str().unwrap(), one["pointer"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [("documents/0", "SK0104", "/spec/colour"), ("documents/2", "SK0105", "/metadata/name")]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_batch_is_refused_without_quoting_it() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for body in [
        "[\"canary\"]",
        "{\"documents\": \"canary\"}",
        "{\"canary\": 1}",
        "{\"delete\": [{\"kind\": \"canary\", \"name\": \"x\"}]}",
        "canary",
        "{}",
    ] {
        let answer = server.body("POST", "/v1/apply", "application/json", body).await?;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(!answer.text().contains("canary"), "{answer:?}");
    }
    let delete = r#"{"delete": [{"org": "acme", "kind": "App", "name": "shop"}]}"#;
    assert_eq!(server.body("POST", "/v1/apply", "application/json", delete).await?.code(), "SK0602");
    assert_eq!(server.post("/v1/apply", "").await?.code(), "SK0124");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_passes_manifests_and_deletions_to_the_planner_and_writes_nothing() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let view: PreviewView = server.post("/v1/plan?org=acme", &three()).await?.read();
    let resources: Vec<_> = view.resources.iter().map(|one| one.resource.as_str()).collect();
    assert_eq!(resources, ["acme/Environment/live", "acme/App/shop", "Organization/acme"]);
    let body = r#"{"delete": [{"kind": "App", "name": "shop"}, {"kind": "Organization", "name": "acme"}]}"#;
    let view: PreviewView = server.body("POST", "/v1/plan?org=acme", "application/json", body).await?.read();
    let resources: Vec<_> = view.resources.iter().map(|one| one.resource.as_str()).collect();
    assert_eq!(resources, ["acme/App/shop", "Organization/acme"]);
    let nowhere = r#"{"delete": [{"kind": "App", "name": "shop"}]}"#;
    let refused = server.body("POST", "/v1/plan", "application/json", nowhere).await?;
    assert_eq!(
        (refused.code().as_str(), refused.json()["diagnostics"][0]["pointer"].as_str()),
        ("SK0120", Some("/delete/0"))
    );
    assert_eq!(server.get("/v1/orgs/acme/apps/shop").await?.status, 404);
    assert_eq!(server.get("/v1/organizations/acme").await?.status, 200);
    Ok(())
}
