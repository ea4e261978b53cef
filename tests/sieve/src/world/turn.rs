//! What a process does when it is its turn, and what there is to tell of it.

use std::time::Duration;

use jiff::Timestamp;
use skep_controller::local::Passed;
use skep_runtime::{Entropy, Priority};
use skep_schemas::ResourceKey;
use skep_simulator::SimSwarm;

use crate::process::Process;

/// How often a process says that it is alive: seldom enough to cost little, often enough for its leases.
const BEAT: Duration = Duration::from_secs(2);
/// How soon it says so again when that failed, as a server does.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
/// Changes that are read at a time.
const CHANGES_MAX: u32 = 500;

/// What a process does when it is its turn.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Beat,
    Listen,
    Pass(ResourceKey),
    Survey,
    CloseCutOff,
    WatchHolds,
    Look,
    Resync,
}

/// The events of the Swarm, one of which nobody hears.
pub(super) struct Hints {
    pub(super) swarm: SimSwarm,
    pub(super) dropped: Option<u64>,
}

/// What a process does when it is its turn; what there is to tell of it.
pub(super) async fn perform(
    process: &mut Process,
    act: Act,
    now: Timestamp,
    hints: &Hints,
    entropy: &Entropy,
) -> Vec<String> {
    let name = process.name.clone();
    let mut lines = Vec::new();
    match act {
        Act::Beat => {
            let before = process.local.leases();
            let beat = process.local.beat().await;
            process.behind = beat.is_err();
            process.beats = now + if process.behind { BEAT_AGAIN } else { BEAT };
            let after = process.local.leases();
            if let Err(error) = beat {
                lines.push(format!("{name} {}", words(&error)));
            } else if before != after {
                lines.push(format!("{name} holds {after} leases"));
            }
        }
        Act::Listen => {
            match process.store.changes(process.read, CHANGES_MAX).await {
                Ok(page) => {
                    process.read = page.cursor;
                    if !page.changes.is_empty()
                        && let Err(error) = process.local.changed(&page.changes).await
                    {
                        lines.push(format!("{name} {}", words(&error)));
                    }
                }
                Err(error) => lines.push(format!("{name} {}", words(&error))),
            }
            let from = process.heard;
            let (heard, position) = hints.swarm.with(|swarm| swarm.events_since(from));
            process.heard = position;
            // The engine keeps so many: what is older is lost to everybody.
            let first = position - u64::try_from(heard.len()).unwrap_or_default();
            for (hint, at) in heard.iter().zip(first..) {
                if hints.dropped != Some(at) {
                    process.local.heard(hint).await;
                }
            }
        }
        Act::Pass(key) => {
            let trigger = process.schedule.take(&key);
            let passed = process.local.pass(&key, trigger).await;
            process.schedule.passed(&key, &passed, now, entropy);
            lines.push(format!("{name} passes {key} by {trigger}: {}", outcome(&passed)));
        }
        Act::Survey if process.local.leads() => match process.local.survey().await {
            Ok(found) => lines.push(format!("{name} surveys: {found}")),
            Err(error) => {
                // A task that failed is tried again.
                process.led = false;
                lines.push(format!("{name} {}", words(&error)));
            }
        },
        Act::CloseCutOff if process.local.leads() => {
            if let Err(error) = process.local.close_cut_off().await {
                lines.push(format!("{name} {}", words(&error)));
            }
        }
        Act::Survey | Act::CloseCutOff => {}
        Act::WatchHolds => match process.local.watch_holds().await {
            Ok(0) => {}
            Ok(holds) => lines.push(format!("{name} sees {holds} holds")),
            Err(error) => lines.push(format!("{name} {}", words(&error))),
        },
        Act::Look => {
            if let Err(error) = process.local.look().await {
                lines.push(format!("{name} {}", words(&error)));
            }
        }
        Act::Resync => {
            if let Err(error) = process.local.resync(Priority::Resync).await {
                lines.push(format!("{name} {}", words(&error)));
            }
        }
    }
    process.collect(now);
    lines
}

fn outcome(passed: &Passed) -> String {
    match passed {
        Passed::AwaitChange => "done".to_owned(),
        Passed::RequeueAfter(after) => format!("again in {after:?}"),
        Passed::Failed { disposition, why } => format!("{disposition:?}: {why}"),
    }
}

fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
