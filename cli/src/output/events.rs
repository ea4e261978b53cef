//! Events as a table.

use jiff::Timestamp;
use skep_api::wire::{EventSeverity, EventView};
use skep_schemas::diagnostic::Style;

use super::table::{Cell, render};
use super::text::{Tone, age};
use crate::address::key_of_ref;

/// How events are laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventLayout {
    /// With the time of the first occurrence.
    pub(crate) wide: bool,
    /// The time to count ages from.
    pub(crate) now: Timestamp,
    /// With colours.
    pub(crate) style: Style,
}

/// The table.
pub(crate) fn table(events: &[EventView], layout: &EventLayout) -> String {
    let mut headings = vec!["LAST", "TYPE", "REASON", "RESOURCE", "COUNT", "MESSAGE"];
    if layout.wide {
        headings.insert(0, "FIRST");
    }
    let rows: Vec<Vec<Cell>> = events.iter().map(|event| row(event, layout)).collect();
    render(&headings, &rows, layout.style)
}

/// One event as a line that is added to a table.
pub(crate) fn line(event: &EventView, layout: &EventLayout) -> String {
    let table = table(std::slice::from_ref(event), layout);
    table.split_once('\n').map(|(_, line)| line.to_owned()).unwrap_or_default()
}

fn row(event: &EventView, layout: &EventLayout) -> Vec<Cell> {
    let (word, tone) = match event.severity {
        EventSeverity::Normal => ("Normal", Tone::Plain),
        EventSeverity::Warning => ("Warning", Tone::Bad),
    };
    let mut cells = vec![
        Cell::from(age(event.last_seen, layout.now)),
        Cell::toned(word, tone),
        event.reason.clone().into(),
        key_of_ref(&event.resource).map_or_else(String::new, |key| key.to_string()).into(),
        event.count.to_string().into(),
        event.message.clone().into(),
    ];
    if layout.wide {
        cells.insert(0, age(event.first_seen, layout.now).into());
    }
    cells
}
