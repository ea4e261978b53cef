//! Logins from end to end: the command, an OpenID provider, and an API over a database, all of them over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::json;
use skep_api::wire::{LoginRequest, MadeSession, WhoAmI};
use skep_api::{Api, IdentityConfig, IdleControl, Issuers, Metrics, RateLimits, ServeOptions};
use skep_store::{MasterKey, Store, StoreOptions};
use skep_testbed::Postgres;
use skep_testbed::identity_provider::{CLIENT_ID, Fault, IdentityProvider};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::commands::login::{end, log_in};
use crate::config::ConfigFile;
use crate::context::{Flags, resolve};

/// A provider, a server that believes it, and somebody's directory.
struct Bed {
    provider: IdentityProvider,
    server: String,
    dir: tempfile::TempDir,
    store: Store,
    _stop: DropGuard,
    _postgres: Postgres,
}

impl Bed {
    async fn new() -> Self {
        let provider = IdentityProvider::start().unwrap();
        provider.person(
            json!({"sub": "7", "email": "Alice@Example.com", "email_verified": true, "name": "Alice"}),
        );
        let config: IdentityConfig = serde_json::from_value(json!({"issuers": [{
            "issuer": provider.issuer(), "audience": CLIENT_ID, "algorithm": "ES256", "keys": provider.keys(),
            "login": true
        }]}))
        .unwrap();
        let issuers = Issuers::new(config, |_| Err("no secret is needed".to_owned())).unwrap();
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap().unwrap();
        let database = postgres.create_database("login").unwrap();
        let key = MasterKey::generate().unwrap();
        let store = Store::connect(&database, StoreOptions::new(key)).await.unwrap();
        store.migrate().await.unwrap();
        let mut registry = Registry::default();
        let stop = CancellationToken::new();
        let metrics = Metrics::register(&mut registry);
        let router = skep_api::router(Api {
            store: store.clone(),
            control: Arc::new(IdleControl),
            registry: Arc::new(registry),
            metrics,
            issuers: Arc::new(issuers),
            rates: RateLimits::USUAL,
            shutdown: stop.clone(),
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let options = ServeOptions { tls: None, allow_plain_remote: false };
        tokio::spawn(skep_api::serve(listener, router, options, stop.clone()));
        let dir = tempfile::tempdir().unwrap();
        Self { provider, server, dir, store, _stop: stop.drop_guard(), _postgres: postgres }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    /// What `--server` says.
    fn flags(&self) -> Flags {
        Flags { server: Some(self.server.clone()), ..Flags::default() }
    }

    async fn log_in(&self) -> Result<()> {
        log_in(&self.config(), self.flags(), None, browse).await
    }

    fn login(&self) -> LoginProvider {
        LoginProvider { issuer: self.provider.issuer().to_owned(), client_id: CLIENT_ID.to_owned() }
    }

    fn client(&self, token: &SecretString) -> Client {
        let flags = Flags { token: Some(token.clone()), ..self.flags() };
        Client::new(&resolve(flags, |_| None, &ConfigFile::default()).unwrap()).unwrap()
    }

    /// Whom the configuration file makes somebody.
    async fn whoami(&self) -> Result<WhoAmI> {
        let config = ConfigFile::load(&self.config())?;
        let context = resolve(Flags::default(), |_| None, &config)?;
        Ok(Client::new(&context)?.get("/v1/whoami").await?)
    }

    fn kept(&self) -> Vec<PathBuf> {
        let dir = std::fs::read_dir(self.dir.path().join("sessions"));
        dir.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

/// What a browser does: goes where it is sent.
fn browse(url: &str) {
    let url = url.to_owned();
    std::thread::spawn(move || {
        let mut next = Some(url);
        while let Some(url) = next {
            let answer = get(&url);
            next = answer.lines().find_map(|line| line.strip_prefix("Location: ").map(str::to_owned));
        }
    });
}

/// A request, and the whole answer.
fn get(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_in_has_a_session_that_only_he_can_read_until_he_logs_out() {
    let bed = Bed::new().await;
    bed.log_in().await.unwrap();
    let who = bed.whoami().await.unwrap();
    assert_eq!((who.name.as_str(), who.display_name.as_deref()), ("alice@example.com", Some("Alice")));
    assert!(who.grants.is_empty(), "a login gives no role");
    let kept = bed.kept();
    let [file] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("skeps_"), "a session of Skep's, not the provider's token");
    let config = std::fs::read_to_string(bed.config()).unwrap();
    assert!(!config.contains(text.trim()), "{config}");

    // Again: another session in the same place.
    bed.log_in().await.unwrap();
    assert_eq!(bed.kept().len(), 1);
    let person = bed.store.person(&"alice@example.com".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(bed.store.sessions(person.id).await.unwrap().len(), 2);
    end(&bed.config(), Flags::default()).await.unwrap();
    assert!(bed.kept().is_empty());
    assert_eq!(bed.store.sessions(person.id).await.unwrap().len(), 1);
    assert!(bed.whoami().await.unwrap_err().to_string().contains("SK0401"));
    assert!(
        end(&bed.config(), Flags::default()).await.unwrap_err().to_string().contains("nobody is logged in")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_not_the_one_that_was_begun_or_not_genuine_gives_nothing() {
    let bed = Bed::new().await;
    for (fault, why) in [
        (Fault::Nonce, "made for another login"),
        (Fault::Issuer, "says that it is https://other.test"),
        (Fault::Audience, "SK0401"),
        (Fault::Denied, "access_denied"),
    ] {
        bed.provider.fault(fault);
        let refused = format!("{:#}", bed.log_in().await.unwrap_err());
        assert!(refused.contains(why), "{fault:?}: {refused}");
        assert!(bed.kept().is_empty() && !bed.config().exists(), "{fault:?}");
    }
    bed.provider.fault(Fault::None);
    for person in [
        json!({"sub": "7", "email": "alice@example.com", "email_verified": false}),
        json!({"sub": "7", "email_verified": true}),
        json!({"email": "alice@example.com", "email_verified": true}),
        json!({"sub": "7", "email": "alice@example.com", "email_verified": true, "exp": 1}),
        json!({"sub": "7", "email": "alice@example.com", "email_verified": true, "azp": "another-client"}),
    ] {
        bed.provider.person(person.clone());
        let refused = format!("{:#}", bed.log_in().await.unwrap_err());
        assert!(refused.contains("SK0401"), "{person}: {refused}");
    }
}

#[tokio::test]
async fn what_comes_back_without_the_state_is_passed_over_and_the_login_goes_on() {
    let callback = Callback::listen().await.unwrap();
    let address = callback.address().to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let wrong = [
            "?code=evil&state=wrong",
            "?code=evil",
            "?state=right",
            "?code=a&code=b&state=right",
            "?code=evil&state=right&iss=https%3A%2F%2Fevil.test",
            "?error=evil&state=wrong",
            "",
        ];
        let answers = wrong.map(|query| get(&format!("{address}{query}")));
        assert!(
            answers.iter().all(|answer| answer.starts_with("HTTP/1.1 404") && !answer.contains("evil")),
            "{answers:?}"
        );
        assert!(get(&address.replace("/callback", "/favicon.ico")).starts_with("HTTP/1.1 404"));
        get(&format!("{address}?code=a%2Fb&state=right&iss=https%3A%2F%2Fid.test"))
    });
    let code = callback.code("right", "https://id.test").await.unwrap();
    assert_eq!(code.expose_secret(), "a/b");
    let answer = asked.await.unwrap();
    assert!(answer.contains("You are logged in") && !answer.contains("a/b"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_worth_nothing_without_the_secret_of_whoever_began_the_login() {
    let bed = Bed::new().await;
    let (client, path) = at(&format!("{}/token", bed.provider.issuer())).unwrap();
    let stolen = std::sync::Mutex::new(String::new());
    let refused = id_token(&bed.login(), |url| {
        // Somebody looks over the browser's shoulder, and is faster.
        let back =
            get(url).lines().find_map(|line| line.strip_prefix("Location: ").map(str::to_owned)).unwrap();
        *stolen.lock().unwrap() = back.clone();
        let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let redirect = back.split('?').next().unwrap().to_owned();
        let form = query_of_code(&SecretString::from(code), &redirect, CLIENT_ID, &"x".repeat(43));
        let answer = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(client.post_form::<serde_json::Value>(&path, form))
        });
        assert!(answer.unwrap_err().to_string().contains("invalid_grant"));
        browse(&back);
    })
    .await;
    assert!(refused.is_err(), "the code is used up, which somebody notices");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_makes_no_other_one_and_logins_have_a_rate() {
    let bed = Bed::new().await;
    let token = id_token(&bed.login(), browse).await.unwrap();
    let client = bed.client(&token);
    let request = LoginRequest { expires_in: None };
    let made: MadeSession = client.post("/v1/sessions", &request).await.unwrap();
    let within = bed.client(&SecretString::from(made.token));
    let refused = within.post::<_, MadeSession>("/v1/sessions", &request).await.err().unwrap();
    assert!(refused.to_string().contains("identity provider"), "{refused}");
    let mut refused = None;
    for _ in 0..50 {
        refused = client.post::<_, MadeSession>("/v1/sessions", &request).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert!(refused.unwrap().to_string().contains("SK0703"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_replaces_no_token_that_somebody_put_into_a_context() {
    let bed = Bed::new().await;
    let text =
        format!("currentContext: p\ncontexts:\n  p: {{server: '{}', token: canary-4711}}\n", bed.server);
    std::fs::write(bed.config(), &text).unwrap();
    let refused = log_in(&bed.config(), Flags::default(), None, browse).await.unwrap_err().to_string();
    assert!(refused.contains("has a token of its own") && !refused.contains("canary"), "{refused}");
    assert_eq!(std::fs::read_to_string(bed.config()).unwrap(), text);
    let flags = Flags { context: Some("mine".to_owned()), ..bed.flags() };
    log_in(&bed.config(), flags, None, browse).await.unwrap();
    assert_eq!(bed.whoami().await.unwrap().name, "alice@example.com");
    let read = ConfigFile::load(&bed.config()).unwrap();
    assert_eq!(read.contexts["p"].token.as_ref().unwrap().expose_secret(), "canary-4711");
}
