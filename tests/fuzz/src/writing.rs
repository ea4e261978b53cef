//! A JSON value as YAML, in one of the many ways in which people write it.

use serde_json::Value as Json;

use crate::random::Random;

/// The longest name that can stand before a colon in YAML (§7.4.2); longer ones would need another form, which nobody writes.
const NAME_MAX: usize = 1000;

/// Does it have a name that YAML does not take in the usual form?
pub fn has_long_name(value: &Json) -> bool {
    match value {
        Json::Object(fields) => {
            fields.iter().any(|(name, field)| quoted(name).len() > NAME_MAX || has_long_name(field))
        }
        Json::Array(items) => items.iter().any(has_long_name),
        _ => false,
    }
}

/// Does it have a number that is no integer?
pub fn has_fraction(value: &Json) -> bool {
    match value {
        Json::Object(fields) => fields.values().any(has_fraction),
        Json::Array(items) => items.iter().any(has_fraction),
        other => other.is_f64(),
    }
}

/// Writes a value as a YAML document. Whoever reads it must get the same value.
pub fn yaml(value: &Json, random: &mut Random) -> String {
    let mut out = String::new();
    if random.once_in(8) {
        out.push_str("# a comment\n---\n");
    }
    block(value, 0, random, &mut out);
    out
}

fn block(value: &Json, indent: usize, random: &mut Random, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Json::Object(fields) if !fields.is_empty() && !random.once_in(12) => {
            for (name, field) in fields {
                out.push_str(&format!("{pad}{}:", scalar_text(name, random)));
                nested(field, indent, random, out);
            }
        }
        Json::Array(items) if !items.is_empty() && !random.once_in(6) => {
            for item in items {
                out.push_str(&format!("{pad}-"));
                nested(item, indent, random, out);
            }
        }
        other => {
            let text = flow(other, random);
            out.push_str(&format!("{pad}{text}\n"));
        }
    }
}

/// What stands after a colon or a hyphen.
fn nested(value: &Json, indent: usize, random: &mut Random, out: &mut String) {
    let is_long = match value {
        Json::Object(fields) => !fields.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_long {
        out.push('\n');
        block(value, indent + 1 + random.below(3), random, out);
    } else {
        out.push(' ');
        out.push_str(&flow(value, random));
        if random.once_in(20) {
            out.push_str(" # why");
        }
        out.push('\n');
    }
}

fn flow(value: &Json, random: &mut Random) -> String {
    match value {
        Json::Object(fields) => {
            let inside: Vec<String> = fields
                .iter()
                .map(|(name, field)| format!("{}: {}", quoted(name), flow(field, random)))
                .collect();
            format!("{{{}}}", inside.join(", "))
        }
        Json::Array(items) => {
            let inside: Vec<String> = items.iter().map(|item| flow(item, random)).collect();
            format!("[{}]", inside.join(", "))
        }
        Json::String(text) => scalar_text(text, random),
        other => other.to_string(),
    }
}

fn scalar_text(text: &str, random: &mut Random) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'))
        && !matches!(text, "true" | "false" | "null");
    let printable =
        text.chars().all(|c| !c.is_control() && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'));
    match random.below(3) {
        0 if plain => text.to_owned(),
        1 if printable => format!("'{}'", text.replace('\'', "''")),
        _ => quoted(text),
    }
}

/// JSON's form is one of YAML's, but for characters that YAML wants escaped.
fn quoted(text: &str) -> String {
    let json = Json::String(text.to_owned()).to_string();
    json.chars()
        .map(|c| match c {
            '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{2028}' | '\u{2029}' => {
                format!("\\u{:04x}", u32::from(c))
            }
            c => c.to_string(),
        })
        .collect()
}
