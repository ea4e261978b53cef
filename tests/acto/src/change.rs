//! Changes: something else at one place of one manifest, and whether it may be accepted at all.

use std::fmt;

use serde_json::{Value as Json, json};
use skep_fuzz::scalars;
use skep_schemas::{Diagnostics, Kind, ResourceKey};

use crate::desired::{Desired, Place};
use crate::field::{Field, Shape};
use crate::value;

/// A change of one field.
#[derive(Debug, Clone)]
pub struct Change {
    /// The kind.
    pub kind: Kind,
    /// The field's pattern.
    pub pattern: String,
    /// Where.
    pub place: Place,
    /// What stands there then; nothing when it is removed.
    pub value: Option<Json>,
    /// Is it certain to be refused?
    pub invalid: bool,
}

impl Change {
    /// A whole resource is taken away.
    pub fn deletion(key: &ResourceKey) -> Self {
        let place = Place { key: key.clone(), pointer: String::new() };
        Self { kind: key.kind(), pattern: String::new(), place, value: None, invalid: false }
    }

    /// What is wanted after it.
    pub fn made(&self, desired: &Desired) -> anyhow::Result<Desired> {
        desired.with(&self.place, self.value.clone())
    }

    /// Is this how the change has to be refused: with a code, in words, and a place on the way to the changed one?
    pub fn refused_properly(&self, found: &Diagnostics) -> Result<(), String> {
        let changed = &self.place.pointer;
        let near = |pointer: &str| pointer.starts_with(changed.as_str()) || changed.starts_with(pointer);
        // A second use of a value is told at the second place.
        let around = changed.rsplit_once('/').map_or("", |(around, _)| around);
        let placed = |pointer: &str| near(pointer) || (!around.is_empty() && pointer.starts_with(around));
        for problem in found.as_slice() {
            scalars::sentence(&problem.message)?;
            scalars::sentence(problem.help.as_deref().ok_or_else(|| format!("no next step: {problem:?}"))?)?;
        }
        if found.as_slice().iter().any(|problem| problem.pointer.as_deref().is_some_and(placed)) {
            return Ok(());
        }
        Err(format!("no problem is at {changed}: {found}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { key, pointer } = &self.place;
        match &self.value {
            None => write!(f, "{key} without {pointer}"),
            Some(value) => {
                let text = value.to_string();
                let short: String = text.chars().take(120).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                write!(f, "{key} with {pointer} = {short}{more}")
            }
        }
    }
}

/// Every change of a field, beginning from what is wanted now.
pub fn changes(desired: &Desired, field: &Field) -> Vec<Change> {
    desired.places(field).iter().flat_map(|place| at_place(desired, field, place)).collect()
}

fn at_place(desired: &Desired, field: &Field, place: &Place) -> Vec<Change> {
    let here = desired.at(place);
    let change = |place: Place, value: Option<Json>, invalid: bool| Change {
        kind: field.kind,
        pattern: field.pattern.clone(),
        place,
        value,
        invalid,
    };
    let beneath = |name: &str| {
        let name = name.replace('~', "~0").replace('/', "~1");
        Place { key: place.key.clone(), pointer: format!("{}/{name}", place.pointer) }
    };
    let mut changes: Vec<Change> = Vec::new();
    let good = value::good(field).into_iter().filter(|value| Some(value) != here);
    changes.extend(good.map(|value| change(place.clone(), Some(value), false)));
    changes.extend(value::bad(field).into_iter().map(|value| change(place.clone(), Some(value), true)));
    if here.is_some() {
        changes.push(change(place.clone(), None, field.required));
    }
    match (&field.shape, here) {
        (Shape::Fields, Some(_)) => changes.push(change(beneath("noSuchField"), Some(json!("x")), true)),
        (Shape::Entries(names), Some(Json::Object(entries))) => {
            let example = entries.values().next().cloned().unwrap_or_else(|| json!("x"));
            let free = |name: &String| !entries.contains_key(name);
            let (good, bad) = entry_names(*names);
            changes.extend(
                good.into_iter()
                    .filter(free)
                    .map(|name| change(beneath(&name), Some(example.clone()), false)),
            );
            changes.extend(bad.into_iter().map(|name| change(beneath(&name), Some(example.clone()), true)));
            changes.push(change(place.clone(), Some(json!({})), false));
        }
        (Shape::Items, Some(Json::Array(items))) => {
            if let Some(last) = items.last() {
                changes.push(change(beneath(&items.len().to_string()), Some(last.clone()), false));
            }
            changes.push(change(place.clone(), Some(json!([])), false));
            let reversed: Vec<Json> = items.iter().rev().cloned().collect();
            if reversed != *items {
                changes.push(change(place.clone(), Some(json!(reversed)), false));
            }
        }
        _ => {}
    }
    changes
}

/// Names that entries of a map may have, and names that they may not.
fn entry_names(names: Option<&str>) -> (Vec<String>, Vec<String>) {
    match names {
        Some(name) => (scalars::good(name), scalars::bad(name)),
        // Labels and annotations.
        None => {
            let long = "k".repeat(64);
            let bad = ["", "-a", "a-", "a b", "skep.dev/uid", "\u{202e}x", &long];
            (vec!["example.com/x".to_owned(), "k".repeat(63)], bad.map(str::to_owned).to_vec())
        }
    }
}
