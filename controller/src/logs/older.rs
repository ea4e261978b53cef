//! What Loki keeps, put together with what the engine keeps: both tell many of the same lines.

use std::collections::HashSet;

use jiff::Timestamp;
use skep_api::wire::{LogEvent, LogGapReason, LogInstance, LogLine, LogPlace};

use super::follow::in_order;
use super::line::gap;
use super::loki::{Loki, Printed};
use super::past::AGAIN_MAX;

/// What is known of a line by both.
type Known = (String, Timestamp, String);

/// What is asked of Loki, and what the engine told.
pub(super) struct Asked<'a> {
    pub(super) printed: Printed<'a>,
    pub(super) instance: Option<&'a LogInstance>,
    pub(super) since: Option<Timestamp>,
    /// How many; all that were not told yet when none is said, as far as they are read again.
    pub(super) newest: Option<u32>,
    /// What was told before the engine was asked.
    pub(super) before: LogPlace,
}

/// Adds lines of a process to those that the engine told of it. A Loki that does not answer is a gap: what the engine has is told all the
/// same.
pub(super) async fn add(loki: &Loki, asked: Asked<'_>, events: &mut Vec<LogEvent>, told: &mut LogPlace) {
    let Asked { printed, instance, since, newest, mut before } = asked;
    let process = printed.process;
    let (older, more) = match loki.newest(&printed, since, newest.unwrap_or(AGAIN_MAX)).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "Loki cannot be asked");
            let message = format!(
                "{process}: Loki does not answer; of what was printed before only what the engine keeps is told"
            );
            events.push(gap(LogGapReason::Connection, process, None, message));
            return;
        }
    };
    let mut known: HashSet<Known> = lines(events).map(known).collect();
    for line in older {
        let wanted = instance.is_none_or(|wanted| wanted.covers(line.slot, &line.instance));
        if before.covers(&line) || !known.insert(self::known(&line)) {
            continue;
        }
        told.note(&line);
        if wanted {
            events.push(LogEvent::Line(line));
        }
    }
    if more && newest.is_none() {
        let message = format!("{process}: more lines were printed since than are told again");
        events.push(gap(LogGapReason::TooMany, process, None, message));
    }
    if let Some(newest) = newest {
        keep_newest(events, usize::try_from(newest).unwrap_or(usize::MAX));
    }
}

fn lines(events: &[LogEvent]) -> impl Iterator<Item = &LogLine> {
    events.iter().filter_map(|event| match event {
        LogEvent::Line(line) => Some(line),
        LogEvent::Gap(_) | LogEvent::Instance(_) => None,
    })
}

fn known(line: &LogLine) -> Known {
    (line.instance.clone(), line.at, line.text.clone())
}

/// Keeps so many lines, the newest, and all that is no line.
fn keep_newest(events: &mut Vec<LogEvent>, newest: usize) {
    let mut times: Vec<Timestamp> = lines(events).map(|line| line.at).collect();
    times.sort_unstable();
    let mut excess = times.len().saturating_sub(newest);
    in_order(events);
    events.retain(|event| {
        let goes = excess > 0 && matches!(event, LogEvent::Line(_));
        excess -= usize::from(goes);
        !goes
    });
}
