use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skep_outbound::{Outbound, Reach};
use skep_runtime::SystemClock;
use skep_schemas::kind::{MessageType, SecretSpec, SecretValue};
use skep_schemas::{AnySpec, Kind, Labels, Manifest, ResourceKey, Scope, Uid};
use skep_store::{
    Actor, ApplyItem, Fence, MasterKey, NewEvent, Notice, Precondition, Severity, Store, StoreOptions, Writer,
};
use skep_testbed::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::duty::Deliver;
use crate::lead::ClusterDuty;

/// What must be seen nowhere.
const CANARY: &str = "canary-3f1c9a";

/// A host that hears messages and answers as it is told; with 200 when nothing is left of that.
struct Host {
    url: String,
    shared: std::sync::Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<String>>,
    answers: Mutex<VecDeque<&'static str>>,
    rang: Notify,
}

/// The answer that does not come.
const SILENCE: &str = "";

impl Host {
    async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Mutex::new(answers.iter().copied().collect());
        let shared = std::sync::Arc::new(Shared { answers, ..Shared::default() });
        let of_task = std::sync::Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, std::sync::Arc::clone(&of_task)));
            }
        });
        Self { url, shared }
    }

    fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, shared: std::sync::Arc<Shared>) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"}") {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "it hung up");
        heard.extend_from_slice(&part[..read]);
    }
    shared.heard.lock().unwrap().push(String::from_utf8(heard).unwrap());
    let answer = shared.answers.lock().unwrap().pop_front();
    shared.rang.notify_one();
    if answer == Some(SILENCE) {
        return std::future::pending().await;
    }
    let head = answer.unwrap_or("200 OK");
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever asked may be gone.
    drop(stream.write_all(answer.as_bytes()).await);
}

fn header<'a>(heard: &'a str, name: &str) -> Option<&'a str> {
    heard.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(heard: &str) -> &str {
    heard.split_once("\r\n\r\n").unwrap().1
}

/// As a receiver does it that follows Standard Webhooks, and not by our code.
fn is_signed(heard: &str, key: &[u8]) -> bool {
    let field = |name| header(heard, name).unwrap();
    let signed = format!("{}.{}.{}", field("webhook-id"), field("webhook-timestamp"), body(heard));
    let tag = STANDARD.decode(field("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes(), &tag).is_ok()
}

/// An organisation with an environment, and what is told of it.
struct Bed {
    store: Store,
    fence: Fence,
    environment: Uid,
    deliver: Deliver,
    postgres: Postgres,
    database: String,
}

impl Bed {
    async fn new(name: &str, secret: &str, notification: Value, allowed: &str) -> Self {
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
        let database = postgres.create_database(name).unwrap();
        let store =
            Store::connect(&database, StoreOptions::new(MasterKey::generate().unwrap())).await.unwrap();
        store.migrate().await.unwrap();
        let acme = Scope::Org("acme".parse().unwrap());
        let key = |scope: &Scope, kind, name: &str| {
            ResourceKey::new(scope.clone(), kind, name.parse().unwrap()).unwrap()
        };
        let spec = |kind, spec| AnySpec::from_json(kind, spec).unwrap();
        let value = SecretSpec { value: Some(SecretValue::new(secret.to_owned())), ..SecretSpec::default() };
        let manifests = [
            (key(&Scope::Platform, Kind::Organization, "acme"), spec(Kind::Organization, json!({}))),
            (key(&acme, Kind::Secret, "key"), value.into()),
            (
                key(&acme, Kind::App, "shop"),
                spec(Kind::App, json!({ "source": { "image": "shop:1" }, "processes": { "web": {} } })),
            ),
            (key(&acme, Kind::Environment, "shop"), spec(Kind::Environment, json!({ "app": "shop" }))),
            (key(&acme, Kind::Notification, "ops"), spec(Kind::Notification, notification)),
        ];
        let items = manifests.map(|(key, spec)| ApplyItem {
            manifest: Manifest { key, labels: Labels::new(), annotations: Labels::new(), spec },
            precondition: Precondition::None,
            writer: Writer::Api,
        });
        let applied = store.apply(&items, &Actor::new("tester")).await.unwrap();
        let environment = applied[3].resource.meta.uid;
        let fence = store.acquire_lease("cluster", "test", Duration::from_secs(600)).await.unwrap().unwrap();
        let outbound = Outbound::new(Reach::with([allowed.parse().unwrap()])).unwrap();
        let deliver = Deliver::new(outbound, store.clone(), std::sync::Arc::new(SystemClock));
        Self { store, fence, environment, deliver, postgres, database }
    }

    async fn happens(&self, message: &str) {
        let event = NewEvent {
            severity: Severity::Warning,
            reason: "RunFailed".to_owned(),
            message: message.to_owned(),
            notice: Some(Notice::of(MessageType::RunFailed)),
        };
        self.store.record_events(&self.fence, self.environment, vec![event]).await.unwrap();
    }

    async fn perform(&self) {
        self.deliver.clone().perform(&self.fence).await.unwrap();
    }

    fn sql(&self, sql: &str) -> String {
        self.postgres.psql(&self.database, sql).unwrap()
    }

    /// As if the time had come.
    fn later(&self) {
        self.sql("UPDATE notification_delivery SET next_at = now() WHERE state = 'waiting'; UPDATE notification_target SET paused_until = NULL");
    }

    fn stands(&self) -> String {
        self.sql("SELECT state || ' ' || attempts || ' ' || coalesce(last_error, '-') FROM notification_delivery ORDER BY id")
    }

    /// Is what must be seen nowhere in none of the database, sealed values apart?
    fn is_clean(&self) -> bool {
        !self.postgres.dump(&self.database).unwrap().contains(CANARY)
    }
}

fn webhook(host: &Host) -> Value {
    json!({ "webhook": { "url": format!("{}/skep", host.url), "secret": "key" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_signed_and_again_under_the_same_id_until_it_is_taken() {
    let host = Host::start(&["500 X", "503 X\r\nretry-after: 900", "200 OK"]).await;
    let bed = Bed::new("notifysign", &format!("{CANARY}\n"), webhook(&host), &host.url).await;
    bed.happens("run 1: it exits").await;
    bed.perform().await;
    let named = host.url.strip_prefix("http://").unwrap();
    assert_eq!(bed.stands(), format!("waiting 1 {named} answers with status 500"));
    bed.perform().await;
    assert_eq!(host.heard().len(), 1, "it is left alone for a while");
    bed.later();
    bed.perform().await;
    let waits = "SELECT extract(epoch FROM next_at - now())::integer BETWEEN 880 AND 900,
                        extract(epoch FROM paused_until - now())::integer BETWEEN 880 AND 900
                 FROM notification_delivery JOIN notification_target ON uid = notification";
    assert_eq!(bed.sql(waits), "t|t");
    bed.later();
    bed.perform().await;
    assert_eq!(bed.stands(), "delivered 3 -");
    let heard = host.heard();
    let ids: Vec<_> = heard.iter().map(|heard| header(heard, "webhook-id").unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0] && id.starts_with("msg_")), "{ids:?}");
    assert!(heard.iter().all(|heard| is_signed(heard, CANARY.as_bytes())), "{heard:?}");
    assert!(!is_signed(&heard[0], b"another key"));
    let said: Value = serde_json::from_str(body(&heard[2])).unwrap();
    assert_eq!((&said["type"], &said["data"]["message"]), (&json!("run.failed"), &json!("run 1: it exits")));
    assert!(bed.is_clean() && heard.iter().all(|heard| !heard.contains(CANARY)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_more_is_asked_no_more_and_one_bad_message_does_not_hold_back_the_next() {
    let host = Host::start(&["410 Gone", "400 X", "200 OK"]).await;
    let bed = Bed::new("notifygone", CANARY, webhook(&host), &host.url).await;
    bed.happens("run 1: it exits").await;
    bed.perform().await;
    assert!(bed.stands().starts_with("dead 1 "), "{}", bed.stands());
    bed.happens("run 2: it exits").await;
    bed.happens("run 3: it exits").await;
    bed.sql("UPDATE notification_target SET paused_until = NULL");
    bed.perform().await;
    bed.sql("UPDATE notification_target SET paused_until = NULL");
    bed.perform().await;
    let stands = bed.stands();
    let words: Vec<_> = stands.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["dead", "waiting", "delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_between_sending_and_noting_leaves_it_to_be_sent_again_under_the_same_id() {
    let host = Host::start(&[SILENCE]).await;
    let bed = Bed::new("notifycut", CANARY, webhook(&host), &host.url).await;
    bed.happens("run 1: it exits").await;
    tokio::select! {
        () = bed.perform() => panic!("nobody answered"),
        () = host.shared.rang.notified() => {}
    }
    bed.perform().await;
    assert_eq!((host.heard().len(), bed.stands().as_str()), (1, "waiting 0 -"), "the claim holds");
    bed.sql("UPDATE notification_target SET claimed_until = now()");
    bed.perform().await;
    let heard = host.heard();
    let ids: Vec<_> = heard.iter().map(|heard| header(heard, "webhook-id").unwrap()).collect();
    assert_eq!((ids.len(), ids[0] == ids[1], bed.stands().as_str()), (2, true, "delivered 1 -"));
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_gets_a_text_and_its_address_is_told_nowhere() {
    let host = Host::start(&["200 OK", "500 X"]).await;
    let address = format!("{}/services/T1/{CANARY}\n", host.url);
    let bed = Bed::new("notifyslack", &address, json!({ "slack": { "secret": "key" } }), &host.url).await;
    bed.happens("<!channel> it exits").await;
    bed.perform().await;
    bed.happens("it exits again").await;
    bed.perform().await;
    let heard = host.heard();
    assert!(heard[0].starts_with(&format!("POST /services/T1/{CANARY} HTTP/1.1")), "{}", heard[0]);
    assert_eq!(header(&heard[0], "webhook-signature"), None);
    let said: Value = serde_json::from_str(body(&heard[0])).unwrap();
    assert_eq!(said["text"], "run.failed: acme/Environment/shop: &lt;!channel&gt; it exits");
    let stands = bed.stands();
    assert!(stands.ends_with("answers with status 500"), "{stands}");
    assert!(bed.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_or_leads_inside_is_not_asked_and_not_told() {
    for (name, secret, why) in [
        ("notifyno1", format!("{CANARY} is no address"), "the value of Secret/key is no https address"),
        ("notifyno2", format!("https://10.1.2.3/{CANARY}"), "10.1.2.3 is not asked"),
        ("notifyno3", format!("http://hooks.acme.test/{CANARY}"), "hooks.acme.test is not asked"),
    ] {
        let bed =
            Bed::new(name, &secret, json!({ "slack": { "secret": "key" } }), "http://127.0.0.1:1").await;
        bed.happens("it exits").await;
        bed.perform().await;
        let stands = bed.stands();
        assert!(stands.starts_with(&format!("waiting 1 {why}")), "{stands}");
        assert!(bed.is_clean());
    }
}
