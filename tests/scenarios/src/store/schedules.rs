//! Schedules: how far they were followed, and what was missed.

use std::fmt::Write;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::{
    Missed, NewRun, Plan, Run, RunNumber, RunPurpose, ScheduleChange, ScheduleDecision, ScheduleMark,
};
use skep_schemas::{ProcessName, ResourceKey, Uid};

use super::Store;

/// A schedule that is followed.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    recurrence: String,
    until: Timestamp,
    missed: u32,
    last_missed: Option<(Timestamp, String)>,
}

impl Store {
    /// How far the schedules of an environment were followed.
    pub fn schedule_marks(&self, environment: Uid) -> Vec<ScheduleMark> {
        let followed = self.schedules.get(&environment).into_iter().flatten();
        let mark = |(process, followed): (&ProcessName, &Followed)| ScheduleMark {
            process: process.clone(),
            recurrence: followed.recurrence.clone(),
            until: followed.until,
        };
        followed.map(mark).collect()
    }

    /// Records what a plan decides about schedules. What rests on a mark that is there no more changes nothing.
    pub(super) fn follow_schedules(&mut self, plan: &Plan) -> Result<()> {
        for ScheduleChange { process, decision } in &plan.schedules {
            let followed = self.schedules.entry(plan.uid).or_default();
            match decision {
                ScheduleDecision::Begins { recurrence, at } => {
                    let is_so = followed.get(process).is_some_and(|found| found.recurrence == *recurrence);
                    let new =
                        Followed { recurrence: recurrence.clone(), until: *at, missed: 0, last_missed: None };
                    if !is_so {
                        followed.insert(process.clone(), new);
                    }
                }
                ScheduleDecision::Passes { known, slot, run, missed } => {
                    let found = followed.get_mut(process);
                    let is_known =
                        |found: &&mut Followed| (&found.recurrence, found.until) == (&known.0, known.1);
                    let Some(found) = found.filter(is_known) else { continue };
                    found.until = *slot;
                    if let Some(Missed { count, newest, why }) = missed {
                        found.missed += count;
                        found.last_missed = Some((*newest, why.clone()));
                    }
                    if let Some(run) = run {
                        self.begin_slot(plan.uid, process, *slot, run)?;
                    }
                }
                ScheduleDecision::Ends => drop(followed.remove(process)),
            }
        }
        Ok(())
    }

    fn begin_slot(&mut self, uid: Uid, process: &ProcessName, slot: Timestamp, run: &NewRun) -> Result<()> {
        let runs = self.runs.entry(uid).or_default();
        runs.push(Run {
            number: RunNumber::new(u32::try_from(runs.len())? + 1),
            purpose: RunPurpose::Schedule,
            release: run.release,
            process: process.clone(),
            command: None,
            resources: run.resources,
            time_limit: run.time_limit,
            slot: Some(slot),
            created_at: self.now,
            started_at: None,
            stopped_by: None,
            waits: None,
            end: None,
        });
        Ok(())
    }

    /// What there is to say of the schedules of an environment.
    pub fn show_schedules(&self, key: &ResourceKey) -> Result<String> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let mut text = String::new();
        for (process, followed) in self.schedules.get(&uid).into_iter().flatten() {
            write!(text, "{process} at {}, decided until {}", followed.recurrence, followed.until)?;
            match &followed.last_missed {
                Some((at, why)) => writeln!(text, "; {} missed, the last at {at}: {why}", followed.missed)?,
                None => writeln!(text)?,
            }
        }
        Ok(text)
    }
}
