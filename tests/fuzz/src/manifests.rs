//! Manifests that are made from the JSON Schemas which Skep publishes: mostly right, wrong in a place or two.

use serde_json::{Map, Value as Json, json};
use skep_schemas::scalar::SCHEMA_KEY;
use skep_schemas::schema::{manifest_schema, resolve};
use skep_schemas::{API_VERSION, Kind, KindScope};

use crate::random::Random;
use crate::scalars;

/// Once in so many values something quite else is written.
const STRANGE: usize = 60;
/// Texts for fields that take any.
const TEXTS: &[&str] = &[
    "",
    "x",
    "two words",
    "a: b",
    "- c",
    "#d",
    "{{.Slot}}",
    "yes",
    "null",
    "1.0",
    "é\u{301}",
    "\u{202e}abc",
    "line\nline",
    " lead",
    "trail ",
    "'",
    "\"",
    "\\",
    "%",
    "@x",
    "`x`",
    "\u{feff}",
    "\t",
    "~",
    "0x1F",
    "\u{1F600}",
    "\0",
    "\u{7f}",
];

/// A manifest of some kind as JSON.
pub fn manifest(random: &mut Random) -> Json {
    let kind = *random.pick(Kind::ALL);
    let schema = manifest_schema(kind);
    let mut made = value(schema, schema, random, 0);
    if let Some(fields) = made.as_object_mut() {
        // A wrong kind or version is one refusal; what is behind it is worth more tries.
        if !random.once_in(50) {
            fields.insert("apiVersion".to_owned(), json!(API_VERSION));
            fields.insert("kind".to_owned(), json!(kind.as_str()));
        }
        if let Some(Json::Object(metadata)) = fields.get_mut("metadata") {
            match kind.scope() {
                KindScope::Org if !random.once_in(20) => {
                    drop(metadata.insert("org".to_owned(), json!("acme")))
                }
                KindScope::Platform if !random.once_in(20) => drop(metadata.remove("org")),
                KindScope::Org | KindScope::Platform => {}
            }
        }
    }
    made
}

/// One to three manifests, as JSON text.
pub fn text(random: &mut Random) -> Vec<u8> {
    let many = random.once_in(4);
    let made = if many {
        let all: Vec<Json> = (0..=random.below(3)).map(|_| manifest(random)).collect();
        if random.once_in(2) { json!({ "kind": "List", "items": all }) } else { json!(all) }
    } else {
        manifest(random)
    };
    made.to_string().into_bytes()
}

fn value(schema: &Json, root: &Json, random: &mut Random, depth: usize) -> Json {
    if random.once_in(STRANGE) {
        return strange(random);
    }
    let schema = resolve(schema, root);
    if let Some(choices) = choices(schema) {
        return random.pick(&choices).clone();
    }
    if let Some(name) = schema.get(SCHEMA_KEY).and_then(Json::as_str) {
        let text = scalars::any(name, random);
        let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        return match number {
            Some(number) if schema.get("type").is_some_and(Json::is_array) && random.once_in(2) => {
                number.into()
            }
            _ => text.into(),
        };
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("object") => object(schema, root, random, depth),
        Some("array") => {
            let items = schema.get("items").unwrap_or(&Json::Bool(true));
            (0..random.below(4)).map(|_| value(items, root, random, depth + 1)).collect()
        }
        Some("integer" | "number") => integer(schema, random),
        Some("boolean") => Json::Bool(random.once_in(2)),
        _ => Json::from(*random.pick(TEXTS)),
    }
}

fn object(schema: &Json, root: &Json, random: &mut Random, depth: usize) -> Json {
    let mut fields = Map::new();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    for (name, field) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let often = if required.contains(&name.as_str()) { !random.once_in(30) } else { random.once_in(3) };
        if often && *field != Json::Bool(false) {
            fields.insert(name.clone(), value(field, root, random, depth + 1));
        }
    }
    if let Some(entries) = schema.get("additionalProperties").filter(|entries| entries.is_object()) {
        let names =
            schema.get("propertyNames").and_then(|names| names.get(SCHEMA_KEY)).and_then(Json::as_str);
        for _ in 0..random.below(4) {
            let name = match names {
                Some(name) => scalars::any(name, random),
                None => (*random.pick(TEXTS)).to_owned(),
            };
            fields.insert(name, value(entries, root, random, depth + 1));
        }
    }
    if random.once_in(STRANGE) {
        fields.insert((*random.pick(TEXTS)).to_owned(), strange(random));
    }
    Json::Object(fields)
}

fn integer(schema: &Json, random: &mut Random) -> Json {
    let bound = |name: &str| schema.get(name).and_then(Json::as_i64);
    let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(4_294_967_295));
    let inside = [least, most, least.saturating_add(1), most / 2];
    if random.once_in(10) {
        return random
            .pick(&[json!(least - 1), json!(most.saturating_add(1)), json!(1.5), json!(-1), json!(u64::MAX)])
            .clone();
    }
    json!(random.pick(&inside))
}

fn choices(schema: &Json) -> Option<Vec<Json>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only.clone()]);
    }
    let all = schema.get("enum").or_else(|| schema.get("oneOf"))?.as_array()?;
    Some(all.iter().map(|one| one.get("const").unwrap_or(one).clone()).collect())
}

fn strange(random: &mut Random) -> Json {
    let text = *random.pick(TEXTS);
    let kinds = [
        Json::Null,
        json!(text),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
        json!([]),
        json!({}),
        json!([[[[text]]]]),
        json!({ text: { text: text } }),
    ];
    random.pick(&kinds).clone()
}
