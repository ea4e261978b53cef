//! Runs: asked for, noted, and listed.

use std::fmt::Write;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::{Plan, Run, RunEnd, RunNews, RunNumber, RunOutput, RunPurpose, Verdict};
use skep_schemas::{Duration, ProcessName, ResourceKey, Uid};

use super::Store;

/// A run, and how it ended if it did.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    run: Run,
    end: Option<(RunEnd, Timestamp, RunOutput)>,
}

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
        let known = release.content.processes.get(&process).context("there is no such process")?;
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
            created_at: now,
            started_at: None,
            stopped_by: None,
            waits: None,
        };
        runs.push(Recorded { run, end: None });
        Ok(())
    }

    /// Asks that a run be stopped.
    pub fn stop_run(&mut self, key: &ResourceKey, number: u32) -> Result<()> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let by = self.authors.change(self.now).by;
        let runs = self.runs.entry(uid).or_default();
        let found = runs.iter_mut().find(|found| found.run.number.get() == number && found.end.is_none());
        found.context("there is no such run, or it is over")?.run.stopped_by = Some(by);
        Ok(())
    }

    /// The runs of an environment that are not over.
    pub fn open_runs(&self, environment: Uid) -> Vec<Run> {
        let all = self.runs.get(&environment).into_iter().flatten();
        all.filter(|found| found.end.is_none()).map(|found| found.run.clone()).collect()
    }

    /// What there is to say of the runs of an environment.
    pub fn show_runs(&self, key: &ResourceKey) -> Result<String> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let mut text = String::new();
        for Recorded { run, end } in self.runs.get(&uid).into_iter().flatten() {
            let state = match (end, &run.waits, run.started_at) {
                (Some((end, ..)), ..) => match end.reason() {
                    Some(why) => format!("{}: {why}", end.as_str()),
                    None => end.as_str().to_owned(),
                },
                (None, Some(why), _) => format!("waits: {why}"),
                (None, None, Some(_)) => "runs".to_owned(),
                (None, None, None) => "asked for".to_owned(),
            };
            writeln!(text, "{} {} of {}: {state}", run.number, run.process, run.release)?;
        }
        Ok(text)
    }

    /// Notes what a plan says of runs. One that is over stays as it is.
    pub(super) fn note_runs(&mut self, plan: &Plan) {
        let runs = self.runs.entry(plan.uid).or_default();
        for change in &plan.runs {
            let open = |found: &&mut Recorded| found.run.number == change.number && found.end.is_none();
            let Some(found) = runs.iter_mut().find(open) else { continue };
            match &change.news {
                RunNews::Waits { why } => found.run.waits = Some(why.clone()),
                RunNews::Started { at } => (found.run.started_at, found.run.waits) = (Some(*at), None),
                RunNews::Ended { end, at, output } => {
                    found.end = Some((end.clone(), *at, output.clone()));
                    found.run.waits = None;
                }
            }
        }
    }
}
