//! Tables: columns as wide as their widest cell, two spaces between them, no lines.

use skep_schemas::diagnostic::Style;

use super::text::{Tone, harmless, paint};

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a colour.
    pub(crate) fn toned(text: &str, tone: Tone) -> Self {
        Self { text: harmless(text), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(&text.into(), Tone::Plain)
    }
}

/// Lays the rows out below their headings.
pub(crate) fn render(headings: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let headings: Vec<Cell> = headings.iter().map(|heading| Cell::from(*heading)).collect();
    let mut out = line(&headings, &widths, style);
    for row in rows {
        out.push_str(&line(row, &widths, style));
    }
    out
}

fn line(cells: &[Cell], widths: &[usize], style: Style) -> String {
    let mut out = String::new();
    for (i, cell) in cells.iter().enumerate() {
        out.push_str(&paint(&cell.text, cell.tone, style));
        if i + 1 < cells.len() {
            let width = widths.get(i).copied().unwrap_or(0);
            out.push_str(&" ".repeat(width.saturating_sub(cell.text.chars().count()) + 2));
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_colours_and_without() {
        let rows = vec![
            vec![Cell::from("a"), Cell::toned("Ready", Tone::Good), "x".into()],
            vec!["long-name".into(), "No".into(), "".into()],
        ];
        let plain = render(&["NAME", "STATE", "Z"], &rows, Style::Plain);
        assert_eq!(plain, "NAME       STATE  Z\na          Ready  x\nlong-name  No\n");
        let coloured = render(&["NAME", "STATE", "Z"], &rows, Style::Ansi);
        assert_eq!(coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), plain);
    }
}
