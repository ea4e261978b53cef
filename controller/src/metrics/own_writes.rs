//! Writes of our own and the events that they should cause.
//!
//! An engine's event stream can go silent without ending (moby loses its store watch and only logs it). Every write of ours to a
//! service, a secret or a network causes an event on a healthy stream, so a write that causes none within a few seconds is the
//! cheapest proof that we hear nothing. The resync still finds everything; this says that it is all that does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use skep_swarm::HintKind;

use super::add;

/// How long an event may take. Events come within milliseconds; an engine that is busy with hundreds of tasks takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many writes and events are remembered: more than are under way within [`PATIENCE`]. Beyond that the oldest are forgotten,
/// which can only miss an alarm.
const REMEMBERED_MAX: usize = 4096;

/// What the alarm knows.
#[derive(Clone, Debug)]
pub struct OwnWrites {
    unheard: Counter,
    waiting: Gauge,
    state: Arc<Mutex<State>>,
}

type Object = (HintKind, String);

#[derive(Debug, Default)]
struct State {
    /// Writes whose event has not come, by object: when they began.
    waiting: BTreeMap<Object, Instant>,
    /// The same in order, to find those that are due. May name objects that were heard of since.
    order: VecDeque<(Instant, Object)>,
    /// When each object was heard of last: an event often overtakes the answer to the call that caused it.
    heard: BTreeMap<Object, Instant>,
    heard_order: VecDeque<(Instant, Object)>,
}

impl OwnWrites {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            unheard: add(
                registry,
                "own_writes_without_event",
                "Writes of our own to the engine that caused no event within 10 s",
                Counter::default(),
            ),
            waiting: add(
                registry,
                "own_writes_awaiting_event",
                "Writes of our own whose event has not come yet",
                Gauge::default(),
            ),
            state: Arc::default(),
        }
    }

    /// A write that began then was answered: it succeeded.
    pub(super) fn wrote(&self, kind: HintKind, id: &str, began: Instant) {
        self.wrote_at(kind, id, began, Instant::now());
    }

    /// An event about an object came.
    pub fn heard(&self, kind: HintKind, id: &str) {
        self.heard_at(kind, id, Instant::now());
    }

    /// Counts writes that have waited for too long. Called by a background task, and with every write.
    pub fn check(&self) {
        self.check_at(Instant::now());
    }

    fn wrote_at(&self, kind: HintKind, id: &str, began: Instant, now: Instant) {
        let object = (kind, id.to_owned());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.heard.get(&object).is_none_or(|heard| *heard < began) {
            state.waiting.insert(object.clone(), began);
            state.order.push_back((began, object));
        }
        while state.order.len() > REMEMBERED_MAX {
            let Some((began, object)) = state.order.pop_front() else { break };
            if state.waiting.get(&object) == Some(&began) {
                state.waiting.remove(&object);
            }
        }
        drop(state);
        self.check_at(now);
    }

    fn heard_at(&self, kind: HintKind, id: &str, now: Instant) {
        let object = (kind, id.to_owned());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(&object);
        state.heard.insert(object.clone(), now);
        state.heard_order.push_back((now, object));
        while state.heard_order.len() > REMEMBERED_MAX {
            let Some((at, object)) = state.heard_order.pop_front() else { break };
            if state.heard.get(&object) == Some(&at) {
                state.heard.remove(&object);
            }
        }
        self.waiting.set(i64::try_from(state.waiting.len()).unwrap_or(i64::MAX));
    }

    fn check_at(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((began, object)) = state.order.front().cloned() {
            if now.saturating_duration_since(began) < PATIENCE {
                break;
            }
            state.order.pop_front();
            // A later write of the same object has its own entry; an event has taken this one out.
            if state.waiting.get(&object) == Some(&began) {
                state.waiting.remove(&object);
                self.unheard.inc();
                tracing::warn!(kind = ?object.0, id = object.1, "a write of our own caused no event; the engine's events may be silent");
            }
        }
        self.waiting.set(i64::try_from(state.waiting.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: HintKind = HintKind::Service;

    #[test]
    fn only_a_write_that_nothing_was_heard_of_in_time_is_counted_and_only_once() {
        let writes = OwnWrites::register(&mut Registry::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // Heard of before the answer to the call, and after it.
        writes.heard_at(SERVICE, "early", at(1));
        writes.wrote_at(SERVICE, "early", at(0), at(2));
        writes.wrote_at(SERVICE, "late", at(0), at(2));
        writes.heard_at(SERVICE, "late", at(9));
        assert_eq!(writes.waiting.get(), 0);
        // An event from before the write says nothing about it, nor does one of another kind of object.
        writes.heard_at(SERVICE, "silent", at(2));
        writes.wrote_at(SERVICE, "silent", at(3), at(4));
        writes.heard_at(HintKind::Secret, "silent", at(5));
        assert_eq!((writes.waiting.get(), writes.unheard.get()), (1, 0));
        writes.check_at(at(12));
        assert_eq!(writes.unheard.get(), 0);
        writes.check_at(at(13));
        writes.check_at(at(50));
        assert_eq!((writes.waiting.get(), writes.unheard.get()), (0, 1));
    }

    #[test]
    fn a_second_write_of_an_object_starts_its_time_again() {
        let writes = OwnWrites::register(&mut Registry::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        writes.wrote_at(SERVICE, "busy", at(0), at(0));
        writes.wrote_at(SERVICE, "busy", at(8), at(8));
        writes.check_at(at(12));
        assert_eq!(writes.unheard.get(), 0);
        writes.check_at(at(18));
        assert_eq!(writes.unheard.get(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let writes = OwnWrites::register(&mut Registry::default());
        let now = Instant::now();
        for number in 0..REMEMBERED_MAX + 10 {
            writes.wrote_at(SERVICE, &number.to_string(), now, now);
            writes.heard_at(HintKind::Secret, &number.to_string(), now);
        }
        let state = writes.state.lock().unwrap();
        let sizes = [state.waiting.len(), state.order.len(), state.heard.len(), state.heard_order.len()];
        assert_eq!(sizes, [REMEMBERED_MAX; 4]);
    }
}
