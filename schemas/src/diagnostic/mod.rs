//! Diagnostics: what is wrong, where, and what to do about it.
//!
//! A [`Diagnostic`] is one problem with its code and position; [`Diagnostics`] is all the problems of one reading. They are
//! rendered for a terminal by [`Diagnostics::render`] and sent as JSON (the `errors` of a problem answer) through serde. The
//! source line travels only with the terminal form, and a line that may hold a secret value travels with neither.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codes::Code;

mod render;

pub use render::{Style, harmless};

/// The most problems kept of one reading: a file of nonsense must not produce a report larger than itself, and nobody reads
/// further before correcting the first.
const KEPT_MAX: usize = 100;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Which kind of problem.
    pub code: Code,
    /// What is wrong, in words.
    pub message: String,
    /// The file or other source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The field, as a JSON pointer from the root of its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The source line, for the terminal form only.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// The source line of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Excerpt {
    /// There is none: the source has no lines, or the position is not known.
    #[default]
    Absent,
    /// The line, and how many characters from the column on are meant.
    Line {
        /// The whole line.
        text: String,
        /// The number of characters to mark.
        width: u32,
    },
    /// There is one, and it may hold a secret value.
    Withheld,
}

impl Diagnostic {
    /// A problem without a position.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            line: None,
            column: None,
            pointer: None,
            help: None,
            excerpt: Excerpt::Absent,
        }
    }

    /// The same with what to do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with the source it is in.
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with the field it is about, as a JSON pointer from the document's root.
    pub fn with_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    fn position(&self) -> (u32, u32) {
        (self.line.unwrap_or_default(), self.column.unwrap_or_default())
    }
}

/// The problems of one reading, at most a hundred of them, and how many more there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    dropped: usize,
}

impl Diagnostics {
    /// Notes one problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Notes all problems of another reading.
    pub fn append(&mut self, other: Self) {
        self.dropped += other.dropped;
        for diagnostic in other.kept {
            self.push(diagnostic);
        }
    }

    /// Is there no problem?
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many problems there are, those included that are not kept.
    pub fn count(&self) -> usize {
        self.kept.len() + self.dropped
    }

    /// The problems that are kept.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// The problems that are kept.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.kept
    }

    /// `Ok` when there is no problem.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Sorts by source in the order given (others last), then by position. Problems without a position keep their order.
    pub(crate) fn sort(&mut self, sources: &[String]) {
        let rank = |d: &Diagnostic| {
            let place = d.source.as_ref().and_then(|s| sources.iter().position(|known| known == s));
            place.unwrap_or(sources.len())
        };
        self.kept.sort_by_key(|diagnostic| (rank(diagnostic), diagnostic.position()));
    }

    /// The terminal form: one paragraph for each problem, and a count at the end.
    pub fn render(&self, style: Style) -> String {
        render::render(self, style)
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        let mut all = Self::default();
        iter.into_iter().for_each(|diagnostic| all.push(diagnostic));
        all
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        std::iter::once(diagnostic).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_problems_is_counted_but_not_kept() {
        let all: Diagnostics =
            (0..1000).map(|i| Diagnostic::new(Code::UnknownField, format!("{i}"))).collect();
        assert_eq!((all.as_slice().len(), all.count()), (KEPT_MAX, 1000));
        assert!(all.to_string().ends_with("error: 1000 problems, the first 100 are shown\n"));
    }

    #[test]
    fn the_json_form_has_no_source_line() {
        let excerpt = Excerpt::Line { text: "value: canary".into(), width: 3 };
        let diagnostic = Diagnostic { excerpt, ..Diagnostic::new(Code::WrongType, "m") };
        let json = serde_json::to_value(&diagnostic).unwrap();
        assert_eq!(json, serde_json::json!({ "code": "SK0107", "message": "m" }));
        assert_eq!(serde_json::from_value::<Diagnostic>(json).unwrap().code, Code::WrongType);
    }
}
