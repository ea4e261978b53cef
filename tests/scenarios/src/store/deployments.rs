//! Deployments: how far each release came, and what of it took how long.

use std::fmt::Write;

use anyhow::{Context, Result};
use skep_planner::deployment::{PhaseTimes, deployment};
use skep_planner::{Plan, Release, RunPurpose};
use skep_schemas::ResourceKey;

use super::Store;

impl Store {
    /// Notes how far the release has come that is being rolled out.
    pub fn note(&mut self, plan: &Plan) {
        let Some(noted) = &plan.noted else { return };
        let releases = self.releases.entry(plan.uid).or_default();
        let pending = |found: &&mut Release| found.version == noted.release && !found.verdict.is_final();
        if let Some(release) = releases.iter_mut().find(pending) {
            release.timeline = Some(noted.timeline.clone());
        }
    }

    /// What there is to say of the deployments of an environment. When they were over is not kept here.
    pub fn show_deployments(&self, key: &ResourceKey) -> Result<String> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let mut text = String::new();
        for release in self.releases.get(&uid).into_iter().flatten() {
            let runs = self.runs.get(&uid).into_iter().flatten();
            let phase = runs
                .filter(|run| run.purpose == RunPurpose::Release)
                .find(|run| run.release == release.version);
            let phase = phase.map(|run| PhaseTimes {
                run: run.number,
                started: run.started_at,
                ended: run.end.as_ref().map(|(_, at)| *at),
            });
            let told = deployment(release, phase, None);
            writeln!(text, "{}: {:?}", release.version, told.state)?;
            for stage in told.stages {
                let length = stage.ended.map(|ended| format!("{:#}", ended.duration_since(stage.began)));
                writeln!(text, "  {:?}: {}", stage.name, length.as_deref().unwrap_or("-"))?;
            }
            let noted = release.timeline.clone().unwrap_or_default();
            for wait in noted.waits {
                writeln!(text, "  waited: {}", wait.why)?;
            }
            for (name, rolled) in noted.processes {
                let length = rolled.up.map(|up| format!("{:#}", up.duration_since(rolled.sent)));
                writeln!(text, "  {name}: {}", length.as_deref().unwrap_or("-"))?;
            }
        }
        Ok(text)
    }
}
