//! Keys that are taken by whoever knows them. What nobody takes is told.

use serde_json::{Map, Value};

use crate::report::Report;

/// A mapping whose keys are taken one after the other.
#[derive(Debug)]
pub(crate) struct Keys {
    pointer: String,
    map: Map<String, Value>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) pointer: String,
    pub(crate) value: Value,
}

impl Keys {
    /// The keys of a mapping. What is none has none, and is told.
    pub(crate) fn of(taken: Taken, report: &mut Report) -> Self {
        let map = match taken.value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            _ => {
                report.refuse(&taken.pointer, "it is no mapping");
                Map::new()
            }
        };
        Self { pointer: taken.pointer, map }
    }

    /// Where the mapping stands.
    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Takes a key. One that says nothing (`null`) is there, too: whoever takes it says what becomes of it.
    pub(crate) fn take(&mut self, key: &str) -> Option<Taken> {
        let value = self.map.shift_remove(key)?;
        Some(Taken { pointer: format!("{}.{key}", self.pointer), value })
    }

    /// Refuses those of these keys that are there, for one reason.
    pub(crate) fn refuse(&mut self, keys: &[&str], why: &str, report: &mut Report) {
        for key in keys {
            if let Some(taken) = self.take(key) {
                report.refuse(taken.pointer, why);
            }
        }
    }

    /// Notes for those of these keys that are there that nothing has to be done.
    pub(crate) fn need_not(&mut self, keys: &[&str], why: &str, report: &mut Report) {
        for key in keys {
            if let Some(taken) = self.take(key) {
                report.done(taken.pointer, why);
            }
        }
    }

    /// Tells of all that nobody took.
    pub(crate) fn rest(self, report: &mut Report) {
        for key in self.map.keys() {
            let pointer = format!("{}.{key}", self.pointer);
            if key.starts_with("x-") {
                report.done(pointer, "an extension, which says nothing by itself");
            } else {
                report.refuse(pointer, "Compose has no such key");
            }
        }
    }

    /// All keys that are left, with their values.
    pub(crate) fn into_each(self) -> impl Iterator<Item = (String, Taken)> {
        let Self { pointer, map } = self;
        map.into_iter().map(move |(key, value)| {
            let pointer = format!("{pointer}.{key}");
            (key, Taken { pointer, value })
        })
    }
}

impl Taken {
    /// Its text: a string, or what YAML read as a number or a truth value.
    pub(crate) fn text(&self) -> Option<String> {
        crate::value::text(&self.value)
    }

    /// Its elements, if it is a list, or itself as the only one.
    pub(crate) fn each(&self) -> Vec<Self> {
        match &self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, value)| Self { pointer: format!("{}[{at}]", self.pointer), value: value.clone() })
                .collect(),
            Value::Null => Vec::new(),
            _ => vec![self.clone()],
        }
    }

    /// Is it what means yes?
    pub(crate) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| text == "true")
    }
}
