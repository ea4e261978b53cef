//! Plans as they were carried out: one line for each, and one for each step of it.

use std::fmt::Write;

use jiff::Timestamp;
use skep_api::wire::{PlanEnd, PlanItem, PlanStep};
use skep_schemas::diagnostic::Style;

use super::text::{Tone, age, harmless, paint};

/// The plans, newest first.
pub(crate) fn plans(plans: &[PlanItem], now: Timestamp, style: Style) -> String {
    let mut out = String::new();
    for plan in plans {
        let (word, tone) = end(plan.outcome);
        let _ = write!(out, "{} ago  {}", age(plan.created_at, now), paint(word, tone, style));
        if let Some(duration) = plan.duration_ms {
            let _ = write!(out, " in {}", span(duration));
        }
        if let Some(release) = plan.release {
            let _ = write!(out, "  release v{release}");
        }
        if let Some(id) = &plan.reconcile_id {
            let _ = write!(out, "  reconcile {}", harmless(id));
        }
        out.push('\n');
        for step in &plan.steps {
            let _ = writeln!(out, "  {}", line(step, style));
        }
    }
    out
}

fn line(step: &PlanStep, style: Style) -> String {
    let tone = match step.outcome.as_str() {
        "done" => Tone::Good,
        "planned" | "started" => Tone::Busy,
        "skipped" => Tone::Plain,
        _ => Tone::Bad,
    };
    let took = step.duration_ms.map(|duration| format!(" in {}", span(duration))).unwrap_or_default();
    let cost = step.cost_text.as_ref().map(|cost| format!(" ({})", harmless(cost))).unwrap_or_default();
    let problem = step.problem.as_ref().map(|problem| format!(": {}", harmless(problem))).unwrap_or_default();
    format!(
        "{}{took}  {} {} {}{cost}: {}{problem}",
        paint(&harmless(&step.outcome), tone, style),
        harmless(&step.verb),
        harmless(&step.object_kind),
        harmless(&step.object),
        harmless(&step.why),
    )
}

const fn end(end: PlanEnd) -> (&'static str, Tone) {
    match end {
        PlanEnd::Open => ("under way", Tone::Busy),
        PlanEnd::Done => ("done", Tone::Good),
        PlanEnd::Stopped => ("stopped", Tone::Bad),
        PlanEnd::Interrupted => ("interrupted", Tone::Bad),
    }
}

/// Milliseconds as a person would say them.
fn span(millis: u64) -> String {
    if millis < 1000 { format!("{millis}ms") } else { format!("{}.{}s", millis / 1000, millis % 1000 / 100) }
}
