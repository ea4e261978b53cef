//! What the scalars of a YAML document stand for: the core schema of YAML 1.2 (§10.3.2).
//!
//! `true` and `false` are the only booleans: `NO`, `on` and `yes` are text, and so is `12:30`.

use serde_saphyr::granit_parser::{ScalarStyle, Tag};

use super::finding::Finding;
use super::node::Value;
use crate::codes::Code;

/// The value of a scalar; only plain ones can be anything but text.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Finding> {
    match (tag.map(Tag::core_suffix), style) {
        (None, ScalarStyle::Plain) => Ok(plain(text)),
        (None | Some(Some("str")), _) => Ok(Value::Text(text.to_owned())),
        (Some(_), _) => Err(tag_refused()),
    }
}

/// The core schema of YAML 1.2 (§10.3.2).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text)
            .map_or_else(|| Value::Text(text.to_owned()), |number| Value::Number(number, text.to_owned())),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+')).map(Into::into);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(Into::into);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !numeric {
        return None;
    }
    let whole = unsigned.bytes().all(|b| b.is_ascii_digit());
    match (text.parse::<u64>(), text.parse::<i64>()) {
        (Ok(number), _) if whole => Some(number.into()),
        (_, Ok(number)) if whole => Some(number.into()),
        _ => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64),
    }
}

pub(super) fn tag_refused() -> Finding {
    Finding::new(Code::UnsupportedYaml, "manifests use no tags other than `!!str`")
        .help("to write a text that begins with `!`, put it in quotes")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::manifest::node::Node;

    #[test]
    fn plain_scalars_follow_the_core_schema_of_yaml_1_2() {
        let cases: [(&str, Json); 19] = [
            ("NO", json!("NO")),
            ("on", json!("on")),
            ("true", json!(true)),
            ("False", json!(false)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0x+1", json!("0x+1")),
            ("1_000", json!("1_000")),
            ("1.5", json!(1.5)),
            ("12e2", json!(1200.0)),
            ("~", json!(null)),
            ("12:30", json!("12:30")),
            ("-3", json!(-3)),
            ("+3", json!(3)),
            (".inf", json!(".inf")),
            ("007", json!(7)),
            ("1.2.3", json!("1.2.3")),
            ("18446744073709551615", json!(u64::MAX)),
            ("-", json!("-")),
        ];
        for (text, expected) in cases {
            assert_eq!(Node::new(None, plain(text)).to_json(), expected, "{text}");
        }
    }

    #[test]
    fn quoted_scalars_are_text() {
        let Ok(value) = scalar("true", ScalarStyle::SingleQuoted, None) else { panic!("refused") };
        assert_eq!(Node::new(None, value).to_json(), json!("true"));
    }
}
