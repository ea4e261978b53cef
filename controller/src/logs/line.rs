//! A line of the engine as it is told.

use std::collections::HashMap;

use jiff::Timestamp;
use skep_api::wire::{LogEvent, LogGap, LogGapReason, LogLine, LogStream};
use skep_schemas::ProcessName;
use skep_swarm::LogSource;

use super::engine::Instance;

/// How much of a task's id tells instances apart; the same length as `docker service ps` shows.
const INSTANCE_CHARS: usize = 12;
/// A longer line is cut: it is shown to people. The engine tells what is longer than 16 KiB as several lines by itself.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// The short form of a task's id.
pub(crate) fn short(task: &str) -> String {
    task.chars().take(INSTANCE_CHARS).collect()
}

/// The numbers of instances.
pub(super) type Slots = HashMap<String, Option<u64>>;

/// The numbers of these.
pub(super) fn slots(instances: &[Instance]) -> Slots {
    instances.iter().map(|instance| (instance.id.clone(), instance.slot)).collect()
}

/// A line as it is told. What the engine says of itself names nodes and is for whoever runs them; others learn that something is missing.
pub(super) fn read(line: skep_swarm::LogLine, process: &ProcessName, slots: &Slots) -> LogEvent {
    let stream = match line.source {
        LogSource::Stdout => LogStream::Stdout,
        LogSource::Stderr => LogStream::Stderr,
        LogSource::Engine => {
            let said = String::from_utf8_lossy(&line.message);
            tracing::info!(%process, %said, "the engine could not read a part of a log");
            let message =
                format!("the engine could not read a part of what {process} prints; lines are missing");
            return gap(LogGapReason::Unreadable, process, None, message);
        }
    };
    let instance = line.task.map(|task| short(task.as_str())).unwrap_or_default();
    let shown = line.message.get(..LINE_BYTES_MAX).unwrap_or(&line.message);
    LogEvent::Line(LogLine {
        // A line without a time that can be read is as old as it is seen: better told twice than not.
        at: line.timestamp.parse().unwrap_or_else(|_| Timestamp::now()),
        process: process.clone(),
        slot: slots.get(&instance).copied().flatten(),
        instance,
        stream,
        text: String::from_utf8_lossy(shown).trim_end_matches(['\r', '\n']).to_owned(),
        cut: line.message.len() > LINE_BYTES_MAX,
    })
}

/// That lines of a process are missing.
pub(super) fn gap(
    reason: LogGapReason,
    process: &ProcessName,
    lines: Option<u64>,
    message: String,
) -> LogEvent {
    LogEvent::Gap(LogGap { reason, process: Some(process.clone()), lines, message })
}

/// About how much memory an event takes.
pub(super) fn size(event: &LogEvent) -> usize {
    const FRAME: usize = 256;
    FRAME
        + match event {
            LogEvent::Line(line) => line.text.len(),
            LogEvent::Gap(gap) => gap.message.len(),
            LogEvent::Instance(_) => 0,
        }
}
