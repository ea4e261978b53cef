//! Somebody else, who is quicker.

use skep_planner::swarm::{ConfigId, Labels, NetworkCreate, SecretId, SecretSpec, ServiceId, ServiceSpec};
use skep_simulator::SimSwarm;
use skep_swarm::{By, SwarmApi, SwarmError};

use crate::call::{self, Call};

/// Gets in the way of a call just before it is made. What somebody else takes away again later, if anything.
///
/// An object that is to be changed is written as it is, which makes its version another. A name that is to be taken is taken. What
/// is to be removed is removed whatever its version, and an attachment has neither a version nor a name: there nothing can be done.
pub(crate) async fn meddle(call: &Call, swarm: &SimSwarm) -> Option<Call> {
    // What somebody else is refused is no conflict.
    match call {
        Call::UpdateService(id, ..) => touch_service(swarm, id).await.ok().and(None),
        Call::UpdateSecret(id, ..) => touch_secret(swarm, id).await.ok().and(None),
        Call::UpdateConfig(id, ..) => touch_config(swarm, id).await.ok().and(None),
        Call::CreateService(spec) => {
            let foreign = ServiceSpec { labels: Labels::new(), ..(**spec).clone() };
            swarm.create_service(&foreign, None).await.ok().map(Call::RemoveService)
        }
        Call::CreateSecret(spec, value) => {
            let foreign = SecretSpec { labels: Labels::new(), ..spec.clone() };
            swarm.create_secret(&foreign, &call::copy(value)).await.ok().map(Call::RemoveSecret)
        }
        Call::CreateNetwork(spec) => {
            let foreign = NetworkCreate { labels: Labels::new(), ..(**spec).clone() };
            swarm.create_network(&foreign).await.ok().map(Call::RemoveNetwork)
        }
        // A claim of nobody is written over; one that is gone again is made anew.
        Call::CreateConfig(_)
        | Call::RemoveService(_)
        | Call::RemoveNetwork(_)
        | Call::ConnectNetwork(..)
        | Call::DisconnectNetwork(..)
        | Call::RemoveSecret(_)
        | Call::RemoveConfig(_) => None,
    }
}

async fn touch_service(swarm: &SimSwarm, id: &ServiceId) -> Result<(), SwarmError> {
    match swarm.inspect_service(By::Id(id)).await? {
        Some(found) => swarm.update_service(id, found.version, &found.spec, None).await,
        None => Ok(()),
    }
}

async fn touch_secret(swarm: &SimSwarm, id: &SecretId) -> Result<(), SwarmError> {
    match swarm.inspect_secret(By::Id(id)).await? {
        Some(found) => swarm.update_secret(id, found.version, &found.spec).await,
        None => Ok(()),
    }
}

async fn touch_config(swarm: &SimSwarm, id: &ConfigId) -> Result<(), SwarmError> {
    match swarm.inspect_config(By::Id(id)).await? {
        Some(found) => swarm.update_config(id, found.version, &found.spec).await,
        None => Ok(()),
    }
}
