//! Output: of an environment's processes today, and in the same form of whatever else prints: runs, release phases, builds.
//!
//! A stream of output tells lines, and beside them what a reader of lines alone would take for silence: gaps, and instances that come
//! and go.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::ProcessName;

/// Which lines of an environment's output are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogQuery {
    /// Only of this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// Of this run while it is not over, instead of the processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Only of these instances: a number as in `web.2`, or the beginning of the id that a line carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<LogInstance>,
    /// Only lines from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many of the newest lines of each process; 100 when absent, 10000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Go on with new lines as they come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Go on where another stream ended: the last id that it gave. The header Last-Event-ID says the same, and goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Which instances of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LogInstance {
    /// Whatever runs, or ran, in this place of the process.
    Slot(u64),
    /// The instance whose id begins so.
    Id(String),
}

/// The most digits of a number; a longer word is the beginning of an id.
const SLOT_DIGITS: usize = 4;

impl LogInstance {
    /// Is an instance meant?
    pub fn covers(&self, slot: Option<u64>, id: &str) -> bool {
        match self {
            Self::Slot(wanted) => slot == Some(*wanted),
            Self::Id(beginning) => id.starts_with(beginning.as_str()),
        }
    }
}

impl FromStr for LogInstance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 25 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!(
                "`{}` names no instance: say a number such as 2, or the beginning of an instance's id",
                text.chars().take(40).collect::<String>()
            ));
        }
        if text.len() <= SLOT_DIGITS
            && let Ok(slot) = text.parse()
        {
            return Ok(Self::Slot(slot));
        }
        Ok(Self::Id(text.to_owned()))
    }
}

impl TryFrom<String> for LogInstance {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LogInstance> for String {
    fn from(instance: LogInstance) -> Self {
        instance.to_string()
    }
}

impl fmt::Display for LogInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(slot) => slot.fmt(f),
            Self::Id(id) => f.write_str(id),
        }
    }
}

impl JsonSchema for LogInstance {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LogInstance".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9A-Za-z]{1,25}$",
            "description": "A number as in `web.2`, or the beginning of an instance's id.",
        })
    }
}

/// What a stream of output tells. Each is an SSE event of the name that stands here; the stream ends with an event `end`, or with
/// `problem`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LogEvent {
    /// `log`: a line.
    Line(LogLine),
    /// `gap`: lines are missing here, or may be.
    Gap(LogGap),
    /// `instance`: an instance came or went.
    Instance(InstanceChange),
}

impl LogEvent {
    /// The name of the SSE event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Line(_) => "log",
            Self::Gap(_) => "gap",
            Self::Instance(_) => "instance",
        }
    }
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// By which process.
    pub process: ProcessName,
    /// By which of its instances: the short form of the task's id.
    pub instance: String,
    /// The number of that instance, as in `web.2`; none where instances have none, and of those that are long gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// To which stream.
    pub stream: LogStream,
    /// The line, without its line end.
    pub text: String,
    /// Was the line longer, and the rest is not told? The engine tells lines over 16 KiB as several.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// A stream of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Lines are missing here, or may be: no line is lost without a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogGap {
    /// Why.
    pub reason: LogGapReason,
    /// Of which process; of all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// How many lines, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// The same for people.
    pub message: String,
}

/// Why lines are missing, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogGapReason {
    /// More was printed than this reader took, or than is told to one organisation in a second.
    SlowReader,
    /// The connection to what keeps the lines was lost, or is back.
    Connection,
    /// What keeps the lines could not read a part of them.
    Unreadable,
    /// More lines were asked for than are read again.
    TooMany,
}

/// An instance came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceChange {
    /// Of which process.
    pub process: ProcessName,
    /// Which: the short form of the task's id.
    pub instance: String,
    /// Its number, as in `web.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// What became of it.
    pub state: InstanceState,
    /// What its program said at its end, of one that ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

/// What became of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InstanceState {
    /// It runs.
    Running,
    /// It runs no longer.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_meant_by_its_number_or_by_the_beginning_of_its_id() {
        let number: LogInstance = "2".parse().unwrap();
        assert!(number.covers(Some(2), "abc") && !number.covers(Some(1), "2bc") && !number.covers(None, "2"));
        let id: LogInstance = "ab1".parse().unwrap();
        assert!(id.covers(Some(1), "ab12") && !id.covers(Some(1), "xab1"));
        assert_eq!("12345".parse(), Ok(LogInstance::Id("12345".to_owned())));
        for wrong in ["", "a b", "../x", "\u{1b}[2J", "a\"}"] {
            assert!(wrong.parse::<LogInstance>().is_err(), "{wrong:?}");
        }
    }
}
