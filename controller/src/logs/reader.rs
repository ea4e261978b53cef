//! The one reader of a service: follows its lines at the engine, fills the feed, and goes on after whatever breaks.
//!
//! After a break it reads from some time before it and takes out what it had, so what was printed meanwhile comes as far as the engine
//! keeps it. The break is told all the same: what the engine threw away meanwhile nobody can know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use skep_api::wire::{InstanceChange, InstanceState, LogEvent, LogGapReason, LogPlace};
use skep_swarm::{LogLineStream, LogQuery, SwarmError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::engine::{Engine, Instance, Service};
use super::feed::Feed;
use super::line::{Slots, gap, read as line, slots};

/// How long before a break, or before its beginning, a reader begins: more than clocks of nodes are apart, and than lines take.
const OVERLAP: SignedDuration = SignedDuration::from_secs(30);
/// How often the instances of a service are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How soon they are looked at again when a line comes from one that is not known.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The pause before a broken connection is made again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Lines that are taken from the engine at a time.
const CHUNK: usize = 256;

/// Reads until the service is gone.
pub(super) async fn read(engine: Arc<dyn Engine>, service: Service, feed: Arc<Feed>) {
    let mut reader = Reader {
        engine,
        service,
        feed,
        told: LogPlace::since(Timestamp::MIN),
        heard: Timestamp::now(),
        instances: None,
        looked: None,
    };
    reader.run().await;
    reader.feed.close();
}

struct Reader {
    engine: Arc<dyn Engine>,
    service: Service,
    feed: Arc<Feed>,
    /// What was put into the feed.
    told: LogPlace,
    /// When the engine last said something, or the reader began.
    heard: Timestamp,
    /// Which instances there are; not known before the first look.
    instances: Option<HashMap<String, Instance>>,
    looked: Option<Instant>,
}

/// How following came to an end.
enum End {
    /// The engine closed it, or said nothing for long. Nothing is lost: the next one begins before.
    Quiet,
    /// The connection broke.
    Broken,
}

impl Reader {
    async fn run(&mut self) {
        let mut is_broken = false;
        let mut pause = PAUSE.0;
        loop {
            let since = self.heard.checked_sub(OVERLAP).unwrap_or(self.heard);
            let query = LogQuery { follow: true, tail: None, since: Some(since.as_second()) };
            match self.engine.lines(&self.service.id, &query).await {
                Ok(lines) => {
                    if std::mem::take(&mut is_broken) {
                        self.mark("the connection to the engine is back; what was printed meanwhile follows as far as the engine has it");
                    }
                    let before = self.heard;
                    is_broken = matches!(self.follow(lines).await, End::Broken);
                    if is_broken {
                        self.mark("the connection to the engine was lost");
                    }
                    if self.heard > before {
                        pause = PAUSE.0;
                    }
                }
                Err(SwarmError::NotFound { .. }) => return,
                Err(error) => {
                    tracing::debug!(%error, process = %self.service.process, "a log cannot be followed");
                    if !std::mem::replace(&mut is_broken, true) {
                        self.mark("the connection to the engine was lost");
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn mark(&self, what: &str) {
        let message = format!("{}: {what}; lines may be missing here", self.service.process);
        self.feed.push([gap(LogGapReason::Connection, &self.service.process, None, message)]);
    }

    async fn follow(&mut self, lines: LogLineStream) -> End {
        let mut known = self.told.clone();
        let mut lines = lines.ready_chunks(CHUNK);
        let mut look = interval_at(Instant::now(), LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look().await,
                chunk = lines.next() => {
                    let Some(chunk) = chunk else { return End::Quiet };
                    self.heard = Timestamp::now();
                    if let Some(end) = self.take(chunk, &mut known).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Puts lines into the feed; tells how following ended, if it did.
    async fn take(
        &mut self,
        chunk: Vec<Result<skep_swarm::LogLine, SwarmError>>,
        known: &mut LogPlace,
    ) -> Option<End> {
        let mut end = None;
        let mut fresh = Vec::with_capacity(chunk.len());
        for told in chunk {
            match told {
                Ok(told) => fresh.push(told),
                Err(SwarmError::Timeout { .. }) => end = Some(End::Quiet),
                Err(error) => {
                    tracing::debug!(%error, process = %self.service.process, "following a log broke");
                    end = Some(End::Broken);
                }
            }
        }
        let mut slots = self.slots();
        let mut events = Vec::with_capacity(fresh.len());
        for told in fresh {
            let mut event = line(told, &self.service.process, &slots);
            if let LogEvent::Line(line) = &mut event {
                if known.covers(line) {
                    continue;
                }
                if !slots.contains_key(&line.instance) && self.may_look() {
                    // What came before is told before what has changed.
                    self.feed.push(events.drain(..));
                    self.look().await;
                    slots = self.slots();
                    line.slot = slots.get(&line.instance).copied().flatten();
                }
                self.told.note(line);
            }
            events.push(event);
        }
        self.feed.push(events);
        end
    }

    fn slots(&self) -> Slots {
        self.instances.iter().flatten().map(|(id, instance)| (id.clone(), instance.slot)).collect()
    }

    fn may_look(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN)
    }

    /// Looks which instances there are, and tells which came and went since the last look.
    async fn look(&mut self) {
        self.looked = Some(Instant::now());
        let found = match self.engine.instances(&self.service.id).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, process = %self.service.process, "instances are not known");
                return;
            }
        };
        let now: HashMap<String, Instance> =
            found.into_iter().map(|instance| (instance.id.clone(), instance)).collect();
        if let Some(before) = &self.instances {
            self.feed.push(changes(before, &now).into_iter().map(|(instance, state)| {
                LogEvent::Instance(InstanceChange {
                    process: self.service.process.clone(),
                    instance: instance.id,
                    slot: instance.slot,
                    state,
                    exit_code: instance.exit_code.filter(|_| state == InstanceState::Ended),
                })
            }));
        }
        self.instances = Some(now);
    }
}

/// Which instances ended since, and which run now; those that ended first.
fn changes(
    before: &HashMap<String, Instance>,
    now: &HashMap<String, Instance>,
) -> Vec<(Instance, InstanceState)> {
    let ran = |id: &str, instances: &HashMap<String, Instance>| instances.get(id).is_some_and(|one| one.runs);
    let mut ended: Vec<Instance> = before
        .values()
        .filter(|one| one.runs && !ran(&one.id, now))
        .map(|one| now.get(&one.id).unwrap_or(one).clone())
        .collect();
    let mut began: Vec<Instance> =
        now.values().filter(|one| one.runs && !ran(&one.id, before)).cloned().collect();
    for list in [&mut ended, &mut began] {
        list.sort_by(|a, b| (a.slot, &a.id).cmp(&(b.slot, &b.id)));
    }
    let ended = ended.into_iter().map(|one| (one, InstanceState::Ended));
    ended.chain(began.into_iter().map(|one| (one, InstanceState::Running))).collect()
}

/// The numbers of a service's instances, for whoever reads once.
pub(super) async fn numbers(engine: &dyn Engine, service: &Service) -> Result<Slots, SwarmError> {
    Ok(slots(&engine.instances(&service.id).await?))
}
