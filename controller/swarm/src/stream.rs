//! What flows: wake-up hints from the engine's events, and lines of logs.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use skep_planner::swarm::{NodeId, ServiceId, TaskId};

use crate::error::SwarmError;

/// Hints until the connection ends; then the caller connects again and reads everything afresh.
pub type HintStream = BoxStream<'static, Result<Hint, SwarmError>>;

/// Lines until the log ends, or until the connection does when it is followed.
pub type LogLineStream = BoxStream<'static, Result<LogLine, SwarmError>>;

/// Something happened to an object. Only a reason to look: hints are lost, doubled and late, and carry no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What kind of object.
    pub kind: HintKind,
    /// Its id.
    pub id: String,
    /// Its name, when the engine says it.
    pub name: Option<String>,
    /// The engine's word for what happened, like `create`, `update`, `die`.
    pub action: String,
    /// When, in nanoseconds since 1970 on the engine's clock.
    pub time_nanos: i64,
    /// What else the engine says; for containers their labels, Swarm's task and service ids among them.
    pub attributes: BTreeMap<String, String>,
}

impl Hint {
    /// The service a container hint is about.
    pub fn service_id(&self) -> Option<ServiceId> {
        self.attributes.get("com.docker.swarm.service.id").map(|id| ServiceId::from(id.as_str()))
    }

    /// The task a container hint is about.
    pub fn task_id(&self) -> Option<TaskId> {
        self.attributes.get("com.docker.swarm.task.id").map(|id| TaskId::from(id.as_str()))
    }
}

/// The kinds of objects hints are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HintKind {
    /// A service of the Swarm.
    Service,
    /// A node of the Swarm.
    Node,
    /// A network: of the Swarm, or an attachment on the engine that was asked.
    Network,
    /// A secret of the Swarm.
    Secret,
    /// A config of the Swarm.
    Config,
    /// A container of the engine that was asked.
    Container,
}

/// Whose log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// All tasks of a service, on all nodes.
    Service(ServiceId),
    /// One task.
    Task(TaskId),
}

/// Which part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether to wait for more at the end.
    pub follow: bool,
    /// Only so many last lines of each task; everything the engine kept when absent.
    pub tail: Option<u32>,
    /// Only lines since this moment, in whole seconds since 1970.
    pub since: Option<i64>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where the process wrote it.
    pub source: LogSource,
    /// The task that wrote it.
    pub task: Option<TaskId>,
    /// The node it ran on.
    pub node: Option<NodeId>,
    /// When the engine took it, RFC 3339 with nanoseconds.
    pub timestamp: String,
    /// The bytes, without the newline; the engine cuts lines at 16 KiB.
    pub message: Bytes,
}

/// Where a process wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The engine itself: it says here why it cannot read a part of the log.
    Engine,
}
