//! One module per kind that lives in the Swarm: what to do for a resource, and what to say about it.
//!
//! Each has a `Desired` (what the store knows), an `Observation` (what the engine said), a `plan` and a `status`. Both functions
//! take the same input, so a status never speaks of another moment than the plan.

pub mod conditions;
pub mod domain;
pub mod environment;
pub mod network_policy;
pub mod notification;
pub mod organization;
mod own_service;
pub mod passive;
pub mod registry_credential;
pub mod secret;

use std::time::Duration;

use skep_schemas::kind::Status;

/// Is the plan to be carried out, or only shown?
///
/// The difference is one: in a preview, what another resource of the same preview would create first is assumed to be there, and
/// is named instead of identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The plan is to be carried out.
    Act,
    /// The plan is to be shown.
    Preview,
}

/// What to say about a resource, and when to look again if nothing happens before.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment<D> {
    /// The status to write.
    pub status: Status<D>,
    /// Look again after this; `None` means that only a change or the periodic resync is worth a look.
    pub recheck: Option<Duration>,
}

/// While tasks start and stop there are no events for them (moby emits none for tasks), so they are watched closely.
const RECHECK_PROGRESSING: Duration = Duration::from_secs(1);
/// Something waits for another resource or for the engine.
const RECHECK_WAITING: Duration = Duration::from_secs(2);
/// It runs, but not as well as it should.
const RECHECK_DEGRADED: Duration = Duration::from_secs(5);
