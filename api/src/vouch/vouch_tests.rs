//! Which tokens of others are believed: every way that is known in which one that is not theirs was taken for theirs.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

use super::keys::KeyError;
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A key of an issuer, and its public half as it is published.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    name: String,
}

impl Signer {
    fn rsa(name: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The key itself (PKCS #1) stands behind 26 bytes that say what it is.
        let key = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
        Self { key, algorithm: Algorithm::RS256, name: name.to_owned() }
    }

    fn ec(name: &str) -> Self {
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = aws_lc_rs::rand::SystemRandom::new();
        let der = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EncodingKey::from_ec_der(der.as_ref());
        Self { key, algorithm: Algorithm::ES256, name: name.to_owned() }
    }

    fn published(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.name.clone());
        // What is published is the public half.
        let mut told = serde_json::to_value(&jwk).unwrap();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            told.as_object_mut().unwrap().remove(private);
        }
        serde_json::from_value(told).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.name.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn in_seconds(seconds: i64) -> i64 {
    Timestamp::now().as_second() + seconds
}

fn claims() -> Value {
    json!({"iss": "https://panel.test", "aud": "skep", "sub": "user-7", "exp": in_seconds(600),
        "email": "Alice@Example.com", "email_verified": true, "name": "Alice"})
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn without(field: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(field);
    claims
}

fn config(algorithm: SigningAlgorithm) -> IssuerConfig {
    let keys = serde_json::to_value("keys.json").unwrap();
    let config =
        json!({"issuer": "https://panel.test", "audience": "skep", "algorithm": "RS256", "keys": keys});
    IssuerConfig { algorithm, ..serde_json::from_value(config).unwrap() }
}

fn issuers(config: IssuerConfig) -> Issuers {
    Issuers::new(IdentityConfig { issuers: vec![config] }, |_| Ok(SecretString::from(SECRET))).unwrap()
}

fn with_secret() -> IssuerConfig {
    IssuerConfig { secret_file: Some("secret".into()), keys: None, ..config(SigningAlgorithm::HS256) }
}

fn hmac(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

async fn verify(issuers: &Issuers, token: &str) -> Result<Vouched, Refusal> {
    issuers.verify(&SecretString::from(token)).await
}

/// The keys of an issuer in a file.
struct Published {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Published {
    fn of(signers: &[&Signer]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let published = Self { path: dir.path().join("keys.json"), _dir: dir };
        published.put(signers);
        published
    }

    fn put(&self, signers: &[&Signer]) {
        let keys = JwkSet { keys: signers.iter().map(|signer| signer.published()).collect() };
        std::fs::write(&self.path, serde_json::to_vec(&keys).unwrap()).unwrap();
    }

    fn issuers(&self, algorithm: SigningAlgorithm) -> Issuers {
        issuers(IssuerConfig { keys: Some(KeysAt::File(self.path.clone())), ..config(algorithm) })
    }
}

/// A token with this header and these claims, signed by nobody or with these bytes.
fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (header.to_string(), claims.to_string());
    format!("{}.{}.{}", part(header.as_bytes()), part(claims.as_bytes()), part(signature))
}

#[tokio::test]
async fn a_token_of_each_algorithm_tells_who_somebody_is_and_gives_no_role() {
    let expected = Vouched {
        issuer: "https://panel.test".to_owned(),
        subject: "user-7".to_owned(),
        email: "alice@example.com".parse().unwrap(),
        display_name: Some("Alice".to_owned()),
        grants: Vec::new(),
        nonce: None,
    };
    let claims = with("skep_roles", json!({"acme": "owner"}));
    assert_eq!(verify(&issuers(with_secret()), &hmac(&claims)).await.unwrap(), expected);
    let (rsa, ec) = (Signer::rsa("one"), Signer::ec("one"));
    for (signer, algorithm) in [(&rsa, SigningAlgorithm::RS256), (&ec, SigningAlgorithm::ES256)] {
        let published = Published::of(&[signer]);
        assert_eq!(verify(&published.issuers(algorithm), &signer.sign(&claims)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused_however_its_header_spells_that() {
    let signer = Signer::rsa("one");
    let published = Published::of(&[&signer]);
    for issuers in [issuers(with_secret()), published.issuers(SigningAlgorithm::RS256)] {
        for none in ["none", "None", "NONE", "nOnE", "", "HS0"] {
            for signature in [&b""[..], b"x"] {
                let token = forged(&json!({"alg": none, "typ": "JWT"}), &claims(), signature);
                assert!(matches!(verify(&issuers, &token).await, Err(Refusal::Header(_))), "{none}");
            }
        }
        for header in [json!({"typ": "JWT"}), json!({"alg": null}), json!({"alg": ["RS256"]}), json!("RS256")]
        {
            assert!(verify(&issuers, &forged(&header, &claims(), b"")).await.is_err(), "{header}");
        }
        for text in ["..", "a.b.c", "e30.e30.", &format!("{}.", hmac(&claims())), &hmac(&claims())[..40]] {
            assert!(verify(&issuers, text).await.is_err(), "{text}");
        }
    }
}

#[tokio::test]
async fn a_public_key_is_not_taken_for_a_secret_nor_one_algorithm_for_another() {
    let (rsa, ec) = (Signer::rsa("one"), Signer::ec("one"));
    let published = Published::of(&[&rsa, &ec]);
    let issuers = published.issuers(SigningAlgorithm::RS256);
    let public = serde_json::to_value(rsa.published()).unwrap();
    let n = BASE64_URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap();
    let file = std::fs::read(&published.path).unwrap();
    for secret in
        [n.as_slice(), public["n"].as_str().unwrap().as_bytes(), public.to_string().as_bytes(), &file]
    {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert!(matches!(verify(&issuers, &token).await, Err(Refusal::Algorithm)));
    }
    assert!(matches!(verify(&issuers, &ec.sign(&claims())).await, Err(Refusal::Algorithm)));
    let ps = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::PS256) };
    let token = encode(&ps, &claims(), &rsa.key).unwrap();
    assert!(matches!(verify(&issuers, &token).await, Err(Refusal::Algorithm)));
    // A secret that somebody put among the published keys is everybody's.
    let secret = json!({"keys": [{"kty": "oct", "kid": "one", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET)}]});
    std::fs::write(&published.path, secret.to_string()).unwrap();
    let issuers = published.issuers(SigningAlgorithm::RS256);
    assert!(matches!(verify(&issuers, &rsa.sign(&claims())).await, Err(Refusal::Key(KeyError::Unknown))));
}

#[tokio::test]
async fn a_token_brings_neither_its_own_key_nor_its_own_rules() {
    let (signer, mallory) = (Signer::rsa("one"), Signer::rsa("one"));
    let published = Published::of(&[&signer]);
    let issuers = published.issuers(SigningAlgorithm::RS256);
    assert!(matches!(verify(&issuers, &mallory.sign(&claims())).await, Err(Refusal::Token(_))));
    let own = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::RS256) };
    for header in [
        Header { jwk: Some(mallory.published()), ..own.clone() },
        Header { jku: Some("https://evil.test/keys".to_owned()), ..own.clone() },
        Header { x5u: Some("https://evil.test/chain".to_owned()), ..own.clone() },
        Header { x5c: Some(vec!["MII".to_owned()]), ..own.clone() },
        Header { crit: Some(vec!["exp".to_owned()]), ..own.clone() },
    ] {
        for key in [&signer.key, &mallory.key] {
            let token = encode(&header, &claims(), key).unwrap();
            assert!(matches!(verify(&issuers, &token).await, Err(Refusal::HeaderField)), "{header:?}");
        }
    }
}

#[tokio::test]
async fn the_name_of_a_key_is_compared_and_nothing_else() {
    let signer = Signer::rsa("one");
    let published = Published::of(&[&signer, &Signer::rsa("two")]);
    let issuers = published.issuers(SigningAlgorithm::RS256);
    let path = published.path.display().to_string();
    for kid in [
        "two",
        "three",
        "",
        "../../../../dev/null",
        &path,
        "' OR '1'='1",
        "one\0",
        "One",
        "http://evil.test/",
    ] {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
        let token = encode(&header, &claims(), &signer.key).unwrap();
        assert!(verify(&issuers, &token).await.is_err(), "{kid}");
    }
    let long = Header { kid: Some("x".repeat(256)), ..Header::new(Algorithm::RS256) };
    let token = encode(&long, &claims(), &signer.key).unwrap();
    assert!(matches!(verify(&issuers, &token).await, Err(Refusal::HeaderField)));
    let nameless = encode(&Header::new(Algorithm::RS256), &claims(), &signer.key).unwrap();
    assert!(
        matches!(verify(&issuers, &nameless).await, Err(Refusal::Key(KeyError::Unknown))),
        "which of the two?"
    );
}

#[tokio::test]
async fn a_token_is_of_its_issuer_for_us_of_somebody_and_for_a_short_time() {
    let issuers = issuers(with_secret());
    let wrong = [
        ("another issuer", with("iss", json!("https://evil.test"))),
        ("nearly the issuer", with("iss", json!("https://panel.test/"))),
        ("several issuers", with("iss", json!(["https://panel.test", "https://evil.test"]))),
        ("no issuer", without("iss")),
        ("another audience", with("aud", json!("other"))),
        ("other audiences", with("aud", json!(["other", "skep2"]))),
        ("an empty audience", with("aud", json!([]))),
        ("no audience", without("aud")),
        ("an audience that is none", with("aud", json!({"skep": true}))),
        ("no end", without("exp")),
        ("an end that is none", with("exp", json!("tomorrow"))),
        ("an end as text", with("exp", json!(in_seconds(600).to_string()))),
        ("no end at all", with("exp", json!(null))),
        ("an end long ago", with("exp", json!(0))),
        ("an end before all time", with("exp", json!(-1))),
        ("an end a minute ago", with("exp", json!(in_seconds(-60)))),
        ("an end in a year", with("exp", json!(in_seconds(365 * 86_400)))),
        ("an end after all time", with("exp", json!(u64::MAX))),
        ("a beginning tomorrow", with("nbf", json!(in_seconds(86_400)))),
        ("a beginning that is none", with("nbf", json!("yesterday"))),
        ("nobody", without("sub")),
        ("nobody in particular", with("sub", json!(""))),
        ("a number", with("sub", json!(7))),
        ("somebody endless", with("sub", json!("x".repeat(256)))),
        ("no address", without("email")),
        ("an address that is none", with("email", json!("alice"))),
        ("several addresses", with("email", json!(["alice@example.com", "bob@example.com"]))),
        ("an address that is not verified", with("email_verified", json!(false))),
        ("an address that is verified in words", with("email_verified", json!("true"))),
        ("an address of which that is not said", without("email_verified")),
    ];
    for (what, claims) in wrong {
        assert!(verify(&issuers, &hmac(&claims)).await.is_err(), "{what}");
    }
    let twice = claims().to_string().replacen("\"sub\"", "\"sub\":\"root\",\"sub\"", 1);
    let header = BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": "HS256"}).to_string());
    let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(twice));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    assert!(verify(&issuers, &format!("{message}.{signature}")).await.is_err(), "two subjects");
    let other = EncodingKey::from_secret(b"another secret that is long enough, really");
    let token = encode(&Header::new(Algorithm::HS256), &claims(), &other).unwrap();
    assert!(matches!(verify(&issuers, &token).await, Err(Refusal::Token(_))));
    for fine in [with("aud", json!(["other", "skep"])), with("exp", json!(in_seconds(-10))), without("name")]
    {
        assert!(verify(&issuers, &hmac(&fine)).await.is_ok(), "{fine}");
    }
}

#[tokio::test]
async fn claims_give_roles_in_organisations_where_the_file_says_which_claim_does() {
    let issuers = issuers(IssuerConfig { roles_claim: Some("skep_roles".to_owned()), ..with_secret() });
    let told = verify(&issuers, &hmac(&with("skep_roles", json!({"acme": "deployer"})))).await.unwrap();
    assert_eq!(told.grants, [Grant { reach: Scope::Org("acme".parse().unwrap()), role: Role::Deployer }]);
    assert_eq!(verify(&issuers, &hmac(&claims())).await.unwrap().grants, []);
    for wrong in
        [json!({"": "owner"}), json!({"acme": "root"}), json!({"acme": 1}), json!("owner"), json!(["acme"])]
    {
        let refused = verify(&issuers, &hmac(&with("skep_roles", wrong.clone()))).await;
        assert!(matches!(refused, Err(Refusal::Claim("roles"))), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_change_while_tokens_come_and_one_that_was_taken_back_is_refused_soon() {
    let (former, next) = (Signer::rsa("one"), Signer::rsa("two"));
    let published = Published::of(&[&former]);
    let issuers = published.issuers(SigningAlgorithm::RS256);
    let (by_former, by_next) = (former.sign(&claims()), next.sign(&claims()));
    assert!(verify(&issuers, &by_former).await.is_ok());
    published.put(&[&former, &next]);
    assert!(verify(&issuers, &by_next).await.is_err(), "read a moment ago: a stranger's token costs no read");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(verify(&issuers, &by_next).await.is_ok(), "a new key is found by its name");
    published.put(&[&next]);
    tokio::time::advance(Duration::from_secs(601)).await;
    assert!(verify(&issuers, &by_former).await.is_err(), "taken back");
    assert!(verify(&issuers, &by_next).await.is_ok());
    std::fs::remove_file(&published.path).unwrap();
    tokio::time::advance(Duration::from_secs(1800)).await;
    assert!(verify(&issuers, &by_next).await.is_ok(), "keys that cannot be read are kept for a while");
    tokio::time::advance(Duration::from_secs(1800)).await;
    let refused = verify(&issuers, &by_next).await.unwrap_err();
    assert!(refused.is_transient(), "and then nobody is believed: {refused}");
}

#[tokio::test]
async fn keys_at_an_address_are_read_there_and_nowhere_else() {
    let (signer, mallory) = (Signer::ec("one"), Signer::ec("one"));
    let keys = |signer: &Signer| serde_json::to_string(&JwkSet { keys: vec![signer.published()] }).unwrap();
    let (ours, theirs) = (keys(&signer), keys(&mallory));
    let routes = axum::Router::new()
        .route("/keys", axum::routing::get(async move || ours))
        .route("/evil", axum::routing::get(async move || theirs))
        .route("/moved", axum::routing::get(async || axum::response::Redirect::temporary("/evil")))
        .route("/endless", axum::routing::get(async || " ".repeat(1024 * 1024)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let at = |path: &str| {
        let url: http::Uri = format!("http://{address}{path}").parse().unwrap();
        issuers(IssuerConfig { keys: Some(KeysAt::Url(url)), ..config(SigningAlgorithm::ES256) })
    };
    assert!(verify(&at("/keys"), &signer.sign(&claims())).await.is_ok());
    assert!(verify(&at("/keys"), &mallory.sign(&claims())).await.is_err());
    for path in ["/moved", "/endless", "/nothing"] {
        let refused = verify(&at(path), &mallory.sign(&claims())).await.unwrap_err();
        assert!(refused.is_transient(), "{path}: {refused}");
    }
}

#[test]
fn an_issuer_that_describes_itself_is_at_an_address_that_nobody_can_change_on_the_way() {
    let at = |issuer: &str, web: Option<WebConfig>, keys: Option<KeysAt>| {
        let issuer = issuer.to_owned();
        let config = IssuerConfig { issuer, web, keys, ..config(SigningAlgorithm::ES256) };
        let two = IdentityConfig { issuers: vec![config] };
        Issuers::new(two, |_| Ok(SecretString::from("a secret\n"))).map_err(|error| error.to_string())
    };
    let file = || Some(KeysAt::File("keys.json".into()));
    assert!(at("https://id.example.com", None, None).is_ok());
    assert!(at("http://127.0.0.1:8080", Some(WebConfig::default()), None).is_ok());
    assert!(at("panel", None, file()).is_ok(), "nothing is read of it");
    for (issuer, web) in
        [("http://id.example.com", None), ("panel", None), ("panel", Some(WebConfig::default()))]
    {
        let keys = web.as_ref().and_then(|_| file());
        let refused = at(issuer, web, keys).unwrap_err();
        assert!(refused.contains("https://"), "{issuer}: {refused}");
    }
}

#[test]
fn people_are_sent_to_one_provider() {
    let web = || IssuerConfig { web: Some(WebConfig::default()), ..config(SigningAlgorithm::ES256) };
    let of = |issuer: &str| IssuerConfig { issuer: issuer.to_owned(), ..web() };
    let two = IdentityConfig { issuers: vec![of("https://a.test"), of("https://b.test")] };
    let refused = Issuers::new(two, |_| Err("none".to_owned())).unwrap_err();
    assert_eq!(refused.to_string(), "`web` is said of two issuers, and people can be sent to one");
}
