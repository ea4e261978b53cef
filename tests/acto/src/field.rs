//! The fields of every kind, as the published JSON Schemas list them.
//!
//! A field is named by a pattern: a JSON pointer in which `*` stands for any name of a map and `-` for any place of a list, such as
//! `/spec/processes/*/ports/-/port`. Metadata that a user owns counts as well; names do not, since they cannot be changed.

use serde_json::Value as Json;
use skep_schemas::Kind;
use skep_schemas::scalar::SCHEMA_KEY;
use skep_schemas::schema::{manifest_schema, resolve};

/// The metadata that can be changed.
const METADATA: [&str; 2] = ["labels", "annotations"];

/// One field of one kind.
#[derive(Debug, Clone)]
pub struct Field {
    /// The kind.
    pub kind: Kind,
    /// Where it is in a manifest.
    pub pattern: String,
    /// What it holds.
    pub shape: Shape,
    /// Must it be there when what is around it is?
    pub required: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Fields of its own.
    Fields,
    /// Entries under names that are values of this scalar type, or any text.
    Entries(Option<&'static str>),
    /// A list.
    Items,
    /// One of these.
    Choice(Vec<&'static str>),
    /// A scalar type by its name.
    Scalar(&'static str),
    /// A whole number between these.
    Integer(i64, i64),
    /// True or false.
    Flag,
    /// Any text.
    Text,
}

/// Every field of every kind.
pub fn all() -> Vec<Field> {
    Kind::ALL.iter().flat_map(|kind| of(*kind)).collect()
}

/// Every field of a kind.
pub fn of(kind: Kind) -> Vec<Field> {
    let root = manifest_schema(kind);
    let mut fields = Vec::new();
    for name in METADATA {
        if let Some(schema) = root.pointer(&format!("/properties/metadata/properties/{name}")) {
            walk(kind, root, schema, format!("/metadata/{name}"), false, &mut fields);
        }
    }
    if let Some(spec) = root.pointer("/properties/spec") {
        for (name, schema, required) in properties(resolve(spec, root)) {
            walk(kind, root, schema, format!("/spec/{name}"), required, &mut fields);
        }
    }
    fields
}

fn properties(schema: &'static Json) -> Vec<(&'static String, &'static Json, bool)> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let fields = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
    fields.map(|(name, field)| (name, field, required.contains(&name.as_str()))).collect()
}

fn walk(
    kind: Kind,
    root: &'static Json,
    schema: &'static Json,
    pattern: String,
    required: bool,
    fields: &mut Vec<Field>,
) {
    let schema = resolve(schema, root);
    let shape = shape(schema);
    fields.push(Field { kind, pattern: pattern.clone(), shape: shape.clone(), required });
    match shape {
        Shape::Fields => {
            for (name, field, required) in properties(schema) {
                walk(kind, root, field, format!("{pattern}/{name}"), required, fields);
            }
        }
        Shape::Entries(_) => {
            if let Some(entry) = schema.get("additionalProperties") {
                walk(kind, root, entry, format!("{pattern}/*"), false, fields);
            }
        }
        Shape::Items => {
            if let Some(item) = schema.get("items") {
                walk(kind, root, item, format!("{pattern}/-"), false, fields);
            }
        }
        Shape::Choice(_) | Shape::Scalar(_) | Shape::Integer(..) | Shape::Flag | Shape::Text => {}
    }
}

fn shape(schema: &'static Json) -> Shape {
    if let Some(all) = schema.get("enum").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        return Shape::Choice(
            all.iter().filter_map(|one| one.get("const").unwrap_or(one).as_str()).collect(),
        );
    }
    if let Some(name) = schema.get(SCHEMA_KEY).and_then(Json::as_str) {
        return Shape::Scalar(name);
    }
    let bound = |name: &str| schema.get(name).and_then(Json::as_i64);
    match schema.get("type").and_then(Json::as_str) {
        Some("object") if schema.get("properties").is_some() => Shape::Fields,
        Some("object") => {
            let names = schema.get("propertyNames").and_then(|names| names.get(SCHEMA_KEY));
            Shape::Entries(names.and_then(Json::as_str))
        }
        Some("array") => Shape::Items,
        Some("integer") => {
            Shape::Integer(bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX))
        }
        Some("boolean") => Shape::Flag,
        _ => Shape::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_lists_and_maps_are_found_with_their_shapes() {
        let all = of(Kind::Environment);
        let shape = |pattern: &str| {
            all.iter().find(|field| field.pattern == pattern).map(|field| field.shape.clone())
        };
        assert_eq!(shape("/spec/processes/*/ports/-/port"), Some(Shape::Integer(1, 65535)));
        assert_eq!(shape("/spec/processes"), Some(Shape::Entries(Some("process-name"))));
        assert_eq!(shape("/spec/security/writableRoot"), Some(Shape::Flag));
        assert_eq!(shape("/metadata/labels/*"), Some(Shape::Text));
        assert!(matches!(shape("/spec/rollout/order"), Some(Shape::Choice(choices)) if choices.len() == 3));
        assert!(all.iter().any(|field| field.pattern == "/spec/app" && field.required));
    }
}
