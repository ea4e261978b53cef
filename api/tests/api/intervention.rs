//! Pause, resume, retry: what they leave behind, and where there is nothing to pause.

use anyhow::Result;
use skep_api::limits::PAUSE_REASON_MAX;
use skep_api::wire::ResourceView;

use crate::support::{Answer, Server, manifest};

const LIVE: &str = "/v1/orgs/acme/environments/live";

async fn with_environment() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    let text = manifest("Environment", "live", "{app: shop, image: example.com/shop}");
    assert_eq!(server.put(LIVE, &text).await?.status, 201);
    server.control.woken.lock().unwrap().clear();
    Ok(server)
}

async fn pause(server: &Server, path: &str, body: &str) -> Result<Answer> {
    server.body("POST", &format!("{path}/pause"), "application/json", body).await
}

async fn send(server: &Server, path: &str) -> Result<Answer> {
    server.body("POST", path, "application/json", "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_kept_with_its_reason_and_end_until_it_is_resumed() -> Result<()> {
    let server = with_environment().await?;
    let before: ResourceView = server.get(LIVE).await?.read();
    let answer = pause(&server, LIVE, r#"{"reason": " moving the disk ", "for": "2h"}"#).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let paused: ResourceView = answer.read();
    assert_eq!(paused.metadata.generation, before.metadata.generation, "the spec is as it was");
    let pause = paused.metadata.pause.unwrap();
    assert_eq!((pause.reason.as_str(), pause.by.as_str()), ("moving the disk", "bootstrap"));
    let length = pause.until.unwrap().duration_since(pause.since).as_secs();
    assert!((7_190..=7_200).contains(&length), "{length}");
    let resumed: ResourceView = send(&server, &format!("{LIVE}/resume")).await?.read();
    assert_eq!(resumed.metadata.pause, None);
    let retried: ResourceView = send(&server, &format!("{LIVE}/retry")).await?.read();
    assert!(retried.metadata.retried_at.is_some());
    let woken = server.control.woken.lock().unwrap().clone();
    assert_eq!(woken, ["acme/Environment/live"; 3]);
    let verbs = server.postgres.psql(
        &server.database,
        "SELECT string_agg(verb || ' by ' || actor, ', ' ORDER BY at) FROM audit WHERE name = 'live'",
    )?;
    assert_eq!(
        verbs.trim(),
        "create by bootstrap, pause by bootstrap, resume by bootstrap, retry by bootstrap"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_paused_as_a_platform_resource() -> Result<()> {
    let server = with_environment().await?;
    let answer = pause(&server, "/v1/organizations/acme", r#"{"reason": "audit"}"#).await?;
    let paused: ResourceView = answer.read();
    assert_eq!(paused.metadata.pause.unwrap().until, None);
    for verb in ["resume", "retry"] {
        assert_eq!(send(&server, &format!("/v1/organizations/acme/{verb}")).await?.status, 200, "{verb}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_in_the_swarm_is_refused_with_what_to_name_instead() -> Result<()> {
    let server = with_environment().await?;
    for (path, instead) in [
        ("/v1/orgs/acme/domains/shop", "the environment that it leads to"),
        ("/v1/orgs/acme/driftpolicies/lax", "name the environment"),
        ("/v1/plans/small", "name the environment"),
    ] {
        for answer in [
            pause(&server, path, r#"{"reason": "why"}"#).await?,
            send(&server, &format!("{path}/resume")).await?,
            send(&server, &format!("{path}/retry")).await?,
        ] {
            assert_eq!((answer.status, answer.code().as_str()), (400, "SK0602"), "{path}");
            assert!(answer.json()["help"].as_str().unwrap().contains(instead), "{answer:?}");
        }
    }
    let answer = send(&server, "/v1/orgs/acme/apps/shop/retry").await?;
    assert!(answer.json()["help"].as_str().unwrap().contains("its environments"), "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_needs_a_reason_and_an_end_that_makes_sense() -> Result<()> {
    let server = with_environment().await?;
    let long = "x".repeat(PAUSE_REASON_MAX + 1);
    for wrong in [
        "{}".to_owned(),
        r#"{"reason": "  "}"#.to_owned(),
        r#"{"reason": "two\nlines"}"#.to_owned(),
        format!(r#"{{"reason": "{long}"}}"#),
        r#"{"reason": "why", "for": "0s"}"#.to_owned(),
        r#"{"reason": "why", "for": "91d"}"#.to_owned(),
        r#"{"reason": "why", "for": "-2h"}"#.to_owned(),
        r#"{"reason": "why", "for": "99999999999999h"}"#.to_owned(),
        r#"{"reason": "why", "for": "soon"}"#.to_owned(),
        r#"{"reason": "why", "until": "never"}"#.to_owned(),
        "not json".to_owned(),
    ] {
        assert_eq!(pause(&server, LIVE, &wrong).await?.code(), "SK0602", "{wrong}");
    }
    let fits = format!(r#"{{"reason": "{}", "for": "90d"}}"#, "é".repeat(PAUSE_REASON_MAX));
    assert_eq!(pause(&server, LIVE, &fits).await?.status, 200);
    let yaml = server.body("POST", &format!("{LIVE}/pause"), "application/yaml", "reason: why").await?;
    assert_eq!(yaml.status, 415);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found_whatever_is_asked_of_it() -> Result<()> {
    let server = with_environment().await?;
    let none = "/v1/orgs/acme/environments/none";
    assert_eq!(pause(&server, none, r#"{"reason": "why"}"#).await?.code(), "SK0601");
    for verb in ["resume", "retry"] {
        assert_eq!(send(&server, &format!("{none}/{verb}")).await?.code(), "SK0601", "{verb}");
        assert_eq!(send(&server, &format!("/v1/organizations/none/{verb}")).await?.code(), "SK0601");
    }
    assert_eq!(send(&server, &format!("{LIVE}/forget")).await?.status, 404);
    Ok(())
}
