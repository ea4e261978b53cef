//! What is worth telling about a resource: releases, verdicts, changes made, and changes of its conditions.

use skep_planner::reconcile::conditions::ReadConditions;
use skep_planner::release::Verdict;
use skep_planner::{Plan, RunChange, RunNews};
use skep_schemas::kind::AnyStatus;
use skep_schemas::{ConditionKind, ConditionStatus, Reason};
use skep_store::{Corrected, NewEvent, Severity};

/// What a plan that was carried out is worth telling. `drains` is whether processes are kept from ending until the edge knows of it.
pub(crate) fn of_plan(plan: &Plan, drains: bool) -> Vec<NewEvent> {
    let normal = |reason: &str, message: String| NewEvent {
        severity: Severity::Normal,
        reason: reason.to_owned(),
        message,
    };
    let mut events = Vec::new();
    for change in &plan.verdicts {
        let release = change.release;
        events.push(match &change.verdict {
            Verdict::Succeeded => normal("ReleaseSucceeded", format!("release {release} runs")),
            Verdict::Superseded => {
                normal("ReleaseSuperseded", format!("release {release} was replaced before it was done"))
            }
            Verdict::Cancelled { reason } => {
                normal("ReleaseCancelled", format!("release {release} was {reason}"))
            }
            Verdict::Pending => normal("ReleasePending", format!("release {release} is being rolled out")),
            Verdict::RolledBack { reason } => NewEvent {
                severity: Severity::Warning,
                reason: "ReleaseRolledBack".to_owned(),
                message: format!("release {release} failed and was rolled back: {reason}"),
            },
            Verdict::Failed { reason } => NewEvent {
                severity: Severity::Warning,
                reason: "ReleaseFailed".to_owned(),
                message: format!("release {release} failed: {reason}"),
            },
        });
    }
    events.extend(plan.runs.iter().filter_map(of_run));
    if plan.ends_rollback {
        let why = "the manifests ask for something else than when it was made; the rollback is over";
        events.push(normal("RollbackEnded", why.to_owned()));
    }
    if let Some(release) = &plan.release {
        let image = release.content.image.pinned();
        events.push(normal(
            "ReleaseCreated",
            format!("release {} of {image}: {}", release.version, release.why),
        ));
        let has_ports = release.content.processes.values().any(|process| !process.ports.is_empty());
        if drains && has_ports && release.content.image.start.is_none() {
            events.push(NewEvent {
                severity: Severity::Warning,
                reason: "NotDrained".to_owned(),
                message: format!(
                    "what {image} starts could not be read from its registry: when instances of release {} are replaced, they end at once, and requests are lost",
                    release.version
                ),
            });
        }
    }
    if let Some(phase) = &plan.phase {
        events.push(normal("ReleasePhase", format!("the release phase of {} is to run", phase.release)));
    }
    for step in &plan.steps {
        let message = format!("{} {}: {} ({})", step.op.verb(), step.object, step.why, step.cost);
        events.push(normal("Changed", message));
    }
    events
}

/// That a run began, or how it ended. What it waits for its row says.
fn of_run(change: &RunChange) -> Option<NewEvent> {
    let run = change.number;
    let (severity, reason, message) = match &change.news {
        RunNews::Waits { .. } => return None,
        RunNews::Started { .. } => (Severity::Normal, "RunStarted", format!("run {run} began")),
        RunNews::Ended { end, .. } => match end.reason() {
            None => (Severity::Normal, "RunSucceeded", format!("run {run} succeeded")),
            Some(why) => (Severity::Warning, "RunFailed", format!("run {run}: {why}")),
        },
    };
    Some(NewEvent { severity, reason: reason.to_owned(), message })
}

/// What drift that was put right is worth telling.
pub(crate) fn of_corrected(corrected: &[Corrected]) -> Vec<NewEvent> {
    let told = corrected.iter().map(|one| {
        let field = if one.pointer.is_empty() { "it" } else { one.pointer.as_str() };
        let message = format!("{}: somebody else changed {field}; it was put back", one.object);
        NewEvent { severity: Severity::Warning, reason: "DriftCorrected".to_owned(), message }
    });
    told.collect()
}

/// What a change of conditions is worth telling.
pub(crate) fn of_status(old: &serde_json::Value, new: &serde_json::Value) -> Vec<NewEvent> {
    let (old, new) = (AnyStatus::deserialize_lenient(old), AnyStatus::deserialize_lenient(new));
    let mut events = Vec::new();
    for condition in new {
        let before = old.iter().find(|before| before.kind == condition.kind);
        let same = before
            .is_some_and(|before| before.status == condition.status && before.reason == condition.reason);
        let tells = match condition.kind {
            // What was stopped is told as that.
            ConditionKind::Ready if matches!(condition.reason, Reason::Stopped | Reason::Suspended) => false,
            ConditionKind::Ready => condition.is_true() || condition.status == ConditionStatus::Unknown,
            ConditionKind::Stalled
            | ConditionKind::Degraded
            | ConditionKind::Drifted
            | ConditionKind::PolicyViolated
            | ConditionKind::Stopped => condition.is_true(),
            // Said by the steps and the release themselves.
            ConditionKind::Progressing => false,
        };
        if same || !tells {
            continue;
        }
        let good = condition.kind == ConditionKind::Ready && condition.is_true();
        let meant = good || condition.kind == ConditionKind::Stopped;
        events.push(NewEvent {
            severity: if meant { Severity::Normal } else { Severity::Warning },
            reason: if good { "Ready".to_owned() } else { condition.reason.to_string() },
            message: condition.message,
        });
    }
    events
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skep_planner::{NewRelease, ReleaseVersion};
    use skep_schemas::{Generation, Kind, ResourceKey, Scope, Uid};

    use super::*;

    fn releasing(start: Option<serde_json::Value>, ports: serde_json::Value) -> Plan {
        let key =
            ResourceKey::new(Scope::Org("acme".parse().unwrap()), Kind::Environment, "live".parse().unwrap());
        let process = json!({
            "entrypoint": null, "command": null, "workingDir": null, "env": {}, "ports": ports, "healthCheck": null,
            "resources": {"cpu": "500m", "memory": "128Mi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
        });
        let digest = format!("sha256:{}", "a".repeat(64));
        let mut image =
            json!({"reference": "ghcr.io/acme/shop:1", "resolved": {"from": "registry", "digest": digest}});
        if let Some(start) = start {
            image["start"] = start;
        }
        let content = json!({
            "image": image, "processes": {"web": process}, "secrets": [], "region": null, "restart": {}, "security": {},
        });
        let release = NewRelease {
            version: ReleaseVersion::new(1),
            content: serde_json::from_value(content).unwrap(),
            why: "first release".to_owned(),
            rollback_to: None,
            made_by: None,
        };
        Plan {
            release: Some(release),
            ..Plan::empty(key.unwrap(), Uid::from_uuid(Default::default()), Generation::new(1))
        }
    }

    fn warns(plan: &Plan, drains: bool) -> bool {
        of_plan(plan, drains)
            .iter()
            .any(|event| event.reason == "NotDrained" && event.severity == Severity::Warning)
    }

    #[test]
    fn a_release_whose_instances_will_end_at_once_says_so() {
        let (ports, start) = (
            json!([{"name": "http", "port": 8080}]),
            json!({"entrypoint": ["/serve"], "command": [], "stopSignal": 15, "hasHealthCheck": false}),
        );
        assert!(warns(&releasing(None, ports.clone()), true));
        assert!(
            !warns(&releasing(None, ports.clone()), false),
            "where nothing is drained, nothing is missing"
        );
        assert!(!warns(&releasing(None, json!([])), true), "nobody sends it requests");
        assert!(!warns(&releasing(Some(start), ports), true));
    }
}
