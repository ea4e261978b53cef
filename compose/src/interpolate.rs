//! `$NAME` and `${NAME:-default}` in values, as Compose has them.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not written as one.
    Form(String),
    /// It has to be there, and is not.
    Missing { name: String, said: String },
}

/// What was put in.
#[derive(Debug)]
pub(crate) struct Interpolation<'a> {
    variables: &'a BTreeMap<String, String>,
    /// Variables that have no value, nothing in their place, and where they stand.
    pub(crate) unset: Vec<(String, String)>,
}

impl<'a> Interpolation<'a> {
    pub(crate) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables, unset: Vec::new() }
    }

    /// Puts values in everywhere. The place of what is wrong comes with it.
    pub(crate) fn value(&mut self, pointer: &str, value: &mut Value) -> Result<(), (String, Wrong)> {
        match value {
            Value::String(text) if text.contains('$') => {
                *text = self.text(pointer, text).map_err(|wrong| (pointer.to_owned(), wrong))?;
            }
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.value(&format!("{pointer}[{at}]"), item)?;
                }
            }
            Value::Object(map) => {
                for (key, item) in map.iter_mut() {
                    let beneath = if pointer.is_empty() { key.clone() } else { format!("{pointer}.{key}") };
                    self.value(&beneath, item)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, pointer: &str, text: &str) -> Result<String, Wrong> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (inside, after) =
                    braced(after).ok_or_else(|| Wrong::Form("`${` is not closed".to_owned()))?;
                out.push_str(&self.braces(pointer, inside)?);
                rest = after;
            } else {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                let (name, after) = after.split_at(end);
                if !is_name(name) {
                    return Err(Wrong::Form("a `$` that begins no variable is written `$$`".to_owned()));
                }
                out.push_str(&self.look_up(pointer, name));
                rest = after;
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn braces(&mut self, pointer: &str, inside: &str) -> Result<String, Wrong> {
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
        let (name, operator) = inside.split_at(end);
        if !is_name(name) {
            return Err(Wrong::Form(format!("`${{{inside}}}` names no variable")));
        }
        let value = self.variables.get(name);
        let full = value.filter(|value| !value.is_empty());
        for (mark, found) in [(":-", full), ("-", value)] {
            if let Some(default) = operator.strip_prefix(mark) {
                return match found {
                    Some(value) => Ok(value.clone()),
                    None => self.text(pointer, default),
                };
            }
        }
        for (mark, found) in [(":?", full), ("?", value)] {
            if let Some(said) = operator.strip_prefix(mark) {
                return found
                    .cloned()
                    .ok_or_else(|| Wrong::Missing { name: name.to_owned(), said: said.to_owned() });
            }
        }
        for (mark, found) in [(":+", full), ("+", value)] {
            if let Some(instead) = operator.strip_prefix(mark) {
                return if found.is_some() { self.text(pointer, instead) } else { Ok(String::new()) };
            }
        }
        if operator.is_empty() {
            return Ok(self.look_up(pointer, name));
        }
        Err(Wrong::Form(format!("`${{{inside}}}` is no form that Compose has")))
    }

    fn look_up(&mut self, pointer: &str, name: &str) -> String {
        match self.variables.get(name) {
            Some(value) => value.clone(),
            None => {
                self.unset.push((pointer.to_owned(), name.to_owned()));
                String::new()
            }
        }
    }
}

/// What stands before the brace that closes, and after it. Defaults may have variables of their own.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1_u32;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '$' if chars.peek().is_some_and(|(_, next)| *next == '{') => {
                chars.next();
                depth += 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((text.get(..at)?, text.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, Wrong> {
        let variables = [("A", "1"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = BTreeMap::from(variables);
        Interpolation::new(&variables).text("x", text)
    }

    #[test]
    fn every_form_means_what_it_means_in_compose() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$A-$A", "1-1"),
            ("${A}", "1"),
            ("$$A", "$A"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${NONE-d}", "d"),
            ("${NONE:-${A}${NONE:-x}}", "1x"),
            ("${A:+yes}", "yes"),
            ("${EMPTY:+yes}", ""),
            ("${EMPTY+yes}", "yes"),
            ("${A:?must}", "1"),
            ("[$NONE]", "[]"),
        ] {
            assert_eq!(put(text).as_deref(), Ok(expected), "{text}");
        }
        let missing = Wrong::Missing { name: "NONE".to_owned(), said: "set it".to_owned() };
        assert_eq!(put("${NONE:?set it}"), Err(missing));
        for text in ["${A", "$", "a$ b", "${}", "${A!x}", "${1}"] {
            assert!(matches!(put(text), Err(Wrong::Form(_))), "{text}");
        }
    }
}
