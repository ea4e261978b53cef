//! Watching: nothing missed, nothing out of order, resumed where it broke off.

use anyhow::Result;
use skep_api::wire::ResourceList;
use skep_schemas::{Role, Scope};
use skep_store::Actor;

use crate::support::{Events, Server, labelled, manifest};

const WATCH: &str = "/v1/orgs/acme/apps?watch=true";

async fn put(server: &Server, name: &str, labels: &str, description: &str) -> Result<()> {
    let text = labelled("App", name, labels, &format!("{{description: {description}}}"));
    let answer = server.put(&format!("/v1/orgs/acme/apps/{name}"), &text).await?;
    assert!(answer.status < 300, "{answer:?}");
    Ok(())
}

/// The next event as `name of-what description`, and its id.
async fn told(events: &mut Events) -> Result<(String, String)> {
    let event = events.expect().await?;
    let resource = &event.data["resource"];
    let what = resource["metadata"]["name"].as_str().or(resource["name"].as_str()).unwrap_or("-");
    let description = resource["spec"]["description"].as_str().unwrap_or("-");
    assert!(event.name == "problem" || event.data["type"] == event.name, "{event:?}");
    Ok((format!("{} {what} {description}", event.name), event.id))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_is_there_and_then_every_change() -> Result<()> {
    let server = Server::with_org("acme").await?;
    put(&server, "a", "{}", "one").await?;
    let mut watch = server.stream(WATCH, None).await?;
    assert_eq!(told(&mut watch).await?, ("added a one".to_owned(), String::new()));
    let (bookmark, id) = told(&mut watch).await?;
    assert!(bookmark == "bookmark - -" && !id.is_empty());
    put(&server, "b", "{}", "one").await?;
    assert_eq!(told(&mut watch).await?.0, "added b one");
    put(&server, "a", "{}", "two").await?;
    assert_eq!(told(&mut watch).await?.0, "modified a two");
    // Of no interest: another kind, and another organisation.
    server
        .put(
            "/v1/plans/small",
            &manifest("Plan", "small", "{instance: {cpu: 500m, memory: 64Mi}, maxInstances: 2}"),
        )
        .await?;
    server.put("/v1/organizations/beta", &manifest("Organization", "beta", "{}")).await?;
    server.put("/v1/orgs/beta/apps/x", &manifest("App", "x", "{}")).await?;
    server.delete("/v1/orgs/acme/apps/b").await?;
    assert_eq!(told(&mut watch).await?.0, "deleted b -");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_broke_off_is_resumed_without_a_loss() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let mut watch = server.stream(WATCH, None).await?;
    told(&mut watch).await?;
    put(&server, "a", "{}", "one").await?;
    let (first, id) = told(&mut watch).await?;
    assert_eq!(first, "added a one");
    drop(watch);
    put(&server, "b", "{}", "one").await?;
    put(&server, "a", "{}", "two").await?;
    server.delete("/v1/orgs/acme/apps/b").await?;
    let mut resumed = server.stream(WATCH, Some(&id)).await?;
    let mut seen = vec![told(&mut resumed).await?.0, told(&mut resumed).await?.0];
    seen.sort();
    assert_eq!(seen, ["deleted b -", "modified a two"], "the last of each is told");
    put(&server, "c", "{}", "one").await?;
    assert_eq!(told(&mut resumed).await?.0, "added c one", "and it goes on live");
    // The same by the query, which the header goes before.
    let mut resumed = server.stream(&format!("{WATCH}&since={id}"), None).await?;
    told(&mut resumed).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_list_misses_nothing_in_between() -> Result<()> {
    let server = Server::with_org("acme").await?;
    put(&server, "a", "{}", "one").await?;
    let list: ResourceList = server.get("/v1/orgs/acme/apps").await?.read();
    put(&server, "a", "{}", "two").await?;
    let mut watch = server.stream(&format!("{WATCH}&since={}", list.watch_from), None).await?;
    assert_eq!(told(&mut watch).await?.0, "modified a two");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watches_see_the_same_changes_in_the_same_order() -> Result<()> {
    const WATCHES: usize = 20;
    const CHANGES: usize = 30;
    let server = Server::with_org("acme").await?;
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let mut watch = server.stream(WATCH, None).await?;
        told(&mut watch).await?;
        watches.push(watch);
    }
    for index in 0..CHANGES {
        put(&server, &format!("app-{index:02}"), "{}", "one").await?;
    }
    let expected: Vec<_> = (0..CHANGES).map(|index| format!("added app-{index:02} one")).collect();
    for watch in &mut watches {
        let mut seen = Vec::new();
        while seen.len() < CHANGES {
            seen.push(told(watch).await?.0);
        }
        assert_eq!(seen, expected);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_labels_enters_and_leaves_a_selection() -> Result<()> {
    let server = Server::with_org("acme").await?;
    put(&server, "a", "{tier: web}", "one").await?;
    put(&server, "b", "{tier: db}", "one").await?;
    let mut watch = server.stream(&format!("{WATCH}&labelSelector=tier%3Dweb"), None).await?;
    assert_eq!(told(&mut watch).await?.0, "added a one");
    assert_eq!(told(&mut watch).await?.0, "bookmark - -");
    put(&server, "b", "{tier: web}", "one").await?;
    assert_eq!(told(&mut watch).await?.0, "added b one");
    put(&server, "a", "{tier: db}", "one").await?;
    assert_eq!(told(&mut watch).await?.0, "deleted a -");
    put(&server, "a", "{tier: db}", "two").await?;
    put(&server, "b", "{tier: web}", "two").await?;
    assert_eq!(told(&mut watch).await?.0, "modified b two");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_too_old_or_of_another_history_is_answered_with_410() -> Result<()> {
    let server = Server::with_org("acme").await?;
    put(&server, "a", "{}", "one").await?;
    let list: ResourceList = server.get("/v1/orgs/acme/apps").await?.read();
    let old = list.watch_from.clone();
    put(&server, "a", "{}", "two").await?;
    // What compaction does, without waiting for hours to pass.
    server
        .postgres
        .psql(&server.database, "DELETE FROM change_log; UPDATE cluster_rev SET floor = revision")?;
    let expired = server.get(&format!("{WATCH}&since={old}")).await?;
    assert_eq!((expired.status, expired.code().as_str()), (410, "SK0603"));
    let elsewhere = format!("{WATCH}&since=00000000000000000000000000000000.1");
    assert_eq!(server.get(&elsewhere).await?.status, 410);
    let list: ResourceList = server.get("/v1/orgs/acme/apps").await?.read();
    let mut watch = server.stream(&format!("{WATCH}&since={}", list.watch_from), None).await?;
    put(&server, "a", "{}", "three").await?;
    assert_eq!(told(&mut watch).await?.0, "modified a three");
    for wrong in ["since=x", "since=", "since=1&limit=1", "limit=1", "cursor=acme/App/a"] {
        assert_eq!(server.get(&format!("{WATCH}&{wrong}")).await?.code(), "SK0602", "{wrong}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_server_stops_and_are_bounded() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let mut streams = Vec::new();
    for _ in 0..skep_api::limits::STREAMS_MAX {
        streams.push(server.stream(WATCH, None).await?);
    }
    let refused = server.get(WATCH).await?;
    assert_eq!((refused.status, refused.code().as_str()), (429, "SK0703"));
    streams.pop();
    let mut watch = server.stream(WATCH, None).await?;
    told(&mut watch).await?;
    server.shutdown.cancel();
    assert_eq!(watch.next().await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_soon_after_its_token_was_revoked_and_others_go_on() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let mut streams = Vec::new();
    for name in ["revoked", "kept"] {
        let token = server.token_of(Some("acme"), name, Role::Viewer).await?;
        let mut stream = server.stream_as(&token, WATCH).await?;
        told(&mut stream).await?;
        streams.push(stream);
    }
    let reach = Scope::Org("acme".parse()?);
    assert!(server.store.revoke_token(&reach, "revoked", &Actor::new("tester")).await?);
    let event = streams[0].next_within(2 * skep_api::limits::HEARTBEAT).await?.expect("it says why it ends");
    assert_eq!((event.name.as_str(), event.data["code"].as_str()), ("problem", Some("SK0401")), "{event:?}");
    assert_eq!(streams[0].next().await?, None);
    put(&server, "a", "{}", "one").await?;
    assert_eq!(told(&mut streams[1]).await?.0, "added a one");
    Ok(())
}
