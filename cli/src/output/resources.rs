//! Resources as a table: a few columns for every kind, and those that matter for each.

use jiff::Timestamp;
use skep_api::wire::ResourceView;
use skep_schemas::diagnostic::Style;
use skep_schemas::kind::{EnvironmentDetail, Status};
use skep_schemas::{Kind, Owner};

use super::phase::{Phase, last_observed};
use super::table::{Cell, render};
use super::text::age;

/// How a list is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// With more columns.
    pub(crate) wide: bool,
    /// With the organisation.
    pub(crate) with_org: bool,
    /// The time to count ages from.
    pub(crate) now: Timestamp,
    /// With colours.
    pub(crate) style: Style,
}

/// The table of resources of one kind.
pub(crate) fn table(kind: Kind, views: &[ResourceView], layout: &Layout) -> String {
    let mut headings = vec!["NAME", "STATUS"];
    if layout.with_org {
        headings.insert(0, "ORG");
    }
    headings.extend(own_headings(kind, layout.wide));
    headings.push("AGE");
    if layout.wide {
        headings.extend(["OWNER", "GENERATION", "MESSAGE"]);
    }
    let rows: Vec<Vec<Cell>> = views.iter().map(|view| row(view, layout)).collect();
    render(&headings, &rows, layout.style)
}

/// The same without headings, for lines that are appended to a table.
pub(crate) fn line(kind: Kind, view: &ResourceView, layout: &Layout) -> String {
    let table = table(kind, std::slice::from_ref(view), layout);
    table.split_once('\n').map(|(_, line)| line.to_owned()).unwrap_or_default()
}

fn row(view: &ResourceView, layout: &Layout) -> Vec<Cell> {
    let phase = Phase::of(view);
    let seen = last_observed(view).map(|at| format!(" (last seen {} ago)", age(at, layout.now)));
    let pause = view.metadata.pause.as_ref().filter(|pause| pause.holds(layout.now));
    let paused = pause.map_or("", |_| " (paused)");
    let status = phase.short() + paused + &seen.unwrap_or_default();
    let mut cells = vec![Cell::from(view.metadata.name.as_str()), Cell::toned(&status, phase.word.tone())];
    if layout.with_org {
        cells.insert(0, view.metadata.org.as_ref().map_or("-", |org| org.as_str()).into());
    }
    cells.extend(own_cells(view, layout.wide));
    cells.push(age(view.metadata.created_at, layout.now).into());
    if layout.wide {
        cells.push(owner(&view.metadata.managed_by).into());
        cells.push(view.metadata.generation.to_string().into());
        cells.push(phase.message.into());
    }
    cells
}

/// Who owns it, where that is not the API.
fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Api => "-".to_owned(),
        Owner::Git { source } => source.to_string(),
    }
}

fn own_headings(kind: Kind, wide: bool) -> &'static [&'static str] {
    match (kind, wide) {
        (Kind::Environment, false) => &["RELEASE", "INSTANCES"],
        (Kind::Environment, true) => &["RELEASE", "INSTANCES", "IMAGE", "URL"],
        (Kind::Domain, _) => &["HOST", "ENVIRONMENT"],
        (Kind::Platform, _) => &["SWITCHED OFF"],
        (Kind::Plan, _) => &["CPU", "MEMORY", "MAX"],
        (Kind::IsolationTier, _) => &["LEVEL", "POOL"],
        (Kind::Buildpack, _) => &["IMAGE"],
        (Kind::Stack, _) => &["BUILDER"],
        (Kind::Template, _) => &["PLAN", "DESCRIPTION"],
        (Kind::App, _) => &["IMAGE"],
        (Kind::Secret, _) => &["VERSION"],
        (Kind::Organization, _) => &["NETWORK"],
        (Kind::DriftPolicy, _) => &["ENVIRONMENT", "MODE"],
        (Kind::ImagePolicy, _) => &["ENFORCEMENT"],
        (Kind::RegistryCredential, _) => &["REGISTRY", "USERNAME", "SECRET", "VERSION"],
        (Kind::NetworkPolicy, _) => &["LINKS", "AGREED"],
        (Kind::Notification, _) => &["TO", "SECRET", "DEAD"],
    }
}

/// The features that are, by name.
fn switched_off(view: &ResourceView) -> String {
    let features = view.spec.get("features").and_then(serde_json::Value::as_object);
    let off = features.into_iter().flatten().filter(|(_, on)| **on == serde_json::Value::Bool(false));
    let off: Vec<&str> = off.map(|(name, _)| name.as_str()).collect();
    if off.is_empty() { "-".to_owned() } else { off.join(", ") }
}

/// One cell for each of the kind's own headings.
fn own_cells(view: &ResourceView, wide: bool) -> Vec<Cell> {
    let spec = |pointer: &str| at(&view.spec, pointer);
    let status =
        |pointer: &str| view.status.as_ref().map_or_else(|| "-".to_owned(), |status| at(status, pointer));
    match view.kind {
        Kind::Environment => {
            let detail = environment(view).unwrap_or_default();
            let (ready, wanted) = detail
                .processes
                .values()
                .fold((0, 0), |(ready, wanted), process| (ready + process.updated, wanted + process.desired));
            let release =
                detail.release.as_ref().map_or_else(|| "-".to_owned(), |r| format!("v{}", r.version));
            let mut cells = vec![Cell::from(release), Cell::from(format!("{ready}/{wanted}"))];
            if wide {
                cells.push(detail.release.map_or_else(|| "-".to_owned(), |release| release.image).into());
                cells.push(detail.urls.into_iter().next().unwrap_or_else(|| "-".to_owned()).into());
            }
            cells
        }
        Kind::Domain => vec![spec("/host").into(), spec("/environment").into()],
        Kind::Platform => vec![switched_off(view).into()],
        Kind::Plan => {
            vec![spec("/instance/cpu").into(), spec("/instance/memory").into(), spec("/maxInstances").into()]
        }
        Kind::IsolationTier => vec![spec("/level").into(), spec("/pool").into()],
        Kind::Buildpack => vec![spec("/image").into()],
        Kind::Stack => vec![spec("/builder").into()],
        Kind::Template => vec![spec("/plan").into(), spec("/description").into()],
        Kind::App => vec![spec("/source/image").into()],
        Kind::Secret => vec![status("/version").into()],
        Kind::Organization => vec![status("/network/subnet").into()],
        Kind::DriftPolicy => vec![spec("/environment").into(), spec("/mode").into()],
        Kind::ImagePolicy => vec![spec("/enforcement").into()],
        Kind::RegistryCredential => vec![
            spec("/registry").into(),
            spec("/username").into(),
            spec("/password/secret").into(),
            status("/secretVersion").into(),
        ],
        Kind::NetworkPolicy => {
            let links = view.status.as_ref().and_then(|status| status.get("links")?.as_array());
            let states = || links.into_iter().flatten().filter_map(|link| link.get("state")?.as_str());
            let agreed = states().filter(|state| *state == "agreed").count();
            vec![states().count().to_string().into(), agreed.to_string().into()]
        }
        Kind::Notification if view.spec.get("slack").is_some() => {
            vec!["slack".into(), spec("/slack/secret").into(), status("/dead").into()]
        }
        Kind::Notification => {
            vec![spec("/webhook/url").into(), spec("/webhook/secret").into(), status("/dead").into()]
        }
    }
}

/// The scalar at a JSON pointer, `-` when there is none.
fn at(value: &serde_json::Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    }
}

/// What an environment's status says beyond its conditions; `None` when it says nothing yet or cannot be read.
pub(crate) fn environment(view: &ResourceView) -> Option<EnvironmentDetail> {
    if view.kind != Kind::Environment {
        return None;
    }
    let status: Status<EnvironmentDetail> = serde_json::from_value(view.status.clone()?).ok()?;
    Some(status.detail)
}

/// Why instances of the resource failed last, one sentence for each process that has such a reason.
pub(crate) fn last_errors(view: &ResourceView) -> Vec<String> {
    let processes = environment(view).unwrap_or_default().processes;
    let told = processes.iter().filter_map(|(name, process)| {
        process.last_error.as_ref().map(|error| format!("{name}: {}", error.message))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{NOW, condition, ready, resource, stalled};

    fn layout(wide: bool, with_org: bool) -> Layout {
        Layout { wide, with_org, now: NOW.parse().unwrap(), style: Style::Plain }
    }

    #[test]
    fn environments_in_a_table() {
        insta::assert_snapshot!(table(Kind::Environment, &[ready(2), stalled(3)], &layout(false, false)));
    }

    #[test]
    fn environments_in_a_wide_table_of_all_organisations() {
        insta::assert_snapshot!(table(Kind::Environment, &[ready(2), stalled(3)], &layout(true, true)));
    }

    #[test]
    fn what_cannot_be_read_now_says_when_it_was_last_seen() {
        let status = json!({"observedGeneration": 1, "lastObserved": "2026-03-01T11:58:00Z",
            "conditions": [condition("Ready", "Unknown", "EngineUnavailable", "the engine does not answer", 1)]});
        let view = resource(Kind::Secret, "db", 1, &json!({}), &status);
        let table = table(Kind::Secret, &[view], &layout(false, false));
        assert!(table.contains("EngineUnavailable (last seen 2m ago)"), "{table}");
    }

    #[test]
    fn what_is_paused_says_so_until_the_pause_is_over() {
        let status = |until: &str| {
            let mut view = ready(2);
            let pause =
                json!({"reason": "disk", "by": "ann", "since": "2026-03-01T11:00:00Z", "until": until});
            view.metadata.pause = serde_json::from_value(pause).unwrap();
            line(Kind::Environment, &view, &layout(false, false))
        };
        assert!(status("2026-03-01T12:00:01Z").contains("Ready (paused)"));
        assert!(!status("2026-03-01T12:00:00Z").contains("paused"));
    }

    #[test]
    fn every_kind_has_as_many_cells_as_headings() {
        for kind in Kind::ALL {
            for wide in [false, true] {
                let view = resource(*kind, "shop", 1, &json!({}), &Value::Null);
                assert_eq!(own_cells(&view, wide).len(), own_headings(*kind, wide).len(), "{kind}");
            }
        }
    }

    #[test]
    fn the_other_kinds_in_tables() {
        let status = json!({"observedGeneration": 1, "version": 4, "network": {"name": "n", "subnet": "10.128.4.0/22"},
            "conditions": [condition("Ready", "True", "Converged", "", 1)]});
        let all = [
            resource(Kind::Organization, "acme", 1, &json!({}), &status),
            resource(
                Kind::Plan,
                "small",
                1,
                &json!({"instance": {"cpu": "500m", "memory": "256Mi"}, "maxInstances": 4}),
                &status,
            ),
            resource(Kind::Secret, "db", 1, &json!({}), &status),
            resource(Kind::App, "shop", 1, &json!({"source": {"image": "shop:1"}}), &Value::Null),
            resource(
                Kind::Domain,
                "shop",
                1,
                &json!({"host": "shop.example.com", "environment": "shop"}),
                &status,
            ),
        ];
        let tables: Vec<String> = all
            .iter()
            .map(|view| table(view.kind, std::slice::from_ref(view), &layout(false, false)))
            .collect();
        insta::assert_snapshot!(tables.join("\n"));
    }
}
