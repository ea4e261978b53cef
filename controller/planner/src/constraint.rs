//! Placement constraints: which nodes a task may run on, said as Swarm says it and judged as Swarm judges it.
//!
//! A constraint asks that a label of the node has a value, or that it has any other; a label that is not there has the empty value
//! (swarmkit, `manager/constraint`). Values are compared without regard to case. There is nothing else, no *or* and no *any value*.

use std::fmt;

use skep_schemas::Region;

use crate::swarm::Node;

/// The label that says which region a node is in.
pub(crate) const REGION: &str = "region";

/// What must be so of a node's label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constraint {
    /// It has this value.
    Is {
        /// The label.
        label: &'static str,
        /// The value.
        value: String,
    },
    /// It has another value, or none.
    IsNot {
        /// The label.
        label: &'static str,
        /// The value.
        value: String,
    },
}

impl Constraint {
    /// A label has this value.
    pub fn is(label: &'static str, value: impl Into<String>) -> Self {
        Self::Is { label, value: value.into() }
    }

    /// A label has another value, or none.
    pub fn is_not(label: &'static str, value: impl Into<String>) -> Self {
        Self::IsNot { label, value: value.into() }
    }

    fn allows(&self, node: &Node) -> bool {
        let has = |label: &str, value: &str| {
            node.spec.labels.get(label).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        match self {
            Self::Is { label, value } => has(label, value),
            Self::IsNot { label, value } => !has(label, value),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is { label, value } => write!(f, "node.labels.{label}=={value}"),
            Self::IsNot { label, value } => write!(f, "node.labels.{label}!={value}"),
        }
    }
}

/// All that must be so of a node, in the order in which it is rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints(Vec<Constraint>);

impl Constraints {
    /// Those of a region, if there is one, and others.
    pub fn new(region: Option<&Region>, others: impl IntoIterator<Item = Constraint>) -> Self {
        let region = region.map(|region| Constraint::is(REGION, region.as_str()));
        Self(region.into_iter().chain(others).collect())
    }

    /// May a task run on the node?
    pub fn allow(&self, node: &Node) -> bool {
        self.0.iter().all(|constraint| constraint.allows(node))
    }

    /// As the engine's API has them.
    pub fn rendered(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// The region, if one is asked for, and all that must be so beside it.
    pub(crate) fn apart_from_region(&self) -> (Option<&str>, Self) {
        let region = self.labels().find_map(|(label, value)| (label == REGION).then_some(value));
        let is_other = |one: &&Constraint| !matches!(one, Constraint::Is { label, .. } if *label == REGION);
        (region, Self(self.0.iter().filter(is_other).cloned().collect()))
    }

    /// The labels that a node must have, with their values.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|constraint| match constraint {
            Constraint::Is { label, value } => Some((*label, value.as_str())),
            Constraint::IsNot { .. } => None,
        })
    }

    /// Has the node all labels that it must have, whatever else it has?
    pub(crate) fn are_met_by_the_labels_of(&self, node: &Node) -> bool {
        let wanted = self.0.iter().filter(|constraint| matches!(constraint, Constraint::Is { .. }));
        wanted.into_iter().all(|constraint| constraint.allows(node))
    }
}
