//! What is worth telling about a resource: releases, verdicts, changes made, and changes of its conditions.

use skep_planner::reconcile::conditions::ReadConditions;
use skep_planner::release::Verdict;
use skep_planner::{Plan, RunChange, RunNews};
use skep_schemas::kind::AnyStatus;
use skep_schemas::{ConditionKind, ConditionStatus, Reason};
use skep_store::{Corrected, NewEvent, Severity};

/// What a plan that was carried out is worth telling.
pub(crate) fn of_plan(plan: &Plan) -> Vec<NewEvent> {
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
