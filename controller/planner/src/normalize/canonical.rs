//! The one form of a value, by its table.
//!
//! What has no row is of a newer engine and goes, what is empty goes, words get their usual case, what the engine writes by
//! itself is written, and what says only what its absence says goes. Applying it twice changes nothing.

use serde_json::{Map, Value};

use super::field::{Absent, Kind, Node, Owner};

/// What to do with fields that are Swarm's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SwarmOwned {
    /// They are not compared.
    Dropped,
    /// They tell one task from another.
    Kept,
}

/// Brings an object into its one form.
pub(super) fn canonical(value: &mut Value, table: &Node, swarm_owned: SwarmOwned) {
    if let Value::Object(members) = value {
        object(members, table, swarm_owned);
    }
}

fn object(members: &mut Map<String, Value>, node: &Node, swarm_owned: SwarmOwned) {
    members
        .retain(|name, value| node.member(name).is_some_and(|node| says_something(value, node, swarm_owned)));
    for (name, written) in node.written() {
        if !members.contains_key(name) {
            members.insert(name.to_owned(), written.clone());
        }
    }
}

/// Brings a member into its form; false when it then says nothing.
fn says_something(value: &mut Value, node: &Node, swarm_owned: SwarmOwned) -> bool {
    let Some(row) = &node.row else { return false };
    if row.field.owner == Owner::Swarm && swarm_owned == SwarmOwned::Dropped {
        return false;
    }
    match (row.field.kind, &mut *value) {
        (_, Value::Null) => return false,
        (Kind::Object | Kind::Tag, Value::Object(members)) => {
            object(members, node, swarm_owned);
            if members.is_empty() {
                return row.field.kind == Kind::Tag;
            }
        }
        (Kind::Map, Value::Object(members)) => {
            // A member with an empty value is still a member.
            members.retain(|name, value| {
                !value.is_null() && node.member(name).is_some_and(|node| is_compared(node, swarm_owned))
            });
            if members.is_empty() {
                return false;
            }
        }
        (Kind::List, Value::Array(list)) => {
            if let Some(element) = node.member("*") {
                for value in list.iter_mut() {
                    // An element counts by its place, whatever it says.
                    says_something(value, element, swarm_owned);
                }
            }
            if list.is_empty() {
                return false;
            }
        }
        (Kind::Word(words), Value::String(word)) if words.any_case => {
            // A word that is not known is a newer engine's: it stays as it is.
            if let Some(known) = words.known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
                (*known).clone_into(word);
            }
        }
        _ => {}
    }
    match row.field.absent {
        Absent::Empty => !is_zero(value),
        Absent::Is(_) => row.meaning.as_ref() != Some(value),
        // What the engine writes is left as it is: that is how people find it.
        Absent::Written(_) | Absent::Open => true,
    }
}

/// Whether the engine drops it. Empty lists and objects are gone by then.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_compared(node: &Node, swarm_owned: SwarmOwned) -> bool {
    let is_swarms = node.row.as_ref().is_some_and(|row| row.field.owner == Owner::Swarm);
    !(is_swarms && swarm_owned == SwarmOwned::Dropped)
}
