//! A tree against its JSON Schema: every problem of a document in one go.
//!
//! The schema is the one that is generated from the types and given to editors, so that reader, editor and `skep explain`
//! cannot disagree. Only the keywords that our types produce are understood; a test in [`crate::schema`] fails when a
//! type begins to use another. What a schema cannot say is checked afterwards by the types themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::finding::Finding;
use super::node::{Entry, Node, Span, Value, pointer_step};
use super::suggest::nearest;
use crate::codes::Code;
use crate::scalar;
use crate::schema::{self, SECRET_KEY};

/// Finds every problem of a document.
pub(super) fn walk(node: &Node, schema: &Json) -> Vec<Finding> {
    let mut walk = Walk { root: schema, pointer: String::new(), findings: Vec::new() };
    walk.node(node, schema, node.entries().first().and_then(|entry| entry.key_span));
    walk.findings
}

struct Walk<'a> {
    root: &'a Json,
    pointer: String,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    /// `place` is where to point to for the value as a whole: the name of its field.
    fn node(&mut self, node: &Node, schema: &Json, place: Option<Span>) {
        if schema.get("readOnly").is_some() || matches!(node.value, Value::Broken) {
            return;
        }
        let schema = schema::resolve(schema, self.root);
        let here = node.span.or(place);
        if let Some(choices) = choices(schema) {
            return self.choice(node, &choices, here);
        }
        let types = schema::types(schema);
        let is = |name: &str| types.contains(&name);
        match &node.value {
            Value::Map(entries) if is("object") => self.fields(entries, schema, place.or(node.span)),
            Value::List(items) if is("array") => self.items(items, schema),
            Value::Text(text) if is("string") => self.scalar(text, schema, here),
            // A scalar that may be written as a number, such as `cpu: 2`, is judged by its text.
            Value::Number(_, text) if is("string") && is("number") => self.scalar(text, schema, here),
            Value::Number(number, _) if is("number") || (is("integer") && !number.is_f64()) => {
                self.range(number, schema, here);
            }
            Value::Bool(_) if is("boolean") => {}
            _ if types.is_empty() => {}
            _ => self.wrong_type(node, schema, &types, here),
        }
    }

    fn fields(&mut self, entries: &[Entry], schema: &Json, place: Option<Span>) {
        let mut seen: BTreeMap<&str, Option<Span>> = BTreeMap::new();
        for entry in entries {
            let within = self.pointer.len();
            self.pointer.push('/');
            self.pointer.push_str(&pointer_step(&entry.key));
            if let Some(first) = seen.get(entry.key.as_str()) {
                let first = first.map(|span| format!(" on line {}", span.line)).unwrap_or_default();
                let message = format!("the field `{}` is written twice", shown(&entry.key));
                let help = format!("the first is{first}; remove one of them");
                self.note(Finding::new(Code::DuplicateField, message).help(help).at(entry.key_span));
            } else {
                seen.insert(&entry.key, entry.key_span);
                match schema::field(schema, &entry.key) {
                    // What may never be written has its own message, see `super::envelope`.
                    Some(Json::Bool(false)) => {}
                    Some(field) => {
                        if schema::own_field(schema, &entry.key).is_none() {
                            self.key(entry, schema);
                        }
                        self.node(&entry.value, field, entry.key_span);
                    }
                    None => self.unknown_field(entry, schema),
                }
            }
            self.pointer.truncate(within);
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for name in required.filter_map(Json::as_str).filter(|name| !seen.contains_key(name)) {
            let field = schema::field(schema, name);
            let only = field.and_then(|field| field.get("const")).and_then(Json::as_str);
            let about = field.and_then(|field| schema::description(field, self.root)).unwrap_or_default();
            let about = about.split_inclusive(". ").next().unwrap_or_default().trim_end();
            let help = match only {
                Some(only) => format!("add `{name}: {only}`"),
                None => format!("add `{name}`: {about}"),
            };
            let message = format!("the field `{name}` is missing{}", self.where_within());
            self.note(Finding::new(Code::MissingField, message).help(help).at(place));
        }
        self.alternatives(&seen, schema, place);
    }

    /// Fields of which exactly one is written: those that are not required, where the schema bounds how many there are.
    fn alternatives(&mut self, seen: &BTreeMap<&str, Option<Span>>, schema: &Json, place: Option<Span>) {
        if schema.get("maxProperties").is_none() {
            return;
        }
        let required = schema.get("required").and_then(Json::as_array);
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let fields = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        let fields = fields.map(|(name, _)| name.as_str()).filter(|name| !is_required(name));
        let (written, others): (Vec<&str>, Vec<&str>) = fields.partition(|name| seen.contains_key(name));
        let message = match written.as_slice() {
            [_] => return,
            [] => format!("one of {} is missing{}", listed(&others), self.where_within()),
            several => format!("{} exclude each other{}", listed(several), self.where_within()),
        };
        let help = if written.is_empty() { "write one of them" } else { "keep one of them" };
        self.note(Finding::new(Code::InvalidSpec, message).help(help).at(place));
    }

    /// The name of an entry of a map whose names are values, such as processes and environment variables.
    fn key(&mut self, entry: &Entry, schema: &Json) {
        if let Some(names) = schema.get("propertyNames") {
            self.scalar(&entry.key, names, entry.key_span);
        }
    }

    fn unknown_field(&mut self, entry: &Entry, schema: &Json) {
        let message = format!("unknown field `{}`{}", shown(&entry.key), self.where_in());
        let finding = Finding::new(Code::UnknownField, message).at(entry.key_span);
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, field)| **field != Json::Bool(false) && field.get("readOnly").is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        self.note(match nearest(&entry.key, known.iter().copied()) {
            Some(name) => finding.help(format!("did you mean `{name}`?")),
            None => finding.help(format!("known fields are {}", listed(&known))),
        });
    }

    fn items(&mut self, items: &[Node], schema: &Json) {
        let Some(of) = schema.get("items") else { return };
        let is_set = schema.get("uniqueItems") == Some(&Json::Bool(true));
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            let within = self.pointer.len();
            self.pointer.push_str(&format!("/{i}"));
            if let Some(text) = item.text().filter(|text| is_set && !seen.insert(*text)) {
                let message = format!("`{}` is listed twice", shown(text));
                self.note(Finding::new(Code::InvalidSpec, message).help("list it once").at(item.span));
            }
            self.node(item, of, item.entries().first().and_then(|entry| entry.key_span).or(item.span));
            self.pointer.truncate(within);
        }
    }

    fn scalar(&mut self, text: &str, schema: &Json, place: Option<Span>) {
        let Some(name) = schema.get(scalar::SCHEMA_KEY).and_then(Json::as_str) else {
            return self.free_text(text, schema, place);
        };
        let Some(Err(error)) = scalar::parser(name).map(|check| check(text)) else { return };
        self.note(Finding::new(scalar_code(name), error.problem).help(error.help).at(place));
    }

    /// Any text but a NUL: no process can receive one, and the database cannot store one. Values of secrets are stored sealed.
    fn free_text(&mut self, text: &str, schema: &Json, place: Option<Span>) {
        if text.contains('\0') && schema.get(SECRET_KEY).is_none() {
            let code =
                if self.pointer.starts_with("/metadata") { Code::InvalidLabel } else { Code::InvalidSpec };
            let finding = Finding::new(code, "the text contains a NUL character");
            self.note(finding.help("remove it: it can be neither stored nor passed to a process").at(place));
        }
    }

    fn range(&mut self, number: &serde_json::Number, schema: &Json, place: Option<Span>) {
        let Some(value) = number.as_f64() else { return };
        let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
            let help = match (least, most) {
                (Some(least), Some(most)) => format!("use {least} to {most}"),
                (Some(least), None) => format!("use {least} or more"),
                (None, Some(most)) => format!("use at most {most}"),
                (None, None) => String::new(),
            };
            let message = format!("{number} is out of range");
            self.note(Finding::new(Code::OutOfRange, message).help(help).at(place));
        }
    }

    fn choice(&mut self, node: &Node, choices: &[&str], place: Option<Span>) {
        let options = listed(choices);
        let Some(text) = node.text() else {
            let message = format!("expected one of {options}, found {}", node.what());
            let help =
                "write one of them as text; `on`, `off`, `yes` and `no` are text, `true` and `false` are not";
            return self.note(Finding::new(Code::WrongType, message).help(help).at(place));
        };
        if !choices.contains(&text) {
            let message = format!("`{}` is not one of the choices", shown(text));
            let help = match nearest(text, choices.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("use one of {options}"),
            };
            self.note(Finding::new(Code::UnknownChoice, message).help(help).at(place));
        }
    }

    fn wrong_type(&mut self, node: &Node, schema: &Json, types: &[&str], place: Option<Span>) {
        // `deadline: 30` lacks a unit, not quotes.
        if let Value::Number(_, text) = &node.value {
            let before = self.findings.len();
            self.scalar(text, schema, place);
            if self.findings.len() > before {
                return;
            }
        }
        let expected = types.first().map_or("another type", |name| type_words(name));
        let secret = schema.get(SECRET_KEY).is_some();
        let help = match &node.value {
            Value::Null => "give the field a value, or remove it".to_owned(),
            Value::Number(_, text) if types.contains(&"string") && !secret => {
                format!("put it in quotes: \"{text}\"")
            }
            Value::Number(..) | Value::Bool(_) if types.contains(&"string") => "put it in quotes".to_owned(),
            Value::Text(text) if !secret && text.parse::<f64>().is_ok() => "remove the quotes".to_owned(),
            Value::Text(_) if types.contains(&"array") => {
                "write a list: each item on its own line after `- `, or all in `[…]`".to_owned()
            }
            Value::List(_) if types.contains(&"object") => {
                "write `name: value` lines without a hyphen before them".to_owned()
            }
            _ => format!("write {expected}"),
        };
        let message = format!("expected {expected}, found {}", node.what());
        self.note(Finding::new(Code::WrongType, message).help(help).at(place));
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding.pointer(self.pointer.clone()));
    }

    /// ` in spec.processes.web`, for the field around the one that is meant.
    fn where_in(&self) -> String {
        in_field(self.pointer.rsplit_once('/').map_or("", |(around, _)| around))
    }

    /// The same for the field that is meant itself.
    fn where_within(&self) -> String {
        in_field(&self.pointer)
    }
}

fn in_field(pointer: &str) -> String {
    match pointer.strip_prefix('/') {
        Some(path) => format!(" in `{}`", shown(&path.replace('/', "."))),
        None => String::new(),
    }
}

/// The texts that a schema allows, if it allows only some: `enum`, `const`, or a `oneOf` of these.
fn choices(schema: &Json) -> Option<Vec<&str>> {
    if let Some(only) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![only]);
    }
    if let Some(all) = schema.get("enum").and_then(Json::as_array) {
        return Some(all.iter().filter_map(Json::as_str).collect());
    }
    let variants = schema.get("oneOf")?.as_array()?;
    variants.iter().map(choices).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

fn scalar_code(name: &str) -> Code {
    match name {
        "cpu" | "bytes" | "duration" => Code::InvalidQuantity,
        "host" => Code::InvalidHost,
        "image-ref" | "image-digest" => Code::InvalidImage,
        "mount-path" | "file-name" => Code::InvalidPath,
        "cron-expression" | "time-zone" => Code::InvalidSchedule,
        _ => Code::InvalidName,
    }
}

fn type_words(name: &str) -> &'static str {
    match name {
        "object" => "fields",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        _ => "another type",
    }
}

/// "`a`, `b` and `c`".
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A text of the user in a message: short and escaped.
pub(super) fn shown(text: &str) -> String {
    scalar::excerpt(text)
}
