//! Rules about how much of an environment runs, and what their refusals say.

use jiff::Timestamp;
use skep_schemas::{Owner, ProcessName, ResourceKey, ResourceName, ScaleOwner};

use crate::error::StoreError;

/// Why something cannot be asked of how much of an environment runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormationError {
    /// An environment, and its app, have no such process.
    #[error("{key} has no process {process}; it has {}", processes(known))]
    ProcessMissing {
        /// The environment.
        key: ResourceKey,
        /// What was asked for.
        process: ProcessName,
        /// What there is.
        known: Vec<ProcessName>,
    },
    /// A number of instances is to be changed that a manifest says.
    #[error(
        "{by} says that process {process} has {instances} instances; that manifest is maintained {}{}",
        maintainer(managed_by),
        written_by(writer.as_deref())
    )]
    Declared {
        /// Whose manifest says it.
        by: ResourceKey,
        /// Of which process.
        process: ProcessName,
        /// How many.
        instances: u32,
        /// Who maintains that resource.
        managed_by: Owner,
        /// Who wrote it last.
        writer: Option<String>,
    },
    /// An autoscaler is to change a number of instances that a person said.
    #[error("the number of instances of process {process} of {key} is a {}'s: {by} said it at {at}", owner.as_str())]
    Owned {
        /// The environment.
        key: ResourceKey,
        /// Of which process.
        process: ProcessName,
        /// Whose it is.
        owner: ScaleOwner,
        /// Who said it.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// More instances of a process than one may have.
    #[error("process {process} of {key} would have {wanted} instances, and {}", allowed_by(plan.as_ref(), *allowed))]
    TooMany {
        /// The environment.
        key: ResourceKey,
        /// Of which process.
        process: ProcessName,
        /// How many there would be.
        wanted: u32,
        /// How many there may be.
        allowed: u32,
        /// The plan that says so; none if nothing has more.
        plan: Option<ResourceName>,
    },
    /// One process is to be started of an environment that is stopped as a whole.
    #[error("{key} is stopped as a whole, so process {process} cannot be started by itself")]
    StoppedAsAWhole {
        /// The environment.
        key: ResourceKey,
        /// The process.
        process: ProcessName,
    },
}

impl From<FormationError> for StoreError {
    fn from(error: FormationError) -> Self {
        Self::Formation(Box::new(error))
    }
}

fn processes(known: &[ProcessName]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(ProcessName::to_string).collect::<Vec<_>>().join(", ")
}

fn maintainer(owner: &Owner) -> String {
    match owner {
        Owner::Api => "by hand or by a script".to_owned(),
        Owner::Git { .. } => format!("by {owner}"),
    }
}

fn written_by(writer: Option<&str>) -> String {
    writer.map(|writer| format!(", and was written last by {writer}")).unwrap_or_default()
}

fn allowed_by(plan: Option<&ResourceName>, allowed: u32) -> String {
    match plan {
        Some(plan) => format!("Plan/{plan} allows {allowed}"),
        None => format!("no process has more than {allowed}"),
    }
}
