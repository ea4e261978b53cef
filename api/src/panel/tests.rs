//! The list of what the documents ask for, the rows, and the page of the documentation say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use skep_schemas::Kind;

use super::row::Row;
use super::rows;
use crate::access::{Needs, Permission};
use crate::route::{Verb, Within};
use crate::routes;

/// The documents' routes: document, method, path, and how it is written where that is in short.
const SEEDS: &str = include_str!("seeds.tsv");

/// The documents that `SEEDS` may name.
const DOCUMENTS: [&str; 5] =
    ["integration-plan", "consolidated-plan", "complete-plan", "implementation-complete", "todo-list"];

/// Kinds of the design that are not there yet.
const COMING: [&str; 9] = [
    "AddonPlan",
    "Node",
    "Volume",
    "VolumeSnapshot",
    "Addon",
    "Run",
    "AutoscalingRule",
    "Webhook",
    "GitSource",
];

/// The test that walks what is not served.
const WALK: &str = "every_route_that_is_not_served_says_what_will_serve_it_to_whoever_may_ask";

/// A method and a path whose variables have no names: the documents name one and the same differently.
fn address(method: &str, path: &str) -> (String, String) {
    let segment = |part: &str| {
        let is_variable = part.starts_with(':') || part.starts_with('{');
        if is_variable { "{}".to_owned() } else { part.to_owned() }
    };
    (method.to_uppercase(), path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

fn asked_for() -> Vec<(String, String)> {
    let lines = SEEDS.lines().filter(|line| !line.starts_with('#'));
    let read = lines.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [document, method, path, ..] = fields.as_slice() else { panic!("{line}") };
        assert!(DOCUMENTS.contains(document) && fields.len() <= 4, "{line}");
        address(method, path)
    });
    read.collect()
}

#[test]
fn every_route_of_the_documents_has_a_row_and_every_row_is_a_route_of_the_documents() {
    let asked: BTreeSet<_> = asked_for().into_iter().collect();
    let there: BTreeSet<_> = rows::all().map(|row| address(row.verb.as_str(), row.path)).collect();
    let without_row: Vec<_> = asked.difference(&there).collect();
    let without_entry: Vec<_> = there.difference(&asked).collect();
    assert!(without_row.is_empty(), "in the documents and without a row: {without_row:?}");
    assert!(without_entry.is_empty(), "rows that no document asks for: {without_entry:?}");
    assert_eq!(rows::all().count(), there.len(), "an address has one row");
    assert!(there.len() > 140, "{}", there.len());
}

#[test]
fn every_row_is_in_the_one_table_and_asks_for_what_its_place_takes() {
    let table = routes::table();
    for row in rows::all() {
        let place = (row.verb.as_str(), row.path);
        assert!(table.iter().any(|route| route.verb == row.verb && route.path == row.path), "{place:?}");
        let of_platform = row.path.starts_with("/api/admin/");
        assert_eq!(of_platform, row.within == Within::Platform, "{place:?}");
        // Nobody but the platform passes there: it takes a role that covers the platform.
        let needs = row.permission.needs(None);
        let narrow = matches!(needs, Needs::Within(_) | Needs::OnPlatform(_));
        assert!(!of_platform || narrow, "{place:?} {needs:?}");
        let reads = matches!(
            row.permission,
            Permission::Read | Permission::ReadLogs | Permission::ReadMembers | Permission::ReadMetrics
        );
        // A terminal is asked for with GET, as WebSockets are.
        let is_terminal = row.path.ends_with("/console");
        assert_eq!(reads, row.verb == Verb::Get && !is_terminal, "{place:?}");
    }
}

#[test]
fn what_will_serve_a_row_is_a_kind_and_what_serves_it_today_is_a_route() {
    let native: BTreeSet<_> = routes::table()
        .iter()
        .filter(|route| !route.path.starts_with("/api/"))
        .map(|route| address(route.verb.as_str(), route.path))
        .collect();
    for row in rows::all() {
        let is_kind = Kind::ALL.iter().any(|kind| kind.as_str() == row.by);
        assert!(is_kind || COMING.contains(&row.by), "{}", row.by);
        let Some(today) = row.today else { continue };
        let (method, path) = today.split_once(' ').unwrap();
        // What is asked of the Swarm itself has routes without a kind.
        assert!(
            is_kind || row.served.is_some() || path == "/metrics",
            "{} does not exist and cannot be served by {today}",
            row.by
        );
        let kinds = Kind::ALL.iter().map(|kind| kind.plural());
        let general = kinds.fold(path.to_owned(), |path, kind| path.replace(&format!("/{kind}"), "/{kind}"));
        let known = native.contains(&address(method, path)) || native.contains(&address(method, &general));
        assert!(known, "{} names {today}, which is no route", row.path);
    }
}

#[test]
fn the_test_that_a_row_names_is_there() {
    const UNSERVED_WALK: &str = include_str!("../../tests/api/panel.rs");
    const SERVED_WALKS: [&str; 6] = [
        include_str!("../../tests/api/metrics.rs"),
        include_str!("../../tests/api/region.rs"),
        include_str!("../../tests/api/panel_served.rs"),
        include_str!("../../tests/api/panel_changes.rs"),
        include_str!("../../tests/api/formation.rs"),
        include_str!("../../tests/api/deployment.rs"),
    ];
    assert!(UNSERVED_WALK.contains(&format!("async fn {WALK}()")));
    for served in rows::all().filter_map(|row| row.served.as_ref()) {
        let begins = format!("async fn {}()", served.test);
        assert!(SERVED_WALKS.iter().any(|walks| walks.contains(&begins)), "{}", served.test);
    }
}

/// The row as a line of the page.
fn line(row: &Row) -> String {
    let (status, test) = match &row.served {
        Some(served) => ("works", served.test),
        None => ("501", WALK),
    };
    let today = row.today.map(|today| format!(", `{today}`")).unwrap_or_default();
    let method = row.verb.as_str().to_uppercase();
    let Row { path, about, by, .. } = row;
    format!("| {method} | `{path}` | {about} | {status} | {by}{today} | *{test}* |\n")
}

fn page() -> String {
    let all: Vec<&Row> = rows::all().collect();
    let works = all.iter().filter(|row| row.served.is_some()).count();
    let mut page = include_str!("page.md").to_owned();
    writeln!(page, "\n{} routes, of which {works} work.", all.len()).unwrap();
    let mut subjects: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in all {
        let subject = ["/api/admin/paas", "/api/caas", "/api/paas", "/api/organizations"];
        let subject = subject.into_iter().find(|prefix| row.path.starts_with(prefix)).unwrap();
        subjects.entry(subject).or_default().push(row);
    }
    for (subject, rows) in subjects {
        let titles = "| method | path | what it does | status | served by, today by | walked by |\n|---|---|---|---|---|---|\n";
        write!(page, "\n## `{subject}`\n\n{titles}").unwrap();
        page.extend(rows.into_iter().map(line));
    }
    page
}

#[test]
fn the_page_in_the_documentation_says_what_the_rows_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/panel-api.md");
    let fresh = page();
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "docs/panel-api.md is stale; run the tests of skep-api with SKEP_BLESS=1");
}
