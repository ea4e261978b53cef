//! Deployments: the attempts at releases, and what of each took how long.
//!
//! A deployment has no row of its own. When a release was made and when it was known how it went are facts of the release, how long its release phase took is one of a run, and what
//! happened between is noted while it is pending ([`Timeline`]). [`deployment`] puts these together, and invents nothing: what was not noted is not told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_schemas::ProcessName;

use crate::release::{Release, Verdict};
use crate::run::RunNumber;

/// What is noted of a release while it is pending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeline {
    /// What it waited for before all of it was sent, in the order in which that was noticed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// The processes to which it was sent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, Rolled>,
}

/// Something that a release waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What, in words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// How one process came to run a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolled {
    /// When it was sent.
    pub sent: Timestamp,
    /// When all instances first ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<Timestamp>,
}

/// When the release phase of a release was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseTimes {
    /// Its run.
    pub run: RunNumber,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// Nothing of it has begun.
    Queued,
    /// Its release phase runs.
    Releasing,
    /// Instances are being replaced.
    Rolling,
    /// All instances run it, and are being watched.
    Verifying,
    /// Every process runs it as it should.
    Done,
    /// It failed, and the one before runs again.
    RolledBack,
    /// It failed, and there was nothing to go back to.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// A newer one took its place.
    Superseded,
}

/// A part of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageName {
    /// From when the release was made until something of it began.
    Queued,
    /// The release phase.
    Releasing,
    /// From the first process that it was sent to until all instances of all ran it.
    Rolling,
    /// From then until it was known how it went.
    Verifying,
}

/// When a part of a deployment was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Which.
    pub name: StageName,
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
}

/// The attempt at a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Where it stands.
    pub state: DeploymentState,
    /// Its parts, in their order; none of a release that is from before they were noted.
    pub stages: Vec<Stage>,
}

/// The deployment of a release, whose release phase was then, and of which it was known at that time how it went.
pub fn deployment(release: &Release, phase: Option<PhaseTimes>, decided_at: Option<Timestamp>) -> Deployment {
    let noted = release.timeline.as_ref();
    let sent = noted.and_then(|noted| noted.processes.values().map(|process| process.sent).min());
    let up = noted.and_then(|noted| all_up(release, noted));
    let begun = phase.and_then(|phase| phase.started);
    let state = match &release.verdict {
        Verdict::Succeeded => DeploymentState::Done,
        Verdict::RolledBack { .. } => DeploymentState::RolledBack,
        Verdict::Failed { .. } => DeploymentState::Failed,
        Verdict::Superseded => DeploymentState::Superseded,
        Verdict::Cancelled { .. } => DeploymentState::Cancelled,
        Verdict::Pending if up.is_some() => DeploymentState::Verifying,
        Verdict::Pending if sent.is_some() => DeploymentState::Rolling,
        Verdict::Pending if begun.is_some() && phase.is_some_and(|phase| phase.ended.is_none()) => {
            DeploymentState::Releasing
        }
        Verdict::Pending => DeploymentState::Queued,
    };
    if noted.is_none() {
        return Deployment { state, stages: Vec::new() };
    }
    // The clocks of engine and database may differ a little: nothing ends before it began.
    let stage = |name, began: Timestamp, ended: Option<Timestamp>| {
        let ended = ended.or(decided_at).map(|ended| ended.max(began));
        Stage { name, began, ended }
    };
    let queued = stage(StageName::Queued, release.created_at, begun.or(sent));
    let phase_ended = phase.and_then(|phase| phase.ended);
    let stages = [
        Some(queued),
        begun.map(|begun| stage(StageName::Releasing, begun, phase_ended)),
        sent.map(|sent| stage(StageName::Rolling, sent, up)),
        up.map(|up| stage(StageName::Verifying, up, None)),
    ];
    Deployment { state, stages: stages.into_iter().flatten().collect() }
}

/// When the last process first ran it in all its instances, if all did.
fn all_up(release: &Release, noted: &Timeline) -> Option<Timestamp> {
    let up = |name| noted.processes.get(name).and_then(|process| process.up);
    let all: Option<Vec<Timestamp>> = release.content.processes.keys().map(up).collect();
    all?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{ReleaseContent, ReleaseVersion};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A release of `web` and `worker` that was made in second 10.
    fn release(verdict: Verdict, timeline: Option<serde_json::Value>) -> Release {
        let process = json!({
            "entrypoint": null, "command": null, "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
            "resources": {"cpu": "1", "memory": "1Gi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
        });
        let id = format!("sha256:{}", "a".repeat(64));
        let content: ReleaseContent = serde_json::from_value(json!({
            "image": {"reference": "shop:1", "resolved": {"from": "engine", "id": id}},
            "processes": {"web": process, "worker": process},
            "secrets": [], "region": null, "restart": {}, "security": {},
        }))
        .unwrap();
        Release {
            version: ReleaseVersion::FIRST,
            content,
            verdict,
            created_at: at(10),
            rollback_to: None,
            cancelled: None,
            timeline: timeline.map(|timeline| serde_json::from_value(timeline).unwrap()),
        }
    }

    fn told(deployment: &Deployment) -> Vec<(StageName, i64, Option<i64>)> {
        let second = |at: Timestamp| at.as_second();
        let stage = |stage: &Stage| (stage.name, second(stage.began), stage.ended.map(second));
        deployment.stages.iter().map(stage).collect()
    }

    #[test]
    fn a_deployment_is_told_stage_by_stage_as_far_as_it_came() {
        let rolled = |web: serde_json::Value, worker: serde_json::Value| {
            Some(json!({"processes": {"web": web, "worker": worker}}))
        };
        let phase = |started, ended: Option<i64>| {
            Some(PhaseTimes { run: RunNumber::new(1), started: Some(at(started)), ended: ended.map(at) })
        };
        let queued = deployment(&release(Verdict::Pending, Some(json!({}))), None, None);
        assert_eq!(
            (queued.state, told(&queued)),
            (DeploymentState::Queued, vec![(StageName::Queued, 10, None)])
        );
        let releasing = deployment(&release(Verdict::Pending, Some(json!({}))), phase(12, None), None);
        assert_eq!(releasing.state, DeploymentState::Releasing);
        let half = rolled(json!({"sent": at(20), "up": at(25)}), json!({"sent": at(21)}));
        let rolling = deployment(&release(Verdict::Pending, half), phase(12, Some(19)), None);
        let stages = vec![
            (StageName::Queued, 10, Some(12)),
            (StageName::Releasing, 12, Some(19)),
            (StageName::Rolling, 20, None),
        ];
        assert_eq!((rolling.state, told(&rolling)), (DeploymentState::Rolling, stages));
        let whole = rolled(json!({"sent": at(20), "up": at(25)}), json!({"sent": at(21), "up": at(30)}));
        let verifying = deployment(&release(Verdict::Pending, whole.clone()), None, None);
        assert_eq!(verifying.state, DeploymentState::Verifying);
        let done = deployment(&release(Verdict::Succeeded, whole), None, Some(at(35)));
        let stages = vec![
            (StageName::Queued, 10, Some(20)),
            (StageName::Rolling, 20, Some(30)),
            (StageName::Verifying, 30, Some(35)),
        ];
        assert_eq!((done.state, told(&done)), (DeploymentState::Done, stages));
    }

    #[test]
    fn what_was_never_sent_was_queued_until_its_end_and_what_was_not_noted_is_not_told() {
        let superseded = deployment(&release(Verdict::Superseded, Some(json!({}))), None, Some(at(9)));
        assert_eq!(
            (superseded.state, told(&superseded)),
            (DeploymentState::Superseded, vec![(StageName::Queued, 10, Some(10))])
        );
        let old = deployment(&release(Verdict::Succeeded, None), None, Some(at(40)));
        assert_eq!((old.state, told(&old)), (DeploymentState::Done, vec![]));
    }
}
