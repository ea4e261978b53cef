//! An OpenID provider as it describes itself (OpenID Connect Discovery 1.0), and what it gives for the code of a login.
//!
//! Where keys are, where people log in and where codes are redeemed is the provider's to say, in one document at one address, which
//! whoever runs the server wrote down. It has to name the provider to the letter, and nothing that it names may be where others could
//! read along.

use std::future::Future;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use form_urlencoded::Serializer;
use http::{HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::config::is_safe;
use super::fetch::{Fetch, FetchError};
use super::remembered::Remembered;

/// A provider.
pub(super) struct Provider {
    issuer: String,
    fetch: Fetch,
    description: Remembered<Description>,
}

/// What it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// Where people log in.
    pub(super) authorization_endpoint: Uri,
    /// Where codes are redeemed.
    token_endpoint: Uri,
    /// Where its keys are.
    jwks_uri: Uri,
    /// Does a client say its secret in the body? Otherwise in the header, which every provider has to understand.
    secret_in_body: bool,
}

#[derive(Deserialize)]
struct Told {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// By what the provider knows the pages.
pub(super) struct WebClient {
    pub(super) id: String,
    pub(super) secret: Option<SecretString>,
}

/// The code of a login, and what proves that it is redeemed by whoever began it.
pub(super) struct Code<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a str,
    pub(super) redirect_uri: &'a str,
}

/// It has no `Debug`: who has the token is its person.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    pub(super) fn new(issuer: String, fetch: Fetch) -> Self {
        Self { issuer, fetch, description: Remembered::new() }
    }

    /// What it says of itself.
    pub(super) async fn description(&self) -> Result<Arc<Description>, FetchError> {
        self.description.get(|_| true, self.read()).await
    }

    /// Its keys (a JWKS).
    pub(super) async fn keys(&self) -> Result<Value, FetchError> {
        self.fetch.json(&self.description().await?.jwks_uri).await
    }

    /// The ID token of a login.
    pub(super) async fn redeem(
        &self,
        client: &WebClient,
        code: &Code<'_>,
    ) -> Result<SecretString, FetchError> {
        let description = self.description().await?;
        let (form, authorization) = asking(client, code, description.secret_in_body)?;
        let answer = self.fetch.post(&description.token_endpoint, form, authorization).await?;
        let tokens: Tokens = serde_json::from_value(answer)
            .map_err(|_| FetchError::Failed("it holds no ID token".to_owned()))?;
        Ok(SecretString::from(tokens.id_token))
    }

    fn read(&self) -> impl Future<Output = Result<Description, FetchError>> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        async move {
            let url: Uri = url.parse().map_err(|_| wrong("its issuer is no address"))?;
            if !is_safe(&url) {
                return Err(wrong("its issuer is not at https://"));
            }
            let told = serde_json::from_value(self.fetch.json(&url).await?);
            self.believe(told.map_err(|error| FetchError::Failed(error.to_string()))?)
        }
    }

    fn believe(&self, told: Told) -> Result<Description, FetchError> {
        if told.issuer != self.issuer {
            return Err(wrong("the description is another issuer's"));
        }
        let lacks = |methods: &Option<Vec<String>>, method: &str| {
            methods.as_ref().is_some_and(|methods| methods.iter().all(|one| one != method))
        };
        if lacks(&told.code_challenge_methods_supported, "S256") {
            return Err(wrong("it does not support PKCE, without which a login is not safe"));
        }
        let address = |text: &str| {
            let uri: Option<Uri> = text.parse().ok();
            uri.filter(is_safe).ok_or_else(|| wrong("an address in its description is not at https://"))
        };
        let methods = told.token_endpoint_auth_methods_supported;
        Ok(Description {
            authorization_endpoint: address(&told.authorization_endpoint)?,
            token_endpoint: address(&told.token_endpoint)?,
            jwks_uri: address(&told.jwks_uri)?,
            secret_in_body: lacks(&methods, "client_secret_basic") && !lacks(&methods, "client_secret_post"),
        })
    }
}

/// The form that asks for a token, and the header that says who asks.
fn asking(
    client: &WebClient,
    code: &Code<'_>,
    secret_in_body: bool,
) -> Result<(String, Option<HeaderValue>), FetchError> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.code)
        .append_pair("redirect_uri", code.redirect_uri)
        .append_pair("code_verifier", code.verifier);
    let authorization = match &client.secret {
        Some(secret) if !secret_in_body => Some(basic(&client.id, secret)?),
        Some(secret) => {
            form.append_pair("client_id", &client.id).append_pair("client_secret", secret.expose_secret());
            None
        }
        None => {
            form.append_pair("client_id", &client.id);
            None
        }
    };
    Ok((form.finish(), authorization))
}

fn wrong(why: &str) -> FetchError {
    FetchError::Failed(why.to_owned())
}

/// Name and secret as a header has them: each escaped by itself (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &SecretString) -> Result<HeaderValue, FetchError> {
    let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", escaped(id), escaped(secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .map_err(|error| FetchError::Failed(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
