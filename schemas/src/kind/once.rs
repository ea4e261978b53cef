//! Processes that run once and end: the release phase, and what has a schedule. Neither is a service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problems;
use super::process::ProcessSpec;
use crate::scalar::{CronExpression, Duration, ProcessName, TimeZoneName};

/// The process that runs once before each release is rolled out, as in a Procfile, and is no service.
pub const RELEASE_PHASE: &str = "release";
/// The longest that a process which runs once may be given.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// The shortest time within which something that was missed still begins: controllers take turns in less.
const STARTING_DEADLINE_MIN: Duration = Duration::from_secs(10);
/// The longest. What is a day late is better missed.
const STARTING_DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// When a process runs, again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Minute, hour, day of the month, month and day of the week. Where both days are said, either is enough.
    pub cron: CronExpression,
    /// The time zone in which they are read.
    #[serde(default = "TimeZoneName::utc")]
    pub time_zone: TimeZoneName,
    /// What is done when it is time and the last run is not over.
    #[serde(default)]
    pub concurrency: ConcurrencyPolicy,
    /// How late a run may still begin, when nobody could begin it in time. Of several that are late, the last begins.
    #[serde(default = "ScheduleSpec::default_starting_deadline")]
    pub starting_deadline: Duration,
}

impl ScheduleSpec {
    /// As long as any run may wait for what it needs.
    fn default_starting_deadline() -> Duration {
        Duration::from_secs(600)
    }

    /// When it recurs, in one line.
    pub fn recurrence(&self) -> String {
        format!("{} {}", self.cron, self.time_zone)
    }

    /// The first instant after one at which it is time.
    pub fn next_after(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.cron.next_after(&self.time_zone, after)
    }

    fn check(&self, pointer: &str, problems: &mut Problems) {
        let deadline = self.starting_deadline;
        if deadline < STARTING_DEADLINE_MIN || deadline > STARTING_DEADLINE_MAX {
            problems.push(
                format!("{pointer}/startingDeadline"),
                format!("{deadline} is no time within which it may begin"),
                format!("use `{STARTING_DEADLINE_MIN}` to `{STARTING_DEADLINE_MAX}`"),
            );
        }
    }
}

/// What is done when it is time for a run and the last one is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Another one begins.
    #[default]
    Allow,
    /// None begins; it counts as missed.
    Forbid,
    /// The last one is stopped, and the new one takes its place.
    Replace,
}

impl ConcurrencyPolicy {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Forbid => "Forbid",
            Self::Replace => "Replace",
        }
    }
}

impl ProcessSpec {
    /// Which of its fields only a process has that goes on running: it has instances, is sent requests, and may write to a volume alone.
    pub fn fields_of_services(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("instances", self.instances.is_some()),
            ("ports", self.ports.is_some()),
            ("healthCheck", self.health_check.is_some()),
            ("volumes", self.volumes.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field)
    }

    /// Checks what a process says of running once. Of an environment's it need not be said that it does: its app may.
    pub(super) fn check_once(&self, name: &ProcessName, pointer: &str, problems: &mut Problems) {
        let is_release_phase = name.as_str() == RELEASE_PHASE;
        if let Some(schedule) = &self.schedule {
            schedule.check(&format!("{pointer}/schedule"), problems);
        }
        if is_release_phase && self.schedule.is_some() {
            problems.push(
                format!("{pointer}/schedule"),
                format!("the process `{RELEASE_PHASE}` runs before each roll-out and has no schedule"),
                "remove it, or give what has a schedule another name",
            );
        } else if is_release_phase || self.schedule.is_some() {
            let runs = if is_release_phase { "before each roll-out" } else { "by its schedule" };
            for field in self.fields_of_services() {
                problems.push(
                    format!("{pointer}/{field}"),
                    format!("the process `{name}` runs once {runs}, and has no {field}"),
                    "remove it, or let another process go on running",
                );
            }
        }
        let limit =
            self.time_limit.filter(|limit| *limit < Duration::from_secs(1) || *limit > TIME_LIMIT_MAX);
        if let Some(limit) = limit {
            problems.push(
                format!("{pointer}/timeLimit"),
                format!("{limit} is no time that it may have"),
                format!("use `1s` to `{TIME_LIMIT_MAX}`"),
            );
        }
    }
}
