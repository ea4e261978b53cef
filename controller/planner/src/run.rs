//! Runs: commands that run once, in an environment's image, config and secrets.
//!
//! A run is a fact, as a release is, and not a resource: once it is over, nobody wants it to be otherwise. It is written down first, by whoever asks for it
//! or by a plan, and the environment's reconcile does the rest: makes one service for it, notes when its task runs and how it ended, keeps the
//! end of its output, and removes the service.
//!
//! That service is a replicated one of one task that is never started again, and not one of Swarm's jobs. Jobs begin anew after any update, of a label even,
//! and engines before 23.0.2 leave their containers behind when they are removed (`research/swarm.md`, moby#42789). A task whose
//! restart condition is `none` is not made again by any of Swarm's orchestrators: not when it ends, not when its node is drained or lost, not when another
//! manager leads (swarmkit `manager/orchestrator/restart`: `shouldRestart`, `UpdatableTasksInSlot`).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_schemas::kind::Resources;
use skep_schemas::{Duration, ProcessName};

use crate::release::ReleaseVersion;

/// How much of what a run printed is kept: the end of it, in bytes.
pub const OUTPUT_KEPT: usize = 64 << 10;
/// How many runs of one environment may not be over: each is a service.
pub const RUNS_OPEN_MAX: usize = 20;

/// The number of a run within its environment; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(u32);

impl RunNumber {
    /// From its stored form.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunPurpose {
    /// Somebody asked for it.
    OneOff,
    /// It comes before a release is rolled out.
    Release,
    /// It was time for it by a schedule.
    Schedule,
}

impl RunPurpose {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneOff => "one-off",
            Self::Release => "release",
            Self::Schedule => "schedule",
        }
    }

    /// The purpose of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::OneOff, Self::Release, Self::Schedule].into_iter().find(|purpose| purpose.as_str() == word)
    }
}

/// A run, as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub number: RunNumber,
    /// What it is for.
    pub purpose: RunPurpose,
    /// The release whose image, config and secrets it has.
    pub release: ReleaseVersion,
    /// The process whose config it has.
    pub process: ProcessName,
    /// What it runs in place of the process's command. What the image or the process starts, its entry point, still starts it.
    pub command: Option<Vec<String>>,
    /// What it may use.
    pub resources: Resources,
    /// For how long it may run.
    pub time_limit: Duration,
    /// For which time of a schedule it is.
    pub slot: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Since when it has been running.
    pub started_at: Option<Timestamp>,
    /// Who asked for it to be stopped.
    pub stopped_by: Option<String>,
    /// What it waits for, as last noted.
    pub waits: Option<String>,
    /// How it ended, and when.
    pub end: Option<(RunEnd, Timestamp)>,
}

/// A run that a plan makes: the release phase of the release that it makes, or that is pending, or what it is time for by a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Of which release.
    pub release: ReleaseVersion,
    /// What it may use.
    pub resources: Resources,
    /// For how long it may run.
    pub time_limit: Duration,
}

/// How a run ended. It stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Its process ended with status 0.
    Succeeded,
    /// Its process ended with another status, or there never was one.
    Failed {
        /// The status of the process, if there was one.
        exit_code: Option<i64>,
        /// Why, in words.
        reason: String,
    },
    /// It was ended because its time was over.
    TimedOut {
        /// The time that it had, in words.
        reason: String,
    },
    /// Somebody stopped it.
    Stopped {
        /// Who, in words.
        reason: String,
    },
}

impl RunEnd {
    /// A failure without a process.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { exit_code: None, reason: reason.into() }
    }

    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed-out",
            Self::Stopped { .. } => "stopped",
        }
    }

    /// Why it did not succeed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Succeeded => None,
            Self::Failed { reason, .. } | Self::TimedOut { reason } | Self::Stopped { reason } => {
                Some(reason)
            }
        }
    }

    /// The status of its process, if it ended by itself.
    pub const fn exit_code(&self) -> Option<i64> {
        match self {
            Self::Succeeded => Some(0),
            Self::Failed { exit_code, .. } => *exit_code,
            Self::TimedOut { .. } | Self::Stopped { .. } => None,
        }
    }

    /// From its stored form.
    pub fn from_columns(word: &str, exit_code: Option<i64>, reason: Option<String>) -> Option<Self> {
        Some(match (word, reason) {
            ("succeeded", None) => Self::Succeeded,
            ("failed", Some(reason)) => Self::Failed { exit_code, reason },
            ("timed-out", Some(reason)) => Self::TimedOut { reason },
            ("stopped", Some(reason)) => Self::Stopped { reason },
            _ => return None,
        })
    }
}

/// What a run printed, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOutput {
    /// The end of it, whole lines: of a run at most [`OUTPUT_KEPT`] bytes.
    pub text: String,
    /// What is missing, in words; none when this is all of it.
    pub gap: Option<String>,
}

/// How much is kept of what the instance printed by which a release failed: so many lines of its end,
pub const LAST_LINES: u32 = 50;
/// and of these so many bytes.
pub const LAST_LINES_KEPT: usize = 16 << 10;

/// What the instance printed last by which a release failed. It may hold secrets, so it shows itself to nobody who only looks at a plan.
#[derive(Clone, PartialEq, Eq)]
pub struct LastLines {
    /// Whose instance it was.
    pub process: ProcessName,
    /// The lines.
    pub output: RunOutput,
}

impl fmt::Debug for LastLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastLines({}, {} bytes)", self.process, self.output.text.len())
    }
}

/// What became known about a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunChange {
    /// Which.
    pub number: RunNumber,
    /// What.
    pub news: RunNews,
}

impl RunChange {
    /// Which run it says to be over, if it does.
    pub(crate) const fn ends(&self) -> Option<RunNumber> {
        match self.news {
            RunNews::Ended { .. } => Some(self.number),
            RunNews::Waits { .. } | RunNews::Started { .. } => None,
        }
    }
}

/// The news about a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunNews {
    /// It cannot start yet, for this reason.
    Waits {
        /// Why.
        why: String,
    },
    /// Its process runs.
    Started {
        /// Since when.
        at: Timestamp,
    },
    /// It is over.
    Ended {
        /// How it ended.
        end: RunEnd,
        /// When.
        at: Timestamp,
        /// What it printed.
        output: RunOutput,
    },
}
