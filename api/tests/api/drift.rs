//! The drift report: what is listed, what is streamed, and for how many at once.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_api::limits::STREAMS_MAX;
use skep_api::wire::{DriftList, DriftOutcome, ResourceView};
use skep_planner::drift::{Drift, DriftClass, Response};
use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::{ResourceKey, Scope};
use skep_store::{Fence, Looked, Noticed};

use crate::support::{Events, Server, manifest};

/// A server, and the right to note drift on it.
pub(crate) struct Noting {
    pub(crate) server: Server,
    fence: Fence,
}

impl Noting {
    pub(crate) async fn start() -> Result<Self> {
        let server = Server::with_org("acme").await?;
        let fence = server.store.acquire_lease("test", "me", Duration::from_secs(600)).await?;
        Ok(Self { server, fence: fence.context("the lease is free")? })
    }

    /// Makes an environment.
    pub(crate) async fn environment(&self, name: &str) -> Result<()> {
        let text = manifest("Environment", name, "{app: shop, image: example.com/shop}");
        let answer = self.server.put(&format!("/v1/orgs/acme/environments/{name}"), &text).await?;
        anyhow::ensure!(answer.status == 201, "{answer:?}");
        Ok(())
    }

    /// Notes everything that differs in an environment.
    pub(crate) async fn note(&self, name: &str, drift: &[Drift]) -> Result<()> {
        let path = format!("/v1/orgs/acme/environments/{name}");
        let view: ResourceView = self.server.get(&path).await?.read();
        let key = ResourceKey::new(Scope::Org("acme".parse()?), view.kind, view.metadata.name)?;
        let store = &self.server.store;
        store
            .note_drift(&self.fence, &key, view.metadata.uid, Noticed::Event, Looked::AtEverything, drift)
            .await?;
        Ok(())
    }
}

/// A field of an environment's service that somebody changed.
pub(crate) fn field(
    environment: &str,
    pointer: &str,
    desired: Value,
    live: Value,
    response: Response,
) -> Drift {
    Drift {
        object: ObjectRef::new(ObjectKind::Service, format!("acme_{environment}_web")),
        pointer: pointer.to_owned(),
        class: DriftClass::Modified,
        desired: Some(desired),
        live: Some(live),
        response,
    }
}

fn replicas(live: u32, response: Response) -> Drift {
    field("live", "/Mode/Replicated/Replicas", json!(2), json!(live), response)
}

fn image(response: Response) -> Drift {
    let class = DriftClass::RolledBack;
    Drift { class, ..field("live", "/TaskTemplate/ContainerSpec/Image", json!("a"), json!("b"), response) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_tells_what_differs_and_how_it_ended_newest_first() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    noting.note("live", &[replicas(5, Response::Correct)]).await?;
    noting.note("live", &[image(Response::Report)]).await?;
    let list: DriftList = noting.server.get("/v1/drift").await?.read();
    let [open, ended] = list.items.as_slice() else { panic!("{list:?}") };
    assert_eq!(
        (open.pointer.as_str(), open.ending.as_str()),
        ("/TaskTemplate/ContainerSpec/Image", "reported")
    );
    assert_eq!((open.outcome, open.ended_at, open.millis), (None, None, None));
    assert_eq!(ended.outcome, Some(DriftOutcome::Corrected));
    assert!(ended.ending.starts_with("corrected in ") && ended.millis.is_some() && ended.ended_at.is_some());
    assert_eq!((&ended.desired, &ended.live), (&Some(json!(2)), &Some(json!(5))));
    assert_eq!((ended.object.kind.as_str(), ended.object.name.as_str()), ("service", "acme_live_web"));
    let of_org: DriftList = noting.server.get("/v1/orgs/acme/drift").await?.read();
    assert_eq!(of_org, list);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_and_wrong_ones_are_refused() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    noting.environment("test").await?;
    noting.note("live", &[replicas(5, Response::Correct)]).await?;
    noting.note("live", &[image(Response::Report)]).await?;
    noting.note("test", &[field("test", "/Labels/a", json!("x"), json!("y"), Response::Paused)]).await?;
    let count = async |query: &str| -> Result<usize> {
        let list: DriftList = noting.server.get(&format!("/v1/orgs/acme/drift?{query}")).await?.read();
        Ok(list.items.len())
    };
    for (query, expected) in [
        ("", 3),
        ("kind=Environment", 3),
        ("kind=Secret", 0),
        ("name=live", 2),
        ("class=rolled-back", 1),
        ("response=paused", 1),
        ("open=true", 2),
        ("open=false", 1),
        ("name=live&open=true&response=report", 1),
        ("limit=2", 2),
    ] {
        assert_eq!(count(query).await?, expected, "{query}");
    }
    for wrong in ["limit=0", "limit=501", "class=odd", "kind=Pod", "open=maybe", "clas=missing"] {
        let answer = noting.server.get(&format!("/v1/drift?{wrong}")).await?;
        assert_eq!(answer.code(), "SK0602", "{wrong}");
    }
    noting.server.put("/v1/organizations/beta", &manifest("Organization", "beta", "{}")).await?;
    assert!(noting.server.get("/v1/orgs/beta/drift").await?.read::<DriftList>().items.is_empty());
    assert_eq!(noting.server.get("/v1/orgs/nobody/drift").await?.code(), "SK0601");
    Ok(())
}

/// The next event as its field and what became of it, or its name.
async fn told(events: &mut Events) -> Result<String> {
    let event = events.expect().await?;
    let drift = &event.data["drift"];
    assert_eq!(event.data["type"], event.name, "{event:?}");
    Ok(match drift["pointer"].as_str() {
        Some(pointer) => format!("{pointer} {} {}", drift["live"], drift["ending"].as_str().unwrap_or("-")),
        None => event.name,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_there_is_and_then_what_changes_once_each() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    noting.note("live", &[replicas(5, Response::Report)]).await?;
    let mut stream = noting.server.stream("/v1/drift?watch=true", None).await?;
    assert_eq!(told(&mut stream).await?, "/Mode/Replicated/Replicas 5 reported");
    assert_eq!(told(&mut stream).await?, "bookmark");
    noting.note("live", &[replicas(5, Response::Report), image(Response::Correct)]).await?;
    assert_eq!(told(&mut stream).await?, "/TaskTemplate/ContainerSpec/Image \"b\" being corrected");
    noting.note("live", &[replicas(7, Response::Report), image(Response::Correct)]).await?;
    assert_eq!(
        told(&mut stream).await?,
        "/Mode/Replicated/Replicas 7 reported",
        "what did not change is not told"
    );
    noting.note("live", &[replicas(7, Response::Report)]).await?;
    assert!(told(&mut stream).await?.starts_with("/TaskTemplate/ContainerSpec/Image \"b\" corrected in"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_selects_tells_the_end_of_what_it_told_and_nothing_else() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    noting.environment("test").await?;
    noting.note("live", &[replicas(5, Response::Report)]).await?;
    noting.note("live", &[image(Response::Report)]).await?;
    let mut stream = noting.server.stream("/v1/orgs/acme/drift?watch=true&open=true&name=live", None).await?;
    assert_eq!(told(&mut stream).await?, "/TaskTemplate/ContainerSpec/Image \"b\" reported");
    assert_eq!(told(&mut stream).await?, "bookmark", "what ended before is not selected");
    noting.note("test", &[field("test", "/Labels/a", json!("x"), json!("y"), Response::Report)]).await?;
    noting.note("live", &[]).await?;
    assert_eq!(told(&mut stream).await?, "/TaskTemplate/ContainerSpec/Image \"b\" ended by others");
    noting.note("live", &[replicas(6, Response::Report)]).await?;
    assert_eq!(told(&mut stream).await?, "/Mode/Replicated/Replicas 6 reported");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_appears_under_a_lower_serial_than_was_read_is_told() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    let mut stream = noting.server.stream("/v1/drift?watch=true", None).await?;
    assert_eq!(told(&mut stream).await?, "bookmark");
    for round in 3..6 {
        noting.note("live", &[replicas(round, Response::Report)]).await?;
        assert_eq!(told(&mut stream).await?, format!("/Mode/Replicated/Replicas {round} reported"));
    }
    // As of a transaction that took its number early and ended late.
    noting.server.postgres.psql(&noting.server.database, "SELECT setval('drift_serial_numbers', 1)")?;
    noting.note("live", &[replicas(5, Response::Report), image(Response::Report)]).await?;
    assert_eq!(told(&mut stream).await?, "/TaskTemplate/ContainerSpec/Image \"b\" reported");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_when_the_connection_that_listens_is_cut() -> Result<()> {
    let noting = Noting::start().await?;
    noting.environment("live").await?;
    let mut stream = noting.server.stream("/v1/drift?watch=true", None).await?;
    assert_eq!(told(&mut stream).await?, "bookmark");
    for round in 3..6 {
        // Until one was cut: a bell that was just cut may not listen again yet.
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN \"skep_drift\"%'";
        while noting.server.postgres.psql(&noting.server.database, cut)?.trim() != "1" {
            tokio::task::yield_now().await;
        }
        noting.note("live", &[replicas(round, Response::Report)]).await?;
        assert_eq!(told(&mut stream).await?, format!("/Mode/Replicated/Replicas {round} reported"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_streams_and_one_that_ends_makes_room() -> Result<()> {
    let noting = Noting::start().await?;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        streams.push(noting.server.stream("/v1/drift?watch=true", None).await?);
    }
    let refused = noting.server.get("/v1/drift?watch=true").await?;
    assert_eq!((refused.status, refused.code().as_str()), (429, "SK0703"));
    streams.pop();
    noting.server.stream("/v1/drift?watch=true", None).await?;
    Ok(())
}
