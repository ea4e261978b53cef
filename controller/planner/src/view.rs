//! How a plan is shown: the answer of `POST /v1/plan` and the text of `skep diff` and `skep plan`.
//!
//! A [`PreviewView`] says, for a set of manifests, what would change in the store and what the plans of the affected resources
//! would then do to the Swarm. It is made from the very plans that the reconcile loop would carry out.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::drift::{Drift, Response};
use crate::plan::Plan;
use crate::step::{Cost, FieldChange};

/// What would happen if some manifests were applied.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    /// What would change in the store, in the order of the manifests.
    pub resources: Vec<ResourceChange>,
    /// What would be done in the Swarm, by resource.
    pub plans: Vec<PlanView>,
    /// What all of this was read from: an apply that is bound to it is refused once that has moved.
    #[serde(default)]
    pub binding: Binding,
}

/// What would become of one resource in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// Its address, as shown to people.
    pub resource: String,
    /// What would be done.
    pub action: ResourceAction,
    /// What would change, field by field; pointers begin with `/spec` or `/metadata`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

/// What would be done to a stored resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ResourceAction {
    /// It would be made.
    Create,
    /// Its spec or metadata would change.
    Update,
    /// Nothing would change.
    Unchanged,
    /// It would be removed.
    Delete,
}

/// What a plan would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// The resource that it is for.
    pub resource: String,
    /// The release that it would make, such as `v3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseView>,
    /// The release that a release phase runs for before anything else is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_phase: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
    /// What would not be done, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<BlockedView>,
    /// What somebody else changed and the plan leaves as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<LeftAloneView>,
}

/// A difference that nobody asked for and that would stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftAloneView {
    /// On which object.
    pub object: String,
    /// In what way it differs.
    pub class: String,
    /// Where; empty when it is about the object as a whole.
    pub pointer: String,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<serde_json::Value>,
    /// What is wanted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<serde_json::Value>,
    /// Why it stays: report, ignore, paused or give-up.
    pub response: String,
}

/// A release that a plan would make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseView {
    /// Its number, such as `v3`.
    pub version: String,
    /// Its image, pinned.
    pub image: String,
    /// What is different from the one before.
    pub why: String,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// What is done: create, update, remove, connect, disconnect.
    pub verb: String,
    /// To what sort of object.
    pub object_kind: String,
    /// To which.
    pub object: String,
    /// Why.
    pub why: String,
    /// What it costs.
    pub cost: Cost,
    /// The same in words.
    pub cost_text: String,
    /// Field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

/// Something that would not be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockedView {
    /// One word for programs.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Does it stay so until somebody changes something? Otherwise it passes by itself.
    #[serde(default)]
    pub lasting: bool,
}

impl PlanView {
    /// How a plan is shown.
    pub fn of(plan: &Plan) -> Self {
        Self {
            resource: plan.key.to_string(),
            release: plan.release.as_ref().map(|release| ReleaseView {
                version: release.version.to_string(),
                image: release.content.image.pinned(),
                why: release.why.clone(),
            }),
            release_phase: plan.phase.as_ref().map(|phase| phase.release.to_string()),
            steps: plan
                .steps
                .iter()
                .map(|step| StepView {
                    verb: step.op.verb().to_owned(),
                    object_kind: step.object.kind.to_string(),
                    object: step.object.name.clone(),
                    why: step.why.clone(),
                    cost: step.cost,
                    cost_text: step.cost.to_string(),
                    changes: step.changes.clone(),
                })
                .collect(),
            blocked: plan
                .blocked
                .iter()
                .map(|blocked| BlockedView {
                    reason: blocked.reason().to_string(),
                    message: blocked.to_string(),
                    lasting: !blocked.passes_by_itself(),
                })
                .collect(),
            left_alone: plan.drift.iter().filter_map(LeftAloneView::of).collect(),
        }
    }

    /// Would it change anything?
    pub const fn is_quiet(&self) -> bool {
        self.release.is_none() && self.steps.is_empty()
    }
}

impl LeftAloneView {
    fn of(drift: &Drift) -> Option<Self> {
        (drift.response != Response::Correct).then(|| Self {
            object: drift.object.to_string(),
            class: drift.class.to_string(),
            pointer: drift.pointer.clone(),
            live: drift.live.clone(),
            desired: drift.desired.clone(),
            response: drift.response.to_string(),
        })
    }
}

impl PreviewView {
    /// Would anything change, in the store or in the Swarm?
    pub fn is_quiet(&self) -> bool {
        self.resources.iter().all(|resource| resource.action == ResourceAction::Unchanged)
            && self.plans.iter().all(PlanView::is_quiet)
    }

    /// What would never happen as things are, one sentence each: reasons not to apply it.
    pub fn refusals(&self) -> Vec<String> {
        let of_plan = |plan: &PlanView| {
            let lasting = plan.blocked.iter().filter(|blocked| blocked.lasting);
            lasting.map(|blocked| format!("{}: {}", plan.resource, blocked.message)).collect::<Vec<_>>()
        };
        self.plans.iter().flat_map(of_plan).collect()
    }

    /// The text that people read: one block per resource and per step, and a last line that sums up.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for resource in self.resources.iter().filter(|resource| resource.action != ResourceAction::Unchanged)
        {
            let sign = match resource.action {
                ResourceAction::Create => '+',
                ResourceAction::Update => '~',
                ResourceAction::Delete => '-',
                ResourceAction::Unchanged => ' ',
            };
            let _ = writeln!(text, "{sign} {}", resource.resource);
            render_changes(&mut text, &resource.changes, "    ");
        }
        for plan in &self.plans {
            render_plan(&mut text, plan);
        }
        text.push_str(&self.summary());
        text
    }

    fn summary(&self) -> String {
        let steps: Vec<&StepView> = self.plans.iter().flat_map(|plan| &plan.steps).collect();
        let count = |wanted: fn(&Cost) -> bool| steps.iter().filter(|step| wanted(&step.cost)).count();
        let restarts: u64 = steps
            .iter()
            .map(|step| match step.cost {
                Cost::RollingRestart { tasks } => tasks,
                Cost::Create | Cost::NoRestart | Cost::Scale { .. } | Cost::Delete => 0,
            })
            .sum();
        let blocked: usize = self.plans.iter().map(|plan| plan.blocked.len()).sum();
        if self.is_quiet() && blocked == 0 {
            return "Nothing to do: the world is as the manifests say.\n".to_owned();
        }
        format!(
            "Plan: {} to create, {} to change, {} to delete; {} restart; {} blocked.\n",
            count(|cost| matches!(cost, Cost::Create)),
            count(|cost| matches!(cost, Cost::NoRestart | Cost::Scale { .. } | Cost::RollingRestart { .. })),
            count(|cost| matches!(cost, Cost::Delete)),
            match restarts {
                0 => "no tasks".to_owned(),
                1 => "1 task".to_owned(),
                n => format!("{n} tasks"),
            },
            blocked,
        )
    }
}

fn render_plan(text: &mut String, plan: &PlanView) {
    if plan.is_quiet() && plan.blocked.is_empty() && plan.left_alone.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", plan.resource);
    if let Some(release) = &plan.release {
        let _ = writeln!(text, "  * release {}  {}  ({})", release.version, release.image, release.why);
    }
    if let Some(release) = &plan.release_phase {
        let _ = writeln!(text, "  * release phase of {release}; what follows waits until it has succeeded");
    }
    for step in &plan.steps {
        let sign = match step.verb.as_str() {
            "create" | "connect" => '+',
            "remove" | "disconnect" => '-',
            _ => '~',
        };
        let _ = writeln!(
            text,
            "  {sign} {} {}  [{}]  {}",
            step.object_kind, step.object, step.cost_text, step.why
        );
        render_changes(text, &step.changes, "      ");
    }
    for left in &plan.left_alone {
        let value = |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_owned(), shown);
        let _ = match left.pointer.as_str() {
            "" => writeln!(text, "  = {} is {}  [{}]", left.object, left.class, left.response),
            pointer => writeln!(
                text,
                "  = {} {pointer}: {}, wanted {}  [{}]",
                left.object,
                value(&left.live),
                value(&left.desired),
                left.response
            ),
        };
    }
    for blocked in &plan.blocked {
        let _ = writeln!(text, "  ! {}: {}", blocked.reason, blocked.message);
    }
}

fn render_changes(text: &mut String, changes: &[FieldChange], indent: &str) {
    for change in changes {
        let _ = match (&change.from, &change.to) {
            (None, Some(to)) => writeln!(text, "{indent}+ {}: {}", change.pointer, shown(to)),
            (Some(from), None) => writeln!(text, "{indent}- {}: {}", change.pointer, shown(from)),
            (Some(from), Some(to)) => {
                writeln!(text, "{indent}~ {}: {} -> {}", change.pointer, shown(from), shown(to))
            }
            (None, None) => Ok(()),
        };
    }
}

/// A value on one line, short enough to read.
fn shown(value: &serde_json::Value) -> String {
    const SHOWN: usize = 120;
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        return text;
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}…")
}
