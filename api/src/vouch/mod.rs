//! Who vouches for people: tokens (JWT) that others sign, and what is believed of them.
//!
//! ```text
//! token ─> whose is it? ─> the issuer's own algorithm and keys ─> signature ─> claims ─> Vouched: a subject, an address
//!          (of those that      (config, keys)
//!           are configured)
//! ```
//!
//! Reading and checking signatures is jsonwebtoken's. What is decided here is what it is told: nothing of what makes a token valid
//! comes from the token. It says by which issuer it claims to be, which only chooses whose rules it is held to, and the name of a key,
//! which is only compared.

mod config;
mod fetch;
mod keys;
mod provider;
mod refusal;
mod remembered;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use skep_schemas::{EmailAddress, OrgName, Role, Scope};
use skep_store::Grant;

use crate::limits::{DISPLAY_NAME_MAX, VOUCHED_LIFE_MAX};
use crate::wire::{LoginProvider, WebLogin, WebLoginCode};
pub use config::{IdentityConfig, IdentityError, IssuerConfig, KeysAt, SigningAlgorithm, WebConfig};
use fetch::Fetch;
use keys::{Keys, Source};
use provider::{Code, Provider, WebClient};
pub(crate) use refusal::Refusal;

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;
/// The longest name of a key, of a subject.
const NAME_MAX: usize = 255;
/// The most organisations that one token may give roles in.
const GRANTS_MAX: usize = 100;
/// The shortest secret: as long as what it makes (RFC 7518 §3.2).
const SECRET_MIN: usize = 32;

/// Those who vouch for people.
pub struct Issuers(Vec<Issuer>);

struct Issuer {
    config: IssuerConfig,
    proof: Proof,
    /// What it says of itself, if that is asked for.
    provider: Option<Arc<Provider>>,
    /// By what it knows the pages, if people log in there.
    web: Option<WebClient>,
}

/// What the issuer's signatures are checked with.
enum Proof {
    Secret(DecodingKey),
    Keys(Box<Keys>),
}

/// What somebody vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// Who vouches.
    pub(crate) issuer: String,
    /// Whom the issuer knows by this, for ever.
    pub(crate) subject: String,
    /// The address, verified.
    pub(crate) email: EmailAddress,
    /// How the person is called.
    pub(crate) display_name: Option<String>,
    /// Roles, if the issuer may give them.
    pub(crate) grants: Vec<Grant>,
    /// For which login the token was made, if it says so.
    nonce: Option<String>,
}

/// What a token has to say. Fields that are named here must not come twice.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: Number,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Whose it says that it is.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|issuer| &issuer.config)).finish()
    }
}

impl Issuers {
    /// Nobody: people come by invitations and sessions that are made here.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of the file. `read_secret` reads the text of a file that its owner alone may read.
    pub fn new(
        config: IdentityConfig,
        read_secret: impl Fn(&Path) -> Result<SecretString, String>,
    ) -> Result<Self, IdentityError> {
        config.check()?;
        let build = |config: IssuerConfig| {
            let named = config.issuer.clone();
            Issuer::new(config, &read_secret)
                .map_err(|problem| IdentityError::Issuer { issuer: named, problem })
        };
        config.issuers.into_iter().map(build).collect::<Result<_, _>>().map(Self)
    }

    /// Where people log in with the command.
    pub(crate) fn login(&self) -> Option<LoginProvider> {
        let issuer = &self.0.iter().find(|issuer| issuer.config.login)?.config;
        Some(LoginProvider { issuer: issuer.issuer.clone(), client_id: issuer.audience.clone() })
    }

    /// Where people log in on the pages.
    pub(crate) async fn web_login(&self) -> Result<Option<WebLogin>, Refusal> {
        let Some((issuer, provider, client)) = self.web() else { return Ok(None) };
        let described = provider.description().await.map_err(Refusal::Provider)?;
        Ok(Some(WebLogin {
            issuer: issuer.config.issuer.clone(),
            client_id: client.id.clone(),
            authorization_endpoint: described.authorization_endpoint.to_string(),
        }))
    }

    /// What a login on the pages vouches for: only for whoever began it (PKCE), and only for that login (nonce).
    pub(crate) async fn redeem(&self, login: &WebLoginCode) -> Result<Vouched, Refusal> {
        let (issuer, provider, client) = self.web().ok_or(Refusal::UnknownIssuer)?;
        let code =
            Code { code: &login.code, verifier: &login.code_verifier, redirect_uri: &login.redirect_uri };
        let token = provider.redeem(client, &code).await.map_err(Refusal::Provider)?;
        let vouched = issuer.verify(token.expose_secret()).await?;
        if vouched.nonce.as_ref() != Some(&login.nonce) {
            return Err(Refusal::Claim("nonce"));
        }
        Ok(vouched)
    }

    fn web(&self) -> Option<(&Issuer, &Provider, &WebClient)> {
        self.0.iter().find_map(|issuer| Some((issuer, issuer.provider.as_deref()?, issuer.web.as_ref()?)))
    }

    /// Could this be a token of somebody else? Ours have no dots.
    pub(crate) fn is_one(token: &SecretString) -> bool {
        token.expose_secret().split('.').count() == 3
    }

    /// What a token vouches for.
    pub(crate) async fn verify(&self, token: &SecretString) -> Result<Vouched, Refusal> {
        let text = token.expose_secret();
        let claimed: Claimed =
            jsonwebtoken::dangerous::insecure_decode_claims(text).map_err(|_| Refusal::Malformed)?;
        let issuer = self.0.iter().find(|issuer| issuer.config.issuer == claimed.iss);
        issuer.ok_or(Refusal::UnknownIssuer)?.verify(text).await
    }
}

fn proof(
    config: &IssuerConfig,
    provider: Option<&Arc<Provider>>,
    read_secret: &impl Fn(&Path) -> Result<SecretString, String>,
) -> Result<Proof, String> {
    if let Some(path) = &config.secret_file {
        let secret = read_secret(path)?;
        let secret = line(&secret);
        if secret.len() < SECRET_MIN {
            return Err(format!(
                "the secret in {} is shorter than {SECRET_MIN} bytes and could be guessed; make one with `openssl rand -hex 32`",
                path.display()
            ));
        }
        return Ok(Proof::Secret(DecodingKey::from_secret(secret.as_bytes())));
    }
    let source = match (config.keys.clone(), provider) {
        (Some(KeysAt::File(path)), _) => Source::File(path),
        (Some(KeysAt::Url(url)), _) => Source::Url(url, Box::new(fetch()?)),
        (None, Some(provider)) => Source::Provider(provider.clone()),
        (None, None) => return Err("neither a secret nor keys are named".to_owned()),
    };
    Ok(Proof::Keys(Box::new(Keys::new(source, config.algorithm))))
}

/// The secret of a file without the end of its line.
fn line(secret: &SecretString) -> &str {
    secret.expose_secret().trim_end_matches(['\r', '\n'])
}

fn fetch() -> Result<Fetch, String> {
    Fetch::new().map_err(|error| error.to_string())
}

impl Issuer {
    fn new(
        config: IssuerConfig,
        read_secret: &impl Fn(&Path) -> Result<SecretString, String>,
    ) -> Result<Self, String> {
        let provider = match config.is_described() {
            true => Some(Arc::new(Provider::new(config.issuer.clone(), fetch()?))),
            false => None,
        };
        let proof = proof(&config, provider.as_ref(), read_secret)?;
        let web = config.web.as_ref().map(|web| {
            let id = web.client_id.clone().unwrap_or_else(|| config.audience.clone());
            let secret = web.secret_file.as_deref().map(read_secret).transpose()?;
            Ok::<_, String>(WebClient { id, secret: secret.map(|secret| line(&secret).into()) })
        });
        let web = web.transpose()?;
        Ok(Self { config, proof, provider, web })
    }

    async fn verify(&self, text: &str) -> Result<Vouched, Refusal> {
        let header = jsonwebtoken::decode_header(text).map_err(Refusal::Header)?;
        self.check_header(&header)?;
        let key = match &self.proof {
            Proof::Secret(key) => key.clone(),
            Proof::Keys(keys) => keys.find(header.kid.as_deref()).await.map_err(Refusal::Key)?,
        };
        let claims =
            jsonwebtoken::decode::<Claims>(text, &key, &self.rules()).map_err(Refusal::Token)?.claims;
        self.believe(claims)
    }

    const fn algorithm(&self) -> Algorithm {
        match self.config.algorithm {
            SigningAlgorithm::HS256 => Algorithm::HS256,
            SigningAlgorithm::RS256 => Algorithm::RS256,
            SigningAlgorithm::ES256 => Algorithm::ES256,
        }
    }

    fn rules(&self) -> Validation {
        let mut rules = Validation::new(self.algorithm());
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_audience(&self.config.audiences());
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules
    }

    /// A header names the algorithm and at most a key. Whatever else would change what is checked, or with what, is refused rather
    /// than left aside.
    fn check_header(&self, header: &Header) -> Result<(), Refusal> {
        if header.alg != self.algorithm() {
            return Err(Refusal::Algorithm);
        }
        let brings_key =
            header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
        let changes_rules = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
        let is_long = header.kid.as_ref().is_some_and(|kid| kid.len() > NAME_MAX);
        if brings_key || changes_rules || is_long {
            return Err(Refusal::HeaderField);
        }
        Ok(())
    }

    /// What is believed of claims whose signature is right.
    fn believe(&self, claims: Claims) -> Result<Vouched, Refusal> {
        let Claims { iss, sub, exp, others } = claims;
        let latest =
            Timestamp::now().as_second().saturating_add_unsigned(VOUCHED_LIFE_MAX.as_secs() + LEEWAY);
        // It cannot be taken back before its end.
        if exp.as_i64().is_none_or(|exp| exp > latest) {
            return Err(Refusal::TooLong);
        }
        if iss != self.config.issuer || sub.is_empty() || sub.len() > NAME_MAX {
            return Err(Refusal::Claim("sub"));
        }
        // An ID token is for the client that asked for it, whoever else may read it.
        let audiences = self.config.audiences();
        let is_ours = |azp: &Value| azp.as_str().is_some_and(|azp| audiences.contains(&azp));
        if (self.config.login || self.web.is_some()) && others.get("azp").is_some_and(|azp| !is_ours(azp)) {
            return Err(Refusal::Claim("azp"));
        }
        let email = others.get(&self.config.email_claim).and_then(Value::as_str).ok_or(Refusal::NoAddress)?;
        let email: EmailAddress = email.parse().map_err(|_| Refusal::NoAddress)?;
        if !self.config.addresses_are_verified && others.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(Refusal::NotVerified);
        }
        let display_name = others.get(&self.config.name_claim).and_then(Value::as_str).and_then(shown_name);
        let grants = match &self.config.roles_claim {
            Some(claim) => roles(others.get(claim)).ok_or(Refusal::Claim("roles"))?,
            None => Vec::new(),
        };
        let nonce = others.get("nonce").and_then(Value::as_str).map(str::to_owned);
        Ok(Vouched { issuer: iss, subject: sub, email, display_name, grants, nonce })
    }
}

/// A name as it may be shown; a name is no reason to refuse anybody.
fn shown_name(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(DISPLAY_NAME_MAX).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// The roles of a claim that may give some: in organisations, never on the platform. None for a claim that is not as it has to be.
fn roles(claim: Option<&Value>) -> Option<Vec<Grant>> {
    let Some(claim) = claim else { return Some(Vec::new()) };
    let claim = claim.as_object().filter(|claim| claim.len() <= GRANTS_MAX)?;
    let grant = |(org, role): (&String, &Value)| {
        let org: OrgName = org.parse().ok()?;
        let role: Role = role.as_str()?.parse().ok()?;
        Some(Grant { reach: Scope::Org(org), role })
    };
    claim.iter().map(grant).collect()
}

#[cfg(test)]
#[path = "vouch_tests.rs"]
mod tests;
