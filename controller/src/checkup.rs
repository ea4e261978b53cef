//! One look at the whole cluster, for the doctor.

use skep_planner::InstanceId;
use skep_planner::checkup::{Check, Look, examine};
use skep_swarm::{LabelFilter, SwarmApi, SwarmError};

/// What the planner makes of what the engine says now.
pub(crate) async fn checkup(swarm: &dyn SwarmApi, instance: &InstanceId) -> Result<Vec<Check>, SwarmError> {
    let every = LabelFilter::any();
    let (info, nodes, networks, services) = futures::try_join!(
        swarm.info(),
        swarm.list_nodes(),
        swarm.list_networks(&every),
        swarm.list_services(&every),
    )?;
    let engine = &info.posture;
    Ok(examine(&Look { instance, engine, nodes: &nodes, networks: &networks, services: &services }))
}
