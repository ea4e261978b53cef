//! What tasks wrote.

use bytes::Bytes;
use skep_planner::swarm::TaskId;
use skep_swarm::{LogLine, LogQuery, LogSource, LogTarget};

use super::Swarm;
use crate::refusal::Refusal;

impl Swarm {
    /// The lines of a log, task by task.
    pub fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<Vec<LogLine>, Refusal> {
        let tasks: Vec<&TaskId> = match target {
            LogTarget::Task(id) => match self.tasks.get_key_value(id) {
                Some((id, _)) => vec![id],
                None => return Err(Refusal::missing("task", id)),
            },
            LogTarget::Service(id) => {
                if !self.services.contains_key(id) {
                    return Err(Refusal::missing("service", id));
                }
                self.tasks_of.get(id).into_iter().flatten().collect()
            }
        };
        let since = query.since.and_then(|since| jiff::Timestamp::from_second(since).ok());
        let mut lines = Vec::new();
        for record in tasks.into_iter().filter_map(|id| self.tasks.get(id)) {
            let is_new = |line: &&LogLine| {
                since.is_none_or(|since| line.timestamp.parse().is_ok_and(|at: jiff::Timestamp| at >= since))
            };
            let all: Vec<&LogLine> = record.lines.iter().filter(is_new).collect();
            let tail = query.tail.map_or(all.len(), |tail| usize::try_from(tail).unwrap_or(usize::MAX));
            lines.extend(all[all.len().saturating_sub(tail)..].iter().copied().cloned());
        }
        Ok(lines)
    }

    /// A task writes a line.
    pub fn write_line(&mut self, task: &TaskId, source: LogSource, message: &str) {
        let now = self.now.to_string();
        if let Some(record) = self.tasks.get_mut(task) {
            record.lines.push(LogLine {
                source,
                task: Some(task.clone()),
                node: record.task.node_id.clone(),
                timestamp: now,
                message: Bytes::copy_from_slice(message.as_bytes()),
            });
        }
    }
}
