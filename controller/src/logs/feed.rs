//! What one service prints, for all who listen: a ring with a bound, which the reader fills and nobody empties.
//!
//! Each who listens has a place in the ring. The reader overwrites what is oldest, whoever has not taken it yet, and counts the lines:
//! that is the length of the gap that a slow one is told. So one who listens costs no memory, and cannot delay another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_api::PortError;
use skep_api::wire::LogEvent;
use skep_planner::swarm::ServiceId;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::engine::{Engine, Service};
use super::line::size;
use super::reader;

/// Events in a ring: what is printed in a second or two by whatever is worth following.
pub(super) const EVENTS_MAX: usize = 8 * 1024;
/// Bytes in a ring. With [`FEEDS_MAX`] at their worst a gigabyte, which takes as many floods of long lines.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events that are taken at a time.
const BATCH: usize = 256;
/// Services that are read at once. Each is a connection to the engine.
pub(super) const FEEDS_MAX: usize = 256;

/// What one service prints.
pub(super) struct Feed {
    ring: Mutex<Ring>,
    /// Where the next event will be, and whether none will be.
    end: watch::Sender<(u64, bool)>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<LogEvent>>,
    bytes: usize,
    /// The place of the oldest event that is there.
    first: u64,
    /// Lines that were there before it.
    lines_before: u64,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { ring: Mutex::default(), end: watch::Sender::new((0, false)) }
    }

    /// Adds events; what is oldest goes.
    pub(super) fn push(&self, events: impl IntoIterator<Item = LogEvent>) {
        let mut ring = self.ring();
        for event in events {
            ring.bytes += size(&event);
            ring.events.push_back(Arc::new(event));
            while ring.events.len() > EVENTS_MAX || ring.bytes > BYTES_MAX {
                let Some(oldest) = ring.events.pop_front() else { break };
                ring.bytes -= size(&oldest);
                ring.first += 1;
                ring.lines_before += u64::from(matches!(*oldest, LogEvent::Line(_)));
            }
        }
        let next = ring.next();
        drop(ring);
        self.end.send_modify(|(end, _)| *end = next);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.end.send_modify(|(_, closed)| *closed = true);
    }

    /// Events and bytes that are held.
    #[cfg(test)]
    pub(super) fn holds(&self) -> (usize, usize) {
        let ring = self.ring();
        (ring.events.len(), ring.bytes)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn next(&self) -> u64 {
        self.first + u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }
}

/// One who listens.
pub(super) struct Listener {
    feed: Arc<Feed>,
    end: watch::Receiver<(u64, bool)>,
    at: u64,
    /// Lines before that place, taken and missed.
    lines: u64,
    /// Keeps the reader.
    _reading: Option<Arc<Reading>>,
}

/// What came since.
pub(super) struct Batch {
    /// Lines that were overwritten before they were taken.
    pub(super) missed: u64,
    pub(super) events: Vec<Arc<LogEvent>>,
}

impl Listener {
    /// From now on.
    pub(super) fn new(feed: &Arc<Feed>, reading: Option<Arc<Reading>>) -> Self {
        let ring = feed.ring();
        let lines = ring.events.iter().filter(|event| matches!(***event, LogEvent::Line(_))).count();
        let (at, lines) = (ring.next(), ring.lines_before + u64::try_from(lines).unwrap_or(u64::MAX));
        drop(ring);
        Self { feed: Arc::clone(feed), end: feed.end.subscribe(), at, lines, _reading: reading }
    }

    /// What came, as soon as something has; `None` when nothing more will.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        let at = self.at;
        let closed = match self.end.wait_for(|(end, closed)| *end > at || *closed).await {
            Ok(end) => end.0 <= at,
            Err(_) => true,
        };
        (!closed).then(|| self.take())
    }

    fn take(&mut self) -> Batch {
        let ring = self.feed.ring();
        let missed = ring.lines_before.saturating_sub(self.lines);
        let skip = usize::try_from(self.at.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let events: Vec<Arc<LogEvent>> = ring.events.iter().skip(skip).take(BATCH).cloned().collect();
        self.at = self.at.max(ring.first) + u64::try_from(events.len()).unwrap_or(u64::MAX);
        drop(ring);
        let taken = events.iter().filter(|event| matches!(***event, LogEvent::Line(_))).count();
        self.lines += missed + u64::try_from(taken).unwrap_or(u64::MAX);
        Batch { missed, events }
    }
}

/// A reader at work; it ends when nobody listens.
pub(super) struct Reading {
    feed: Arc<Feed>,
    _task: AbortOnDropHandle<()>,
}

/// The feeds of all services that somebody listens to.
pub(super) struct Feeds {
    engine: Arc<dyn Engine>,
    readings: Mutex<HashMap<ServiceId, Weak<Reading>>>,
}

impl Feeds {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, readings: Mutex::default() }
    }

    /// Listens to a service. The first who does starts its reader.
    pub(super) fn listen(&self, service: &Service) -> Result<Listener, PortError> {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = readings.get(&service.id).and_then(Weak::upgrade) {
            // One that has ended is of no use to whoever comes now.
            if !reading.feed.end.borrow().1 {
                return Ok(Listener::new(&reading.feed, Some(Arc::clone(&reading))));
            }
        }
        readings.retain(|_, reading| reading.strong_count() > 0);
        if readings.len() >= FEEDS_MAX {
            return Err(PortError::TooManyReaders);
        }
        let feed = Arc::new(Feed::new());
        let task = tokio::spawn(reader::read(Arc::clone(&self.engine), service.clone(), Arc::clone(&feed)));
        let reading = Arc::new(Reading { feed, _task: AbortOnDropHandle::new(task) });
        readings.insert(service.id.clone(), Arc::downgrade(&reading));
        Ok(Listener::new(&reading.feed, Some(Arc::clone(&reading))))
    }

    /// Services that are read.
    #[cfg(test)]
    pub(super) fn read(&self) -> usize {
        let readings = self.readings.lock().unwrap();
        readings.values().filter(|reading| reading.strong_count() > 0).count()
    }
}
