//! Logging in with an identity provider: authorisation code with PKCE, on a loopback redirect (RFC 8252, OpenID Connect Core).
//!
//! ```text
//! server: which provider? ──> its description ──> the browser is sent there ──> comes back to 127.0.0.1 with a code
//!     ──> the provider gives an ID token for it ──> the server checks that and gives a session
//! ```
//!
//! What keeps others out: only who began can use the code (PKCE), what comes back belongs to what was begun (state), the token was made for
//! this login (nonce), and everything goes over TLS or stays on this machine. Whether the token is genuine is the server's to say.

mod callback;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use skep_api::wire::LoginProvider;
use skep_schemas::diagnostic::harmless;

use crate::client::{Client, escape};
use crate::context::{Context, Server};
use callback::Callback;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a provider says of itself.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// It has no `Debug`: who has the token is its person.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct Claims {
    nonce: Option<String>,
}

/// Logs somebody in at a provider. `show` is given the address that the person has to open.
pub(crate) async fn id_token(provider: &LoginProvider, show: impl FnOnce(&str)) -> Result<SecretString> {
    let known = described(&provider.issuer).await?;
    let callback = Callback::listen().await?;
    let (state, nonce, verifier) = (random()?, random()?, random()?);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let query = query(&[
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", callback.address()),
        ("scope", "openid email profile"),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let separator = if known.authorization_endpoint.contains('?') { '&' } else { '?' };
    show(&format!("{}{separator}{query}", known.authorization_endpoint));
    let code = tokio::time::timeout(PATIENCE, callback.code(&state, &provider.issuer))
        .await
        .with_context(|| format!("nobody logged in within {} minutes", PATIENCE.as_secs() / 60))??;
    let form = query_of_code(&code, callback.address(), &provider.client_id, &verifier);
    let (client, path) = at(&known.token_endpoint)?;
    let tokens: Tokens =
        client.post_form(&path, form).await.context("the identity provider gave no token for the login")?;
    let token = SecretString::from(tokens.id_token);
    check_nonce(&token, &nonce)?;
    Ok(token)
}

async fn described(issuer: &str) -> Result<Description> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let (client, path) = at(&url)?;
    let known: Description = client
        .get(&path)
        .await
        .with_context(|| format!("the identity provider {issuer} does not describe itself"))?;
    ensure!(
        known.issuer == issuer,
        "the identity provider at {issuer} says that it is {}\nhelp: whoever runs the server has to correct its identity file",
        harmless(&known.issuer)
    );
    let methods = known.code_challenge_methods_supported.as_deref();
    ensure!(
        methods.is_none_or(|methods| methods.iter().any(|method| method == "S256")),
        "the identity provider {issuer} does not support PKCE, without which a login is not safe"
    );
    at(&known.authorization_endpoint)?;
    Ok(known)
}

/// A client of whoever has an address, and the rest of the address. What is sent there must not be seen on the way.
fn at(url: &str) -> Result<(Client, String)> {
    let uri: Uri = url.parse().with_context(|| format!("{} is not an address", harmless(url)))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        bail!("{} is not a whole address", harmless(url));
    };
    let server = Server::parse(&format!("{scheme}://{authority}"))?;
    ensure!(
        server.is_encrypted() || server.is_loopback(),
        "the identity provider is at {}, where others could read along\nhelp: it has to be at https://",
        harmless(url)
    );
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let context = Context { server, token: None, org: None, ca: None };
    Ok((Client::new(&context)?, path))
}

/// 256 random bits.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("this machine has no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn query(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", escape(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn query_of_code(code: &SecretString, redirect: &str, client_id: &str, verifier: &str) -> String {
    query(&[
        ("grant_type", "authorization_code"),
        ("code", code.expose_secret()),
        ("redirect_uri", redirect),
        ("client_id", client_id),
        ("code_verifier", verifier),
    ])
}

/// Was the token made for this login? Nothing else of it is believed here.
fn check_nonce(token: &SecretString, nonce: &str) -> Result<()> {
    let payload =
        token.expose_secret().split('.').nth(1).context("what the identity provider gave is no ID token")?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).context("the ID token cannot be read")?;
    let claims: Claims = serde_json::from_slice(&bytes).context("the ID token cannot be read")?;
    ensure!(
        claims.nonce.as_deref() == Some(nonce),
        "the ID token was made for another login\nhelp: log in again; if that does not help, tell whoever runs the identity provider"
    );
    Ok(())
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
