//! How every resource is: one entry per key, kept by the reconciler as it goes, counted when scraped.
//!
//! Counting at the scrape instead of keeping counters means that the numbers cannot drift from the entries: a resource that goes,
//! changes its mind or moves to another process is right as soon as its entry is. A scrape reads at most as many entries as
//! there are resources, a millisecond for ten thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use skep_planner::ObjectRef;
use skep_planner::drift::{Drift, DriftClass, Response};
use skep_runtime::MAX_KEYS;
use skep_schemas::{ConditionStatus, Kind, Reason, ResourceKey};

/// Is a resource ready, as far as its last status says?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// It is.
    Ready,
    /// It is not.
    NotReady,
    /// It cannot be told.
    Unknown,
}

impl Readiness {
    const ALL: [Self; 3] = [Self::Ready, Self::NotReady, Self::Unknown];

    const fn label(self) -> &'static str {
        match self {
            Self::Ready => "true",
            Self::NotReady => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl From<ConditionStatus> for Readiness {
    fn from(status: ConditionStatus) -> Self {
        match status {
            ConditionStatus::True => Self::Ready,
            ConditionStatus::False => Self::NotReady,
            ConditionStatus::Unknown => Self::Unknown,
        }
    }
}

/// All resources that this process looks after. Bounded like the queue: a key that does not fit there does not here.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<ResourceKey, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    /// Nothing before its first status.
    ready: Option<Readiness>,
    /// What stands in its way, and since when.
    blocked: BTreeMap<Reason, Instant>,
    /// How many of its objects differ from what was converged, by class and by what is done about it.
    drift: BTreeMap<(DriftClass, Response), i64>,
}

impl Board {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let board = Self::default();
        registry.register_collector(Box::new(board.clone()));
        board
    }

    /// Notes how a resource is. What stood in its way before and still does keeps its time.
    pub fn set(&self, key: &ResourceKey, ready: Readiness, blocked: impl IntoIterator<Item = Reason>) {
        self.set_at(key, ready, blocked, Instant::now());
    }

    fn set_at(
        &self,
        key: &ResourceKey,
        ready: Readiness,
        blocked: impl IntoIterator<Item = Reason>,
        now: Instant,
    ) {
        self.change(key, |entry| {
            let since = |reason: Reason| (reason, entry.blocked.get(&reason).copied().unwrap_or(now));
            entry.blocked = blocked.into_iter().map(since).collect();
            entry.ready = Some(ready);
        });
    }

    /// Notes what differs of a resource now: all of it. An object counts once for each class and response, not for each field.
    pub fn differs<'a>(&self, key: &ResourceKey, drift: impl IntoIterator<Item = &'a Drift>) {
        let objects: BTreeSet<(DriftClass, Response, &ObjectRef)> =
            drift.into_iter().map(|one| (one.class, one.response, &one.object)).collect();
        self.change(key, |entry| {
            entry.drift.clear();
            for (class, response, _) in objects {
                *entry.drift.entry((class, response)).or_default() += 1;
            }
        });
    }

    fn change(&self, key: &ResourceKey, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < MAX_KEYS || entries.contains_key(key) {
            change(entries.entry(key.clone()).or_default());
        }
    }

    /// A resource is gone.
    pub fn gone(&self, key: &ResourceKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Keeps only resources that this process still looks after.
    pub fn retain(&self, mut ours: impl FnMut(&ResourceKey) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| ours(key));
    }

    fn count(&self, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for (key, entry) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            if let Some(ready) = entry.ready {
                *counts.resources.entry((key.kind(), ready)).or_default() += 1;
            }
            for (drift, objects) in &entry.drift {
                *counts.drift.entry(*drift).or_default() += objects;
            }
            for (reason, since) in &entry.blocked {
                let (objects, oldest) = counts.blocked.entry(*reason).or_default();
                *objects += 1;
                *oldest = oldest.max(now.saturating_duration_since(*since).as_secs_f64());
            }
        }
        counts
    }
}

#[derive(Debug, Default)]
struct Counts {
    resources: BTreeMap<(Kind, Readiness), i64>,
    /// How many, and for how long the oldest.
    blocked: BTreeMap<Reason, (i64, f64)>,
    drift: BTreeMap<(DriftClass, Response), i64>,
}

impl Collector for Board {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let counts = self.count(Instant::now());
        let help = "Resources by kind and by what their condition Ready says";
        let mut family = encoder.encode_descriptor("resources", help, None, MetricType::Gauge)?;
        for kind in Kind::ALL {
            for ready in Readiness::ALL {
                let count = counts.resources.get(&(*kind, ready)).copied().unwrap_or_default();
                let labels = [("kind", kind.as_str()), ("ready", ready.label())];
                family.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        let of = |reason: &Reason| counts.blocked.get(reason).copied().unwrap_or_default();
        let help = "Resources for which something should be done and is not, by reason";
        let mut family = encoder.encode_descriptor("blocked_objects", help, None, MetricType::Gauge)?;
        for reason in Reason::ALL {
            family.encode_family(&[("reason", reason.as_str())])?.encode_gauge(&of(reason).0)?;
        }
        let help = "For how long the longest blocked resource of a reason has been so";
        let mut family =
            encoder.encode_descriptor("blocked_oldest_seconds", help, None, MetricType::Gauge)?;
        for reason in Reason::ALL {
            family.encode_family(&[("reason", reason.as_str())])?.encode_gauge(&of(reason).1)?;
        }
        let help =
            "Objects that differ now from what was converged, by class of drift and by what is done about it";
        let mut family = encoder.encode_descriptor("drift_objects", help, None, MetricType::Gauge)?;
        for class in DriftClass::ALL {
            for response in Response::ALL {
                let objects = counts.drift.get(&(class, response)).copied().unwrap_or_default();
                let labels = [("class", class.as_str()), ("policy", response.as_str())];
                family.encode_family(&labels)?.encode_gauge(&objects)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skep_planner::ObjectKind;

    use super::*;

    fn differing(object: &str, pointer: &str, class: DriftClass, response: Response) -> Drift {
        let object = ObjectRef::new(ObjectKind::Service, object);
        let (pointer, desired, live) = (pointer.to_owned(), None, None);
        Drift { object, pointer, class, desired, live, response }
    }

    fn key(text: &str) -> ResourceKey {
        ResourceKey::organization(&text.parse().unwrap())
    }

    #[test]
    fn a_resource_is_counted_once_and_its_block_is_as_old_as_its_first_sight() {
        let (board, start) = (Board::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        board.set_at(&key("acme"), Readiness::NotReady, [Reason::StepFailed], start);
        board.set_at(&key("acme"), Readiness::NotReady, [Reason::StepFailed, Reason::NotKept], later(50));
        board.set_at(&key("beta"), Readiness::Ready, [], later(60));
        let counts = board.count(later(90));
        assert_eq!(counts.blocked[&Reason::StepFailed], (1, 90.0));
        assert_eq!(counts.blocked[&Reason::NotKept], (1, 40.0));
        assert_eq!(counts.resources[&(Kind::Organization, Readiness::NotReady)], 1);
        board.set_at(&key("acme"), Readiness::Ready, [], later(100));
        board.gone(&key("beta"));
        let counts = board.count(later(100));
        assert!(counts.blocked.is_empty());
        assert_eq!(counts.resources, BTreeMap::from([((Kind::Organization, Readiness::Ready), 1)]));
        board.retain(|_| false);
        assert!(board.count(later(100)).resources.is_empty());
    }
    #[test]
    fn objects_that_differ_are_those_of_the_last_look_at_every_resource() {
        use DriftClass::{Missing, Modified};
        use Response::{Correct, GiveUp};
        let board = Board::default();
        let count = || board.count(Instant::now()).drift;
        let fields = [
            differing("web", "/Labels/a", Modified, Correct),
            differing("web", "/Labels/b", Modified, Correct),
            differing("web", "/Labels/c", Modified, GiveUp),
            differing("anchor", "", Missing, Correct),
        ];
        board.differs(&key("acme"), &fields);
        board.differs(&key("beta"), &fields[..1]);
        let all =
            BTreeMap::from([((Modified, Correct), 2), ((Modified, GiveUp), 1), ((Missing, Correct), 1)]);
        assert_eq!(count(), all, "an object counts once, however many of its fields differ alike");
        assert!(board.count(Instant::now()).resources.is_empty(), "no status has said how they are");

        board.set(&key("acme"), Readiness::Ready, []);
        board.differs(&key("beta"), &fields[..1]);
        assert_eq!(count(), all, "neither a status nor another look changes what differs");

        board.differs(&key("acme"), &fields[2..3]);
        assert_eq!(count(), BTreeMap::from([((Modified, Correct), 1), ((Modified, GiveUp), 1)]));
        board.retain(|one| *one == key("acme"));
        assert_eq!(count(), BTreeMap::from([((Modified, GiveUp), 1)]), "another process has that shard now");
        board.gone(&key("acme"));
        assert!(count().is_empty());
    }
}
