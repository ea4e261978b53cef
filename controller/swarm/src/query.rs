//! What to look for: one object by id or by name, or a list by labels and relations.

use std::collections::BTreeMap;
use std::fmt;

use skep_planner::swarm::{NodeId, ServiceId, TaskState};

/// One object, by the id the engine gave it or by its whole name.
///
/// The engine also finds objects by the beginning of an id. The client does not pass that on: what is found has
/// exactly this id or exactly this name.
#[derive(Debug, PartialEq, Eq)]
pub enum By<'a, Id> {
    /// The object with this id.
    Id(&'a Id),
    /// The object with this name.
    Name(&'a str),
}

impl<Id> Clone for By<'_, Id> {
    fn clone(&self) -> Self {
        *self
    }
}

/// Not derived: only references are copied, so the id itself need not be `Copy`.
impl<Id> Copy for By<'_, Id> {}

impl<Id: AsRef<str>> By<'_, Id> {
    /// The id or name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_ref(),
            Self::Name(name) => name,
        }
    }
}

impl<Id: AsRef<str>> fmt::Display for By<'_, Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Labels that must all be there with exactly these values. Empty means every object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelFilter {
    labels: BTreeMap<String, Option<String>>,
}

impl LabelFilter {
    /// Every object.
    pub fn any() -> Self {
        Self::default()
    }

    /// Objects that also have this label with this value.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(label.into(), Some(value.into()));
        self
    }

    /// Objects that also have this label, whatever its value.
    #[must_use]
    pub fn having(mut self, label: impl Into<String>) -> Self {
        self.labels.insert(label.into(), None);
        self
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(label, value)| {
            labels.get(label).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        })
    }

    /// As the engine's filter words.
    pub(crate) fn words(&self) -> Vec<String> {
        self.labels
            .iter()
            .map(|(label, value)| match value {
                Some(value) => format!("{label}={value}"),
                None => label.clone(),
            })
            .collect()
    }
}

/// Which tasks. Everything that is said must hold; an empty filter means every task, history included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Tasks of any of these services.
    pub services: Vec<ServiceId>,
    /// Tasks on this node.
    pub node: Option<NodeId>,
    /// Tasks the Swarm wants in any of these states; it knows `running`, `shutdown` and `accepted` here.
    pub desired_states: Vec<TaskState>,
    /// Tasks that run (or do not run) their service's current spec.
    pub up_to_date: Option<bool>,
    /// Tasks whose labels are these.
    pub labels: LabelFilter,
}

impl TaskFilter {
    /// Every task of one service.
    pub fn of_service(service: ServiceId) -> Self {
        Self { services: vec![service], ..Self::default() }
    }
}
