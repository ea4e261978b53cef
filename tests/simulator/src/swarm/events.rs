//! What the engine tells of changes: the last 256 events, which is all that an engine keeps, and who has yet to hear of them.

use std::collections::VecDeque;

use skep_planner::swarm::Service;
use skep_swarm::{Hint, HintKind};

use super::Swarm;

/// How many events an engine keeps.
const RING: usize = 256;

/// The events of an engine.
#[derive(Clone, Debug, Default)]
pub(super) struct EventRing {
    kept: VecDeque<(u64, Hint)>,
    next: u64,
    /// So many of the next events are lost.
    losing: usize,
}

impl Swarm {
    /// The events that the engine still has, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Hint> {
        self.events.kept.iter().map(|(_, hint)| hint)
    }

    /// The position after the last event.
    pub const fn event_position(&self) -> u64 {
        self.events.next
    }

    /// The events from a position on, as far as the engine still has them, and the position after them.
    pub fn events_since(&self, position: u64) -> (Vec<Hint>, u64) {
        let after = self.events.kept.iter().filter(|(at, _)| *at >= position);
        (after.map(|(_, hint)| hint.clone()).collect(), self.events.next)
    }

    /// The next so many events are told to nobody.
    pub const fn lose_events(&mut self, count: usize) {
        self.events.losing = count;
    }

    pub(super) fn announce(
        &mut self,
        kind: HintKind,
        id: &str,
        name: &str,
        action: &str,
        more: &[(&str, String)],
    ) {
        if self.events.losing > 0 {
            self.events.losing -= 1;
            return;
        }
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        let hint = Hint {
            kind,
            id: id.to_owned(),
            name: Some(name.to_owned()),
            action: action.to_owned(),
            time_nanos: i64::try_from(self.now.as_nanosecond()).unwrap_or(i64::MAX),
            attributes: more.chain([("name".to_owned(), name.to_owned())]).collect(),
        };
        if self.events.kept.len() == RING {
            self.events.kept.pop_front();
        }
        self.events.kept.push_back((self.events.next, hint));
        self.events.next += 1;
    }

    pub(super) fn announce_service(&mut self, service: &Service, action: &str, more: &[(&str, String)]) {
        self.announce(HintKind::Service, service.id.as_str(), &service.spec.name, action, more);
    }
}
