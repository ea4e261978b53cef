//! The terminal form of diagnostics, in the manner of rustc.
//!
//! What comes from a file is shown without control and direction characters: a manifest must not be able to move the cursor
//! of the terminal that shows what is wrong with it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Diagnostic, Diagnostics, Excerpt};

/// The longest part of a source line that is shown; a minified document is one line.
const EXCERPT_MAX: usize = 100;
/// How many characters before the column are kept when a line is cut.
const EXCERPT_BEFORE: usize = 40;

/// With or without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With ANSI colours.
    Ansi,
}

impl Style {
    fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn blue(self, text: &str) -> String {
        self.paint("1;34", text)
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        }
    }
}

pub(super) fn render(all: &Diagnostics, style: Style) -> String {
    let mut out = String::new();
    for diagnostic in &all.kept {
        out.push_str(&paragraph(diagnostic, style));
        out.push('\n');
    }
    if !all.is_empty() {
        let _ = writeln!(out, "{}: {}", style.red("error"), count(all));
    }
    out
}

fn paragraph(diagnostic: &Diagnostic, style: Style) -> String {
    let number = diagnostic.line.map(|line| line.to_string()).unwrap_or_default();
    let margin = " ".repeat(number.len().max(1));
    let bar = style.blue("|");
    let mut out = String::new();
    let head = style.red(&format!("error[{}]", diagnostic.code));
    let _ = writeln!(out, "{head}: {}", style.bold(&harmless(&diagnostic.message)));
    if let Some(place) = place(diagnostic) {
        let _ = writeln!(out, "{margin}{} {place}", style.blue("-->"));
    }
    match (&diagnostic.excerpt, diagnostic.column) {
        (Excerpt::Line { text, width }, Some(column)) => {
            let (text, before, marks) = cut(text, column, *width);
            let carets = style.red(&"^".repeat(marks));
            let _ = writeln!(out, "{margin} {bar}");
            let _ = writeln!(out, "{} {bar} {text}", style.blue(&number));
            let _ = writeln!(out, "{margin} {bar} {}{carets}", " ".repeat(before));
        }
        (Excerpt::Withheld, _) => {
            let _ = writeln!(out, "{margin} {bar}");
            let _ =
                writeln!(out, "{} {bar} (not shown: the line may hold a secret value)", style.blue(&number));
        }
        (Excerpt::Absent | Excerpt::Line { .. }, _) => {}
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{margin} {} {}: {}", style.blue("="), style.bold("help"), harmless(help));
    }
    out
}

/// `file:line:column`, or the field when the source has no lines.
fn place(diagnostic: &Diagnostic) -> Option<String> {
    let source = diagnostic.source.as_deref().map(harmless);
    match (source, diagnostic.line, diagnostic.column, diagnostic.pointer.as_deref()) {
        (Some(source), Some(line), Some(column), _) => Some(format!("{source}:{line}:{column}")),
        (Some(source), _, _, Some(pointer)) => Some(format!("{source}: {}", harmless(pointer))),
        (None, _, _, Some(pointer)) => Some(harmless(pointer)),
        (source, _, _, None) => source,
    }
}

/// The part of a line around a column, how many characters of it come before the column, and how many are marked.
fn cut(line: &str, column: u32, width: u32) -> (String, usize, usize) {
    let before = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let length = line.chars().count();
    let skipped = if length <= EXCERPT_MAX { 0 } else { before.saturating_sub(EXCERPT_BEFORE) };
    let shown: String = line.chars().skip(skipped).take(EXCERPT_MAX).collect();
    let before = before.saturating_sub(skipped).min(EXCERPT_MAX);
    let marks = width.min(shown.trim_end().chars().count().saturating_sub(before)).max(1);
    (harmless(&shown), before, marks)
}

/// The text with every character that could move the cursor or reverse the direction replaced, one for one.
pub fn harmless(text: &str) -> String {
    let replaced = |c: char| match c {
        '\t' => ' ',
        '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{2028}'
        | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(replaced).collect()
}

fn count(all: &Diagnostics) -> String {
    let total = all.count();
    let sources: BTreeSet<&str> = all.kept.iter().filter_map(|d| d.source.as_deref()).collect();
    let problems = if total == 1 { "1 problem".to_owned() } else { format!("{total} problems") };
    let place = match (sources.len(), sources.first()) {
        (0, _) | (_, None) => String::new(),
        (1, Some(source)) => format!(" in {}", harmless(source)),
        (many, Some(_)) => format!(" in {many} sources"),
    };
    let shown = all.kept.len();
    let rest = if total > shown { format!(", the first {shown} are shown") } else { String::new() };
    format!("{problems}{place}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;

    #[test]
    fn a_manifest_cannot_send_control_characters_to_the_terminal() {
        let diagnostic = Diagnostic {
            line: Some(1),
            column: Some(1),
            source: Some("a\u{1b}[2J".into()),
            excerpt: Excerpt::Line { text: "a: \u{1b}]0;x\u{7}\u{202e}".into(), width: 1 },
            ..Diagnostic::new(Code::Syntax, "bad \u{1b}[1m")
        };
        let text = Diagnostics::from(diagnostic).to_string();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_column() {
        let line = format!("{}HERE{}", "x".repeat(5000), "y".repeat(5000));
        let (text, before, marks) = cut(&line, 5001, 4);
        assert_eq!(text.chars().skip(before).take(marks).collect::<String>(), "HERE");
        assert_eq!(text.chars().count(), EXCERPT_MAX);
    }
}
