//! Schedules: processes that run again and again, each time until they end.
//!
//! What a schedule is belongs to a release ([`ReleaseSchedule`](crate::release::ReleaseSchedule)). An instant at which it is time is a *slot*. How far a schedule was
//! followed is a *mark*: each slot up to it was decided, which means that its run was written down, or that it was counted as missed. Mark and run are written in one
//! transaction, by whoever has the lease and knows the mark that is there. So no slot is run twice and none is lost without a word, whoever dies when.

use jiff::Timestamp;
use skep_schemas::ProcessName;

use crate::run::NewRun;

/// How far a schedule was followed, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleMark {
    /// The process.
    pub process: ProcessName,
    /// When it recurs, as far as the mark is about that: expression and time zone.
    pub recurrence: String,
    /// Each slot up to here was decided.
    pub until: Timestamp,
}

/// What a plan decides about a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleChange {
    /// The process.
    pub process: ProcessName,
    /// What.
    pub decision: ScheduleDecision,
}

/// A decision about a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleDecision {
    /// It is followed from now on: it is new, or recurs otherwise than before.
    Begins {
        /// When it recurs.
        recurrence: String,
        /// Since when.
        at: Timestamp,
    },
    /// It was time.
    Passes {
        /// When it recurs, and the mark that this rests on. Nothing is recorded when another one is there by now.
        known: (String, Timestamp),
        /// The newest slot that it was time for.
        slot: Timestamp,
        /// The run of that slot.
        run: Option<NewRun>,
        /// The slots that are not run.
        missed: Option<Missed>,
    },
    /// There is no such schedule any more.
    Ends,
}

/// Slots that are not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// How many.
    pub count: u32,
    /// The newest of them.
    pub newest: Timestamp,
    /// Why the newest is not run, in words.
    pub why: String,
}
