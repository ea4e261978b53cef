//! What a run printed, read when it is over: it goes with the run's service.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use skep_planner::reconcile::Mode;
use skep_planner::reconcile::environment::{
    EnvironmentDesired, EnvironmentInput, EnvironmentObservation, runs_to_hear,
};
use skep_planner::run::OUTPUT_KEPT;
use skep_planner::swarm::Service;
use skep_planner::{RunNumber, RunOutput, Settings};
use skep_swarm::{LogQuery, LogTarget, SwarmError};

use super::Observer;
use crate::error::chain;

/// How long an engine may take to tell. One whose node is gone never does, and the run is over all the same.
const WITHIN: Duration = Duration::from_secs(5);
/// How many lines are asked for: more would not be kept.
const LINES: u32 = 5000;

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
            let read = tokio::time::timeout(WITHIN, self.output(&service)).await;
            let told =
                read.map_err(|_| format!("the engine did not tell within {} seconds", WITHIN.as_secs()));
            (number, told.and_then(|output| output.map_err(|error| chain(&error))))
        });
        join_all(read).await.into_iter().collect()
    }

    async fn output(&self, service: &Service) -> Result<RunOutput, SwarmError> {
        let query = LogQuery { follow: false, tail: Some(LINES), since: None };
        let mut lines = self.swarm.logs(&LogTarget::Service(service.id.clone()), &query).await?;
        let mut end = End::default();
        while let Some(line) = lines.next().await {
            end.push(&String::from_utf8_lossy(&line?.message));
        }
        Ok(end.into_output())
    }
}

/// The last lines of something, as many as are kept.
#[derive(Default)]
struct End {
    lines: VecDeque<String>,
    bytes: usize,
    lost: u32,
    told: u32,
}

impl End {
    fn push(&mut self, line: &str) {
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        self.told += 1;
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > OUTPUT_KEPT {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.len() + 1;
            self.lost += 1;
        }
    }

    fn into_output(self) -> RunOutput {
        let is_cut = self.lost > 0 || self.told >= LINES;
        let gap = is_cut.then(|| format!("only the last {} lines are kept", self.lines.len()));
        let text = self.lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
        RunOutput { text, gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: impl IntoIterator<Item = String>) -> RunOutput {
        let mut end = End::default();
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
