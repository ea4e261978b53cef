//! Logins on a page: the end of one over HTTP, and a whole one in a browser.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Request, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use skep_api::{IdentityConfig, Issuers, ServeOptions, serve};
use skep_testbed::identity_provider::{CLIENT_ID, Fault, IdentityProvider, WEB_CLIENT};
use skep_testbed::wait::{ready, wait_until};
use skep_testbed::{Browser, http as plain};
use tokio::net::TcpListener;
use tokio::task::{block_in_place, spawn_blocking};

use crate::support::{Answer, Server};

const REDIRECT: &str = "http://127.0.0.1:9/ui/login";
const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";
const NONCE: &str = "nonce-nonce-nonce-nonce-nonce";

/// A server whose people log in on pages. Where the provider's keys are is the provider's to say.
struct Bed {
    server: Server,
    provider: IdentityProvider,
}

impl Bed {
    async fn new() -> Result<Self> {
        let provider = IdentityProvider::start()?;
        provider.person(json!({"sub": "7", "email": "alice@example.com", "email_verified": true}));
        let config: IdentityConfig = serde_json::from_value(json!({"issuers": [{
            "issuer": provider.issuer(), "audience": CLIENT_ID, "algorithm": "ES256", "login": true,
            "web": {"clientId": WEB_CLIENT.0, "secretFile": "web"}
        }]}))?;
        let issuers = Issuers::new(config, |_| Ok(SecretString::from(format!("{}\n", WEB_CLIENT.1))))?;
        Ok(Self { server: Server::with_issuers(issuers).await?, provider })
    }

    /// What a page sends when somebody came back from the provider.
    async fn code(&self) -> Result<Value> {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let state = "state-state-state-state";
        let path = format!(
            "/authorize?response_type=code&client_id={}&redirect_uri={REDIRECT}&scope=openid&state={state}&nonce={NONCE}\
             &code_challenge={challenge}&code_challenge_method=S256",
            WEB_CLIENT.0
        );
        let uri: Uri = self.provider.issuer().parse()?;
        let port = uri.port_u16().context("it has a port")?;
        let ask = move || plain::get("127.0.0.1".parse()?, port, "localhost", &path);
        let answer = spawn_blocking(ask).await??;
        let code = answer.head.split("code=").nth(1).and_then(|rest| rest.split('&').next());
        let code = code.with_context(|| format!("no code: {answer:?}"))?;
        Ok(json!({"code": code, "codeVerifier": VERIFIER, "nonce": NONCE, "redirectUri": REDIRECT}))
    }

    /// Sends it, as nobody.
    async fn send(&self, body: &Value) -> Result<Answer> {
        let request = Request::post("/v1/login/web").header("content-type", "application/json");
        self.server.send(request.body(body.to_string().into())?).await
    }

    async fn log_in(&self) -> Result<SecretString> {
        let made = self.send(&self.code().await?).await?;
        ensure!(made.status == 200, "{made:?}");
        Ok(SecretString::from(made.json()["token"].as_str().context("a token")?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_login_gives_a_session_to_whoever_began_it_and_once() -> Result<()> {
    let bed = Bed::new().await?;
    let where_to = bed.server.send(Request::get("/v1/login/web").body("".into())?).await?.json();
    assert_eq!(
        where_to,
        json!({"provider": {"issuer": bed.provider.issuer(), "clientId": WEB_CLIENT.0,
            "authorizationEndpoint": format!("{}/authorize", bed.provider.issuer())}})
    );
    let code = bed.code().await?;
    let made = bed.send(&code).await?;
    assert_eq!((made.status, &made.json()["email"]), (200, &json!("alice@example.com")));
    assert_eq!(made.headers["cache-control"], "no-store", "a session is for nobody's cache");
    let token = SecretString::from(made.json()["token"].as_str().unwrap());
    let who = bed.server.ask(&token, "GET", "/v1/whoami", None).await?.json();
    assert_eq!(who, json!({"name": "alice@example.com", "grants": []}));
    let sessions = bed.server.ask(&token, "GET", "/v1/sessions", None).await?.json();
    assert_eq!(sessions["items"][0]["origin"], format!("a login on a page at {}", bed.provider.issuer()));
    let audit = bed.server.get("/v1/audit").await?.json();
    let begun = audit["items"].as_array().unwrap().iter().find(|entry| entry["verb"] == "start-session");
    assert_eq!(begun.unwrap()["actor"], "alice@example.com", "{audit}");
    let again = bed.send(&code).await?;
    assert_eq!(again.status, 400, "a code is worth something once: {again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_worth_nothing_to_whoever_did_not_begin_the_login() -> Result<()> {
    let bed = Bed::new().await?;
    for (field, other) in [
        ("codeVerifier", "another-another-another-another-another-another"),
        ("nonce", "another-another-another"),
        ("redirectUri", "http://127.0.0.1:9/elsewhere"),
        ("code", "code-of-nobody"),
    ] {
        let mut stolen = bed.code().await?;
        stolen[field] = other.into();
        let refused = bed.send(&stolen).await?;
        assert_eq!(refused.code(), "SK0602", "{field}");
        assert!(!refused.text().contains(WEB_CLIENT.1), "{refused:?}");
    }
    for fault in [Fault::Nonce, Fault::Audience] {
        bed.provider.fault(fault);
        assert_eq!(bed.send(&bed.code().await?).await?.status, 400, "{fault:?}");
    }
    let people = bed.server.get("/v1/people").await?.json();
    assert_eq!(people["items"], json!([]), "nothing came of any of them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_send_little_and_not_often_and_keep_nobody_else_from_writing() -> Result<()> {
    let bed = Bed::new().await?;
    let long = json!({"code": "x".repeat(17_000), "codeVerifier": "", "nonce": "", "redirectUri": ""});
    assert_eq!(bed.send(&long).await?.status, 413);
    let junk = json!({"code": "x", "codeVerifier": "x", "nonce": "x", "redirectUri": "x"});
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(bed.send(&junk).await?.status);
    }
    assert!(answers.contains(&429), "{answers:?}");
    assert!(bed.server.get("/v1/whoami").await?.status == 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_who_it_should_be_is_told_as_unavailable_and_others_work() -> Result<()> {
    let bed = Bed::new().await?;
    bed.provider.fault(Fault::Issuer);
    let asked = bed.server.send(Request::get("/v1/login/web").body("".into())?).await?;
    assert_eq!(asked.status, 503, "{asked:?}");
    assert!(!asked.text().contains("other.test"), "{asked:?}");
    assert_eq!(bed.server.get("/v1/whoami").await?.status, 200);
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_on_the_page_sees_the_report_and_signs_out() -> Result<()> {
    let bed = Bed::new().await?;
    let invitation =
        Some(("application/json", r#"{"email": "alice@example.com", "role": "viewer"}"#.to_owned()));
    let invited = bed.server.ask(&bed.server.token, "POST", "/v1/invitations", invitation).await?.json();
    let alice = bed.log_in().await?;
    let accept = Some(("application/json", json!({"code": invited["code"]}).to_string()));
    ensure!(bed.server.ask(&alice, "POST", "/v1/invitations/accept", accept).await?.status == 200);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (router, shutdown) = (bed.server.router.clone(), bed.server.shutdown.clone());
    tokio::spawn(serve(listener, router, ServeOptions::default(), shutdown));
    let browser = block_in_place(|| Browser::start(1200, 900))?;
    let ask = |expression: &str| block_in_place(|| browser.run(&format!("return {expression}"), &[]));
    let until = |expression: &str| {
        block_in_place(|| {
            wait_until(expression, PATIENCE, || {
                let holds = browser.run(&format!("return {expression}"), &[])?;
                let shown = || browser.run("return document.body.innerText", &[]);
                ensure!(holds == true, "it does not; the page shows {} {:?}", shown()?, browser.console()?);
                Ok(())
            })
        })
    };
    block_in_place(|| browser.open(&format!("http://{address}/ui/drift")))?;
    until("!document.querySelector('#login').hidden")?;
    block_in_place(|| browser.click("#log-in"))?;
    until("document.querySelector('#state')?.dataset.state === 'live'")?;
    let token = ask("sessionStorage.getItem('skep-token')")?;
    let token = SecretString::from(token.as_str().context("a session")?);
    assert_eq!(ask("[sessionStorage.length, localStorage.length, document.cookie]")?, json!([1, 0, ""]));
    assert_eq!(ask("location.pathname + location.search")?, "/ui/drift");
    assert_eq!(bed.server.ask(&token, "GET", "/v1/session", None).await?.status, 405);
    assert_eq!(bed.server.ask(&token, "GET", "/v1/whoami", None).await?.status, 200);
    block_in_place(|| browser.click("#leave"))?;
    until("sessionStorage.length === 0")?;
    block_in_place(|| {
        wait_until("the session to end on the server", PATIENCE, || {
            let bearer = format!("Bearer {}", token.expose_secret());
            let (at, port) = (address.ip(), address.port());
            let fields = [("authorization", bearer.as_str())];
            let answer = plain::get_with(at, port, "localhost", "/v1/whoami", &fields)?;
            ready(answer.status == 401, "it is still there")
        })
    })?;

    // Somebody sends another a link with a code of his own.
    let foreign = bed.code().await?;
    let code = foreign["code"].as_str().context("a code")?;
    let link = format!("http://{address}/ui/login?code={code}&state=state-state-state-state");
    block_in_place(|| browser.open(&link))?;
    until(
        "document.querySelector('#refusal').innerText.includes('was not begun') || document.querySelector('#refusal').innerText.includes('was begun in this tab')",
    )?;
    assert_eq!(ask("[sessionStorage.length, location.search]")?, json!([0, ""]));
    Ok(())
}
