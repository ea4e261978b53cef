//! The drift report as a table.

use jiff::Timestamp;
use serde_json::Value;
use skep_api::wire::{DriftOutcome, DriftResponse, DriftView};
use skep_schemas::diagnostic::Style;

use super::table::{Cell, render};
use super::text::{Tone, age};

/// The longest value in a column; `-o json` shows all of it.
const VALUE_MAX: usize = 40;

/// How the report is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DriftLayout {
    /// The time to count ages from.
    pub(crate) now: Timestamp,
    /// With colours.
    pub(crate) style: Style,
}

/// The table; a sentence when there is nothing to lay out.
pub(crate) fn table(drift: &[DriftView], layout: &DriftLayout) -> String {
    const HEADINGS: [&str; 7] = ["OBJECT", "FIELD", "LIVE", "WANTED", "SINCE", "NOTICED", "OUTCOME"];
    if drift.is_empty() {
        return "No drift.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = drift.iter().map(|one| row(one, layout)).collect();
    render(&HEADINGS, &rows, layout.style)
}

/// One difference as a line that is added to a table.
pub(crate) fn line(drift: &DriftView, layout: &DriftLayout) -> String {
    let table = table(std::slice::from_ref(drift), layout);
    table.split_once('\n').map(|(_, line)| line.to_owned()).unwrap_or_default()
}

fn row(drift: &DriftView, layout: &DriftLayout) -> Vec<Cell> {
    // About a whole object there is no field; in what way it differs says as much.
    let field = if drift.pointer.is_empty() { format!("({})", drift.class) } else { drift.pointer.clone() };
    vec![
        format!("{}/{}", drift.object.kind, drift.object.name).into(),
        field.into(),
        value(drift.live.as_ref()).into(),
        value(drift.desired.as_ref()).into(),
        age(drift.first_seen, layout.now).into(),
        drift.noticed.as_str().into(),
        Cell::toned(&drift.ending, tone(drift)),
    ]
}

const fn tone(drift: &DriftView) -> Tone {
    match (drift.outcome, drift.response) {
        (Some(DriftOutcome::Corrected), _) => Tone::Good,
        (None, DriftResponse::Correct | DriftResponse::Paused) => Tone::Busy,
        (None, DriftResponse::GiveUp) => Tone::Bad,
        (Some(DriftOutcome::Ended), _) | (None, DriftResponse::Report | DriftResponse::Ignore) => Tone::Plain,
    }
}

fn value(value: Option<&Value>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= VALUE_MAX {
        return text;
    }
    text.chars().take(VALUE_MAX - 1).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::NOW;

    fn drift(changes: &Value) -> DriftView {
        let mut view = json!({
            "id": 1, "serial": 1, "resource": {"org": "acme", "kind": "Environment", "name": "shop"},
            "object": {"kind": "service", "name": "acme_shop_web"}, "pointer": "/Mode/Replicated/Replicas",
            "class": "modified", "desired": 2, "live": 5, "response": "correct", "noticed": "event",
            "firstSeen": "2026-03-01T11:50:00Z", "lastSeen": "2026-03-01T11:59:00Z", "ending": "being corrected",
        });
        let (Some(view_fields), Some(changes)) = (view.as_object_mut(), changes.as_object()) else {
            panic!("not objects")
        };
        view_fields.extend(changes.clone());
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn what_stands_and_what_ended_in_a_table() {
        let report = [
            drift(&json!({})),
            drift(
                &json!({"pointer": "/Labels/note", "live": "a\u{1b}[2J".to_owned() + &"x".repeat(60), "desired": null,
                "response": "report", "noticed": "resync", "ending": "reported"}),
            ),
            drift(&json!({"pointer": "", "class": "missing", "live": null, "desired": "web",
                "response": "give-up", "noticed": "change", "ending": "gave up"})),
            drift(&json!({"outcome": "corrected", "endedAt": "2026-03-01T11:50:01Z", "millis": 104,
                "ending": "corrected in 104 ms"})),
        ];
        let layout = DriftLayout { now: NOW.parse().unwrap(), style: Style::Plain };
        insta::assert_snapshot!(table(&report, &layout));
    }

    #[test]
    fn nothing_that_differs_is_a_sentence() {
        let layout = DriftLayout { now: NOW.parse().unwrap(), style: Style::Plain };
        assert_eq!(table(&[], &layout), "No drift.\n");
    }
}
