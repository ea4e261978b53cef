//! The release phase: what runs once, in what a release will run, before its services are touched.
//!
//! It is a run like any other ([`super::runs`]). Until it is over, what ran before goes on as if there were no new release; if it does not succeed, the release has
//! failed without ever having been sent. A preview takes it for passed, because that is what it previews.

use jiff::Timestamp;

use super::{EnvironmentDesired, EnvironmentInput};
use crate::reconcile::Mode;
use crate::release::{Release, ReleaseContent, ReleaseVersion};
use crate::run::{NewRun, Run, RunEnd, RunPurpose};

/// Where the release phase of a release stands.
pub(super) enum Phase<'a> {
    /// There is none, or it has succeeded.
    Passed,
    /// It has not been asked for yet.
    Due(NewRun),
    /// It is not over.
    Open(&'a Run),
    /// It did not succeed, for this reason.
    Failed(String),
}

/// Where the release phase of a pending release stands.
pub(super) fn of<'a>(input: &EnvironmentInput<'a>, release: &Release) -> Phase<'a> {
    let Some(due) = due(release.version, &release.content).filter(|_| input.mode == Mode::Act) else {
        return Phase::Passed;
    };
    let Some(run) = run(input.desired, release.version) else { return Phase::Due(due) };
    match &run.end {
        None => Phase::Open(run),
        Some((RunEnd::Succeeded, _)) => Phase::Passed,
        Some((end, _)) => {
            let why = end.reason().unwrap_or_default();
            Phase::Failed(format!("its release phase (run {}) did not succeed: {why}", run.number))
        }
    }
}

/// The run that has to come before a release of this content.
pub(super) fn due(release: ReleaseVersion, content: &ReleaseContent) -> Option<NewRun> {
    let phase = content.release_phase.as_ref()?;
    Some(NewRun { release, resources: phase.process.resources, time_limit: phase.time_limit })
}

/// Since when a release may be sent: since it was made, or since its release phase was over.
pub(super) fn over_since(desired: &EnvironmentDesired, release: &Release) -> Timestamp {
    let ended = run(desired, release.version).and_then(|run| run.end.as_ref()).map(|(_, at)| *at);
    ended.map_or(release.created_at, |at| at.max(release.created_at))
}

fn run(desired: &EnvironmentDesired, release: ReleaseVersion) -> Option<&Run> {
    desired.runs.iter().rfind(|run| run.purpose == RunPurpose::Release && run.release == release)
}
