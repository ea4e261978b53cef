//! The floor: the calls that make services, and nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use skep_planner::swarm::{Service, ServiceId, ServiceSpec};
use skep_swarm::{EngineClient, LabelFilter, SwarmApi};

use crate::ground::Ground;

/// How many calls are tried at once.
pub(crate) const CONCURRENCIES: [usize; 6] = [1, 4, 8, 16, 32, 64];
/// How many removals are under way at once, where nothing is measured.
const REMOVALS: usize = 16;

/// The specs of everything that Skep made, under names of their own.
pub(crate) fn specs(services: &[Service]) -> Vec<ServiceSpec> {
    services
        .iter()
        .enumerate()
        .map(|(number, service)| ServiceSpec { name: format!("floor-{number}"), ..service.spec.clone() })
        .collect()
}

/// All services of the crowd.
pub(crate) fn crowd(ground: &Ground) -> Result<Vec<Service>> {
    let client = ground.client(1)?;
    let all = ground.runtime.block_on(client.list_services(&LabelFilter::any())).context("list services")?;
    Ok(all.into_iter().filter(|service| service.spec.name.contains("_copy-")).collect())
}

/// Makes services with so many calls under way, and removes them again: how long the making took.
pub(crate) fn make(ground: &Ground, specs: &[ServiceSpec], concurrency: usize) -> Result<Duration> {
    let client = ground.client(concurrency)?;
    ground.runtime.block_on(async {
        let began = Instant::now();
        let made: Vec<ServiceId> = stream::iter(specs.iter().map(|spec| client.create_service(spec, None)))
            .buffer_unordered(concurrency)
            .try_collect()
            .await
            .context("make services")?;
        let took = began.elapsed();
        remove(&client, &made).await?;
        Ok(took)
    })
}

async fn remove(client: &EngineClient, ids: &[ServiceId]) -> Result<()> {
    let removed = stream::iter(ids.iter().map(|id| client.remove_service(id))).buffer_unordered(REMOVALS);
    removed.try_collect::<Vec<()>>().await.map(drop).context("remove services")
}
