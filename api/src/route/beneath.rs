//! What is left when the code's own check is gone.
//!
//! Each handler is called beneath the runner, for somebody whom every check of the program lets do everything, and with the store of an
//! organisation that what is asked for does not belong to. What refuses then is the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use skep_schemas::{Kind, KindScope, Role, Scope};
use skep_store::{Actor, Grant, MasterKey, NewInvitation, NewToken, ScopedStore, Store, StoreOptions};
use skep_testbed::Postgres;
use tokio_util::sync::CancellationToken;

use super::{Admitted, Route, Verb, Within};
use crate::access::Principal;
use crate::acting::Acting;
use crate::app::App;
use crate::call::Address;
use crate::routes;
use crate::{Api, IdleControl, Issuers, Metrics, RateLimits};

/// What is the platform's, or nobody's: these ask for all of the store by themselves, or for nothing of it.
const OTHERS: [&str; 17] = [
    "/v1/holds",
    "/v1/orphans",
    "/v1/audit/chain",
    "/v1/people",
    "/v1/session",
    "/v1/login",
    "/v1/invitations/accept",
    "/v1/memberships/leave",
    "/v1/whoami",
    "/v1/version",
    "/openapi.json",
    "/metrics",
    "/healthz",
    "/readyz",
    "/debug/",
    "/ui/",
    "/adopt",
];

/// Who is a member of globex, and not its last owner.
const MEMBER: &str = "theirs@globex.test";

/// What globex has, by kind.
const THEIRS: [(Kind, &str); 9] = [
    (Kind::App, r#"{"source": {"image": "shop:1"}, "processes": {"web": {}}}"#),
    (Kind::Environment, r#"{"app": "theirs"}"#),
    (Kind::Domain, r#"{"host": "www.globex.test", "environment": "theirs"}"#),
    (Kind::Secret, r#"{"value": "a-value-of-globex"}"#),
    (
        Kind::RegistryCredential,
        r#"{"registry": "ghcr.io", "username": "theirs", "password": {"secret": "theirs"}}"#,
    ),
    (Kind::DriftPolicy, r#"{"mode": "report"}"#),
    (Kind::ImagePolicy, r#"{"enforcement": "report"}"#),
    (Kind::Notification, r#"{"webhook": {"url": "https://hooks.globex.test/skep", "secret": "theirs"}}"#),
    (
        Kind::NetworkPolicy,
        r#"{"ingress": [{"environment": "theirs", "process": "web", "port": 80, "from": [{"organization": "acme"}]}]}"#,
    ),
];

fn document(org: Option<&str>, kind: Kind, name: &str, spec: &str) -> Value {
    let spec: Value = serde_json::from_str(spec).unwrap();
    let mut metadata = json!({ "name": name });
    if let Some(org) = org {
        metadata["org"] = org.into();
    }
    json!({ "apiVersion": "skep.dev/v1", "kind": kind.as_str(), "metadata": metadata, "spec": spec })
}

struct Bed {
    app: App,
    /// The uids of what globex has.
    uids: BTreeMap<Kind, String>,
    store: Store,
    /// With a token, so that streams open.
    bearer: String,
    database: String,
    postgres: Postgres,
}

impl Bed {
    async fn new() -> Result<Self> {
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await??;
        let database = postgres.create_database("beneath")?;
        let store = Store::connect(&database, StoreOptions::new(MasterKey::generate()?)).await?;
        store.migrate().await?;
        let token = store.bootstrap_token().await?.context("a new database has no token yet")?;
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let api = Api {
            store: store.clone(),
            control: Arc::new(IdleControl),
            registry: Arc::new(registry),
            metrics,
            issuers: Arc::new(Issuers::none()),
            rates: RateLimits::USUAL,
            shutdown: CancellationToken::new(),
        };
        let bearer = format!("Bearer {}", token.expose_secret());
        let (app, uids) = (App::new(api, Bytes::new()), BTreeMap::new());
        let mut bed = Self { app, uids, store, bearer, database, postgres };
        let everything = bed.store.within(Some(&Scope::Platform));
        for org in ["acme", "globex"] {
            let document = document(None, Kind::Organization, org, "{}");
            bed.ask(&everything, "putResource", Named::of(None, Kind::Organization, org), &document).await?;
        }
        for (kind, spec) in THEIRS {
            let document = document(Some("globex"), kind, "theirs", spec);
            let named = Named::of(Some("globex"), kind, "theirs");
            let (status, said) = bed.ask(&everything, "putOrgResource", named, &document).await?;
            assert_eq!(status, 201, "{kind}: {said}");
            let said: Value = serde_json::from_str(&said)?;
            bed.uids.insert(kind, said["metadata"]["uid"].as_str().context("it has no uid")?.to_owned());
        }
        let reach = Scope::Org("globex".parse()?);
        let new = NewToken { name: "theirs".parse()?, reach, role: Role::Owner, expires_at: None };
        bed.store.create_token(&new, &Actor::new("globex")).await?;
        bed.people().await?;
        bed.postgres.psql(
            &bed.database,
            "INSERT INTO event (uid, severity, reason, message) SELECT uid, 'normal', 'X', 'globex' FROM resource;
             INSERT INTO release (env_uid, uid, version, why, content) SELECT uid, uid, 1, 'theirs',
                 '{\"image\": {\"reference\": \"shop:1\", \"resolved\": {\"from\": \"engine\",
                   \"id\": \"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}},
                   \"processes\": {}, \"secrets\": [], \"restart\": {}, \"security\": {}}'
                 FROM resource WHERE org = 'globex' AND kind = 'Environment';
             INSERT INTO release_output (env_uid, version, process, output) SELECT env_uid, version, 'web', 'theirs' FROM release;
             INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, outcome, ended_at, output)
                 SELECT env_uid, 1, 'one-off', 1, 'web', '{\"cpu\": \"1\", \"memory\": \"1Gi\"}', 1, 'succeeded', now(), 'globex' FROM release;
             INSERT INTO notification_delivery (notification, type, body, sameness) SELECT uid, 'run.failed', '\"globex\"', '' FROM notification_target;
             INSERT INTO drift (owner, org, kind, name, object_kind, object_name, pointer, class, response, noticed)
                 SELECT uid, org, kind, name, 'service', 'globex', '', 'modified', 'give-up', 'event' FROM resource
                 WHERE org = 'globex'",
        )?;
        Ok(bed)
    }

    /// Two members of globex and somebody who is invited.
    async fn people(&self) -> Result<()> {
        let (by, reach) = (Actor::new("globex"), Scope::Org("globex".parse()?));
        for (email, role) in [
            ("invited@globex.test", None),
            (MEMBER, Some(Role::Viewer)),
            ("owner@globex.test", Some(Role::Owner)),
        ] {
            let person = self.store.ensure_person(&email.parse()?, None, &by).await?;
            let expires_at = jiff::Timestamp::now().checked_add(Duration::from_secs(600))?;
            let (email, given) = (person.email.clone(), role.unwrap_or(Role::Viewer));
            let new = NewInvitation { reach: reach.clone(), email, role: given, expires_at };
            let code = self.store.invite(&new, &by).await?;
            if role.is_some() {
                self.store.accept_invitation(&person, &code, &by).await?.context("it was for this person")?;
            }
        }
        Ok(())
    }

    /// Calls the handler of an operation.
    async fn ask(
        &self,
        store: &ScopedStore,
        id: &str,
        named: Named<'_>,
        body: &Value,
    ) -> Result<(u16, String)> {
        let route = routes::table().into_iter().find(|route| route.id == id).context("no such operation")?;
        self.call(store, &route, named, body).await
    }

    /// Calls a route's handler for somebody of the platform who may do everything.
    async fn call(
        &self,
        store: &ScopedStore,
        route: &Route,
        named: Named<'_>,
        body: &Value,
    ) -> Result<(u16, String)> {
        let (path, variables) =
            named.fill(route.path, self.uids.get(&named.kind).map_or("none", String::as_str));
        let address =
            Address::read(&path, variables.into_iter()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let address = match route.within {
            Within::Path | Within::Platform => address,
            Within::Organization(kind) => address.of_organization(Some(named.org.parse()?), kind),
        };
        let request = http::Request::builder()
            .uri(&path)
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))?;
        let grant = Grant { reach: Scope::Platform, role: Role::Owner };
        let principal = Principal::bearer("everybody".to_owned(), grant);
        let admitted = Admitted {
            app: self.app.clone(),
            acting: Acting::of(principal, Actor::new("everybody"), store.clone()),
            address,
            request,
            request_id: String::new(),
            keyed: None,
        };
        let response = match (route.handler)(admitted).await {
            Ok(response) => response,
            Err(error) => return Ok((error.status().as_u16(), String::new())),
        };
        let status = response.status().as_u16();
        if response.headers().get(CONTENT_TYPE).is_some_and(|media| media == "text/event-stream") {
            return Ok((status, "a stream".to_owned()));
        }
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy)]
struct Named<'a> {
    org: &'a str,
    kind: Kind,
    name: &'a str,
}

impl<'a> Named<'a> {
    fn of(org: Option<&'a str>, kind: Kind, name: &'a str) -> Self {
        Self { org: org.unwrap_or_default(), kind, name }
    }

    fn fill(self, path: &str, uid: &'a str) -> (String, Vec<(&'static str, &'a str)>) {
        let all = [
            ("uid", uid),
            ("version", "1"),
            ("org", self.org),
            ("kind", self.kind.plural()),
            ("name", self.name),
            ("id", "1"),
            ("email", MEMBER),
        ];
        let used = all.into_iter().filter(|(name, _)| path.contains(&format!("{{{name}}}")));
        let filled = all
            .iter()
            .fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        (filled, used.collect())
    }
}

/// Everything of globex that a route can be asked for, each with a body that it would take.
fn requests(route: &Route) -> Vec<(Named<'static>, Value)> {
    let kinds: Vec<Kind> = match (route.path.contains("{kind}"), route.path.contains("{org}")) {
        (false, _) => vec![named_by_uid(route)],
        (true, true) => THEIRS.iter().map(|(kind, _)| *kind).collect(),
        (true, false) if route.path.contains("{name}") => vec![Kind::Organization],
        (true, false) => Kind::ALL.to_vec(),
    };
    let named = kinds.into_iter().map(|kind| match kind.scope() {
        KindScope::Org => Named { org: "globex", kind, name: "theirs" },
        KindScope::Platform => Named { org: "globex", kind, name: "globex" },
    });
    named.map(|named| (named, body(route, named.kind))).collect()
}

/// Whose uid a path of the panel takes.
fn named_by_uid(route: &Route) -> Kind {
    match route.within {
        Within::Path | Within::Platform => Kind::App,
        Within::Organization(_) if route.path.contains("/apps/{uid}") => Kind::App,
        Within::Organization(_) if route.path.contains("/applications/{uid}") => Kind::App,
        Within::Organization(_) if route.path.contains("/environments/{uid}") => Kind::Environment,
        Within::Organization(_) if route.path.contains("/containers/{uid}") => Kind::Environment,
        Within::Organization(kind) => kind,
    }
}

fn body(route: &Route, kind: Kind) -> Value {
    let spec = THEIRS.iter().find(|(of, _)| *of == kind).map_or("{}", |(_, spec)| spec);
    let changed = spec.replace("shop:1", "evil:1");
    match (route.verb, route.id) {
        (_, "createOrgToken" | "createToken") => json!({ "name": "evil", "role": "owner" }),
        (_, "createOrgInvitation" | "createInvitation") => {
            json!({ "email": "evil@evil.test", "role": "owner" })
        }
        (_, "putOrgMember" | "putMember") => json!({ "role": "owner" }),
        (_, "rotateSecret") => json!({ "value": "evil" }),
        (_, "rollBack") => json!({ "to": 1 }),
        (_, "scale") => json!({ "processes": { "web": 9 } }),
        (_, "restart" | "stop" | "start" | "suspend") => json!({}),
        (_, "setOrgResourceOwner" | "setResourceOwner") => json!({ "managedBy": { "by": "api" } }),
        (_, "promoteRelease") => json!({ "from": "theirs" }),
        (Verb::Post, id) if id.ends_with("ByUidScale") => json!({ "replicas": 9 }),
        (Verb::Post, id) if id.ends_with("ByUidDomains") => json!({ "host": "evil.globex.test" }),
        (Verb::Post, id) if id.ends_with("ByUidEnvironments") => json!({ "name": "evil" }),
        (Verb::Post, id) if id.ends_with("ByUidDeploy") => json!({ "image_ref": "evil:1" }),
        (Verb::Patch, id) if id.ends_with("ByUidConfig") => json!({ "env": { "EVIL": "1" } }),
        (Verb::Patch, _) => json!({ "spec": { "region": "evil" } }),
        (_, "restoreSecret") => json!({ "version": 1 }),
        (_, "deleteBatch") => json!({ "delete": [{ "org": "globex", "kind": "App", "name": "theirs" }] }),
        (_, "apply") => document(Some("globex"), Kind::App, "theirs", &changed),
        (Verb::Post, id) if id.starts_with("pause") => json!({ "reason": "evil" }),
        (Verb::Put, _) if kind == Kind::Organization => {
            document(None, kind, "globex", "{\"displayName\": \"evil\"}")
        }
        (Verb::Put, _) => document(Some("globex"), kind, "theirs", &changed),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_codes_own_check_the_database_refuses_whatever_is_another_organisations() -> Result<()> {
    let bed = Bed::new().await?;
    let of = |org: &str| Ok::<_, anyhow::Error>(bed.store.within(Some(&Scope::Org(org.parse()?))));
    let (acme, globex) = (of("acme")?, of("globex")?);
    let before = written(&bed)?;
    let (mut asked, mut shown) = (0, 0);
    for route in routes::table() {
        // A preview is the controller's.
        if OTHERS.iter().any(|other| route.path.contains(other)) || route.id == "plan" {
            continue;
        }
        for (named, body) in requests(&route) {
            let (status, said) = bed.call(&acme, &route, named, &body).await?;
            let what = format!("{} {} of {named:?}: {status} {said}", route.verb.as_str(), route.path);
            let nothing = said.contains("\"items\":[]") || said.contains("\"outcome\":\"absent\"");
            let within_org = route.path.contains("{org}")
                || matches!(route.within, Within::Organization(kind) if kind.scope() == KindScope::Org);
            let own = route.verb == Verb::Get && !within_org && !said.contains("globex");
            assert!(status >= 400 || nothing || own, "{what}");
            asked += 1;
            // The same is there for those whose it is.
            let is_theirs = within_org && route.is_served && named.kind.scope() == KindScope::Org;
            if route.verb == Verb::Get && is_theirs {
                let (status, said) = bed.call(&globex, &route, named, &Value::Null).await?;
                // Runs are environments' alone, and messages notifications'.
                let has_none = route.path.contains("/runs") && named.kind != Kind::Environment
                    || route.path.contains("/deliveries") && named.kind != Kind::Notification;
                assert!(status == 200 || has_none, "{what}, and for globex {status}");
                shown += usize::from(said.contains("theirs") || said == "a stream");
            }
        }
    }
    assert!(asked > 40 && shown > 15, "{asked} requests, {shown} answers");
    assert_eq!(before, written(&bed)?, "something was written");
    Ok(())
}

/// Everything in the database but where sequences stand, which no rollback takes back.
fn written(bed: &Bed) -> Result<Vec<String>> {
    let dump = bed.postgres.dump(&bed.database)?;
    let lines = dump.lines().filter(|line| !line.contains("setval(") && !line.contains("restrict "));
    Ok(lines.map(str::to_owned).collect())
}
