//! What a run printed, read when it is over, because it goes with the run's service; and what the instance printed last by which a release fails, read with the verdict.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use skep_planner::reconcile::Mode;
use skep_planner::reconcile::environment::{
    EnvironmentDesired, EnvironmentInput, EnvironmentObservation, lines_to_hear, runs_to_hear,
};
use skep_planner::run::{LAST_LINES, LAST_LINES_KEPT, OUTPUT_KEPT};
use skep_planner::{LastLines, RunNumber, RunOutput, Settings};
use skep_swarm::{LogQuery, LogTarget, SwarmError};

use super::Observer;
use crate::error::chain;

/// How long an engine may take to tell. One whose node is gone never does, and the run is over all the same.
const WITHIN: Duration = Duration::from_secs(5);

/// How much is kept of what something printed.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// So many lines are asked for.
    lines: u32,
    /// In bytes.
    bytes: usize,
}

impl Kept {
    /// Of a run. More lines than these would not be kept.
    const OF_RUN: Self = Self { lines: 5000, bytes: OUTPUT_KEPT };
    /// Of the instance by which a release fails.
    const OF_RELEASE: Self = Self { lines: LAST_LINES, bytes: LAST_LINES_KEPT };
}

impl Observer {
    /// What the runs printed that are over by what is seen, or why it cannot be told.
    pub(super) async fn outputs(
        &self,
        settings: &Settings,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
    ) -> BTreeMap<RunNumber, Result<RunOutput, String>> {
        if desired.runs.is_empty() {
            return BTreeMap::new();
        }
        let input = EnvironmentInput { settings, mode: Mode::Act, desired, observed, now: self.now() };
        let read = runs_to_hear(&input).into_iter().map(async |(number, service)| {
            (number, self.output(LogTarget::Service(service.id), Kept::OF_RUN).await)
        });
        join_all(read).await.into_iter().collect()
    }

    /// What the instance printed last by which the newest release fails, if it fails by one.
    pub(super) async fn last_lines(
        &self,
        settings: &Settings,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
    ) -> Option<LastLines> {
        let input = EnvironmentInput { settings, mode: Mode::Act, desired, observed, now: self.now() };
        let (process, task) = lines_to_hear(&input)?;
        let told = self.output(LogTarget::Task(task), Kept::OF_RELEASE).await;
        let output = told.unwrap_or_else(|why| {
            let gap = Some(format!("what it printed could not be read: {why}"));
            RunOutput { gap, ..RunOutput::default() }
        });
        Some(LastLines { process, output })
    }

    async fn output(&self, target: LogTarget, kept: Kept) -> Result<RunOutput, String> {
        let read = tokio::time::timeout(WITHIN, self.read(&target, kept)).await;
        let told =
            read.map_err(|_| format!("the engine did not tell within {} seconds", WITHIN.as_secs()))?;
        told.map_err(|error| chain(&error))
    }

    async fn read(&self, target: &LogTarget, kept: Kept) -> Result<RunOutput, SwarmError> {
        let query = LogQuery { follow: false, tail: Some(kept.lines), since: None };
        let mut lines = self.swarm.logs(target, &query).await?;
        let mut end = End::of(kept);
        while let Some(line) = lines.next().await {
            end.push(&String::from_utf8_lossy(&line?.message));
        }
        Ok(end.into_output())
    }
}

/// The last lines of something, as many as are kept.
struct End {
    kept: Kept,
    lines: VecDeque<String>,
    bytes: usize,
    lost: u32,
    told: u32,
}

impl End {
    const fn of(kept: Kept) -> Self {
        Self { kept, lines: VecDeque::new(), bytes: 0, lost: 0, told: 0 }
    }

    fn push(&mut self, line: &str) {
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        self.told += 1;
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > self.kept.bytes {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.len() + 1;
            self.lost += 1;
        }
    }

    fn into_output(self) -> RunOutput {
        let is_cut = self.lost > 0 || self.told >= self.kept.lines;
        let gap = is_cut.then(|| format!("only the last {} lines are kept", self.lines.len()));
        let text = self.lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
        RunOutput { text, gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: impl IntoIterator<Item = String>) -> RunOutput {
        let mut end = End::of(Kept::OF_RUN);
        lines.into_iter().for_each(|line| end.push(&line));
        end.into_output()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let told = output(["one\r\n".to_owned(), String::new(), "three".to_owned()]);
        assert_eq!(told, RunOutput { text: "one\n\nthree\n".to_owned(), gap: None });
        assert_eq!(output([]), RunOutput::default());
    }

    #[test]
    fn of_more_than_is_kept_the_end_is_and_it_says_so() {
        let line = "x".repeat(1000);
        let told = output((0..100).map(|number| format!("{number} {line}")));
        assert!(told.text.len() <= OUTPUT_KEPT && told.text.ends_with(&format!("99 {line}\n")));
        assert_eq!(told.gap.as_deref(), Some("only the last 65 lines are kept"));
        assert_eq!(told.text.lines().count(), 65);
    }
}
