//! A document as a tree that remembers where everything was written.
//!
//! Both YAML and JSON are read into it. Fields keep their order and are kept even when written twice, so that the check
//! against the schema can report every problem of a document with its place. It has no `Debug`: it may hold secret values.

use serde_json::Value as Json;

/// Where something is written. Lines and columns (in characters) count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) line: u32,
    pub(super) column: u32,
    /// How many characters of the first line belong to it.
    pub(super) width: u32,
    /// The last line that belongs to it.
    pub(super) end_line: u32,
}

/// A value and its place; JSON bodies have no places.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) span: Option<Span>,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number, and the text it was written as.
    Number(serde_json::Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A problem with it has been reported already; it is not looked at again.
    Broken,
}

/// One field.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Option<Span>,
    pub(super) value: Node,
}

impl Node {
    pub(super) const fn new(span: Option<Span>, value: Value) -> Self {
        Self { span, value }
    }

    /// The fields, if it is a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null
            | Value::Bool(_)
            | Value::Number(..)
            | Value::Text(_)
            | Value::List(_)
            | Value::Broken => &[],
        }
    }

    /// The first field of that name.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(..)
            | Value::List(_)
            | Value::Map(_)
            | Value::Broken => None,
        }
    }

    /// Is there a part in it that could not be read?
    pub(super) fn is_broken(&self) -> bool {
        match &self.value {
            Value::Broken => true,
            Value::List(items) => items.iter().any(Self::is_broken),
            Value::Map(entries) => entries.iter().any(|entry| entry.value.is_broken()),
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) => false,
        }
    }

    /// What it is, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(..) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "fields",
            Value::Broken => "something unreadable",
        }
    }

    /// The same value as JSON. Of a field written twice the first counts; such a document has been refused before.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Broken => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number, _) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    map.entry(entry.key.as_str()).or_insert_with(|| entry.value.to_json());
                }
                Json::Object(map)
            }
        }
    }

    /// The place of the field that a JSON pointer names, or of the nearest field around it that is written.
    pub(super) fn locate(&self, pointer: &str) -> Option<Span> {
        let mut node = self;
        let mut span = self.span;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(_) => node.entry(&step).map(|entry| (&entry.value, entry.key_span)),
                Value::List(items) => {
                    step.parse::<usize>().ok().and_then(|i| items.get(i)).map(|item| (item, None))
                }
                Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::Broken => None,
            };
            let Some((found, key_span)) = next else { break };
            node = found;
            span = match &found.value {
                // A mapping or list begins on the next line; its name is the better place to point to.
                Value::Map(_) | Value::List(_) => key_span.or(found.span),
                Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::Broken => {
                    found.span.or(key_span)
                }
            }
            .or(span);
        }
        span
    }
}

/// A step of a JSON pointer, escaped.
pub(super) fn pointer_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
