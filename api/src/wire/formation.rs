//! How much of an environment runs, and what people ask of that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::resource_view::ResourceView;
use skep_schemas::{Owner, ProcessName, Restarted, ScaleOwner, Stopped};

use super::ResourceRef;

/// Numbers of instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleRequest {
    /// How many instances, by process. Null gives the number back to whoever scales the service in the engine.
    pub processes: BTreeMap<ProcessName, Option<u32>>,
    /// Whose numbers they are; a person's when absent. What a person said, no autoscaler changes.
    #[serde(default)]
    pub owner: ScaleOwner,
}

/// One process of an environment, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessRequest {
    /// The process; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
}

/// What is to have no instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopRequest {
    /// The process; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// Why; everyone who looks at the environment sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why all that an organisation runs is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuspendRequest {
    /// Why; everyone of the organisation sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The processes of an environment, and how much of each runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FormationView {
    /// The processes, by name.
    pub items: Vec<ProcessItem>,
    /// The platform suspended the organisation: nothing of it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Stopped>,
    /// The environment.
    pub resource: ResourceView,
}

/// One process, and how much of it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessItem {
    /// Its name.
    pub name: ProcessName,
    /// What sort of process it is.
    #[serde(rename = "type")]
    pub process_type: ProcessType,
    /// What it starts, in place of what the image says. Absent where the image says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How many instances there are to be now: none while it is stopped.
    pub wanted: u32,
    /// How many run, as last reported.
    pub running: u32,
    /// Who says how many there are to be.
    pub instances: InstancesOwner,
    /// Somebody stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// Who restarted it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Restarted>,
}

/// What sort of process it is: one that listens, one that does not, or one that runs again and again until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessType {
    /// It has ports.
    Web,
    /// It has none.
    Worker,
    /// It has a schedule, and is no service.
    Cron,
}

impl ProcessType {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Worker => "worker",
            Self::Cron => "cron",
        }
    }
}

/// Who says how many instances of a process there are to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "by")]
pub enum InstancesOwner {
    /// A manifest, which goes before everybody.
    Manifest {
        /// How many.
        number: u32,
        /// Whose manifest.
        resource: ResourceRef,
        /// Who maintains it.
        managed_by: Owner,
    },
    /// Somebody who scaled it.
    Scale {
        /// How many.
        number: u32,
        /// Whose number it is.
        owner: ScaleOwner,
        /// Who said it.
        who: String,
        /// When.
        at: Timestamp,
    },
    /// Nobody: it has none, and runs when it is time.
    Schedule {
        /// When: expression and time zone.
        recurrence: String,
    },
    /// Nobody: the number is that of the service in the engine, for whoever scales it there.
    Engine {},
}
