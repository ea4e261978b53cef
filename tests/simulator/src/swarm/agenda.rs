//! What is due when. Of two things that are due at one moment the one that was put first comes first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_planner::swarm::{NetworkId, NodeId, ServiceId, TaskId};

/// Something that happens at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The managers' parts look at what has changed.
    React,
    /// The scheduler looks at tasks that wait for a node.
    Schedule,
    /// A node takes the next step with a task, if it still is at this one.
    TaskStep(TaskId, u64),
    /// A delay before a task may start is over.
    DelayOver(TaskId, u64),
    /// A task has waited long enough for the end of the one that it replaces.
    DelayTimedOut(TaskId, u64),
    /// A roll-out gives its workers their first slots.
    RollOut(ServiceId, u64),
    /// A worker of a roll-out has waited long enough between two slots.
    WorkerDelayOver(ServiceId, u64, usize),
    /// A roll-out was watched for long enough.
    MonitorOver(ServiceId, u64),
    /// The history of tasks is cut.
    Reap,
    /// The asked node lets go of a network.
    LetGo(NetworkId),
    /// The managers call a silent node down.
    NodeDown(NodeId, u64),
    /// Tasks of a node that stayed down are given up.
    Orphan(NodeId, u64),
}

/// The agenda.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Due>,
    put: u64,
}

impl Agenda {
    pub(super) fn put(&mut self, at: Timestamp, due: Due) {
        self.put += 1;
        self.entries.insert((at, self.put), due);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take_until(&mut self, end: Timestamp) -> Option<(Timestamp, Due)> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((at, _), due) = entry.remove_entry();
        Some((at, due))
    }
}
