//! What people said of how much of an environment runs, apart from what its manifests say: numbers of instances, restarts, stops.
//!
//! All of it is of the resource's row, as a pause is: it is asked of the loop, makes no release, and applying the same manifests again neither
//! undoes nor repeats it. A number of instances is said here only where no manifest says one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalar::ProcessName;

/// What people said of the processes of an environment. Nothing, usually.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FormationOverride {
    /// How many instances of a process there are to be, where no manifest says it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scale: BTreeMap<ProcessName, Scaled>,
    /// How often all processes were restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restarted>,
    /// How often one process was restarted by itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<ProcessName, Restarted>,
    /// The environment is stopped as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stopped>,
    /// One process is stopped by itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stops: BTreeMap<ProcessName, Stopped>,
}

impl FormationOverride {
    /// Was nothing said?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many instances of a process somebody wants.
    pub fn instances(&self, process: &ProcessName) -> Option<u32> {
        self.scale.get(process).map(|scaled| scaled.instances)
    }

    /// How often a process was restarted, by itself and with all others. It only rises.
    pub fn restarts(&self, process: &ProcessName) -> u32 {
        self.restarted(process).map(|restarted| restarted.count).fold(0, u32::saturating_add)
    }

    /// Who restarted a process last.
    pub fn last_restart(&self, process: &ProcessName) -> Option<&Restarted> {
        self.restarted(process).max_by_key(|restarted| restarted.at)
    }

    /// Who stopped a process, if somebody did: by itself, or with all others.
    pub fn stopped(&self, process: &ProcessName) -> Option<&Stopped> {
        self.stop.as_ref().or_else(|| self.stops.get(process))
    }

    fn restarted(&self, process: &ProcessName) -> impl Iterator<Item = &Restarted> {
        self.restart.iter().chain(self.restarts.get(process))
    }
}

/// A number of instances that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaled {
    /// How many.
    pub instances: u32,
    /// Whose number it is.
    #[serde(default)]
    pub owner: ScaleOwner,
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Whose a number of instances is that no manifest says. What a person said, no autoscaler changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleOwner {
    /// A person's, or a script's that acts for one.
    #[default]
    Person,
    /// A person's who used the panel.
    Panel,
    /// An autoscaler's, which may change it again.
    Autoscaler,
}

impl ScaleOwner {
    /// May this one change a number that is the other's?
    pub const fn may_replace(self, other: Self) -> bool {
        match (self, other) {
            (Self::Person | Self::Panel, _) | (Self::Autoscaler, Self::Autoscaler) => true,
            (Self::Autoscaler, Self::Person | Self::Panel) => false,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Panel => "panel",
            Self::Autoscaler => "autoscaler",
        }
    }
}

/// How often something was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restarted {
    /// How often.
    pub count: u32,
    /// Who asked for it last.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// No instances are to run, whatever the number is that there would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// Who asked for it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Stopped {
    /// Who and why, to go on with after "stopped" or "suspended".
    pub fn in_words(&self) -> String {
        let why = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("by {} at {}{why}", self.by, self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarted(count: u32, at: &str) -> Restarted {
        Restarted { count, by: at.to_owned(), at: at.parse().unwrap() }
    }

    #[test]
    fn restarts_of_all_and_of_one_count_together_and_the_last_is_told() {
        let web: ProcessName = "web".parse().unwrap();
        let said = FormationOverride {
            restart: Some(restarted(2, "2026-01-01T00:00:00Z")),
            restarts: [(web.clone(), restarted(1, "2026-01-02T00:00:00Z"))].into(),
            ..FormationOverride::default()
        };
        assert_eq!((said.restarts(&web), said.restarts(&"worker".parse().unwrap())), (3, 2));
        assert_eq!(said.last_restart(&web).unwrap().by, "2026-01-02T00:00:00Z");
    }

    #[test]
    fn an_autoscaler_does_not_change_what_a_person_said() {
        let all = [ScaleOwner::Person, ScaleOwner::Panel, ScaleOwner::Autoscaler];
        let replaced = |by: ScaleOwner| all.map(|other| by.may_replace(other));
        assert_eq!(replaced(ScaleOwner::Person), [true; 3]);
        assert_eq!(replaced(ScaleOwner::Panel), [true; 3]);
        assert_eq!(replaced(ScaleOwner::Autoscaler), [false, false, true]);
    }
}
