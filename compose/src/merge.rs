//! One file over another, as Compose merges them: mappings key by key, lists one behind the other; commands and tests as wholes, and what names a
//! place (a port, a path) once for each place.

use serde_json::{Map, Value};

/// Lists that are replaced as wholes: half of one command and half of another are none.
const WHOLE: [&str; 3] = ["command", "entrypoint", "test"];

/// Puts `over` over `under`.
pub(crate) fn onto(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => onto(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if !WHOLE.contains(&key.as_str()) => {
                lists(&key, old, new);
            }
            (Some(old), new) => *old = new,
            (None, new) => {
                under.insert(key, new);
            }
        }
    }
}

fn lists(key: &str, old: &mut Vec<Value>, new: Vec<Value>) {
    for item in new {
        let place = place(key, &item);
        let same =
            old.iter().position(|old| *old == item || place.is_some() && self::place(key, old) == place);
        match same.and_then(|at| old.get_mut(at)) {
            Some(old) => *old = item,
            None => old.push(item),
        }
    }
}

/// What an entry of a list is the entry for, where only one can be.
fn place(key: &str, item: &Value) -> Option<String> {
    match (key, item) {
        ("volumes", Value::String(short)) => Some(short.split(':').nth(1).unwrap_or(short).to_owned()),
        ("volumes" | "secrets" | "configs", Value::Object(long)) => {
            let target = long.get("target").or_else(|| long.get("source"))?;
            target.as_str().map(str::to_owned)
        }
        ("secrets" | "configs", Value::String(short)) => Some(short.clone()),
        ("ports", item) => Some(item.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mappings_are_merged_lists_joined_and_places_taken_once() {
        let mut under = json!({
            "command": ["a", "b"], "environment": {"A": "1", "B": "2"}, "dns": ["1.1.1.1"],
            "volumes": ["data:/data", "./x:/x"], "healthcheck": {"test": ["CMD", "a"], "interval": "5s"}, "image": "one"
        });
        let over = json!({
            "command": ["c"], "environment": {"B": "3"}, "dns": ["9.9.9.9", "1.1.1.1"],
            "volumes": ["other:/data:ro"], "healthcheck": {"test": ["CMD", "b"]}, "image": "two"
        });
        let (Value::Object(map), Value::Object(over)) = (&mut under, over) else { panic!("mappings") };
        onto(map, over);
        assert_eq!(
            under,
            json!({
                "command": ["c"], "environment": {"A": "1", "B": "3"}, "dns": ["1.1.1.1", "9.9.9.9"],
                "volumes": ["other:/data:ro", "./x:/x"], "healthcheck": {"test": ["CMD", "b"], "interval": "5s"}, "image": "two"
            })
        );
    }
}
