//! A problem while its document is being read: not yet tied to a source.

use super::node::{Node, Span};
use super::redact::Hidden;
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Excerpt};

pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) span: Option<Span>,
    pub(super) pointer: Option<String>,
}

impl Finding {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, span: None, pointer: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, span: Option<Span>) -> Self {
        self.span = self.span.or(span);
        self
    }

    pub(super) fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// At the field that a JSON pointer names.
    pub(super) fn located(self, root: &Node, pointer: &str) -> Self {
        self.at(root.locate(pointer)).pointer(pointer)
    }

    /// The problem as it is reported, with its source line unless that line is hidden.
    pub(super) fn report(self, source: &str, lines: &[&str], hidden: &Hidden) -> Diagnostic {
        let excerpt = match self.span {
            None => Excerpt::Absent,
            Some(span) if hidden.covers(span.line) => Excerpt::Withheld,
            Some(span) => {
                let index = usize::try_from(span.line).unwrap_or(usize::MAX).saturating_sub(1);
                lines.get(index).map_or(Excerpt::Absent, |line| Excerpt::Line {
                    text: (*line).to_owned(),
                    width: span.width,
                })
            }
        };
        Diagnostic {
            code: self.code,
            message: self.message,
            source: Some(source.to_owned()),
            line: self.span.map(|span| span.line),
            column: self.span.map(|span| span.column),
            pointer: self.pointer,
            help: self.help,
            excerpt,
        }
    }
}
