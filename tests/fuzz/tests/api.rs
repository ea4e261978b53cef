//! The API as it is served: the real router over a real database, fed with requests that are mostly right.
//!
//! An input is a request in the form of a text: a line with method, path, content type and `Last-Event-ID`, then the body. Only the
//! controller behind the API is a stand-in, which previews nothing.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use skep_api::wire::{Code, PROBLEM_JSON};
use skep_api::{Api, IdleControl, Issuers, Metrics, RateLimits};
use skep_fuzz::{Campaign, Random, manifests, scalars, writing};
use skep_store::{MasterKey, Store, StoreOptions};
use skep_testbed::Postgres;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How many requests are made, at some milliseconds each.
const CASES: u64 = 2500;
/// The most bytes of an answer that are looked at; streams have no end.
const ANSWER_MAX: usize = 1 << 20;
/// Longer than any request takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a database of its own.
struct Server {
    router: Router,
    token: SecretString,
    _postgres: Postgres,
}

struct Answer {
    status: u16,
    media: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Result<Json, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("an answer that is no JSON: {error}"))
    }
}

impl Server {
    async fn start() -> Result<Self> {
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await??;
        let database = postgres.create_database("fuzz")?;
        let store = Store::connect(&database, StoreOptions::new(MasterKey::generate()?)).await?;
        store.migrate().await?;
        let token = store.bootstrap_token().await?.context("a new database has no token yet")?;
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let router = skep_api::router(Api {
            store,
            control: Arc::new(IdleControl),
            registry: Arc::new(registry),
            metrics,
            issuers: Arc::new(Issuers::none()),
            rates: RateLimits::USUAL,
            shutdown: CancellationToken::new(),
        })?;
        Ok(Self { router, token, _postgres: postgres })
    }

    async fn send(&self, request: &Input<'_>) -> Result<Option<Answer>, String> {
        let Ok(uri) = request.path.parse::<Uri>() else { return Ok(None) };
        let bearer = format!("Bearer {}", self.token.expose_secret());
        let mut made = Request::builder().method(request.method).uri(uri).header(AUTHORIZATION, bearer);
        for (name, value) in [(CONTENT_TYPE.as_str(), request.media), ("last-event-id", request.last_event)] {
            match HeaderValue::from_str(value) {
                Ok(value) if !value.is_empty() => made = made.header(name, value),
                _ => {}
            }
        }
        let Ok(made) = made.body(Body::from(request.body.to_vec())) else { return Ok(None) };
        tokio::time::timeout(PATIENCE, self.answer(made))
            .await
            .map_err(|_| "no answer comes".to_owned())?
            .map(Some)
    }

    async fn answer(&self, request: Request<Body>) -> Result<Answer, String> {
        let response = self.router.clone().oneshot(request).await.map_err(|never| format!("{never}"))?;
        let (parts, body) = response.into_parts();
        let media = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|media| media.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut answer = Answer { status: parts.status.as_u16(), media, body: Vec::new() };
        if answer.media != "text/event-stream" {
            let read = http_body_util::Limited::new(body, ANSWER_MAX).collect().await;
            answer.body =
                read.map_err(|error| format!("an answer that cannot be read: {error}"))?.to_bytes().to_vec();
        }
        Ok(answer)
    }
}

/// A request as a text.
struct Input<'a> {
    method: &'a str,
    path: &'a str,
    media: &'a str,
    last_event: &'a str,
    body: &'a [u8],
}

impl<'a> Input<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (line, body) = bytes.split_at(end);
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        Some(Self {
            method: words.next()?,
            path: words.next()?,
            media: words.next().unwrap_or_default(),
            last_event: words.next().unwrap_or_default(),
            body: body.get(1..).unwrap_or_default(),
        })
    }
}

const SEEDS: &[&str] = &[
    "PUT /v1/organizations/acme application/yaml\napiVersion: skep.dev/v1\nkind: Organization\nmetadata: {name: acme}\nspec: {displayName: x}\n",
    "PUT /v1/orgs/acme/apps/shop application/yaml\napiVersion: skep.dev/v1\nkind: App\nmetadata: {name: shop, labels: {a: b}, annotations: {c: d}}\nspec: {description: x, source: {image: 'shop:2'}}\n",
    "PUT /v1/orgs/acme/secrets/key application/json\n{\"apiVersion\":\"skep.dev/v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"key\"},\"spec\":{\"value\":\"x\",\"description\":\"y\"}}",
    "PUT /v1/orgs/acme/environments/prod application/yaml\napiVersion: skep.dev/v1\nkind: Environment\nmetadata: {name: prod}\nspec: {app: shop, env: {A: b}, processes: {web: {instances: 1, command: [x]}}}\n",
    "PUT /v1/orgs/acme/domains/d application/yaml\napiVersion: skep.dev/v1\nkind: Domain\nmetadata: {name: d}\nspec: {host: a.example.com, environment: prod}\n",
    "PUT /v1/orgs/acme/driftpolicies/all application/yaml\napiVersion: skep.dev/v1\nkind: DriftPolicy\nmetadata: {name: all}\nspec: {mode: report, ignore: [/Labels/a]}\n",
    "PUT /v1/plans/small application/yaml\napiVersion: skep.dev/v1\nkind: Plan\nmetadata: {name: small}\nspec: {instance: {cpu: 1, memory: 64Mi}}\n",
    "POST /v1/apply?org=acme&dryRun=true application/json\n{\"documents\":[{\"apiVersion\":\"skep.dev/v1\",\"kind\":\"App\",\"metadata\":{\"name\":\"x\"},\"spec\":{}}]}",
    "POST /v1/plan?org=acme application/json\n{\"documents\":[],\"delete\":[{\"org\":\"acme\",\"kind\":\"App\",\"name\":\"shop\"}],\"binding\":{\"resources\":[{\"org\":\"acme\",\"kind\":\"App\",\"name\":\"shop\"}],\"objects\":[{\"kind\":\"service\",\"name\":\"s\",\"id\":\"1\",\"version\":7}]}}",
    "POST /v1/delete?dryRun=true application/json\n[{\"org\":\"acme\",\"kind\":\"App\",\"name\":\"shop\"}]",
    "GET /v1/orgs/acme/apps?labelSelector=a%3Db&limit=2&cursor=acme/App/shop",
    "GET /v1/apps?limit=500&cursor=acme/App/shop",
    "GET /v1/apps?watch=true&since=0197b0a1f0c07000800000000000000a.17",
    "GET /v1/apps?watch=true application/json 0197b0a1f0c07000800000000000000a.17.3",
    "GET /v1/orgs/acme/environments/prod/logs?process=web&tail=10&since=2026-01-02T03:04:05Z",
    "GET /v1/orgs/acme/environments/prod/releases?limit=1",
    "GET /v1/orgs/acme/events?limit=10",
    "GET /v1/orgs/acme/environments/prod/plans?limit=10",
    "GET /v1/orgs/acme/drift?environment=prod&limit=10",
    "GET /v1/drift?watch=true&since=7",
    "POST /v1/orgs/acme/environments/prod/pause application/json\n{\"reason\":\"why\",\"until\":\"2026-01-02T03:04:05Z\"}",
    "POST /v1/orgs/acme/environments/prod/pause application/json\n{\"reason\":\"why\",\"for\":\"1h\"}",
    "POST /v1/orgs/acme/environments/prod/resume",
    "POST /v1/orgs/acme/environments/prod/retry",
    "POST /v1/holds/7/confirm?digest=x",
    "GET /v1/holds?all=true",
    "GET /v1/orphans",
    "POST /v1/orgs/acme/environments/prod/adopt?dryRun=true",
    "DELETE /v1/orgs/acme/drftpolicies/all?dryRun=true",
    "GET /openapi.json",
];

const DICTIONARY: &[&str] = &[
    "?",
    "&",
    "=",
    "%00",
    "%2F",
    "%ff",
    "%C3%A9",
    "watch=true",
    "since=",
    "cursor=",
    "limit=",
    "limit=4294967295",
    "labelSelector=",
    "dryRun=true",
    "tail=",
    "9223372036854775807",
    "-1",
    "18446744073709551616",
    "1e9",
    "\"",
    "{",
    "[",
    "null",
    "application/json",
    "application/yaml",
    "text/plain",
    "; charset=utf-8",
    "orgs/acme/",
    "2026-01-02T03:04:05Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "\\u0000",
    "\\ud800",
    "DELETE",
    "PUT",
    "POST",
    "GET",
    "skep.dev/",
    "metadata",
    "annotations",
];

/// A manifest to the address that it names, as YAML or JSON.
fn put(random: &mut Random) -> Vec<u8> {
    let manifest = manifests::manifest(random);
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Json::as_str).unwrap_or("x").to_owned();
    let plural = |kind: &str| match kind {
        "DriftPolicy" => "driftpolicies".to_owned(),
        kind => format!("{}s", kind.to_ascii_lowercase()),
    };
    let kind = text("/kind");
    let path = match kind.as_str() {
        "Organization" | "Plan" => format!("/v1/{}/{}", plural(&kind), text("/metadata/name")),
        _ => format!("/v1/orgs/acme/{}/{}", plural(&kind), text("/metadata/name")),
    };
    let (method, path, body) = match random.below(5) {
        0 => ("POST", "/v1/apply?dryRun=true".to_owned(), json!({ "documents": [manifest] })),
        1 => ("POST", "/v1/apply".to_owned(), json!({ "documents": [manifest] })),
        _ => ("PUT", path, manifest),
    };
    if method == "PUT" && random.once_in(2) {
        return format!("PUT {path} application/yaml\n{}", writing::yaml(&body, random)).into_bytes();
    }
    format!("{method} {path} application/json\n{body}").into_bytes()
}

/// What is asked of every answer.
fn judge(answer: &Answer) -> Result<(), String> {
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status >= 500 {
        return Err(format!("{}: {}", answer.status, text()));
    }
    if answer.status < 400 {
        return Ok(());
    }
    if answer.media != PROBLEM_JSON {
        return Err(format!("{} as {}: {}", answer.status, answer.media, text()));
    }
    let problem = answer.json()?;
    let field = |name: &str| problem.get(name).and_then(Json::as_str).unwrap_or_default();
    let code: Code = field("code").parse().map_err(|_| format!("no code: {problem}"))?;
    // A path that has another method.
    let of_code = code.http_status() == answer.status || (code == Code::UnknownRoute && answer.status == 405);
    if !of_code {
        return Err(format!("{code} with {}: {problem}", answer.status));
    }
    // It may quote the path, whose length has a limit of its own.
    scalars::harmless(field("detail")).map_err(|why| format!("{why}: {problem}"))?;
    let found = problem.get("diagnostics").and_then(Json::as_array).map_or(0, Vec::len);
    if field("help").is_empty() && found == 0 {
        return Err(format!("no next step: {problem}"));
    }
    Ok(())
}

/// What was accepted is accepted again as it is shown, and nothing changes.
async fn accepted_again(server: &Server, input: &Input<'_>) -> Result<(), String> {
    let bare = Input { method: "GET", media: "", last_event: "", body: &[], ..*input };
    let shown = server.send(&bare).await?.ok_or("a path that is none")?;
    if shown.status != 200 {
        return Err(format!("what was just written is answered with {}", shown.status));
    }
    let body = shown.json()?;
    let again = Input { method: "PUT", media: "application/json", body: &shown.body, ..bare };
    let answer = server.send(&again).await?.ok_or("a path that is none")?;
    if answer.status != 200 {
        return Err(format!(
            "{body} is refused when it is written back: {}",
            String::from_utf8_lossy(&answer.body)
        ));
    }
    let after = answer.json()?;
    let revision = |json: &Json| json.pointer("/metadata/revision").cloned();
    if revision(&after) != revision(&body) || after.get("spec") != body.get("spec") {
        return Err(format!("{body} is changed when it is written back: {after}"));
    }
    Ok(())
}

#[test]
fn no_request_is_answered_with_a_fault_of_the_server() -> Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(Server::start())?;
    let written = RefCell::new(0_u64);
    for seed in SEEDS.iter().take(2) {
        let input = Input::read(seed.as_bytes()).context("a request")?;
        let answer =
            runtime.block_on(server.send(&input)).map_err(anyhow::Error::msg)?.context("an answer")?;
        anyhow::ensure!(answer.status < 300, "{}", String::from_utf8_lossy(&answer.body));
    }
    let campaign = Campaign {
        target: "api",
        seeds: SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
        dictionary: DICTIONARY,
        generate: Some(put),
        cases: CASES,
    };
    let check = |input: &[u8]| {
        let Some(input) = Input::read(input) else { return Ok(()) };
        runtime.block_on(async {
            let Some(answer) = server.send(&input).await? else { return Ok(()) };
            judge(&answer)?;
            if input.method == "PUT" && answer.status < 300 && !input.path.contains('?') {
                *written.borrow_mut() += 1;
                accepted_again(&server, &input).await?;
            }
            Ok(())
        })
    };
    let requests = campaign.run(&check)?;
    let written = written.into_inner();
    eprintln!(
        "campaign| - {}: {requests} requests, of which {written} wrote a manifest that was then written back as it is shown",
        campaign.target
    );
    anyhow::ensure!(written * 50 > CASES, "only {written} manifests of {CASES} requests were accepted");
    Ok(())
}
