//! Shows how a wait stands: a block that is redrawn on a terminal, lines that are only ever added elsewhere.
//!
//! What is shown follows from the tracker alone ([`lines`]). A block is drawn in one write; while it is drawn, the terminal cuts
//! long lines instead of wrapping them, so that the block's height is known.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use skep_schemas::diagnostic::Style;

use super::{Judgement, Seen, Tracker};
use crate::output::phase::{Phase, Word};
use crate::output::resources::environment;
use crate::output::text::{Tone, harmless, paint};

/// The most lines of a block, so that it fits the smallest usual terminal: what scrolls away cannot be redrawn.
const BLOCK_MAX: usize = 20;

/// One line of the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is about; stays the same while it is shown.
    pub(crate) about: String,
    /// What is said.
    pub(crate) text: String,
    tone: Tone,
    finished: bool,
    nested: bool,
}

/// What there is to say: one line for each resource, and below it one for each process.
pub(crate) fn lines(tracker: &Tracker) -> Vec<Line> {
    let mut lines = Vec::new();
    for (key, seen, judgement) in tracker.judgements() {
        let (text, tone) = match &judgement {
            Judgement::Reached => (reached(seen), Tone::Good),
            Judgement::Failed(why) => (format!("failed: {why}"), Tone::Bad),
            Judgement::Waiting(why) => (why.clone(), Tone::Busy),
        };
        let finished = judgement == Judgement::Reached;
        lines.push(Line { about: key.to_string(), text: harmless(&text), tone, finished, nested: false });
        let Seen::Present(view) = seen else { continue };
        if Phase::of(view).word == Word::Pending {
            // The counts are those of what ran before.
            continue;
        }
        for (name, process) in environment(view).unwrap_or_default().processes {
            let done = process.updated >= process.desired && process.running >= process.desired;
            let counts = format!(
                "desired {}, running {}, updated {}",
                process.desired, process.running, process.updated
            );
            let error = process.last_error.filter(|_| !done).map(|e| format!("; last error: {}", e.message));
            lines.push(Line {
                about: format!("{key} {name}"),
                text: harmless(&(counts + &error.unwrap_or_default())),
                tone: if done { Tone::Good } else { Tone::Busy },
                finished,
                nested: true,
            });
        }
    }
    lines
}

fn reached(seen: &Seen) -> String {
    match seen {
        Seen::Nothing | Seen::Absent => "gone".to_owned(),
        Seen::Present(view) => match Phase::of(view) {
            Phase { word: Word::Ready, .. } => "Ready".to_owned(),
            phase => phase.short(),
        },
    }
}

/// Where progress is shown.
pub(crate) enum Display {
    /// On a terminal, as a block of so many lines.
    Block {
        /// With colours?
        style: Style,
        /// When the wait began.
        begun: Instant,
        /// How long it may take.
        timeout: Duration,
        /// The height of what is drawn.
        height: usize,
    },
    /// As lines; what was said last of each thing.
    Lines(BTreeMap<String, String>),
}

impl Display {
    /// The display that suits standard error.
    pub(crate) fn for_stderr(timeout: Duration) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self::Block { style: crate::output::stderr_style(), begun: Instant::now(), timeout, height: 0 }
        } else {
            Self::Lines(BTreeMap::new())
        }
    }

    /// Shows how the wait stands.
    pub(crate) fn show(&mut self, tracker: &Tracker) -> Result<()> {
        match self {
            Self::Block { style, begun, timeout, height } => {
                let head =
                    format!("waiting {} s of at most {} s", begun.elapsed().as_secs(), timeout.as_secs());
                let (text, drawn) = block(&lines(tracker), &head, *height, *style);
                *height = drawn;
                write(&text)
            }
            Self::Lines(said) => write(&appended(&lines(tracker), said)),
        }
    }

    /// Says something that is not about one resource.
    pub(crate) fn note(&mut self, text: &str) -> Result<()> {
        let text = text.lines().next().unwrap_or_default();
        match self {
            Self::Block { height, .. } => {
                let up = up(*height);
                *height = 0;
                write(&format!("{up}note: {}\n", harmless(text)))
            }
            Self::Lines(said) => {
                let line = format!("note: {}\n", harmless(text));
                if said.insert(String::new(), line.clone()).as_ref() == Some(&line) {
                    Ok(())
                } else {
                    write(&line)
                }
            }
        }
    }

    /// Leaves what is shown where it is.
    pub(crate) fn end(&mut self) -> Result<()> {
        if let Self::Block { height, .. } = self {
            *height = 0;
        }
        Ok(())
    }
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Back to the first line of a block, everything below erased.
fn up(height: usize) -> String {
    if height == 0 { String::new() } else { format!("\u{1b}[{height}A\r\u{1b}[J") }
}

/// The block that takes the place of one of this height, and its own height. What is finished gives way when not all fits.
fn block(lines: &[Line], head: &str, height: usize, style: Style) -> (String, usize) {
    let room = BLOCK_MAX - 2;
    let open = lines.iter().filter(|line| !line.finished);
    let shown: Vec<&Line> =
        if lines.len() <= room { lines.iter().collect() } else { open.take(room).collect() };
    let width = shown.iter().map(|line| label(line).chars().count()).max().unwrap_or(0);
    let mut text = format!("{}\u{1b}[?7l{head}\n", up(height));
    for line in &shown {
        let said = paint(&line.text, line.tone, style);
        text.push_str(&format!("{:<width$}  {said}\n", label(line)));
    }
    let hidden = lines.len() - shown.len();
    if hidden > 0 {
        text.push_str(&format!("({hidden} more)\n"));
    }
    text.push_str("\u{1b}[?7h");
    (text, shown.len() + 1 + usize::from(hidden > 0))
}

fn label(line: &Line) -> String {
    match (line.nested, line.about.rsplit_once(' ')) {
        (true, Some((_, process))) => format!("  {process}"),
        _ => line.about.clone(),
    }
}

/// The lines that say something else than before.
fn appended(lines: &[Line], said: &mut BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for line in lines {
        if said.get(&line.about) != Some(&line.text) {
            text.push_str(&format!("{}: {}\n", line.about, line.text));
            said.insert(line.about.clone(), line.text.clone());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::key_of;
    use crate::fixture::{ready, rolling_out, stalled};
    use crate::wait::{Goal, Target};

    fn tracker(view: skep_api::wire::ResourceView) -> Tracker {
        let mut tracker = Tracker::default();
        tracker.add(key_of(&view).unwrap(), Target::named(Goal::Ready), Seen::Present(Box::new(view)));
        tracker
    }

    #[test]
    fn a_roll_out_as_lines_says_everything_once() {
        let mut said = BTreeMap::new();
        let mut text = String::new();
        for view in [rolling_out(2, 0), rolling_out(2, 0), rolling_out(2, 1), ready(2), ready(2)] {
            text.push_str(&appended(&lines(&tracker(view)), &mut said));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_stalled_roll_out_as_a_block_on_a_terminal() {
        let (text, height) =
            block(&lines(&tracker(stalled(2))), "waiting 3 s of at most 900 s", 4, Style::Ansi);
        assert_eq!(height, 4);
        insta::assert_snapshot!(text.replace('\u{1b}', "<ESC>"));
    }

    #[test]
    fn a_block_is_never_higher_than_its_limit_and_counts_its_lines() {
        let all = lines(&tracker(rolling_out(2, 1)));
        let many: Vec<Line> = all.iter().cycle().take(100).cloned().collect();
        for lines in [&many[..], &all[..], &[]] {
            let (text, height) = block(lines, "head", 0, Style::Plain);
            assert_eq!(text.matches('\n').count(), height);
            assert!(height <= BLOCK_MAX);
        }
    }
}
