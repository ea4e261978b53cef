//! What the commands say.

use std::collections::BTreeMap;
use std::fmt::Write;

use skep_planner::normalize;
use skep_planner::step::Cost;
use skep_planner::swarm::{Service, Task, TaskState};
use skep_planner::view::PlanView;
use skep_planner::{RunNews, ScheduleChange, ScheduleDecision, Step, Verdict};
use skep_schemas::kind::{AnyStatus, EnvironmentDetail, Status};
use skep_schemas::{Condition, ConditionStatus, Resource};

use crate::world::PlanReport;

/// What one plan did, one line per thing.
pub(crate) fn done(report: &PlanReport) -> String {
    let PlanReport { plan, steps, trouble } = report;
    let mut text = String::new();
    for change in &plan.verdicts {
        let verdict = match &change.verdict {
            Verdict::Pending => "pending".to_owned(),
            Verdict::Succeeded => "succeeded".to_owned(),
            Verdict::RolledBack { reason } => format!("rolled back: {reason}"),
            Verdict::Failed { reason } => format!("failed: {reason}"),
            Verdict::Superseded => "superseded".to_owned(),
            Verdict::Cancelled { reason } => reason.clone(),
        };
        let _ = writeln!(text, "{}: = release {} {verdict}", plan.key, change.release);
    }
    if let Some(release) = PlanView::of(plan).release {
        let _ = writeln!(text, "{}: * release {} ({})", plan.key, release.version, release.why);
    }
    if let Some(phase) = &plan.phase {
        let _ = writeln!(text, "{}: * release phase of {}", plan.key, phase.release);
    }
    for change in &plan.schedules {
        let _ = writeln!(text, "{}: {}", plan.key, schedule(change));
    }
    for change in &plan.runs {
        let news = match &change.news {
            RunNews::Waits { why } => format!("waits: {why}"),
            RunNews::Started { .. } => "began".to_owned(),
            RunNews::Ended { end, .. } => match end.reason() {
                Some(why) => format!("{}: {why}", end.as_str()),
                None => end.as_str().to_owned(),
            },
        };
        let _ = writeln!(text, "{}: = run {} {news}", plan.key, change.number);
    }
    for step in plan.steps.iter().take(*steps) {
        let _ = writeln!(text, "{}: {}", plan.key, step_line(step));
    }
    if let Some(trouble) = trouble {
        let _ = writeln!(text, "{}: ! {trouble}", plan.key);
    } else {
        for object in &plan.forget {
            let _ = writeln!(text, "{}: forget {object}", plan.key);
        }
        if plan.finalized {
            let _ = writeln!(text, "{}: gone", plan.key);
        }
    }
    text
}

fn schedule(change: &ScheduleChange) -> String {
    let process = &change.process;
    match &change.decision {
        ScheduleDecision::Begins { recurrence, at } => format!("* {process} at {recurrence} from {at} on"),
        ScheduleDecision::Passes { slot, run, missed, .. } => {
            let missed = missed.as_ref();
            let missed = missed.map(|missed| {
                format!("{} missed, the last at {}: {}", missed.count, missed.newest, missed.why)
            });
            match (run, missed) {
                (Some(run), None) => format!("* {process} for {slot} in release {}", run.release),
                (Some(run), Some(missed)) => {
                    format!("* {process} for {slot} in release {}; {missed}", run.release)
                }
                (None, missed) => format!("= {process}: {}", missed.unwrap_or_default()),
            }
        }
        ScheduleDecision::Ends => format!("= {process} has no schedule any more"),
    }
}

fn step_line(step: &Step) -> String {
    let (verb, object, why) = (step.op.verb(), &step.object, &step.why);
    match step.cost {
        Cost::Create | Cost::Delete => format!("{verb} {object} ({why})"),
        cost @ (Cost::NoRestart | Cost::Scale { .. } | Cost::RollingRestart { .. }) => {
            format!("{verb} {object} [{cost}] ({why})")
        }
    }
}

/// What a resource's status says.
pub(crate) fn status(resource: &Resource) -> String {
    let Ok(seen) = serde_json::from_value::<AnyStatus>(resource.status.clone()) else {
        return "no status yet".to_owned();
    };
    let mut text = String::new();
    for condition in &seen.conditions {
        let _ = writeln!(text, "{}", condition_line(condition));
    }
    if let Ok(status) = serde_json::from_value::<Status<EnvironmentDetail>>(resource.status.clone()) {
        environment(&mut text, &status.detail);
    }
    if let Some(url) = seen.detail.get("url").and_then(|url| url.as_str()) {
        let _ = writeln!(text, "url {url}");
    }
    for edge in seen.detail.get("edges").and_then(|edges| edges.as_array()).into_iter().flatten() {
        let _ = writeln!(text, "edge {} at {}", edge["container"], edge["address"]);
    }
    text
}

/// What is in the slots of a service, what is over left out.
pub(crate) fn instances(service: &Service, tasks: &[Task]) -> String {
    let template = normalize::task(&service.spec.task_template);
    let mut slots: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for task in tasks {
        let Some(state) = task.status.state.as_ref().filter(|state| !state.is_terminal()) else { continue };
        let age = if normalize::task(&task.spec) == template { "new" } else { "old" };
        let is_wanted = task.desired_state.as_ref().is_some_and(|desired| *desired <= TaskState::Running);
        let stops = if is_wanted { "" } else { ", is to stop" };
        slots.entry(task.slot).or_default().push(format!("{age} {state}{stops}"));
    }
    slots.into_iter().fold(String::new(), |mut text, (slot, tasks)| {
        let _ = writeln!(text, "{slot}: {}", tasks.join(" and "));
        text
    })
}

/// Where each instance that has not ended is.
pub(crate) fn nodes(tasks: &[Task]) -> String {
    let alive = tasks.iter().filter(|task| !task.status.state.as_ref().is_some_and(TaskState::is_terminal));
    let mut lines: Vec<String> = alive
        .map(|task| {
            let node = task.node_id.as_ref().map_or("no node", |node| node.as_str());
            format!("{}: {node}\n", task.slot)
        })
        .collect();
    lines.sort();
    lines.concat()
}

fn condition_line(condition: &Condition) -> String {
    let holds = match condition.status {
        ConditionStatus::True => "",
        ConditionStatus::False => "not ",
        ConditionStatus::Unknown => "unknown whether ",
    };
    format!("{holds}{:?} ({}): {}", condition.kind, condition.reason, condition.message)
}

fn environment(text: &mut String, detail: &EnvironmentDetail) {
    if let Some(release) = &detail.release {
        let _ = writeln!(text, "release v{}", release.version);
    }
    for (name, process) in &detail.processes {
        let _ = write!(
            text,
            "{name}: {} wanted, {} running, {} updated",
            process.desired, process.running, process.updated
        );
        let _ = match &process.last_error {
            Some(error) => writeln!(text, "; {}", error.message),
            None => writeln!(text),
        };
    }
    for url in &detail.urls {
        let _ = writeln!(text, "at {url}");
    }
    for unrouted in &detail.unrouted {
        let _ = writeln!(text, "domain {} is not routed: {}", unrouted.domain, unrouted.why);
    }
    for what in &detail.security_not_enforced {
        let _ = writeln!(text, "not enforced: {what}");
    }
}
