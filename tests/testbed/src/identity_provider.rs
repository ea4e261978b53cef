//! A small OpenID provider: discovery, authorisation, tokens and keys over HTTP, strict about what a client has to prove.
//!
//! Whoever asks to log in is logged in at once, as the person that the test said: what people do at a provider is not what is tested.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The client that it knows without a secret.
pub const CLIENT_ID: &str = "skep-cli";
/// The one that it knows by a secret, and the secret.
pub const WEB_CLIENT: (&str, &str) = ("skep-web", "what only the server knows: 100%");

/// The longest request that is read.
const REQUEST_MAX: usize = 16 * 1024;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It puts a nonce of its own into tokens.
    Nonce,
    /// It says another issuer's name in its description.
    Issuer,
    /// It signs for another client.
    Audience,
    /// It sends people back with a state of its own.
    State,
    /// People say no.
    Denied,
}

/// A provider that runs until the process ends.
pub struct IdentityProvider {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    key: EcdsaKeyPair,
    state: Mutex<State>,
}

struct State {
    fault: Fault,
    claims: Value,
    /// What was promised for each code, which is worth something once.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    made: u32,
}

impl IdentityProvider {
    /// Starts one on a port of its own.
    pub fn start() -> Result<Self> {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| anyhow!("no key could be made"))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref())
            .map_err(|_| anyhow!("the key cannot be read"))?;
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = State { fault: Fault::None, claims: json!({}), codes: BTreeMap::new(), made: 0 };
        let shared = Arc::new(Shared { key, state: Mutex::new(state) });
        let (of_thread, issuer) = (shared.clone(), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (issuer, shared) = (issuer.clone(), of_thread.clone());
                // Browsers open connections ahead of what they will ask, and must not keep others waiting. A client that breaks off
                // is its own matter.
                std::thread::spawn(move || drop(serve(stream, &issuer, &shared)));
            }
        });
        Ok(Self { url, shared })
    }

    /// Its name and address.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// Where its keys are.
    pub fn keys(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// Who logs in from now on: the claims about that person.
    pub fn person(&self, claims: Value) {
        self.shared.lock().claims = claims;
    }

    /// What it does wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.shared.lock().fault = fault;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: TcpStream, issuer: &str, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (head, body) = request(&mut stream)?;
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (status, location, document) = match (method, path) {
        ("GET", "/.well-known/openid-configuration") => (200, None, description(issuer, shared)),
        ("GET", "/keys") => (200, None, keys(shared)),
        ("GET", "/authorize") => match authorize(&pairs(query), issuer, shared) {
            Ok(location) => (302, Some(location), json!({})),
            Err(problem) => (400, None, json!({ "error": problem })),
        },
        ("POST", "/token") => match token(&client(&head, pairs(&body)), issuer, shared) {
            Ok(answer) => (200, None, answer),
            Err(problem) => (400, None, json!({ "error": problem })),
        },
        _ => (404, None, json!({ "error": "not_found" })),
    };
    let location = location.map_or_else(String::new, |to| format!("Location: {to}\r\n"));
    let body = document.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// The head and the body of a request.
fn request(stream: &mut TcpStream) -> Result<(String, String)> {
    let mut bytes = Vec::new();
    let mut part = [0_u8; 2048];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(Ok(0), |(_, length)| length.trim().parse())?;
            if body.len() >= length {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        let read = stream.read(&mut part)?;
        anyhow::ensure!(read > 0 && bytes.len() + read <= REQUEST_MAX, "no whole request came");
        bytes.extend_from_slice(&part[..read]);
    }
}

fn description(issuer: &str, shared: &Shared) -> Value {
    let told = if shared.lock().fault == Fault::Issuer { "https://other.test" } else { issuer };
    json!({
        "issuer": told,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    })
}

fn keys(shared: &Shared) -> Value {
    let public = shared.key.public_key().as_ref();
    let (x, y) = public[1..].split_at(32);
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": part(x), "y": part(y)}]})
}

/// Where the person is sent back to, with a code.
fn authorize(
    asked: &BTreeMap<String, String>,
    issuer: &str,
    shared: &Shared,
) -> Result<String, &'static str> {
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let is_right = get("response_type") == "code"
        && [CLIENT_ID, WEB_CLIENT.0].contains(&get("client_id"))
        && get("scope").split(' ').any(|scope| scope == "openid")
        && get("code_challenge_method") == "S256"
        && get("code_challenge").len() == 43
        && get("redirect_uri").starts_with("http://127.0.0.1:");
    if !is_right || get("state").len() < 22 || get("nonce").len() < 22 {
        return Err("invalid_request");
    }
    let mut state = shared.lock();
    state.made += 1;
    let code = format!("code-{}", state.made);
    state.codes.insert(code.clone(), asked.clone());
    let back = if state.fault == Fault::State { "a-state-of-its-own" } else { get("state") };
    let what =
        if state.fault == Fault::Denied { "error=access_denied".to_owned() } else { format!("code={code}") };
    Ok(format!("{}?{what}&state={back}&iss={}", get("redirect_uri"), escaped(issuer)))
}

/// A token for a code, once, for whoever can prove to be who asked for it.
fn token(asked: &BTreeMap<String, String>, issuer: &str, shared: &Shared) -> Result<Value, &'static str> {
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let mut state = shared.lock();
    let promised = state.codes.remove(get("code")).ok_or("invalid_grant")?;
    let proof = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, get("code_verifier").as_bytes()));
    let is_right = get("grant_type") == "authorization_code"
        && get("client_id") == promised.get("client_id").map(String::as_str).unwrap_or_default()
        && (get("client_id") != WEB_CLIENT.0 || get("client_secret") == WEB_CLIENT.1)
        && promised.get("redirect_uri").map(String::as_str) == Some(get("redirect_uri"))
        && promised.get("code_challenge") == Some(&proof);
    if !is_right {
        return Err("invalid_grant");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| "server_error")?.as_secs();
    let mut claims = json!({
        "iss": issuer, "aud": promised.get("client_id"), "iat": now, "exp": now + 300, "nonce": promised.get("nonce"),
    });
    match state.fault {
        Fault::Nonce => claims["nonce"] = "a-nonce-of-its-own".into(),
        Fault::Audience => claims["aud"] = "another-client".into(),
        Fault::None | Fault::Issuer | Fault::State | Fault::Denied => {}
    }
    for (name, value) in state.claims.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "one", "typ": "JWT"})), part(&claims));
    let signature = shared.key.sign(&SystemRandom::new(), message.as_bytes()).map_err(|_| "server_error")?;
    let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    Ok(json!({"access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": token}))
}

/// A form with the client that the header names.
fn client(head: &str, mut form: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let field = head.lines().filter_map(|line| line.split_once(':'));
    let mut field = field.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let named = field.next().and_then(|(_, value)| {
        let decoded = BASE64_STANDARD.decode(value.trim().strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        text.split_once(':').map(|(id, secret)| (plain(id), plain(secret)))
    });
    if let Some((id, secret)) = named {
        form.insert("client_id".to_owned(), id);
        form.insert("client_secret".to_owned(), secret);
    }
    form
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (plain(name), plain(value)));
    text.split('&').filter_map(pair).collect()
}

/// Percent-decoded.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}
