//! Requests while instances are replaced, added and taken away: how many are sent, and how many are lost.
//!
//! The server is that of an installation as a user has it, so this measures what `engine_rollout` tests, more often, and once without draining: then it
//! shows that there is something to be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use skep_e2e::rollout::{Operation, Outcome, PER_SECOND, Rollouts};

use crate::report::{Findings, median, time};

/// Seconds between two looks of the edge, as in `manifests/traefik.yaml`.
const REFRESH: u32 = 5;
/// How often each is done.
const ROUNDS: usize = 5;

/// Measures all of it.
pub(crate) fn measure() -> Result<Findings> {
    let drained = rounds(true, ROUNDS)?;
    let cut_off = rounds(false, 1)?;
    let row = |operation: &Operation| {
        let (all, bare) = (of(&drained, *operation), of(&cut_off, *operation));
        let sent = |outcomes: &[&Outcome]| outcomes.iter().map(|outcome| outcome.sent).sum::<u64>();
        let each: Vec<String> = all.iter().map(|outcome| outcome.failed.to_string()).collect();
        let failed: u64 = bare.iter().map(|outcome| outcome.failed).sum();
        let took: Vec<Duration> = all.iter().map(|outcome| outcome.took).collect();
        format!(
            "| {} | {} | {} | {} | {} of {} |\n",
            operation.words(),
            sent(&all),
            each.join(", "),
            time(median(&took)),
            failed,
            sent(&bare),
        )
    };
    let rows: String = Operation::ALL.iter().map(row).collect();
    Ok(Findings::new(format!(
        "| {PER_SECOND} requests a second, {ROUNDS} times | sent | failed, each time | takes | not drained, once: failed |\n|---|--:|--:|--:|--:|\n{rows}"
    )))
}

fn rounds(is_drained: bool, rounds: usize) -> Result<Vec<BTreeMap<Operation, Outcome>>> {
    let mut rollouts = Rollouts::start(REFRESH, is_drained)?;
    let outcomes: Vec<_> = (1..=rounds).map(|round| rollouts.round(round)).collect::<Result<_>>()?;
    // A machine that cannot ask as often measures something else.
    for (operation, outcome) in outcomes.iter().flatten() {
        ensure!(outcome.rate >= u64::from(PER_SECOND) * 3 / 4, "{}: {outcome:?}", operation.words());
    }
    Ok(outcomes)
}

fn of(rounds: &[BTreeMap<Operation, Outcome>], operation: Operation) -> Vec<&Outcome> {
    rounds.iter().filter_map(|round| round.get(&operation)).collect()
}
