//! A server on a database of its own, and small words for calling it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use skep_api::wire::{
    AdoptView, Binding, ComponentHealth, InstanceMetrics, LeaseView, LogEvent, LogGap, LogGapReason, LogLine,
    LogPlace, LogStream, MetricsView, PreviewView, RegionList, RegionNodes, RegionView, TasksView,
    UnreadReason, UnreadView, UsageView,
};
use skep_api::{
    Api, ControlPlane, Issuers, LogItem, LogItems, LogRequest, Metrics, PortError, PreviewRequest,
    RateLimits, RegionRequest,
};
use skep_planner::checkup::Check;
use skep_planner::view::{ResourceAction, ResourceChange};
use skep_schemas::{ResourceKey, Role, Scope};
use skep_store::{Actor, MasterKey, NewToken, ScopedStore, Store, StoreOptions};
use skep_testbed::Postgres;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What the controller would answer, and what it was told.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) woken: Mutex<Vec<String>>,
    pub(crate) asked: Mutex<Vec<LogRequest>>,
    pub(crate) engine_is_down: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) holds: Mutex<Vec<String>>,
    pub(crate) weighed: AtomicUsize,
    pub(crate) ailments: Mutex<Vec<String>>,
}

/// What only the log may say.
pub(crate) const INTERNAL: &str = "dial unix /var/run/docker.sock: connection refused";

#[async_trait]
impl ControlPlane for Control {
    async fn preview(&self, _: &ScopedStore, request: PreviewRequest) -> Result<PreviewView, PortError> {
        assert!(!self.panics.load(Ordering::SeqCst), "{INTERNAL}");
        let applied = request.manifests.iter().map(|manifest| (&manifest.key, ResourceAction::Create));
        let deleted = request.deletions.iter().map(|key| (key, ResourceAction::Delete));
        let resources = applied
            .chain(deleted)
            .map(|(key, action)| ResourceChange { resource: key.to_string(), action, changes: Vec::new() })
            .collect();
        Ok(PreviewView { resources, ..PreviewView::default() })
    }

    async fn moved(&self, _: &ScopedStore, binding: &Binding) -> Result<Vec<String>, PortError> {
        Ok(binding.objects.iter().map(|object| format!("{} was changed", object.name)).collect())
    }

    async fn logs(
        &self,
        _: &ScopedStore,
        environment: &ResourceKey,
        request: LogRequest,
    ) -> Result<LogItems, PortError> {
        if self.engine_is_down.load(Ordering::SeqCst) {
            return Err(PortError::EngineUnavailable { source: INTERNAL.into() });
        }
        let follow = request.follow;
        let mut place = request.after.clone().unwrap_or_else(|| LogPlace::since(Timestamp::MIN));
        self.asked.lock().unwrap().push(request);
        let line = LogLine {
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            process: "web".parse().unwrap(),
            instance: "abc123".to_owned(),
            slot: Some(2),
            stream: LogStream::Stdout,
            text: format!("hello from {}\n  two", environment.name()),
            cut: false,
        };
        place.note(&line);
        let gap = LogGap {
            reason: LogGapReason::SlowReader,
            process: None,
            lines: Some(7),
            message: "7 lines are missing".to_owned(),
        };
        let lines = futures::stream::iter([
            Ok(LogItem { event: LogEvent::Line(line), place: None }),
            Ok(LogItem { event: LogEvent::Gap(gap), place: Some(place) }),
        ]);
        Ok(if follow { lines.chain(futures::stream::pending()).boxed() } else { lines.boxed() })
    }

    async fn metrics(&self, _: &ScopedStore, environment: &ResourceKey) -> Result<MetricsView, PortError> {
        if self.engine_is_down.load(Ordering::SeqCst) {
            return Err(PortError::EngineUnavailable { source: INTERNAL.into() });
        }
        let reason = UnreadReason::AnotherNode;
        let unread = Some(UnreadView { reason, message: reason.in_words().to_owned() });
        let item = InstanceMetrics {
            process: "web".parse().unwrap(),
            slot: Some(1),
            instance: environment.name().to_string(),
            usage: None,
            unread,
        };
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        Ok(MetricsView { at, total: UsageView::default(), unread: 1, items: vec![item] })
    }

    fn readiness(&self) -> Vec<ComponentHealth> {
        let ready = !self.engine_is_down.load(Ordering::SeqCst);
        let detail = (!ready).then(|| "it does not answer".to_owned());
        vec![ComponentHealth { name: "engine".to_owned(), ready, detail }]
    }

    fn tasks(&self) -> TasksView {
        let held = LeaseView {
            name: "controller".to_owned(),
            epoch: 7,
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        TasksView { leases: vec![held], ..TasksView::default() }
    }

    async fn adopt(&self, _: &ResourceKey, _: &Actor, dry_run: bool) -> Result<AdoptView, PortError> {
        Ok(AdoptView { objects: Vec::new(), preview: PreviewView::default(), adopted: !dry_run })
    }

    fn on_hold(&self) -> Vec<String> {
        self.holds.lock().unwrap().clone()
    }

    async fn weigh_removals(&self) -> Result<(), PortError> {
        self.weighed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn orphan_grace(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn hold_confirmed(&self) -> Result<(), PortError> {
        self.holds.lock().unwrap().clear();
        Ok(())
    }

    async fn regions(&self, _: &ScopedStore, request: RegionRequest) -> Result<RegionList, PortError> {
        if self.engine_is_down.load(Ordering::SeqCst) {
            return Err(PortError::EngineUnavailable { source: INTERNAL.into() });
        }
        let name = if request.org.is_some() { "eu" } else { "vault" };
        let name = name.parse().unwrap();
        let nodes = request.with_nodes.then(RegionNodes::default);
        Ok(RegionList { items: vec![RegionView { name, takes_work: true, nodes }], ..RegionList::default() })
    }

    async fn checkup(&self) -> Result<Vec<Check>, PortError> {
        if self.engine_is_down.load(Ordering::SeqCst) {
            return Err(PortError::EngineUnavailable { source: INTERNAL.into() });
        }
        let findings = self.ailments.lock().unwrap().clone();
        let (title, why, fix) =
            ("managers have to be unlocked", "their key lies beside their log", "lock them");
        Ok(vec![Check {
            id: "cluster.autolock",
            benchmark: Some("7.5"),
            title,
            why,
            fix,
            looked_at: 1,
            findings,
        }])
    }

    fn wake(&self, keys: &[ResourceKey]) {
        self.woken.lock().unwrap().extend(keys.iter().map(ToString::to_string));
    }
}

/// A server.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) control: Arc<Control>,
    pub(crate) token: SecretString,
    pub(crate) shutdown: CancellationToken,
    pub(crate) database: String,
    pub(crate) postgres: Postgres,
}

fn over(
    store: &Store,
    control: &Arc<Control>,
    rates: RateLimits,
    issuers: &Arc<Issuers>,
) -> Result<(Router, CancellationToken)> {
    let shutdown = CancellationToken::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let router = skep_api::router(Api {
        store: store.clone(),
        control: control.clone(),
        registry: Arc::new(registry),
        metrics,
        issuers: issuers.clone(),
        rates,
        shutdown: shutdown.clone(),
    })?;
    Ok((router, shutdown))
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        Self::with_rates(RateLimits::USUAL).await
    }

    /// A server that tenants may ask so often.
    pub(crate) async fn with_rates(rates: RateLimits) -> Result<Self> {
        Self::with(rates, Issuers::none()).await
    }

    /// A server that believes these.
    pub(crate) async fn with_issuers(issuers: Issuers) -> Result<Self> {
        Self::with(RateLimits::USUAL, issuers).await
    }

    async fn with(rates: RateLimits, issuers: Issuers) -> Result<Self> {
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await??;
        let database = postgres.create_database("api")?;
        let store = Store::connect(&database, StoreOptions::new(MasterKey::generate()?)).await?;
        store.migrate().await?;
        let token = store.bootstrap_token().await?.context("a new database has no token yet")?;
        let control = Arc::new(Control::default());
        let (router, shutdown) = over(&store, &control, rates, &Arc::new(issuers))?;
        Ok(Self { router, store, control, token, shutdown, database, postgres })
    }

    /// Another server over the same database, and what stops it.
    pub(crate) fn again(&self) -> Result<(Router, CancellationToken)> {
        over(&self.store, &self.control, RateLimits::USUAL, &Arc::new(Issuers::none()))
    }

    /// A server with an organisation.
    pub(crate) async fn with_org(org: &str) -> Result<Self> {
        let server = Self::start().await?;
        let answer =
            server.put(&format!("/v1/organizations/{org}"), &manifest("Organization", org, "{}")).await?;
        ensure!(answer.status == 201, "{answer:?}");
        Ok(server)
    }

    /// A token of an organisation, or of the platform.
    pub(crate) async fn token_of(&self, org: Option<&str>, name: &str, role: Role) -> Result<SecretString> {
        let reach = org.map_or(Ok(Scope::Platform), |org| org.parse().map(Scope::Org))?;
        let new = NewToken { name: name.parse()?, reach, role, expires_at: None };
        Ok(self.store.create_token(&new, &Actor::new("tester")).await?)
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let bearer = format!("Bearer {}", self.token.expose_secret());
        Request::builder().method(method).uri(path).header(AUTHORIZATION, bearer)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Answer> {
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// A request with another token, and a body with its content type.
    pub(crate) async fn ask(
        &self,
        token: &SecretString,
        method: &str,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<Answer> {
        let bearer = format!("Bearer {}", token.expose_secret());
        let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, bearer);
        self.send(match body {
            Some((media, body)) => request.header(CONTENT_TYPE, media).body(Body::from(body))?,
            None => request.body(Body::empty())?,
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request("GET", path).body(Body::empty())?).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request("DELETE", path).body(Body::empty())?).await
    }

    pub(crate) async fn put(&self, path: &str, yaml: &str) -> Result<Answer> {
        self.body("PUT", path, "application/yaml", yaml).await
    }

    pub(crate) async fn post(&self, path: &str, yaml: &str) -> Result<Answer> {
        self.body("POST", path, "application/yaml", yaml).await
    }

    pub(crate) async fn body(&self, method: &str, path: &str, media: &str, body: &str) -> Result<Answer> {
        let request = self.request(method, path).header(CONTENT_TYPE, media);
        self.send(request.body(Body::from(body.to_owned()))?).await
    }

    /// A stream, which must open.
    pub(crate) async fn stream(&self, path: &str, last_event_id: Option<&str>) -> Result<Events> {
        let mut request = self.request("GET", path);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        self.open(request).await
    }

    /// The same with another token.
    pub(crate) async fn stream_as(&self, token: &SecretString, path: &str) -> Result<Events> {
        let bearer = format!("Bearer {}", token.expose_secret());
        self.open(Request::builder().uri(path).header(AUTHORIZATION, bearer)).await
    }

    async fn open(&self, request: http::request::Builder) -> Result<Events> {
        let response = self.router.clone().oneshot(request.body(Body::empty())?).await?;
        ensure!(response.status() == 200, "{}", response.status());
        ensure!(response.headers()[CONTENT_TYPE] == "text/event-stream");
        Ok(Events { body: response.into_body().into_data_stream(), text: String::new() })
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text())
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem, whose form is checked on the way.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["requestId"], self.headers["x-request-id"].to_str().unwrap());
        problem["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }
}

/// An event of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// A stream of events.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
}

/// Longer than any event takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

impl Events {
    /// The next event; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        self.next_within(PATIENCE).await
    }

    /// The same with more patience.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Result<Option<Event>> {
        tokio::time::timeout(patience, self.read()).await.context("no event came")?
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if !event.name.is_empty() {
                    return Ok(Some(event));
                }
            }
            match self.body.next().await {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk?)?),
                None => return Ok(None),
            }
        }
    }

    /// The next event, which must come.
    pub(crate) async fn expect(&mut self) -> Result<Event> {
        self.next().await?.context("the stream has ended")
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", text)) => event.name = text.to_owned(),
            Some(("id", text)) => event.id = text.to_owned(),
            Some(("data", text)) => event.data = serde_json::from_str(text).unwrap(),
            _ => {}
        }
    }
    event
}

/// A manifest with a spec in flow style.
pub(crate) fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: skep.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// The same with labels in flow style.
pub(crate) fn labelled(kind: &str, name: &str, labels: &str, spec: &str) -> String {
    format!(
        "apiVersion: skep.dev/v1\nkind: {kind}\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {spec}\n"
    )
}
