//! How often a tenant may ask.

use std::num::NonZeroU32;

use anyhow::Result;
use http::header::RETRY_AFTER;
use skep_api::{Rate, RateLimits};
use skep_schemas::Role;

use crate::support::{Server, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_asks_too_often_is_told_when_to_come_again_and_nobody_else_is() -> Result<()> {
    let few = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(5).expect("five") };
    let server = Server::with_rates(RateLimits { token: few, ..RateLimits::USUAL }).await?;
    for org in ["acme", "globex"] {
        server.put(&format!("/v1/organizations/{org}"), &manifest("Organization", org, "{}")).await?;
    }
    let greedy = server.token_of(Some("acme"), "greedy", Role::Viewer).await?;
    let modest = server.token_of(Some("acme"), "modest", Role::Viewer).await?;
    let other = server.token_of(Some("globex"), "other", Role::Viewer).await?;
    let mut refused = None;
    // One more comes back each second, and two hundred requests do not take as long.
    for _ in 0..200 {
        let answer = server.ask(&greedy, "GET", "/v1/orgs/acme/apps", None).await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a burst has an end");
    assert_eq!((refused.status, refused.code().as_str()), (429, "SK0703"), "{refused:?}");
    let seconds: u64 = refused.headers[RETRY_AFTER].to_str()?.parse()?;
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(server.ask(&modest, "GET", "/v1/orgs/acme/apps", None).await?.status, 200);
    assert_eq!(server.ask(&other, "GET", "/v1/orgs/globex/apps", None).await?.status, 200);
    assert_eq!(server.get("/v1/organizations").await?.status, 200);
    Ok(())
}
