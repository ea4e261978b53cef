//! One resource at length: what it is, how it is and why, what runs, and what happened to it.

use std::fmt::Write;

use jiff::Timestamp;
use skep_api::wire::{DriftView, EventView, PlanItem, ReleaseItem, ReleaseVerdict, ResourceView};
use skep_schemas::diagnostic::Style;
use skep_schemas::kind::EnvironmentDetail;
use skep_schemas::{Condition, ConditionStatus, Owner, Provenance};

use super::drift::{self, DriftLayout};
use super::events::{EventLayout, table};
use super::phase::{Phase, Report, last_observed};
use super::plans::plans;
use super::resources::environment;
use super::table::{Cell, render};
use super::text::{Tone, age, harmless, paint};
use crate::address::key_of;

/// The most releases that are shown.
const RELEASES_SHOWN: usize = 5;

/// What is known about a resource.
#[derive(Debug)]
pub(crate) struct Described<'r> {
    /// The resource.
    pub(crate) view: &'r ResourceView,
    /// Where in a repository it is written, if a Git source owns it.
    pub(crate) written: Option<&'r Provenance>,
    /// Its releases, newest first.
    pub(crate) releases: &'r [ReleaseItem],
    /// What was done for it lately, newest first.
    pub(crate) plans: &'r [PlanItem],
    /// What somebody else changed of it, and what stands.
    pub(crate) drift: &'r [DriftView],
    /// Its events, oldest first.
    pub(crate) events: &'r [EventView],
}

impl Described<'_> {
    /// The text.
    pub(crate) fn render(&self, now: Timestamp, style: Style) -> anyhow::Result<String> {
        let mut out = String::new();
        self.head(&mut out, now, style);
        section(&mut out, "Spec", &indented(&super::yaml(&self.view.spec)?));
        if let Some(conditions) = self.conditions(now, style) {
            section(&mut out, "Conditions", &indented(&conditions));
        }
        if let Some(detail) = environment(self.view) {
            section(&mut out, "Processes", &indented(&processes(&detail, now, style)));
            for part in &detail.security_not_enforced {
                let _ = writeln!(out, "  not enforced by this engine: {}", harmless(part));
            }
        }
        if !self.releases.is_empty() {
            section(&mut out, "Releases", &indented(&self.release_table(now, style)));
        }
        if !self.plans.is_empty() {
            section(&mut out, "Plans", &indented(&plans(self.plans, now, style)));
        }
        if !self.drift.is_empty() {
            section(&mut out, "Drift", &indented(&drift::table(self.drift, &DriftLayout { now, style })));
        }
        let events = match self.events {
            [] => "none\n".to_owned(),
            events => table(events, &EventLayout { wide: false, now, style }),
        };
        section(&mut out, "Events", &indented(&events));
        Ok(out)
    }

    fn head(&self, out: &mut String, now: Timestamp, style: Style) {
        let meta = &self.view.metadata;
        let phase = Phase::of(self.view);
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(out, "{:<12}{value}", format!("{name}:"));
        };
        field("Resource", &key_of(self.view).map_or_else(|| meta.name.to_string(), |key| key.to_string()));
        field("Status", &paint(&phase.short(), phase.word.tone(), style));
        if !phase.message.is_empty() {
            field("Because", &harmless(&phase.message));
        }
        if let Some(pause) = meta.pause.as_ref().filter(|pause| pause.holds(now)) {
            let until = pause.until.map_or_else(|| "it is resumed".to_owned(), |until| until.to_string());
            let ago = age(pause.since, now);
            field(
                "Paused",
                &harmless(&format!("by {} {ago} ago, until {until}: {}", pause.by, pause.reason)),
            );
        }
        if let Some(rollback) = &meta.rollback {
            let ago = age(rollback.since, now);
            let until = format!(
                "to v{} by {} {ago} ago; the manifests ask for v{}, see `skep rollback --end`",
                rollback.to, rollback.by, rollback.instead_of
            );
            field("Rolled back", &harmless(&until));
        }
        if let Some(at) = last_observed(self.view) {
            field("Last seen", &format!("{at} ({} ago)", age(at, now)));
        }
        if let Some(detail) = environment(self.view) {
            if let Some(release) = &detail.release {
                let made = age(release.created_at, now);
                field("Release", &harmless(&format!("v{} ({made} ago)  {}", release.version, release.image)));
            }
            for url in &detail.urls {
                field("URL", &harmless(url));
            }
        }
        for (key, value) in &meta.labels {
            field("Label", &harmless(&format!("{key}={value}")));
        }
        field("Generation", &self.generation());
        field("Created", &format!("{} ({} ago)", meta.created_at, age(meta.created_at, now)));
        if let Some(at) = meta.deletion_requested_at {
            field("Deleting", &format!("since {at} ({} ago)", age(at, now)));
        }
        if meta.managed_by != Owner::Api {
            field("Managed by", &meta.managed_by.to_string());
        }
        if let Some(place) = self.written {
            field("Written in", &harmless(&place.to_string()));
        }
        field("Uid", &meta.uid.to_string());
    }

    fn generation(&self) -> String {
        let wanted = self.view.metadata.generation;
        match Report::of(self.view) {
            Report::Status(status) if status.observed_generation >= wanted => wanted.to_string(),
            Report::Status(status) => {
                format!("{wanted} (the status speaks of {})", status.observed_generation)
            }
            Report::None => format!("{wanted} (no status yet)"),
            Report::Unreadable => format!("{wanted} (the status cannot be read)"),
        }
    }

    fn conditions(&self, now: Timestamp, style: Style) -> Option<String> {
        let Report::Status(status) = Report::of(self.view) else { return None };
        let rows: Vec<Vec<Cell>> =
            status.conditions.iter().map(|condition| condition_row(condition, now)).collect();
        Some(render(&["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows, style))
    }

    fn release_table(&self, now: Timestamp, style: Style) -> String {
        let row = |release: &ReleaseItem| -> Vec<Cell> {
            let (verdict, tone) = match release.verdict {
                ReleaseVerdict::Pending => ("pending", Tone::Busy),
                ReleaseVerdict::Succeeded => ("succeeded", Tone::Good),
                ReleaseVerdict::RolledBack => ("rolled back", Tone::Bad),
                ReleaseVerdict::Failed => ("failed", Tone::Bad),
                ReleaseVerdict::Superseded => ("superseded", Tone::Plain),
                ReleaseVerdict::Cancelled => ("cancelled", Tone::Plain),
            };
            vec![
                format!("v{}", release.version).into(),
                Cell::toned(verdict, tone),
                age(release.created_at, now).into(),
                release.image.clone().into(),
                release.reason.clone().unwrap_or_default().into(),
            ]
        };
        let rows: Vec<_> = self.releases.iter().take(RELEASES_SHOWN).map(row).collect();
        render(&["RELEASE", "VERDICT", "AGE", "IMAGE", "REASON"], &rows, style)
    }
}

fn condition_row(condition: &Condition, now: Timestamp) -> Vec<Cell> {
    let status = match condition.status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    };
    vec![
        format!("{:?}", condition.kind).into(),
        status.into(),
        condition.reason.as_str().into(),
        age(condition.last_transition_time, now).into(),
        condition.message.clone().into(),
    ]
}

fn processes(detail: &EnvironmentDetail, now: Timestamp, style: Style) -> String {
    let rows: Vec<Vec<Cell>> = detail
        .processes
        .iter()
        .map(|(name, process)| {
            let enough = process.updated >= process.desired;
            let error = process.last_error.as_ref();
            vec![
                name.as_str().into(),
                process.desired.to_string().into(),
                process.running.to_string().into(),
                Cell::toned(&process.updated.to_string(), if enough { Tone::Good } else { Tone::Busy }),
                process.service.clone().into(),
                error.map(|e| format!("{} ({} ago)", e.message, age(e.at, now))).unwrap_or_default().into(),
            ]
        })
        .collect();
    render(&["PROCESS", "DESIRED", "RUNNING", "UPDATED", "SERVICE", "LAST ERROR"], &rows, style)
}

fn section(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "\n{title}:\n{body}");
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{NOW, stalled};

    #[test]
    fn a_stalled_environment_at_length() {
        let events: Vec<EventView> = serde_json::from_value(json!([{
            "resource": {"org": "acme", "kind": "Environment", "name": "shop"}, "severity": "warning",
            "reason": "RolledBack", "message": "release v3 failed its health check\u{1b}[2J", "count": 2,
            "firstSeen": "2026-03-01T11:20:00Z", "lastSeen": "2026-03-01T11:30:00Z",
        }]))
        .unwrap();
        let releases: Vec<ReleaseItem> = serde_json::from_value(json!([
            {"version": 3, "image": "shop:1.4", "digest": "sha256:1", "processes": ["web"], "why": "changed: image", "verdict": "rolledBack", "state": "rolledBack",
             "reason": "health check failed", "createdAt": "2026-03-01T11:00:00Z"},
            {"version": 2, "image": "shop:1.3", "digest": "sha256:2", "processes": ["web"], "why": "first release", "verdict": "succeeded", "state": "done",
             "createdAt": "2026-03-01T10:30:00Z"},
        ]))
        .unwrap();
        let plans: Vec<PlanItem> = serde_json::from_value(json!([
            {"id": 9, "reconcileId": "00c0ffee00c0ffee", "generation": 3, "release": 3, "createdAt": "2026-03-01T11:00:00Z",
             "durationMs": 2310, "outcome": "stopped", "steps": [
                {"verb": "update", "objectKind": "service", "object": "acme_shop_web", "why": "release v3",
                 "costText": "rolling restart of 2 tasks", "outcome": "done", "startedAt": "2026-03-01T11:00:00Z", "durationMs": 87},
                {"verb": "create", "objectKind": "service", "object": "acme_shop_worker", "why": "new process",
                 "costText": "create", "outcome": "failed", "problem": "no\u{1b}[2J", "durationMs": 12},
                {"verb": "remove", "objectKind": "secret", "object": "acme_db", "why": "unused", "outcome": "skipped"}]},
            {"id": 8, "generation": 2, "createdAt": "2026-03-01T10:30:00Z", "outcome": "interrupted", "steps": []},
        ]))
        .unwrap();
        let mut view = stalled(3);
        view.status.as_mut().unwrap()["lastObserved"] = json!("2026-03-01T11:58:00Z");
        view.metadata.pause = serde_json::from_value(json!({
            "reason": "moving the disk", "by": "ann", "since": "2026-03-01T11:40:00Z", "until": "2026-03-01T13:40:00Z",
        }))
        .unwrap();
        let drift: Vec<DriftView> = serde_json::from_value(json!([{
            "id": 1, "serial": 4, "resource": {"org": "acme", "kind": "Environment", "name": "shop"},
            "object": {"kind": "service", "name": "acme_shop_web"}, "pointer": "/Mode/Replicated/Replicas",
            "class": "modified", "desired": 2, "live": 5, "response": "paused", "noticed": "event",
            "firstSeen": "2026-03-01T11:50:00Z", "lastSeen": "2026-03-01T11:59:00Z", "ending": "paused",
        }]))
        .unwrap();
        view.metadata.managed_by =
            serde_json::from_value(json!({"by": "git", "source": {"org": "acme", "name": "web"}})).unwrap();
        let written = json!({"commit": "0a".repeat(20), "path": "deploy/shop.yaml", "line": 12});
        let written: Provenance = serde_json::from_value(written).unwrap();
        let described = Described {
            view: &view,
            written: Some(&written),
            releases: &releases,
            plans: &plans,
            drift: &drift,
            events: &events,
        };
        insta::assert_snapshot!(described.render(NOW.parse().unwrap(), Style::Plain).unwrap());
    }
}
