//! Which environments need no pass, because all that a pass would look at is what the last one saw and found as it should be.
//!
//! The periodic look is there for hints that were lost. Nearly always none was, and a pass per environment finds, at the price of
//! some thirty reads, that everything is as it was. So a pass that the periodic look has caused and that came to rest leaves behind what
//! it rested on, by versions ([`Rest`]): the prints of the rows, from the very snapshot that it planned from ([`rows`]), and id and
//! version of each object that it saw in the Swarm ([`Sight`]). The next look reads all prints and all versions once for all, and leaves
//! out the environments of which nothing differs.
//!
//! That is sound because planning is pure (invariant I1): from the same rows and the same objects comes the same plan, which had
//! nothing to do, and the same status, which is written already. What else a plan could rest on keeps a pass from counting as rest:
//!
//! - the time: whoever asks to be looked at again after a while does not rest, nor does what is paused until some time, on trial,
//!   rolling out, waiting, degraded, blocked, on hold, drifting or contested. Only an environment that is Ready, with an empty plan and
//!   nothing in its way, rests;
//! - what has no version: an image that is looked up, and containers of tasks that failed or have not come up;
//! - what this process remembers (holds, plans that were not kept): they only take away from a plan that has something in it.
//!
//! Each pass that begins puts what is known of its environment in doubt, and only one that comes to rest ends the doubt: one that
//! fails, is dropped or waits never does. Settings cannot change while a process lives, and another process knows nothing at first.
//!
//! A task moves no version of its service. Its own version moves with each of its states, and every look reads all tasks, so
//! one that failed, was replaced or is gone without an event is noticed at the next look as anything else is.
//!
//! The same lists serve the survey of whoever does the work of the cluster ([`Guard::survey_by`]).
//!
//! Whatever cannot be proved is looked at: all other kinds (the edge of an organisation is made of containers, which have no version),
//! everything if one of the lists cannot be read in time, and each environment now and then all the same. Nothing else is spared:
//! changes, events, gained shards and streams that were lost wake keys as ever.

pub(crate) mod rows;
mod sight;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use skep_runtime::MAX_KEYS;
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Store, StoreError};

pub(crate) use sight::Sight;

use crate::error::chain;
use crate::lead::Held;
use crate::observe::{Observer, Versioned};
use crate::safety::{Guard, found_in};
use crate::sightings::Sightings;
use crate::wake;

/// How long an environment is left out at most: what is proved is proved by what is known of versions.
const AT_LEAST_EVERY: Duration = Duration::from_secs(3600);

/// How long the lists of the Swarm may take together: several times what an engine with ten thousand services needs. After that
/// everything is looked at, and each pass says for itself what it cannot see.
const WITHIN: Duration = Duration::from_secs(10);

/// What is known of the environments at rest.
pub(crate) struct Unchanged {
    store: Store,
    observer: Arc<Observer>,
    sightings: Arc<Sightings>,
    guard: Arc<Guard>,
    held: Arc<Held>,
    known: Mutex<Known>,
}

/// What a pass rested on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    /// The prints of the rows.
    rows: u64,
    /// What it saw in the Swarm.
    sight: Sight,
    /// When.
    at: Timestamp,
    /// Has a pass begun since that has not come to rest?
    in_doubt: bool,
}

/// The environments at rest. Bounded like the queue.
#[derive(Debug, Default)]
struct Known(BTreeMap<ResourceKey, Rest>);

impl Unchanged {
    /// Nothing is known yet.
    pub(crate) fn new(
        store: Store,
        observer: Arc<Observer>,
        sightings: Arc<Sightings>,
        guard: Arc<Guard>,
        held: Arc<Held>,
    ) -> Self {
        Self { store, observer, sightings, guard, held, known: Mutex::default() }
    }

    /// A pass begins: until it has come to rest nothing is sure.
    pub(crate) fn begins(&self, key: &ResourceKey) {
        self.known().begins(key);
    }

    /// The pass that has begun found all as it should be and nothing that changes by itself. `rows` are the prints of what it planned
    /// from, if it has them; without them, what an earlier pass rested on stands again: if it is still so, it is still at rest.
    pub(crate) fn rests(&self, key: &ResourceKey, rows: Option<u64>, sight: Sight, now: Timestamp) {
        self.known().rests(key, rows.map(|rows| Rest { rows, sight, at: now, in_doubt: false }));
    }

    /// A resource is gone.
    pub(crate) fn gone(&self, key: &ResourceKey) {
        self.known().0.remove(key);
    }

    /// The keys that the periodic look has to wake, of those that are held; what others depend on first. Whoever does the work of the
    /// cluster makes a survey of what was found.
    pub(crate) async fn keys(&self) -> Result<Vec<ResourceKey>, StoreError> {
        let listed = self.observer.clock().now();
        let swarm = self.swarm().await;
        let overview = swarm.as_ref().map(sight::Overview::of);
        if self.held.has_cluster() {
            match swarm {
                Some(Versioned { services, secrets, networks, .. }) => {
                    self.guard.survey_by(found_in(services, secrets, networks), listed);
                }
                None => self.guard.want_survey(),
            }
        }
        let held = |key: &ResourceKey| self.held.has(key);
        let (Some(overview), Some(rows)) = (overview, self.rows().await) else {
            return wake::keys_where(&self.store, held).await;
        };
        let now = self.observer.now();
        let prints = rows::of_environments(&rows);
        let mut keys: Vec<ResourceKey> = rows.into_iter().map(|row| row.key).filter(held).collect();
        let mut known = self.known();
        known.0.retain(|key, _| prints.contains_key(key));
        keys.retain(|key| {
            let print = prints.get(key).copied();
            let is_left_out = print.is_some_and(|print| known.is_at_rest(key, print, &overview, now));
            if is_left_out {
                self.sightings.seen(key, now);
            }
            !is_left_out
        });
        keys.sort_by_key(|key| Kind::ALL.iter().position(|kind| *kind == key.kind()));
        Ok(keys)
    }

    /// The prints of everything; none if they cannot be had, which is no reason to look at nothing.
    async fn rows(&self) -> Option<Vec<skep_store::Print>> {
        let read = async {
            let mut snapshot = self.store.snapshot().await?;
            let rows = snapshot.prints().await?;
            snapshot.discard().await?;
            Ok::<_, StoreError>(rows)
        };
        let failed = |error: StoreError| {
            tracing::debug!(error = chain(&error), "it cannot be told which rows changed")
        };
        read.await.map_err(failed).ok()
    }

    /// The Swarm; none if any of it cannot be read in time.
    async fn swarm(&self) -> Option<Versioned> {
        let looked = tokio::select! {
            looked = self.observer.versioned() => looked.map_err(|error| chain(&error)),
            () = self.observer.clock().sleep(WITHIN) => Err(format!("no answer within {WITHIN:?}")),
        };
        looked.map_err(|error| tracing::debug!(error, "it cannot be told what changed in the Swarm")).ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn begins(&mut self, key: &ResourceKey) {
        if let Some(rest) = self.0.get_mut(key) {
            rest.in_doubt = true;
        }
    }

    fn rests(&mut self, key: &ResourceKey, rest: Option<Rest>) {
        match rest {
            Some(rest) if self.0.len() < MAX_KEYS || self.0.contains_key(key) => {
                self.0.insert(key.clone(), rest);
            }
            Some(_) => {}
            None => {
                if let Some(rest) = self.0.get_mut(key) {
                    rest.in_doubt = false;
                }
            }
        }
    }

    /// Is everything as the pass saw it that left the environment at rest? What is not so any more is forgotten.
    fn is_at_rest(&mut self, key: &ResourceKey, rows: u64, swarm: &sight::Overview, now: Timestamp) -> bool {
        let Some(rest) = self.0.get(key) else { return false };
        let is_young = now.duration_since(rest.at).unsigned_abs() < AT_LEAST_EVERY;
        let is_same = rest.rows == rows && swarm.shows(&rest.sight);
        if !is_same || !is_young {
            self.0.remove(key);
            return false;
        }
        !rest.in_doubt
    }
}

#[cfg(test)]
mod tests {
    use skep_schemas::Scope;

    use super::sight::Overview;
    use super::sight::tests::{swarm, web};
    use super::*;

    fn prod() -> ResourceKey {
        let scope = Scope::Org("acme".parse().unwrap());
        ResourceKey::new(scope, Kind::Environment, "prod".parse().unwrap()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rest(rows: u64, second: i64) -> Option<Rest> {
        Some(Rest { rows, sight: web(), at: at(second), in_doubt: false })
    }

    fn is_at_rest(known: &mut Known, rows: u64, second: i64) -> bool {
        known.is_at_rest(&prod(), rows, &Overview::of(&swarm()), at(second))
    }

    #[test]
    fn an_environment_is_left_out_only_while_all_is_as_the_pass_saw_it_that_came_to_rest() {
        let mut known = Known::default();
        assert!(!is_at_rest(&mut known, 7, 0), "no pass is known of");
        known.begins(&prod());
        assert!(!is_at_rest(&mut known, 7, 0), "the first pass is under way");
        known.rests(&prod(), None);
        assert!(!is_at_rest(&mut known, 7, 0), "what it planned from is not known");
        known.rests(&prod(), rest(7, 1));
        assert!(is_at_rest(&mut known, 7, 2));
        assert!(is_at_rest(&mut known, 7, 3), "as long as nothing changes");
        assert!(!is_at_rest(&mut known, 8, 4), "a row was written");
        assert!(!is_at_rest(&mut known, 7, 5), "even if it is as it was before");
    }

    #[test]
    fn a_pass_puts_in_doubt_what_is_known_until_it_comes_to_rest() {
        let mut known = Known::default();
        known.rests(&prod(), rest(7, 1));
        known.begins(&prod());
        assert!(!is_at_rest(&mut known, 7, 2), "it is under way, or failed, or waits");
        known.begins(&prod());
        known.rests(&prod(), None);
        assert!(
            is_at_rest(&mut known, 7, 3),
            "another found nothing, and nothing differs from what was seen"
        );
        known.begins(&prod());
        known.rests(&prod(), rest(8, 4));
        assert!(!is_at_rest(&mut known, 7, 5), "the last one saw something else");
    }

    #[test]
    fn what_changed_in_the_swarm_is_forgotten() {
        let mut known = Known::default();
        known.rests(&prod(), rest(7, 1));
        let mut edited = swarm();
        edited.services[0].version.index += 1;
        assert!(!known.is_at_rest(&prod(), 7, &Overview::of(&edited), at(2)));
        assert!(!is_at_rest(&mut known, 7, 3));
    }

    #[test]
    fn an_environment_is_looked_at_now_and_then_whatever_versions_say() {
        let mut known = Known::default();
        let hour = i64::try_from(AT_LEAST_EVERY.as_secs()).unwrap();
        known.rests(&prod(), rest(7, 1));
        assert!(is_at_rest(&mut known, 7, hour));
        assert!(!is_at_rest(&mut known, 7, hour + 1));
    }
}
