//! The JSON Schemas: one for each kind, and one for any manifest.
//!
//! They are generated from the types by schemars and brought into one form (draft 7, which editors support best): optional
//! fields are absent, never `null`; a map whose names are values says so with `propertyNames`. The reader checks manifests
//! against the same schemas, so an editor that uses them and `skep apply` agree.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema as _, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use crate::API_VERSION;
use crate::kind::{Kind, KindScope};
use crate::resource::ManifestMeta;
use crate::resource_view::MetaView;
use crate::scalar::{self, OrgName};

/// The JSON Schema extension that marks a field whose value must never be shown.
pub const SECRET_KEY: &str = "x-skep-secret";

/// The most references that one schema follows to another; ours need two.
const REFERENCES_MAX: usize = 8;

/// The schema of a manifest of a kind.
pub fn manifest_schema(kind: Kind) -> &'static Json {
    static SCHEMAS: OnceLock<BTreeMap<Kind, Json>> = OnceLock::new();
    static NOTHING: Json = Json::Null;
    let all = SCHEMAS.get_or_init(|| Kind::ALL.iter().map(|kind| (*kind, standalone(*kind))).collect());
    all.get(&kind).unwrap_or(&NOTHING)
}

/// The schema of what all manifests have in common.
pub(crate) fn envelope_schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut generator = generator();
        let metadata = metadata(None, &mut generator);
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let mut schema = json!({
            "type": "object",
            "properties": {
                "apiVersion": { "const": API_VERSION, "description": "The version of the format." },
                "kind": { "enum": kinds, "description": "What is described." },
                "metadata": metadata,
                // Of an unknown kind, so nothing in it is known to be harmless.
                "spec": { "description": "What is wanted.", SECRET_KEY: true },
                "status": { "readOnly": true, "description": "Maintained by Skep; ignored when written." },
            },
            "required": ["apiVersion", "kind", "metadata"],
            "definitions": definitions(&mut generator),
        });
        tidy(&mut schema);
        schema
    })
}

/// The schema of any manifest, as one document.
pub fn any_manifest_schema() -> Json {
    let mut generator = generator();
    let mut branches = Vec::new();
    let mut bodies = Map::new();
    for kind in Kind::ALL {
        bodies.insert(format!("{kind}Manifest"), body(*kind, &mut generator));
        branches.push(json!({
            "if": { "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] },
            "then": { "$ref": format!("#/definitions/{kind}Manifest") },
        }));
    }
    let mut definitions = definitions(&mut generator);
    definitions.append(&mut bodies);
    let kinds: Vec<Json> =
        Kind::ALL.iter().map(|kind| json!({ "const": kind.as_str(), "description": kind.about() })).collect();
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Skep manifest",
        "description": "One resource of any kind.",
        "type": "object",
        "properties": {
            "apiVersion": { "const": API_VERSION, "description": "The version of the format." },
            "kind": { "oneOf": kinds, "description": "What is described." },
        },
        "required": ["apiVersion", "kind", "metadata"],
        "allOf": branches,
        "definitions": definitions,
    });
    tidy(&mut schema);
    schema
}

/// The names and contents of the generated files.
pub fn generated_files() -> Vec<(String, String)> {
    let kinds = Kind::ALL.iter().map(|kind| {
        (format!("{}.schema.json", kind.as_str().to_ascii_lowercase()), manifest_schema(*kind).clone())
    });
    let any = ("skep.schema.json".to_owned(), any_manifest_schema());
    kinds.chain([any]).map(|(name, schema)| (name, format!("{schema:#}\n"))).collect()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft07().into_generator()
}

fn definitions(generator: &mut SchemaGenerator) -> Map<String, Json> {
    generator.take_definitions(true)
}

fn standalone(kind: Kind) -> Json {
    let mut generator = generator();
    let body = body(kind, &mut generator);
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": kind.as_str(),
    });
    if let (Some(schema), Json::Object(body)) = (schema.as_object_mut(), body) {
        schema.extend(body);
        schema.insert("definitions".to_owned(), Json::Object(definitions(&mut generator)));
    }
    tidy(&mut schema);
    schema
}

/// The schema of a manifest of a kind, without the definitions that it refers to.
fn body(kind: Kind, generator: &mut SchemaGenerator) -> Json {
    let spec = kind.spec_schema(generator).to_value();
    let needs_spec = resolve(&spec, &json!({ "definitions": generator.definitions() }))
        .get("required")
        .is_some_and(|required| required.as_array().is_some_and(|names| !names.is_empty()));
    let mut required = vec!["apiVersion", "kind", "metadata"];
    if needs_spec {
        required.push("spec");
    }
    json!({
        "description": kind.about(),
        "type": "object",
        "properties": {
            "apiVersion": { "const": API_VERSION, "description": "The version of the format." },
            "kind": { "const": kind.as_str(), "description": kind.about() },
            "metadata": metadata(Some(kind), generator),
            "spec": { "description": "What is wanted.", "allOf": [spec] },
            "status": { "type": "object", "readOnly": true, "description": "Maintained by Skep; ignored when written." },
        },
        "required": required,
        "additionalProperties": false,
    })
}

/// What a user writes about a resource, and what `skep get` shows beside it, which is ignored when it is written back.
fn metadata(kind: Option<Kind>, generator: &mut SchemaGenerator) -> Json {
    let mut schema = ManifestMeta::json_schema(generator).to_value();
    let shown = MetaView::json_schema(generator).to_value();
    let maintained = shown.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    let Some(fields) = schema.get_mut("properties").and_then(Json::as_object_mut) else { return schema };
    match kind.map(|kind| (kind, kind.scope())) {
        Some((_, KindScope::Platform)) => {
            fields.insert("org".to_owned(), Json::Bool(false));
        }
        Some((_, KindScope::Org)) | None => {}
    }
    if kind == Some(Kind::Organization) {
        fields.insert("name".to_owned(), OrgName::json_schema(generator).to_value());
    }
    for (name, mut field) in maintained {
        if fields.contains_key(&name) {
            continue;
        }
        if let Some(field) = field.as_object_mut() {
            field.insert("readOnly".to_owned(), Json::Bool(true));
        }
        fields.insert(name, field);
    }
    schema
}

/// Brings a schema into the one form, everywhere inside it.
pub(crate) fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            // Doc comments are broken into lines for the source; editors and `skep explain` break them again.
            if let Some(Json::String(text)) = map.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            without_null(map);
            with_property_names(map);
            reference_apart(map);
            // `integer` alone does not say that the type behind it has 32 bits.
            if map.get("format").is_some_and(|format| format == "uint32") {
                map.entry("maximum").or_insert_with(|| u32::MAX.into());
            }
            map.values_mut().for_each(tidy);
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// An optional field is absent, never `null`.
fn without_null(map: &mut Map<String, Json>) {
    if let Some(Json::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if map.get("default").is_some_and(Json::is_null) {
        map.remove("default");
    }
    if let Some(Json::Array(options)) = map.get_mut("anyOf") {
        options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
        if options.len() == 1
            && let Some(only) = map.remove("anyOf")
        {
            map.insert("allOf".to_owned(), only);
        }
    }
}

/// In draft 7 whatever stands beside a reference is ignored, so a reference with a description of its own stands apart.
fn reference_apart(map: &mut Map<String, Json>) {
    if map.len() > 1
        && let Some(reference) = map.remove("$ref")
    {
        map.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

/// schemars says which names a map may have with `patternProperties`; `propertyNames` says it so that the scalar type is
/// found again.
fn with_property_names(map: &mut Map<String, Json>) {
    let Some(Json::Object(patterns)) = map.get("patternProperties") else { return };
    let [(pattern, value)] = patterns.iter().collect::<Vec<_>>()[..] else { return };
    let mut names = json!({ "pattern": pattern });
    if let (Some(name), Some(names)) = (scalar::name_of_pattern(pattern), names.as_object_mut()) {
        names.insert(scalar::SCHEMA_KEY.to_owned(), name.into());
    }
    let value = value.clone();
    map.remove("patternProperties");
    map.insert("propertyNames".to_owned(), names);
    map.insert("additionalProperties".to_owned(), value);
}

/// Follows references, and an `allOf` of one, to the schema that has the keywords.
pub fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let mut schema = schema;
    for _ in 0..REFERENCES_MAX {
        let reference = schema.get("$ref").and_then(Json::as_str);
        let next = match reference.and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => root.pointer(pointer),
            None => match schema.get("allOf").and_then(Json::as_array).map(Vec::as_slice) {
                Some([only]) => Some(only),
                _ => None,
            },
        };
        match next {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The schema of a field that has its own name.
pub(crate) fn own_field<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    schema.get("properties").and_then(|fields| fields.get(name))
}

/// The schema of a field: its own, or that of all entries of a map. `None` for a field that may not be there.
pub(crate) fn field<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    own_field(schema, name)
        .or_else(|| schema.get("additionalProperties").filter(|entries| **entries != Json::Bool(false)))
}

/// The JSON types that a schema allows.
pub(crate) fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a field is for: its own words, or those of its type.
pub(crate) fn description<'a>(schema: &'a Json, root: &'a Json) -> Option<&'a str> {
    let own = schema.get("description").and_then(Json::as_str);
    own.or_else(|| resolve(schema, root).get("description").and_then(Json::as_str))
}

/// Does a kind have a field whose value must not be shown?
pub(crate) fn has_secrets(kind: Kind) -> bool {
    fn within(schema: &Json) -> bool {
        match schema {
            Json::Object(map) => map.contains_key(SECRET_KEY) || map.values().any(within),
            Json::Array(items) => items.iter().any(within),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        }
    }
    within(manifest_schema(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keywords that the reader understands, or that only speak to people and editors.
    const UNDERSTOOD: &[&str] = &[
        "$schema",
        "$ref",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "additionalProperties",
        "propertyNames",
        "pattern",
        "items",
        "uniqueItems",
        "enum",
        "const",
        "oneOf",
        "allOf",
        "minimum",
        "maximum",
        "format",
        "default",
        "readOnly",
        "writeOnly",
        "definitions",
        scalar::SCHEMA_KEY,
        SECRET_KEY,
    ];

    fn keywords(schema: &Json, found: &mut Vec<String>) {
        let Some(map) = schema.as_object().filter(|map| !map.contains_key("readOnly")) else { return };
        for (key, value) in map {
            found.push(key.clone());
            match key.as_str() {
                "properties" | "definitions" => {
                    value.as_object().unwrap().values().for_each(|inner| keywords(inner, found));
                }
                "additionalProperties" | "propertyNames" | "items" => keywords(value, found),
                "oneOf" | "allOf" => {
                    value.as_array().unwrap().iter().for_each(|inner| keywords(inner, found))
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_reader_understands_every_keyword_that_the_types_produce() {
        for kind in Kind::ALL {
            let mut found = Vec::new();
            keywords(manifest_schema(*kind), &mut found);
            found.retain(|key| !UNDERSTOOD.contains(&key.as_str()));
            assert!(found.is_empty(), "{kind}: {found:?}");
        }
    }

    #[test]
    fn every_field_is_described_and_no_object_is_open() {
        fn check(schema: &Json, root: &Json, path: &str) {
            let schema = resolve(schema, root);
            if schema.get("readOnly").is_some() {
                return;
            }
            let Some(fields) = schema.get("properties").and_then(Json::as_object) else { return };
            assert_eq!(schema.get("additionalProperties"), Some(&Json::Bool(false)), "{path}");
            let written = |field: &Json| *field != Json::Bool(false) && field.get("readOnly").is_none();
            for (name, field) in fields.iter().filter(|(_, field)| written(field)) {
                let path = format!("{path}.{name}");
                assert!(description(field, root).is_some_and(|text| text.len() > 3), "{path}");
                check(field, root, &path);
            }
        }
        for kind in Kind::ALL {
            check(manifest_schema(*kind), manifest_schema(*kind), kind.as_str());
        }
    }

    #[test]
    fn only_secrets_have_secrets() {
        let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| has_secrets(*kind)).collect();
        assert_eq!(kinds, [Kind::Secret]);
    }
}
