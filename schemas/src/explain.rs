//! `skep explain`: the documentation of kinds, fields and error codes.
//!
//! Fields are explained from the same JSON Schemas that manifests are checked against, whose words are the doc comments of
//! the types. A path is a kind and fields, such as `environment.spec.processes`; what a map or a list holds is stepped into
//! without naming an entry, and naming one (`environment.spec.processes.web.ports`) is accepted too.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use crate::API_VERSION;
use crate::codes::Code;
use crate::kind::{Kind, KindScope};
use crate::manifest::suggest::nearest;
use crate::scalar;
use crate::schema::{self, description, own_field, resolve};

/// Lines of documentation are broken before this column.
const WIDTH: usize = 100;

/// There is nothing of that name to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ExplainError {
    /// What is wrong with the path.
    pub problem: String,
    /// What to ask for instead.
    pub help: String,
}

/// Explains a kind, a field, or an error code; without a path, gives an overview of all kinds, and for `codes` of all codes.
pub fn explain(path: &str) -> Result<String, ExplainError> {
    let path = path.trim();
    if path.is_empty() || path == "kinds" {
        return Ok(kinds());
    }
    if path == "codes" {
        return Ok(codes());
    }
    if let Ok(code) = path.parse::<Code>() {
        return Ok(code.explanation().to_owned());
    }
    let mut steps = path.split(['.', '/']).filter(|step| !step.is_empty());
    let first = steps.next().unwrap_or_default();
    let kind: Kind = first.parse().map_err(|_| unknown_kind(first))?;
    let root = with_status(kind);
    let mut at = Place { name: kind.as_str().to_ascii_lowercase(), schema: &root, required: None };
    for step in steps {
        at = at.step(step, &root)?;
    }
    Ok(at.render(kind, &root))
}

fn unknown_kind(name: &str) -> ExplainError {
    let known = Kind::ALL.iter().map(|kind| kind.as_str());
    let help = match nearest(name, known.chain(Code::ALL.iter().map(|code| code.as_str()))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`skep explain` lists the kinds, `skep explain codes` the error codes".to_owned(),
    };
    ExplainError { problem: format!("`{name}` is neither a kind nor an error code"), help }
}

fn kinds() -> String {
    let mut out = format!("Kinds of {API_VERSION}:\n\n");
    for kind in Kind::ALL {
        let _ = writeln!(out, "  {:<14}{}", kind.as_str(), kind.about());
    }
    out.push_str("\n`skep explain <kind>` shows the fields, `skep explain codes` the error codes.\n");
    out
}

fn codes() -> String {
    let mut out = String::from("Error codes:\n\n");
    for code in Code::ALL {
        let _ = writeln!(out, "  {code}  {}", code.title());
    }
    out.push_str("\n`skep explain <code>` shows cause and remedy.\n");
    out
}

/// The manifest's schema with the whole status in place of the reader's "ignored".
fn with_status(kind: Kind) -> Json {
    let mut root = schema::manifest_schema(kind).clone();
    let mut generator = SchemaSettings::draft07().into_generator();
    let status = kind.status_schema(&mut generator).to_value();
    let more: Map<String, Json> = generator.take_definitions(true);
    if let Some(definitions) = root.get_mut("definitions").and_then(Json::as_object_mut) {
        for (name, definition) in more {
            definitions.entry(name).or_insert(definition);
        }
    }
    if let Some(field) = root.pointer_mut("/properties/status").and_then(Json::as_object_mut) {
        field
            .insert("description".to_owned(), "What is so. Maintained by Skep; ignored when written.".into());
        field.insert("allOf".to_owned(), Json::Array(vec![status]));
    }
    schema::tidy(&mut root);
    root
}

struct Place<'a> {
    name: String,
    schema: &'a Json,
    required: Option<bool>,
}

impl<'a> Place<'a> {
    fn step(self, step: &str, root: &'a Json) -> Result<Self, ExplainError> {
        let here = resolve(self.schema, root);
        // What a map or list holds is meant, unless an entry of the map is named.
        let inside = inner(here, root);
        let name = format!("{}.{step}", self.name);
        for holder in [Some(here), inside.map(|inside| resolve(inside, root))].into_iter().flatten() {
            if let Some(field) = own_field(holder, step).filter(|field| **field != Json::Bool(false)) {
                return Ok(Self { name, schema: field, required: Some(is_required(holder, step)) });
            }
        }
        match inside {
            Some(inside) if schema::types(here).contains(&"object") => {
                Ok(Self { name, schema: inside, required: None })
            }
            _ => Err(self.unknown(step, root)),
        }
    }

    fn unknown(&self, step: &str, root: &Json) -> ExplainError {
        let here = resolve(self.schema, root);
        let holder = inner(here, root).map_or(here, |inside| resolve(inside, root));
        let names: Vec<&str> = fields(holder).map(|(name, _)| name).collect();
        let help = match (nearest(step, names.iter().copied()), names.as_slice()) {
            (Some(near), _) => format!("did you mean `{}.{near}`?", self.name),
            (None, []) => format!("`{}` has no fields", self.name),
            (None, names) => format!("it has the fields {}", names.join(", ")),
        };
        ExplainError { problem: format!("`{}` has no field `{step}`", self.name), help }
    }

    fn render(&self, kind: Kind, root: &Json) -> String {
        let here = resolve(self.schema, root);
        let mut out = format!("{}  <{}>{}\n", self.name, type_name(self.schema, root), self.marks());
        if self.required.is_none() && self.schema == root {
            let scope = match kind.scope() {
                KindScope::Platform => "a platform resource",
                KindScope::Org => "belongs to an organisation",
            };
            let _ = writeln!(out, "{API_VERSION}, {scope}");
        }
        if let Some(text) = description(self.schema, root) {
            let _ = write!(out, "\n{}", wrapped(text, ""));
        }
        out.push_str(&facts(self.schema, root, ""));
        let holder = inner(here, root).map_or(here, |inside| resolve(inside, root));
        let mut fields = fields(holder).peekable();
        if fields.peek().is_some() {
            out.push_str(if std::ptr::eq(holder, here) {
                "\nFields:\n"
            } else {
                "\nFields of each entry:\n"
            });
        }
        for (name, field) in fields {
            let required = if is_required(holder, name) { " (required)" } else { "" };
            let _ = writeln!(out, "\n  {name}  <{}>{required}", type_name(field, root));
            if let Some(text) = description(field, root) {
                out.push_str(&wrapped(text, "    "));
            }
            out.push_str(&facts(field, root, "    "));
        }
        out
    }

    const fn marks(&self) -> &'static str {
        match self.required {
            Some(true) => " (required)",
            Some(false) | None => "",
        }
    }
}

/// Default, bounds and choices of a field.
fn facts(field: &Json, root: &Json, indent: &str) -> String {
    let here = resolve(field, root);
    let mut out = String::new();
    if let Some(default) = field.get("default").or_else(|| here.get("default")) {
        let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        let _ = writeln!(out, "{indent}Default: {text}");
    }
    let bound = |key| here.get(key).map(Json::to_string);
    match (bound("minimum"), bound("maximum").filter(|most| *most != u32::MAX.to_string())) {
        (Some(least), Some(most)) => {
            let _ = writeln!(out, "{indent}Range: {least} to {most}");
        }
        (None, Some(most)) => {
            let _ = writeln!(out, "{indent}Range: at most {most}");
        }
        (Some(least), None) if least != "0" => {
            let _ = writeln!(out, "{indent}Range: {least} or more");
        }
        (Some(_) | None, None) => {}
    }
    for variant in here.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        let name = variant.get("const").and_then(Json::as_str);
        let about = variant.get("description").and_then(Json::as_str).unwrap_or_default();
        if let Some(name) = name {
            let _ = writeln!(out, "{indent}- {name}: {about}");
        }
    }
    out
}

/// What a map or a list holds.
fn inner<'a>(schema: &'a Json, root: &'a Json) -> Option<&'a Json> {
    let entries = schema.get("additionalProperties").filter(|entries| entries.is_object());
    let inner = entries.or_else(|| schema.get("items"))?;
    // A list of lists is stepped into as a whole; our kinds have none deeper than that.
    Some(resolve(inner, root)).map(|_| inner)
}

fn fields(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let all = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
    all.filter(|(_, field)| **field != Json::Bool(false)).map(|(name, field)| (name.as_str(), field))
}

fn is_required(schema: &Json, name: &str) -> bool {
    let required = schema.get("required").and_then(Json::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

fn type_name(schema: &Json, root: &Json) -> String {
    let here = resolve(schema, root);
    if let Some(name) = here.get(scalar::SCHEMA_KEY).and_then(Json::as_str) {
        return name.to_owned();
    }
    if here.get("oneOf").is_some() || here.get("enum").is_some() {
        return "choice".to_owned();
    }
    if let Some(only) = here.get("const").and_then(Json::as_str) {
        return only.to_owned();
    }
    match (schema::types(here).first().copied(), inner(here, root)) {
        (Some("array"), Some(items)) => format!("list of {}", type_name(items, root)),
        (Some("object"), Some(entries)) => {
            let names = here.pointer(&format!("/propertyNames/{}", scalar::SCHEMA_KEY));
            let names = names.and_then(Json::as_str).unwrap_or("text");
            format!("map from {names} to {}", type_name(entries, root))
        }
        (Some("string"), _) => "text".to_owned(),
        (Some("integer"), _) => "whole number".to_owned(),
        (Some("boolean"), _) => "true or false".to_owned(),
        (Some(other), _) => other.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

/// The text in lines of limited length, each with the indent before it.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{indent}{line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_maps_entries_is_found_with_and_without_naming_an_entry() {
        let direct = explain("environment.spec.processes.healthCheck.retries").unwrap();
        let named = explain("env.spec.processes.web.healthCheck.retries").unwrap();
        assert!(direct.contains("Default: 3") && direct.contains("Range: 1 to 100"), "{direct}");
        assert!(named.ends_with(direct.split_once('\n').unwrap().1), "{named}");
    }

    #[test]
    fn required_fields_choices_and_status_are_explained() {
        let domain = explain("domain.spec").unwrap();
        assert!(domain.contains("host  <host> (required)"), "{domain}");
        assert!(domain.contains("- off: Plain HTTP."), "{domain}");
        let conditions = explain("environment.status.conditions").unwrap();
        assert!(conditions.contains("observedGeneration"), "{conditions}");
    }

    #[test]
    fn a_misspelt_path_is_answered_with_the_nearest_name() {
        assert_eq!(
            explain("environment.spec.procesess").unwrap_err().help,
            "did you mean `environment.spec.processes`?"
        );
        assert_eq!(explain("enviroment").unwrap_err().help, "did you mean `Environment`?");
        assert!(explain("plan.metadata.org").is_err(), "a platform kind has no organisation");
    }

    #[test]
    fn every_field_of_every_kind_can_be_explained() {
        fn visit(path: &str, seen: &mut usize) {
            *seen += 1;
            let text = explain(path).unwrap();
            let names = text.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  <"));
            for (name, _) in names.filter(|(name, _)| !name.starts_with(' ')) {
                visit(&format!("{path}.{name}"), seen);
            }
        }
        let mut seen = 0;
        for kind in Kind::ALL {
            visit(kind.as_str(), &mut seen);
        }
        assert!(seen > 200, "{seen}");
        assert!(explain("").unwrap().contains("Environment") && explain("codes").unwrap().contains("SK0104"));
    }
}
