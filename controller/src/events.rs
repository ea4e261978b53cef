//! What is worth telling about a resource: releases, verdicts, changes made, and changes of its conditions; and what of that is told to
//! those outside who want to know.

use skep_planner::reconcile::conditions::ReadConditions;
use skep_planner::release::Verdict;
use skep_planner::{
    Missed, NewRelease, Plan, ReleaseVersion, RunChange, RunNews, ScheduleChange, ScheduleDecision,
    VerdictChange,
};
use skep_schemas::kind::{AnyStatus, MessageType};
use skep_schemas::{Condition, ConditionKind, ConditionStatus, Kind, Reason};
use skep_store::{Corrected, NewEvent, Notice, Severity};

/// What a plan that was carried out is worth telling. `drains` is whether processes are kept from ending until the edge knows of it.
pub(crate) fn of_plan(plan: &Plan, drains: bool) -> Vec<NewEvent> {
    let mut events: Vec<NewEvent> = plan.verdicts.iter().map(of_verdict).collect();
    events.extend(plan.runs.iter().filter_map(of_run));
    if plan.ends_rollback {
        let why = "the manifests ask for something else than when it was made; the rollback is over";
        events.push(told(normal("RollbackEnded", why.to_owned()), MessageType::RollbackEnded, None));
    }
    if let Some(release) = &plan.release {
        events.push(of_release(release));
        events.extend(of_no_drain(release).filter(|_| drains));
    }
    if let Some(phase) = &plan.phase {
        events.push(normal("ReleasePhase", format!("the release phase of {} is to run", phase.release)));
    }
    events.extend(plan.schedules.iter().filter_map(of_schedule));
    events.extend(plan.steps.iter().map(|step| {
        let message = format!("{} {}: {} ({})", step.op.verb(), step.object, step.why, step.cost);
        normal("Changed", message)
    }));
    events
}

fn normal(reason: &str, message: String) -> NewEvent {
    NewEvent { severity: Severity::Normal, reason: reason.to_owned(), message, notice: None }
}

fn warning(reason: &str, message: String) -> NewEvent {
    NewEvent { severity: Severity::Warning, ..normal(reason, message) }
}

/// The same, and told outside.
fn told(event: NewEvent, message_type: MessageType, release: Option<ReleaseVersion>) -> NewEvent {
    NewEvent { notice: Some(Notice { message_type, release }), ..event }
}

fn of_verdict(change: &VerdictChange) -> NewEvent {
    let release = change.release;
    let (event, message_type) = match &change.verdict {
        Verdict::Succeeded => (
            normal("ReleaseSucceeded", format!("release {release} runs")),
            Some(MessageType::ReleaseSucceeded),
        ),
        Verdict::Superseded => (
            normal("ReleaseSuperseded", format!("release {release} was replaced before it was done")),
            Some(MessageType::ReleaseSuperseded),
        ),
        Verdict::Cancelled { reason } => (
            normal("ReleaseCancelled", format!("release {release} was {reason}")),
            Some(MessageType::ReleaseCancelled),
        ),
        // That it was made is told.
        Verdict::Pending => {
            (normal("ReleasePending", format!("release {release} is being rolled out")), None)
        }
        Verdict::RolledBack { reason } => (
            warning("ReleaseRolledBack", format!("release {release} failed and was rolled back: {reason}")),
            Some(MessageType::ReleaseRolledBack),
        ),
        Verdict::Failed { reason } => (
            warning("ReleaseFailed", format!("release {release} failed: {reason}")),
            Some(MessageType::ReleaseFailed),
        ),
    };
    match message_type {
        Some(message_type) => told(event, message_type, Some(release)),
        None => event,
    }
}

fn of_release(release: &NewRelease) -> NewEvent {
    let image = release.content.image.pinned();
    let event = normal("ReleaseCreated", format!("release {} of {image}: {}", release.version, release.why));
    let message_type = match release.rollback_to {
        Some(_) => MessageType::RollbackStarted,
        None => MessageType::ReleaseCreated,
    };
    told(event, message_type, Some(release.version))
}

/// That instances of a release will not be drained although they have ports.
fn of_no_drain(release: &NewRelease) -> Option<NewEvent> {
    let NewRelease { version, content, .. } = release;
    let has_ports = content.processes.values().any(|process| !process.ports.is_empty());
    if !has_ports || content.image.start.is_some() {
        return None;
    }
    let image = content.image.pinned();
    let message = format!(
        "what {image} starts could not be read from its registry: when instances of release {version} are replaced, they end at once, and requests are lost"
    );
    Some(warning("NotDrained", message))
}

/// That a run began, or how it ended. What it waits for its row says.
fn of_run(change: &RunChange) -> Option<NewEvent> {
    let run = change.number;
    match &change.news {
        RunNews::Waits { .. } => None,
        RunNews::Started { .. } => Some(normal("RunStarted", format!("run {run} began"))),
        RunNews::Ended { end, .. } => Some(match end.reason() {
            None => normal("RunSucceeded", format!("run {run} succeeded")),
            Some(why) => {
                told(warning("RunFailed", format!("run {run}: {why}")), MessageType::RunFailed, None)
            }
        }),
    }
}

/// That a schedule is followed, and what it missed. Its runs tell by themselves.
fn of_schedule(change: &ScheduleChange) -> Option<NewEvent> {
    let process = &change.process;
    Some(match &change.decision {
        ScheduleDecision::Begins { recurrence, .. } => {
            normal("ScheduleFollowed", format!("process {process} runs at {recurrence} from now on"))
        }
        ScheduleDecision::Passes { missed: None, .. } => return None,
        ScheduleDecision::Passes { missed: Some(Missed { count, newest, why }), .. } => {
            let times = if *count == 1 { String::new() } else { format!(" and {} before it", count - 1) };
            warning("ScheduleMissed", format!("process {process} did not run at {newest}{times}: {why}"))
        }
        ScheduleDecision::Ends => {
            normal("ScheduleEnded", format!("process {process} has no schedule any more"))
        }
    })
}

/// What drift that was put right is worth telling.
pub(crate) fn of_corrected(corrected: &[Corrected]) -> Vec<NewEvent> {
    let events = corrected.iter().map(|one| {
        let field = if one.pointer.is_empty() { "it" } else { one.pointer.as_str() };
        let message = format!("{}: somebody else changed {field}; it was put back", one.object);
        told(warning("DriftCorrected", message), MessageType::DriftCorrected, None)
    });
    events.collect()
}

/// What a change of conditions of a resource of this kind is worth telling.
pub(crate) fn of_status(kind: Kind, old: &serde_json::Value, new: &serde_json::Value) -> Vec<NewEvent> {
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
            notice: message_type(kind, &condition).map(Notice::of),
            reason: if good { "Ready".to_owned() } else { condition.reason.to_string() },
            message: condition.message,
        });
    }
    events
}

/// What a condition that began is for those outside.
fn message_type(kind: Kind, condition: &Condition) -> Option<MessageType> {
    let stalls_a_deploy = kind == Kind::Environment && condition.kind == ConditionKind::Stalled;
    match condition.reason {
        Reason::CrashLoop => Some(MessageType::CrashLooping),
        Reason::Drifted => Some(MessageType::DriftFound),
        Reason::Contested => Some(MessageType::DriftContested),
        Reason::QuotaExceeded => Some(MessageType::QuotaExceeded),
        Reason::ReferenceMissing
        | Reason::SecretMissing
        | Reason::SecretUnreadable
        | Reason::EntryPointMissing
        | Reason::ProcessInvalid
        | Reason::ImageUnresolved
        | Reason::RegistryDenied
        | Reason::PolicyDenied
        | Reason::WouldNeverSchedule
        | Reason::ForeignObject
        | Reason::StepFailed
        | Reason::NotKept
        | Reason::SafetyHold => stalls_a_deploy.then_some(MessageType::DeployBlocked),
        // Said by the release's verdict.
        Reason::RolledBack | Reason::RolloutFailed | Reason::DeadlineExceeded | Reason::Cancelled => None,
        // As it should be, or on its way.
        Reason::Converged
        | Reason::Pending
        | Reason::Applying
        | Reason::RollingOut
        | Reason::UpdateInProgress
        | Reason::Deleting
        | Reason::WaitingForDependents
        | Reason::DependencyNotReady
        | Reason::InstancesMissing => None,
        // Somebody meant it.
        Reason::Stopped | Reason::Suspended | Reason::Paused => None,
        // Nobody's deploy, or the platform's to mend.
        Reason::LinkNotAllowed
        | Reason::LinkNotAgreed
        | Reason::HostTaken
        | Reason::SecurityNotEnforced
        | Reason::NetworkOutdated
        | Reason::NetworkPoolExhausted
        | Reason::EngineUnavailable => None,
        // What cannot be told outside is not told there.
        Reason::MessagesUndelivered => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use skep_planner::{RunEnd, RunNumber, RunOutput};
    use skep_schemas::{Generation, ResourceKey, Scope, Uid};

    use super::*;

    fn types(events: &[NewEvent]) -> Vec<Option<MessageType>> {
        events.iter().map(|event| event.notice.map(|notice| notice.message_type)).collect()
    }

    fn stalled(reason: &str) -> serde_json::Value {
        json!({ "observedGeneration": 1, "conditions": [{
            "type": "Stalled", "status": "True", "reason": reason, "message": "it is so",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]})
    }

    #[test]
    fn a_condition_is_told_outside_when_it_begins_and_only_where_it_is_somebodys_deploy() {
        let told = |kind, old: &str, new: &str| types(&of_status(kind, &stalled(old), &stalled(new)));
        let (environment, secret) = (Kind::Environment, Kind::Secret);
        assert_eq!(told(environment, "Pending", "ImageUnresolved"), [Some(MessageType::DeployBlocked)]);
        assert_eq!(told(environment, "ImageUnresolved", "ImageUnresolved"), []);
        assert_eq!(told(environment, "Pending", "QuotaExceeded"), [Some(MessageType::QuotaExceeded)]);
        assert_eq!(told(secret, "Pending", "SecretMissing"), [None]);
        assert_eq!(told(Kind::Notification, "Pending", "SecretMissing"), [None]);
        assert_eq!(told(Kind::Notification, "Pending", "MessagesUndelivered"), [None]);
    }

    #[test]
    fn each_type_of_message_has_something_that_causes_it() {
        let release = ReleaseVersion::new(7);
        let reason = || "it exits".to_owned();
        let verdicts = [
            Verdict::Succeeded,
            Verdict::Superseded,
            Verdict::Cancelled { reason: reason() },
            Verdict::Failed { reason: reason() },
            Verdict::RolledBack { reason: reason() },
        ];
        let verdicts = verdicts.map(|verdict| of_verdict(&VerdictChange { release, verdict }));
        assert!(
            verdicts.iter().all(|event| event.notice.is_some_and(|notice| notice.release == Some(release)))
        );
        let conditions = Reason::ALL
            .iter()
            .flat_map(|reason| of_status(Kind::Environment, &json!({}), &stalled(reason.as_str())));
        let told: BTreeSet<MessageType> =
            types(&conditions.chain(verdicts).collect::<Vec<_>>()).into_iter().flatten().collect();
        // By plans, runs and people, which other tests have.
        let others = [
            MessageType::ReleaseCreated,
            MessageType::RollbackStarted,
            MessageType::RollbackEnded,
            MessageType::DriftCorrected,
            MessageType::RunFailed,
            MessageType::Test,
        ];
        assert!(others.iter().all(|other| !told.contains(other)));
        assert_eq!(told.len() + others.len(), MessageType::ALL.len());
    }

    #[test]
    fn a_run_is_told_outside_when_it_fails() {
        let change = |news| RunChange { number: RunNumber::new(3), news };
        let at = jiff::Timestamp::UNIX_EPOCH;
        let ended = |end| RunNews::Ended { end, at, output: RunOutput { text: String::new(), gap: None } };
        let failed = RunEnd::Failed { exit_code: Some(1), reason: "it exits".to_owned() };
        let told = [RunNews::Started { at }, ended(RunEnd::Succeeded), ended(failed)];
        let told: Vec<NewEvent> = told.into_iter().filter_map(|news| of_run(&change(news))).collect();
        assert_eq!(types(&told), [None, None, Some(MessageType::RunFailed)]);
    }

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
