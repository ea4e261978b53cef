//! Small pieces of text: ages, colours, and text that cannot do harm.

use jiff::Timestamp;
use skep_schemas::diagnostic::Style;

/// What a piece of text says, and so which colour it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Wait and see.
    Busy,
    /// Someone has to do something.
    Bad,
    /// Neither.
    Plain,
}

/// How long something took.
pub(crate) fn lasted(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// The text in the colour of its tone.
pub(crate) fn paint(text: &str, tone: Tone, style: Style) -> String {
    let colour = match (style, tone) {
        (Style::Plain, _) | (_, Tone::Plain) => return text.to_owned(),
        (Style::Ansi, Tone::Good) => "32",
        (Style::Ansi, Tone::Busy) => "33",
        (Style::Ansi, Tone::Bad) => "31",
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// The text on one line, with every character that could move the cursor or reverse the direction replaced.
pub(crate) fn harmless(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
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

/// How long ago something was, in its largest unit or two: `45s`, `12m`, `3h5m`, `4d`.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 120 {
        format!("{minutes}m")
    } else if hours < 10 && minutes % 60 != 0 {
        format!("{hours}h{}m", minutes % 60)
    } else if hours < 48 {
        format!("{hours}h")
    } else {
        format!("{days}d")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_negative() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, shown) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (7500, "2h5m"),
            (40_000, "11h"),
            (400_000, "4d"),
        ] {
            assert_eq!(age(at(0), at(seconds)), shown);
        }
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc\u{202e}"), "a\u{fffd}[2Jb c\u{fffd}");
    }
}
