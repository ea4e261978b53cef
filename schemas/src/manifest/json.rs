//! JSON text to trees, for request bodies.
//!
//! JSON is read by its own parser, which keeps fields that are written twice. Places are JSON pointers, not lines.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::finding::Finding;
use super::node::{Entry, Node, Value};
use super::{DEPTH_MAX, NODES_MAX, TEXT_MAX};
use crate::codes::Code;

pub(super) fn read(text: &str) -> Result<Node, Finding> {
    if text.len() > TEXT_MAX {
        let message = format!("the text is {} bytes long, the limit is {TEXT_MAX}", text.len());
        return Err(Finding::new(Code::TooLarge, message).help("send fewer manifests at a time"));
    }
    let left = Cell::new(NODES_MAX);
    let too_complex = Cell::new(false);
    let mut parser = serde_json::Deserializer::from_str(text);
    let seed = Seed { left: &left, too_complex: &too_complex, depth: 0 };
    let outcome = seed.deserialize(&mut parser).and_then(|node| parser.end().map(|()| node));
    outcome.map_err(|error| {
        if too_complex.get() {
            return Finding::new(Code::TooComplex, "the document has too many values or levels")
                .help("send fewer manifests at a time");
        }
        // The message of a syntax error never quotes the text.
        Finding::new(Code::Syntax, format!("not valid JSON: {error}"))
            .help("send JSON, or YAML as `application/yaml`")
    })
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    left: &'a Cell<usize>,
    too_complex: &'a Cell<bool>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let left = self.left.get();
        if left == 0 || self.depth > DEPTH_MAX {
            self.too_complex.set(true);
            return Err(D::Error::custom("too complex"));
        }
        self.left.set(left - 1);
        deserializer.deserialize_any(self).map(|value| Node::new(None, value))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into(), value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into(), value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        Ok(number.map_or(Value::Null, |number| Value::Number(number, value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = Seed { depth: self.depth + 1, ..self };
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = Seed { depth: self.depth + 1, ..self };
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            entries.push(Entry { key, key_span: None, value });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_written_twice_is_kept_twice() {
        let Ok(node) = read(r#"{"a": 1, "a": 2}"#) else { panic!("not read") };
        assert_eq!(node.entries().len(), 2);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(read(&text).is_err_and(|finding| finding.code == Code::TooComplex));
    }

    #[test]
    fn a_syntax_error_does_not_quote_the_text() {
        let Err(finding) = read(r#"{"value": canary}"#) else { panic!("read") };
        assert!(!finding.message.contains("canary"), "{}", finding.message);
    }
}
