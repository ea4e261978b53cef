//! What the engine keeps of a service's lines, read once: the newest of them, in the order of their times.
//!
//! The engine tells the newest lines of each instance, one instance after the other; who asks for the newest lines of a process means
//! those of all its instances together.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use futures::StreamExt;
use skep_api::wire::{LogEvent, LogGapReason, LogInstance, LogLine, LogPlace};
use skep_swarm::{LogQuery, SwarmError};

use super::engine::{Engine, Service};
use super::line::{gap, read as line, size};
use super::reader::numbers;

/// Lines of one instance that are read again after a place, as many as can be asked for at once.
pub(super) const AGAIN_MAX: u32 = 10_000;

/// Which of the lines.
pub(super) struct Wanted<'a> {
    /// The instances.
    pub(super) instance: Option<&'a LogInstance>,
    /// How many; all that were not told yet when none is said, as far as they are read again.
    pub(super) newest: Option<u32>,
    /// Since which second.
    pub(super) since: Option<i64>,
    /// Bytes that may be held.
    pub(super) bytes: usize,
}

/// Reads them. `told` says what was told before, and is told of all that was read: what comes later and is in it is told already.
pub(super) async fn read(
    engine: &dyn Engine,
    service: &Service,
    wanted: &Wanted<'_>,
    told: &mut LogPlace,
) -> Result<Vec<LogEvent>, SwarmError> {
    let slots = numbers(engine, service).await?;
    // Of each instance one line is read in any case: from there on its lines are new.
    let tail = wanted.newest.map_or(AGAIN_MAX, |newest| newest.max(1));
    let query = LogQuery { follow: false, tail: Some(tail), since: wanted.since };
    let mut lines = engine.lines(&service.id, &query).await?;
    let most = usize::try_from(wanted.newest.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
    let mut kept =
        Newest { lines: BinaryHeap::new(), bytes: 0, most, most_bytes: wanted.bytes, dropped: 0, count: 0 };
    let mut known = told.clone();
    let mut fresh: HashMap<String, u32> = HashMap::new();
    let mut gaps = Vec::new();
    while let Some(next) = lines.next().await {
        let event = match next {
            Ok(next) => line(next, &service.process, &slots),
            Err(error) => {
                tracing::debug!(%error, process = %service.process, "reading a log broke");
                let message = format!(
                    "{}: the engine stopped telling what it keeps; lines are missing",
                    service.process
                );
                gaps.push(gap(LogGapReason::Connection, &service.process, None, message));
                break;
            }
        };
        let LogEvent::Line(line) = event else {
            gaps.push(event);
            continue;
        };
        if known.covers(&line) {
            continue;
        }
        told.note(&line);
        *fresh.entry(line.instance.clone()).or_default() += 1;
        if wanted.instance.is_none_or(|wanted| wanted.covers(line.slot, &line.instance)) {
            kept.push(line);
        }
    }
    if wanted.newest.is_none() && fresh.values().any(|count| *count >= tail) {
        let message = format!(
            "{}: more than {tail} lines were printed since; older ones are not told",
            service.process
        );
        gaps.push(gap(LogGapReason::TooMany, &service.process, None, message));
    }
    if kept.dropped > 0 {
        let message = format!(
            "{}: {} older lines are not told: there is too much at once",
            service.process, kept.dropped
        );
        gaps.push(gap(LogGapReason::TooMany, &service.process, Some(kept.dropped), message));
    }
    gaps.extend(kept.lines.into_sorted_vec().into_iter().rev().map(|Oldest(line, _)| LogEvent::Line(line)));
    Ok(gaps)
}

/// The newest lines within bounds.
struct Newest {
    lines: BinaryHeap<Oldest>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// Lines that went because of their bytes.
    dropped: u64,
    /// Lines so far.
    count: u64,
}

impl Newest {
    fn push(&mut self, line: LogLine) {
        let line = LogEvent::Line(line);
        self.bytes += size(&line);
        let LogEvent::Line(line) = line else { return };
        self.count += 1;
        self.lines.push(Oldest(line, self.count));
        while self.lines.len() > self.most || self.bytes > self.most_bytes {
            let is_wanted = self.lines.len() <= self.most;
            let Some(Oldest(oldest, _)) = self.lines.pop() else { return };
            self.bytes = self.bytes.saturating_sub(size(&LogEvent::Line(oldest)));
            self.dropped += u64::from(is_wanted);
        }
    }
}

/// A line and its number among those that came; the greatest is the oldest.
struct Oldest(LogLine, u64);

impl Ord for Oldest {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.0.at, &other.0.instance, other.1).cmp(&(self.0.at, &self.0.instance, self.1))
    }
}

impl PartialOrd for Oldest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Oldest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Oldest {}
