//! What the instances of an environment use: processor, memory and traffic, for the API.
//!
//! ```text
//! the Swarm: which instances run, and where ─┐
//! this engine: a reading of each container   ├─> view: what each uses, or why that is not known, and the sum ─> the API
//! the readings before                        ┘
//! ```
//!
//! - Every instance that runs is told. An engine can be asked about its own containers alone, so of those on other nodes it is told
//!   that they cannot be read, and not that they use nothing.
//! - The load on the engine has a bound: so many readings at once whoever asks, so many for one question, and an answer is given again for
//!   some time, so that a hundred who look cost as much as one.
//! - An engine that does not answer for one container holds nobody up for longer than its deadline.

mod engine;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use skep_api::PortError;
use skep_api::wire::{MetricsView, UnreadReason};
use skep_planner::InstanceId;
use skep_planner::swarm::ContainerId;
use skep_planner::usage::{Reading, Usage};
use skep_schemas::Uid;
use skep_swarm::{SwarmApi, SwarmError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use self::engine::{Engine, Found, Instance, SwarmEngine};

/// For how long an answer is given again: whoever looks wants numbers of now, and the kernel's own are averages.
const FRESH: Duration = Duration::from_secs(2);
/// What is used is an average since the reading before. One that is older than this would not tell of now.
const BEFORE_MAX: Duration = Duration::from_secs(15);
/// How long after its first reading a container is read again, so that there is an average at once.
const APART: Duration = Duration::from_secs(1);
/// Readings at once, of all who ask: the engine's other calls, by which things are kept as they shall be, go first.
const AT_ONCE: usize = 8;
/// Readings at once for one question, so that a large environment is not all that is read.
const AT_ONCE_FOR_ONE: usize = 4;
/// Containers that are read for one question.
const READ_MAX: usize = 256;
/// How long one reading may take. It takes an engine some milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long all readings of a question may take, once. What is not read by then is told so.
const ROUND_MAX: Duration = Duration::from_secs(6);
/// Environments of which readings are kept. Of more the averages begin anew with each question.
const KNOWN_MAX: usize = 1024;

/// What is used, by whom.
pub(crate) struct Meter {
    engine: Arc<dyn Engine>,
    turns: Semaphore,
    known: Mutex<HashMap<Uid, Known>>,
}

/// What is kept of an environment. Who asks while it is being read waits, and is given the same.
struct Known {
    asked: Instant,
    kept: Arc<tokio::sync::Mutex<Option<Kept>>>,
}

struct Kept {
    at: Instant,
    answer: Result<MetricsView, SwarmError>,
    readings: HashMap<ContainerId, Reading>,
}

/// What came of asking for a container.
type Read = Result<Reading, UnreadReason>;

impl Meter {
    /// Of this instance's services in this Swarm.
    pub(crate) fn new(swarm: Arc<dyn SwarmApi>, instance: InstanceId) -> Self {
        Self::of(Arc::new(SwarmEngine::new(swarm, instance)))
    }

    fn of(engine: Arc<dyn Engine>) -> Self {
        Self { engine, turns: Semaphore::new(AT_ONCE), known: Mutex::default() }
    }

    /// What an environment uses. Whether whoever asks may know is asked before.
    pub(crate) async fn read(&self, environment: Uid) -> Result<MetricsView, PortError> {
        let place = self.place(environment);
        let mut kept = place.lock().await;
        let fresh = kept.as_ref().filter(|kept| kept.at.elapsed() < FRESH);
        let answer = match fresh {
            Some(kept) => kept.answer.clone(),
            None => {
                let before = kept.take().filter(|kept| kept.at.elapsed() < BEFORE_MAX);
                let before = before.map(|kept| kept.readings).unwrap_or_default();
                let (answer, readings) = match self.ask(environment, &before).await {
                    Ok((view, readings)) => (Ok(view), readings),
                    Err(error) => (Err(error), HashMap::new()),
                };
                *kept = Some(Kept { at: Instant::now(), answer: answer.clone(), readings });
                answer
            }
        };
        answer.map_err(|error| PortError::EngineUnavailable { source: Box::new(error) })
    }

    /// Where what is known of an environment is kept; nowhere for long if there are too many.
    fn place(&self, environment: Uid) -> Arc<tokio::sync::Mutex<Option<Kept>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Of one that is being asked for, however long that takes, somebody holds the place.
        known.retain(|_, known| now - known.asked < BEFORE_MAX || Arc::strong_count(&known.kept) > 1);
        if known.len() >= KNOWN_MAX && !known.contains_key(&environment) {
            return Arc::default();
        }
        let place = known.entry(environment).or_insert_with(|| Known { asked: now, kept: Arc::default() });
        place.asked = now;
        Arc::clone(&place.kept)
    }

    async fn ask(
        &self,
        environment: Uid,
        before: &HashMap<ContainerId, Reading>,
    ) -> Result<(MetricsView, HashMap<ContainerId, Reading>), SwarmError> {
        let Found { node, mut instances } = self.engine.running(environment).await?;
        instances.sort_by(|one, other| {
            (&one.process, one.slot, &one.id).cmp(&(&other.process, other.slot, &other.id))
        });
        let is_here = |instance: &&Instance| node.is_some() && instance.node == node;
        let here: Vec<ContainerId> =
            instances.iter().filter(is_here).filter_map(|instance| instance.container.clone()).collect();
        let mut readings = self.round(here.iter().take(READ_MAX)).await;
        let is_new =
            |id: &&ContainerId| readings.get(*id).is_some_and(Result::is_ok) && !before.contains_key(*id);
        let new: Vec<ContainerId> = here.iter().filter(is_new).cloned().collect();
        let mut first = HashMap::new();
        if !new.is_empty() {
            sleep(APART).await;
            for (id, again) in self.round(new.iter()).await {
                let Some(reading) = readings.get_mut(&id) else { continue };
                // One that cannot be read again was read once.
                if again.is_ok()
                    && let Ok(reading) = std::mem::replace(reading, again)
                {
                    first.insert(id, reading);
                }
            }
        }
        let usage = |instance: &Instance| -> Result<Usage, UnreadReason> {
            if !is_here(&instance) {
                return Err(UnreadReason::AnotherNode);
            }
            let container = instance.container.as_ref().ok_or(UnreadReason::Ended)?;
            let reading =
                readings.get(container).ok_or(UnreadReason::TooMany)?.as_ref().map_err(|why| *why)?;
            Ok(reading.since(first.get(container).or_else(|| before.get(container))))
        };
        let view = view::view(Timestamp::now(), instances.iter().map(|instance| (instance, usage(instance))));
        Ok((view, readings.into_iter().filter_map(|(id, read)| Some((id, read.ok()?))).collect()))
    }

    /// Reads each of these once.
    async fn round(&self, containers: impl Iterator<Item = &ContainerId>) -> HashMap<ContainerId, Read> {
        let end = Instant::now() + ROUND_MAX;
        let reads = containers.map(|id| async move { (id.clone(), self.one(id, end).await) });
        // Collected first: a stream of borrowing closures has no general lifetime.
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffer_unordered(AT_ONCE_FOR_ONE).collect().await
    }

    async fn one(&self, container: &ContainerId, end: Instant) -> Read {
        let Ok(Ok(_turn)) = timeout_at(end, self.turns.acquire()).await else {
            return Err(UnreadReason::NoAnswer);
        };
        let end = end.min(Instant::now() + PATIENCE);
        match timeout_at(end, self.engine.stats(container)).await {
            Ok(Ok(Some(stats))) => Reading::of(&stats).ok_or(UnreadReason::Ended),
            Ok(Ok(None)) => Err(UnreadReason::Ended),
            Ok(Err(error)) => {
                tracing::debug!(%error, %container, "what a container uses could not be read");
                Err(UnreadReason::Failed)
            }
            Err(_) => Err(UnreadReason::NoAnswer),
        }
    }
}

#[cfg(test)]
mod tests;
