//! The entry program in the Swarm: one config, for all services whose processes take secrets as variables.
//!
//! It belongs to the Swarm, like the claim, and is put there by whoever has claimed it. It is public, says nothing about anybody, and cannot
//! be removed while a service uses it. It stays when none does.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use skep_planner::Architecture;
use skep_planner::naming::{self, InstanceId, LABEL_ROLE, ROLE_ENTRY};
use skep_planner::render::{entry_spec, is_entry_of};
use skep_planner::swarm::ConfigSpec;
use skep_swarm::{By, SwarmApi, SwarmError};

/// Puts it there, if it is not. One that an instance before this one has left is taken over; what somebody else has put under its name
/// is left alone, and the environments that would need ours say so.
pub(super) async fn provide(swarm: &dyn SwarmApi, instance: &InstanceId) -> Result<(), SwarmError> {
    let name = naming::entry(Architecture::HERE);
    let spec = entry_spec(instance, Architecture::HERE, BASE64_STANDARD.encode(skep_entry::PROGRAM));
    let written = match swarm.inspect_config(By::Name(&name)).await? {
        Some(config) if is_entry_of(instance, &config) => return Ok(()),
        Some(config) if config.spec.labels.get(LABEL_ROLE).is_some_and(|role| role == ROLE_ENTRY) => {
            // Everything but the labels has to be as it is.
            let spec = ConfigSpec { labels: spec.labels, ..config.spec };
            swarm.update_config(&config.id, config.version, &spec).await
        }
        Some(_) => {
            tracing::warn!(
                config = name,
                "it is not ours: secrets cannot be given as variables until it is removed"
            );
            return Ok(());
        }
        None => swarm.create_config(&spec).await.map(drop),
    };
    match written {
        // Somebody was quicker, which the next survey sees.
        Err(SwarmError::NameTaken { .. } | SwarmError::Conflict { .. } | SwarmError::NotFound { .. }) => {
            Ok(())
        }
        written => written,
    }
}
