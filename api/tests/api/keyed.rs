//! `Idempotency-Key`: a request that is sent again is not done again.

use std::collections::BTreeSet;

use anyhow::Result;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use skep_schemas::Role;
use skep_store::ABANDONED_AFTER;

use crate::support::{Answer, Server, manifest};

const APP: &str = "/v1/orgs/acme/apps/shop";

fn app(description: &str) -> String {
    manifest("App", "shop", &format!("{{description: {description}, source: {{image: shop:1}}}}"))
}

impl Server {
    async fn keyed(&self, method: &str, path: &str, key: &str, media: &str, body: &str) -> Result<Answer> {
        let request = self.request(method, path).header("Idempotency-Key", key).header(CONTENT_TYPE, media);
        self.send(request.body(Body::from(body.to_owned()))?).await
    }

    async fn put_keyed(&self, key: &str, description: &str) -> Result<Answer> {
        self.keyed("PUT", APP, key, "application/yaml", &app(description)).await
    }

    async fn description(&self) -> Result<String> {
        Ok(self.get(APP).await?.json()["spec"]["description"].as_str().unwrap_or_default().to_owned())
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|said| said == "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_sent_again_has_the_same_answer_and_undoes_nothing_that_came_in_between() -> Result<()>
{
    let server = Server::with_org("acme").await?;
    let first = server.put_keyed("one", "first").await?;
    assert!(first.status == 201 && !is_replayed(&first), "{first:?}");
    assert_eq!(server.put(APP, &app("second")).await?.status, 200);
    let again = server.put_keyed("one", "first").await?;
    assert!(is_replayed(&again), "{again:?}");
    assert_eq!((again.status, again.etag(), &again.body), (201, first.etag(), &first.body));
    assert_eq!(again.headers[CONTENT_TYPE], first.headers[CONTENT_TYPE]);
    assert_eq!(server.description().await?, "second");
    let gone = server.keyed("DELETE", APP, "two", "application/json", "").await?;
    assert!(gone.status < 300, "{gone:?}");
    let again = server.keyed("DELETE", APP, "two", "application/json", "").await?;
    assert!(again.status == gone.status && is_replayed(&again), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_request_of_one_asker() -> Result<()> {
    let server = Server::with_org("acme").await?;
    assert_eq!(server.put_keyed("one", "first").await?.status, 201);
    let other = server.put_keyed("one", "another").await?;
    assert_eq!((other.status, other.code().as_str()), (422, "SK0608"), "{other:?}");
    assert_eq!(server.description().await?, "first");
    let elsewhere =
        server.keyed("PUT", &format!("{APP}?dryRun=true"), "one", "application/yaml", &app("first")).await?;
    assert_eq!(elsewhere.code(), "SK0608", "{elsewhere:?}");
    // Somebody else's key of the same letters is another key.
    let token = server.token_of(Some("acme"), "ci", Role::Deployer).await?;
    let with = |token: &secrecy::SecretString, key: &str, description: &str| {
        use secrecy::ExposeSecret as _;
        let bearer = format!("Bearer {}", token.expose_secret());
        let request = http::Request::builder().method("PUT").uri(APP).header("authorization", bearer);
        let request = request.header("Idempotency-Key", key).header(CONTENT_TYPE, "application/yaml");
        request.body(Body::from(app(description)))
    };
    let theirs = server.send(with(&token, "one", "theirs")?).await?;
    assert!(theirs.status == 200 && !is_replayed(&theirs), "{theirs:?}");
    // And whoever may not write is told so, whatever was answered before.
    let reader = server.token_of(Some("acme"), "reader", Role::Viewer).await?;
    assert_eq!(server.send(with(&reader, "one", "theirs")?).await?.status, 403);
    let wrong = server.put_keyed("no key", "first").await?;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "SK0602"), "{wrong:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_refused_request_is_free_again() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let (path, body) = ("/v1/orgs/globex/apps/shop", app("sells things"));
    let sent = || server.keyed("PUT", path, "one", "application/yaml", &body);
    let refused = sent().await?;
    assert_eq!(refused.code(), "SK0202", "{refused:?}");
    assert_eq!(
        server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?.status,
        201
    );
    let done = sent().await?;
    assert!(done.status == 201 && !is_replayed(&done), "{done:?}");
    assert!(is_replayed(&sent().await?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_once_is_not_told_again_and_is_nowhere_kept() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let body = r#"{"name": "ci", "role": "deployer"}"#;
    let sent = || server.keyed("POST", "/v1/orgs/acme/tokens", "one", "application/json", body);
    let made = sent().await?;
    let token = made.json()["token"].as_str().unwrap_or_default().to_owned();
    assert!(made.status == 200 && !token.is_empty(), "{made:?}");
    let again = sent().await?;
    assert_eq!((again.status, again.code().as_str()), (409, "SK0610"), "{again:?}");
    assert!(!server.postgres.dump(&server.database)?.contains(&token));
    // The digest of a body that holds a value is worth nothing without the master key.
    let secret = manifest("Secret", "db", "{value: canary-in-a-keyed-request}");
    let path = "/v1/orgs/acme/secrets/db";
    assert_eq!(server.keyed("PUT", path, "two", "application/yaml", &secret).await?.status, 201);
    assert!(is_replayed(&server.keyed("PUT", path, "two", "application/yaml", &secret).await?));
    assert!(!server.postgres.dump(&server.database)?.contains("canary-in-a-keyed-request"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_with_one_key_one_is_done() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let body = r#"{"name": "ci", "role": "deployer"}"#;
    let sent = (0..24).map(|_| server.keyed("POST", "/v1/orgs/acme/tokens", "one", "application/json", body));
    let answers = futures::future::try_join_all(sent).await?;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{answers:?}");
    let others: BTreeSet<String> =
        answers.iter().filter(|answer| answer.status != 200).map(Answer::code).collect();
    assert!(others.iter().all(|code| ["SK0609", "SK0610"].contains(&code.as_str())), "{others:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_server_is_gone_is_free_after_a_while_and_only_for_the_same_request() -> Result<()> {
    let server = Server::with_org("acme").await?;
    assert_eq!(server.put_keyed("one", "first").await?.status, 201);
    // As a server leaves it that dies in the middle.
    let sql = |sql: &str| server.postgres.psql(&server.database, sql);
    sql("UPDATE keyed_request SET status = NULL, body = NULL")?;
    assert_eq!(server.put_keyed("one", "first").await?.code(), "SK0609");
    let ago = ABANDONED_AFTER.as_secs() + 1;
    sql(&format!("UPDATE keyed_request SET begun_at = now() - interval '{ago} s'"))?;
    assert_eq!(server.put_keyed("one", "another").await?.code(), "SK0608");
    let anew = server.put_keyed("one", "first").await?;
    assert!(anew.status == 200 && !is_replayed(&anew), "{anew:?}");
    // After a day it stands for nothing.
    sql("UPDATE keyed_request SET begun_at = now() - interval '25 hours'")?;
    assert_eq!(server.put_keyed("one", "another").await?.status, 200);
    Ok(())
}
