//! Somebody who edits a service again as soon as it was corrected.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::StreamExt as _;
use jiff::Timestamp;
use skep_planner::swarm::ServiceSpec;
use skep_sieve::{World, workflows};
use skep_simulator::SimSwarm;
use skep_swarm::{By, SwarmApi};
use skep_testbed::Postgres;

const WEB: &str = "acme_prod_web";
/// More than one pass makes plans for, and fewer than are made before somebody counts as never stopping.
const EDITS: usize = 24;

fn label(number: usize) -> String {
    format!("by-hand-{number}")
}

fn edit(swarm: &SimSwarm, number: usize) -> Result<()> {
    let add = |spec: &mut ServiceSpec| drop(spec.labels.insert(label(number), "yes".to_owned()));
    swarm.with(|swarm| swarm.edit_service(WEB, add)).map_err(|refusal| anyhow!("{refusal:?}"))
}

/// Edits whenever the edit before was corrected. When each was.
async fn edit_again_and_again(swarm: SimSwarm) -> Result<Vec<Timestamp>> {
    let mut hints = swarm.events().await?;
    let mut corrected = Vec::new();
    edit(&swarm, 0)?;
    while corrected.len() < EDITS {
        hints.next().await.context("events go on")??;
        let (now, service) = swarm.with(|swarm| (swarm.now(), swarm.inspect_service(By::Name(WEB))));
        let stands = label(corrected.len());
        if service.is_some_and(|service| service.spec.labels.contains_key(&stands)) {
            continue;
        }
        corrected.push(now);
        edit(&swarm, corrected.len())?;
    }
    Ok(corrected)
}

#[tokio::test]
async fn edits_that_follow_each_correction_at_once_are_corrected_without_growing_pauses() {
    let server = Postgres::shared().unwrap();
    let mut world = World::new(&server.create_database("sieve").unwrap()).await.unwrap();
    world.keep("empty").await.unwrap();
    world.begin_from(&workflows::SMALL).await.unwrap();
    world.order(0, None, false).await.unwrap();
    world.start().await.unwrap();
    world.until_quiet().await.unwrap();
    let began = world.now();
    let editor = tokio::spawn(edit_again_and_again(world.swarm().clone()));
    while !editor.is_finished() {
        world.for_a_while(Duration::from_millis(50)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let corrected = editor.await.unwrap().unwrap();
    let took = corrected.last().unwrap().duration_since(began).unsigned_abs();
    // Pauses of half a second and more, doubled each time, would add up to four seconds at least.
    assert!(took < Duration::from_secs(2), "{took:?}: {corrected:?}");
}
