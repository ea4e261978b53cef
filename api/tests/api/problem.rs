//! What a problem looks like, and what it never tells.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::body::Body;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::support::{INTERNAL, Server, manifest};

/// Compares with a file beside the tests; `SKEP_BLESS=1` writes it.
fn golden(name: &str, mut problem: Value) -> Result<()> {
    problem["requestId"] = "<id>".into();
    let text = format!("{}\n", serde_json::to_string_pretty(&problem)?);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/problems").join(format!("{name}.json"));
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        std::fs::write(&path, text)?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    assert_eq!(text, expected, "{name}: run with SKEP_BLESS=1 if this is meant");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_documents_with_code_help_and_places() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let two_errors = "apiVersion: skep.dev/v1\nkind: App\nmetadata:\n  name: Shop\nspec:\n  colour: red\n";
    let path = "/v1/orgs/acme/apps/shop";
    server.put(path, &manifest("App", "shop", "{}")).await?;
    let stale =
        server.request("PUT", path).header("content-type", "application/yaml").header("if-match", "\"0\"");
    let stale = server.send(stale.body(Body::from(manifest("App", "shop", "{}")))?).await?;
    let no_org = manifest("App", "shop", "{}").replace("{name", "{org: nobody, name");
    for (name, answer) in [
        ("manifests", server.post("/v1/apply?org=acme", two_errors).await?),
        ("not-found", server.get("/v1/orgs/acme/apps/nothing").await?),
        ("unknown-path", server.get("/v1/orgs/acme/nothing/x").await?),
        ("wrong-method", server.delete("/v1/apply").await?),
        ("query", server.get("/v1/apps?limit=many").await?),
        ("stale", stale),
        ("organization-missing", server.post("/v1/apply", &no_org).await?),
        ("media", server.body("POST", "/v1/apply", "text/html", "x").await?),
    ] {
        answer.code();
        golden(name, answer.json())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_or_method_is_a_problem() -> Result<()> {
    let server = Server::start().await?;
    for path in ["/", "/v1", "/v1/", "/v1/nothing", "/v1/Apps", "/v1/orgs", "/v1/orgs/acme/app/x", "/v2/apps"]
    {
        let answer = server.get(path).await?;
        assert_eq!((answer.status, answer.code().as_str()), (404, "SK0607"), "{path}");
    }
    for (method, path) in [
        ("DELETE", "/v1/apply"),
        ("PATCH", "/v1/orgs/acme/apps/x"),
        ("POST", "/v1/apps"),
        ("TRACE", "/healthz"),
    ] {
        let answer = server.send(server.request(method, path).body(Body::empty())?).await?;
        assert_eq!((answer.status, answer.code().as_str()), (405, "SK0607"), "{method} {path}");
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_or_url_beyond_its_limit_is_refused() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let large = "#".repeat(skep_api::limits::BODY_MAX + 1);
    let answer = server.post("/v1/apply", &large).await?;
    assert_eq!((answer.status, answer.code().as_str()), (413, "SK0604"));
    // Within the body's limit, beyond a manifest's.
    let filler = "x".repeat(1 << 20);
    let large = format!("{{\"documents\": [{{\"filler\": \"{filler}\"}}]}}");
    let answer = server.body("POST", "/v1/apply", "application/json", &large).await?;
    assert_eq!((answer.status, answer.code().as_str()), (413, "SK0102"));
    let answer = server
        .body("PUT", "/v1/plans/x", "application/json", &format!("{{\"filler\": \"{filler}\"}}"))
        .await?;
    assert_eq!(answer.code(), "SK0102");
    let answer = server.post("/v1/apply", &format!("filler: {filler}")).await?;
    assert_eq!(answer.code(), "SK0102");
    let answer = server.get(&format!("/v1/apps?labelSelector={}", "x".repeat(9000))).await?;
    assert_eq!(answer.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_inside_is_not_told() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server
        .put(
            "/v1/orgs/acme/environments/live",
            &manifest("Environment", "live", "{app: a, image: example.com/x}"),
        )
        .await?;
    server.control.engine_is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = server.get("/v1/orgs/acme/environments/live/logs").await?;
    assert_eq!((answer.status, answer.code().as_str()), (503, "SK0501"));
    assert!(!answer.text().contains(INTERNAL) && answer.headers.contains_key("retry-after"));
    // A database that is gone in the middle.
    server.postgres.psql(&server.database, "ALTER TABLE resource RENAME TO moved")?;
    let answer = server.get("/v1/apps").await?;
    assert_eq!((answer.status, answer.code().as_str()), (500, "SK0701"));
    for word in ["resource", "SELECT", "relation", "sqlx", "postgres"] {
        assert!(!answer.text().contains(word), "{answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_requests_problem_and_not_the_servers() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server.control.panics.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = server.post("/v1/plan?org=acme", &manifest("App", "shop", "{}")).await?;
    assert_eq!((answer.status, answer.code().as_str()), (500, "SK0701"));
    assert!(!answer.text().contains(INTERNAL));
    assert_eq!(server.get("/v1/organizations/acme").await?.status, 200);
    Ok(())
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread, so that everything is logged where the subscriber is.
#[tokio::test]
async fn the_log_names_request_and_cause_but_no_token_path_or_body() -> Result<()> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::with_org("acme").await?;
    server
        .put("/v1/orgs/acme/apps/named-so", &manifest("App", "named-so", "{description: written-so}"))
        .await?;
    let live = manifest("Environment", "live", "{app: named-so, image: example.com/x}");
    server.put("/v1/orgs/acme/environments/live", &live).await?;
    server.control.engine_is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let failed = server.get("/v1/orgs/acme/environments/live/logs?process=named-so").await?;
    let text = String::from_utf8(log.0.lock().unwrap().clone())?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |message: &str| -> Vec<&Value> {
        lines.iter().map(|line| &line["fields"]).filter(|fields| fields["message"] == message).collect()
    };
    let put = of("answered")[1];
    assert_eq!(
        (put["method"].as_str(), put["route"].as_str()),
        (Some("PUT"), Some("/v1/orgs/{org}/{kind}/{name}"))
    );
    assert_eq!((put["status"].as_u64(), put["principal"].as_str()), (Some(201), Some("bootstrap")));
    assert!(put["duration_ms"].is_u64());
    let cause = of("a request failed")[0];
    assert_eq!(
        (cause["cause"].as_str(), &cause["request_id"]),
        (Some(INTERNAL), &failed.json()["requestId"])
    );
    for never in [server.token.expose_secret(), "named-so", "written-so"] {
        assert!(!text.contains(never), "{never}");
    }
    Ok(())
}
