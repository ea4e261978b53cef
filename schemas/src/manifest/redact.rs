//! Which lines of a source may hold a secret value and are therefore never shown.
//!
//! The rule errs on the side of hiding. In a document of a kind with a secret field, only fields that are known and not secret
//! are shown: a secret under a misspelt name is still a secret. The same holds for a document whose kind is not known. A
//! document that cannot be parsed is shown only if a line in it says that it is of a kind without secrets.

use serde_json::Value as Json;

use super::finding::Finding;
use super::node::{Node, Value};
use super::yaml::Read;
use crate::codes::Code;
use crate::kind::Kind;
use crate::schema::{self, SECRET_KEY};

/// Lines that must not be shown, as ranges that include their ends.
#[derive(Default)]
pub(super) struct Hidden(Vec<(u32, u32)>);

impl Hidden {
    /// The hidden lines of a text that was read.
    pub(super) fn of(read: &Read, lines: &[&str]) -> Self {
        let mut hidden = Self::default();
        for document in &read.documents {
            hidden.document(&document.root);
        }
        for finding in &read.findings {
            hidden.unreadable(finding, lines);
        }
        hidden
    }

    pub(super) fn covers(&self, line: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    fn document(&mut self, root: &Node) {
        let items: &[Node] = match &root.value {
            Value::List(items) => items,
            _ => root.entry("items").map_or(&[], |entry| match &entry.value.value {
                Value::List(items) => items,
                _ => &[],
            }),
        };
        items.iter().for_each(|item| self.document(item));
        let kind = root.entry("kind").and_then(|entry| exact_kind(entry.value.text()?));
        match kind {
            Some(kind) if !schema::has_secrets(kind) => {}
            Some(kind) => self.node(root, Some(schema::manifest_schema(kind)), schema::manifest_schema(kind)),
            None => self.node(root, Some(schema::envelope_schema()), schema::envelope_schema()),
        }
    }

    /// Hides what is not known to be harmless.
    fn node(&mut self, node: &Node, known: Option<&Json>, root: &Json) {
        let known = known.map(|known| schema::resolve(known, root));
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let field = known.and_then(|known| schema::field(known, &entry.key));
                    if field.is_none_or(|field| schema::resolve(field, root).get(SECRET_KEY).is_some()) {
                        self.hide(&entry.value);
                        self.0.extend(entry.key_span.map(|span| (span.line, span.end_line)));
                    }
                    self.node(&entry.value, field, root);
                }
            }
            Value::List(items) => {
                let of = known.and_then(|known| known.get("items"));
                items.iter().for_each(|item| self.node(item, of, root));
            }
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::Broken => {
                // Text in the place of fields or of a list is as unknown as text under an unknown name.
                let harmless = |known: &Json| {
                    known.get(SECRET_KEY).is_none()
                        && !schema::types(known).iter().any(|name| matches!(*name, "object" | "array"))
                };
                if !known.is_some_and(harmless) {
                    self.hide(node);
                }
            }
        }
    }

    fn hide(&mut self, node: &Node) {
        self.0.extend(node.span.map(|span| (span.line, span.end_line)));
    }

    /// Hides a document that is not in its tree as a whole, unless it says that it is of a kind without secrets.
    fn unreadable(&mut self, finding: &Finding, lines: &[&str]) {
        let Some(span) = finding.span else { return };
        if !matches!(finding.code, Code::Syntax | Code::TooComplex | Code::TooLarge | Code::UnsupportedYaml) {
            return;
        }
        let at = usize::try_from(span.line).unwrap_or(usize::MAX).min(lines.len());
        let begins = |line: &&str| line.starts_with("---");
        let first = lines.iter().take(at).rposition(begins).unwrap_or(0);
        let last = lines.iter().skip(at).position(begins).map_or(lines.len(), |after| at + after);
        let document = lines.get(first..last).unwrap_or_default();
        let mut kinds = document.iter().filter_map(|line| line.trim_start().strip_prefix("kind:"));
        let harmless = |text: &str| exact_kind(text.trim()).is_some_and(|kind| !schema::has_secrets(kind));
        if kinds.next().is_some_and(harmless) && kinds.all(harmless) {
            return;
        }
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        self.0.push((number(first).saturating_add(1), number(last).max(span.end_line)));
    }
}

/// The kind of exactly that name.
pub(super) fn exact_kind(text: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.as_str() == text)
}
