//! Runs: asked for, noted, and listed.

use std::fmt::Write;

use anyhow::{Context, Result};
use skep_planner::{Plan, Run, RunNews, RunNumber, RunPurpose, Verdict};
use skep_schemas::kind::RELEASE_PHASE;
use skep_schemas::{Duration, ProcessName, ResourceKey, Uid};

use super::Store;

impl Store {
    /// Asks for a run of a command in the config of a process.
    pub fn ask_run(
        &mut self,
        key: &ResourceKey,
        process: ProcessName,
        command: Vec<String>,
        time_limit: Duration,
    ) -> Result<()> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let releases = self.releases.get(&uid).map_or(&[][..], Vec::as_slice);
        let good = releases.iter().rfind(|release| release.verdict == Verdict::Succeeded);
        let release = good.or(releases.last()).context("there is no release yet")?;
        let known = release.content.runnable(&process).context("there is no such process")?;
        let (resources, release) = (known.resources, release.version);
        let now = self.now;
        let runs = self.runs.entry(uid).or_default();
        let number = RunNumber::new(u32::try_from(runs.len())? + 1);
        let run = Run {
            number,
            purpose: RunPurpose::OneOff,
            release,
            process,
            command: Some(command),
            resources,
            time_limit,
            slot: None,
            created_at: now,
            started_at: None,
            stopped_by: None,
            waits: None,
            end: None,
        };
        runs.push(run);
        Ok(())
    }

    /// Asks that a run be stopped.
    pub fn stop_run(&mut self, key: &ResourceKey, number: u32) -> Result<()> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let by = self.authors.change(self.now).by;
        let runs = self.runs.entry(uid).or_default();
        let found = runs.iter_mut().find(|found| found.number.get() == number && found.end.is_none());
        found.context("there is no such run, or it is over")?.stopped_by = Some(by);
        Ok(())
    }

    /// The runs of an environment that are not over, and the release phase of its newest release.
    pub fn open_runs(&self, environment: Uid) -> Vec<Run> {
        let newest = self.releases.get(&environment).and_then(|all| all.last()).map(|newest| newest.version);
        let matters = |run: &&Run| {
            run.end.is_none() || run.purpose == RunPurpose::Release && Some(run.release) == newest
        };
        self.runs.get(&environment).into_iter().flatten().filter(matters).cloned().collect()
    }

    /// Begins the release phase that a plan asks for, once for each release.
    pub(super) fn begin_phase(&mut self, plan: &Plan) -> Result<()> {
        let Some(phase) = &plan.phase else { return Ok(()) };
        let runs = self.runs.entry(plan.uid).or_default();
        if runs.iter().any(|run| run.purpose == RunPurpose::Release && run.release == phase.release) {
            return Ok(());
        }
        runs.push(Run {
            number: RunNumber::new(u32::try_from(runs.len())? + 1),
            purpose: RunPurpose::Release,
            release: phase.release,
            process: RELEASE_PHASE.parse()?,
            command: None,
            resources: phase.resources,
            time_limit: phase.time_limit,
            slot: None,
            created_at: self.now,
            started_at: None,
            stopped_by: None,
            waits: None,
            end: None,
        });
        Ok(())
    }

    /// What there is to say of the runs of an environment.
    pub fn show_runs(&self, key: &ResourceKey) -> Result<String> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let mut text = String::new();
        for run in self.runs.get(&uid).into_iter().flatten() {
            let state = match (&run.end, &run.waits, run.started_at) {
                (Some((end, _)), ..) => match end.reason() {
                    Some(why) => format!("{}: {why}", end.as_str()),
                    None => end.as_str().to_owned(),
                },
                (None, Some(why), _) => format!("waits: {why}"),
                (None, None, Some(_)) => "runs".to_owned(),
                (None, None, None) => "asked for".to_owned(),
            };
            let slot = run.slot.map(|slot| format!(" at {slot}")).unwrap_or_default();
            writeln!(text, "{} {} of {}{slot}: {state}", run.number, run.process, run.release)?;
        }
        Ok(text)
    }

    /// Notes what a plan says of runs. One that is over stays as it is.
    pub(super) fn note_runs(&mut self, plan: &Plan) {
        let runs = self.runs.entry(plan.uid).or_default();
        for change in &plan.runs {
            let open = |found: &&mut Run| found.number == change.number && found.end.is_none();
            let Some(found) = runs.iter_mut().find(open) else { continue };
            match &change.news {
                RunNews::Waits { why } => found.waits = Some(why.clone()),
                RunNews::Started { at } => (found.started_at, found.waits) = (Some(*at), None),
                RunNews::Ended { end, at, .. } => {
                    (found.end, found.waits) = (Some((end.clone(), *at)), None);
                }
            }
        }
    }
}
