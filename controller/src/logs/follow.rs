//! One who listens to an environment: what was printed before, then what all its processes print, merged as it comes.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream, SelectAll, Stream};
use jiff::{SignedDuration, Timestamp};
use skep_api::wire::{LogEvent, LogGap, LogGapReason, LogPlace};
use skep_api::{LogItem, LogRequest, PortError};
use skep_planner::RunNumber;
use skep_planner::swarm::ServiceId;
use skep_schemas::{ProcessName, Uid};
use skep_swarm::SwarmError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::engine::{Engine, Service};
use super::feed::{Batch, Feeds, Listener};
use super::line::gap;
use super::loki::{Loki, Printed};
use super::older::{self, Asked};
use super::past::{self, Wanted};
use super::{Environment, beginning, unavailable};

/// How often it is looked whether the environment has other services.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long before the newest line that was told a resumed stream reads again: lines of some nodes come later than those of others.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Bytes of former lines that one who listens may hold.
const PAST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One who listens.
pub(super) struct Follow {
    engine: Arc<dyn Engine>,
    feeds: Arc<Feeds>,
    environment: Environment,
    request: LogRequest,
    /// What was told before the live lines: they may bring it again.
    known: LogPlace,
    /// What was told.
    told: LogPlace,
    services: HashSet<ServiceId>,
    live: SelectAll<BoxStream<'static, (ProcessName, Batch)>>,
    ready: VecDeque<LogItem>,
    look: Interval,
}

impl Follow {
    /// Nothing is told yet.
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        feeds: Arc<Feeds>,
        environment: Environment,
        request: LogRequest,
    ) -> Self {
        let known = beginning(&request);
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            engine,
            feeds,
            environment,
            request,
            told: known.clone(),
            known,
            services: HashSet::new(),
            live: SelectAll::new(),
            ready: VecDeque::new(),
            look,
        }
    }

    /// Joins the feeds, and then reads what was printed before: so nothing is lost between the two.
    pub(super) async fn begin(&mut self, loki: Option<&Loki>) -> Result<(), PortError> {
        let found = find(&*self.engine, self.environment.uid, &self.request).await;
        let services = found.map_err(unavailable)?;
        self.join(&services)?;
        let newest = self.request.after.is_none().then_some(self.request.tail);
        let before = self.known.clone();
        let forgets = before.forgot().then(forgot);
        let mut events = self.past(&services, newest).await.map_err(unavailable)?;
        // What a run printed is kept with it.
        if let Some(loki) = loki.filter(|_| newest != Some(0) && self.request.run.is_none()) {
            // A process without a service may have had one.
            let asked = self.request.process.iter().cloned();
            let processes: BTreeSet<ProcessName> =
                services.into_iter().map(|service| service.process).chain(asked).collect();
            for process in &processes {
                self.older(loki, process, newest, &before, &mut events).await;
            }
            self.told = self.known.clone();
            in_order(&mut events);
        }
        self.put(forgets.into_iter().chain(events).collect());
        Ok(())
    }

    /// Adds what Loki keeps of a process.
    async fn older(
        &mut self,
        loki: &Loki,
        process: &ProcessName,
        newest: Option<u32>,
        before: &LogPlace,
        events: &mut Vec<LogEvent>,
    ) {
        let Environment { org, name, made, .. } = &self.environment;
        let asked = Asked {
            printed: Printed { org, environment: name, process, made: *made },
            instance: self.request.instance.as_ref(),
            since: self.since(),
            newest,
            before: before.clone(),
        };
        let others =
            events.extract_if(.., |event| matches!(event, LogEvent::Line(line) if line.process != *process));
        let others: Vec<LogEvent> = others.collect();
        older::add(loki, asked, events, &mut self.known).await;
        events.extend(others);
    }

    /// From when on it is read: what whoever asks says, or some time before the newest line that he has.
    fn since(&self) -> Option<Timestamp> {
        let resumed = self.request.after.as_ref().and_then(LogPlace::newest);
        resumed.map(|newest| newest.checked_sub(OVERLAP).unwrap_or(newest)).or(self.request.since)
    }

    /// What is told, until it is told; for ever if it is followed.
    pub(super) fn items(self) -> impl Stream<Item = LogItem> + Send + 'static {
        stream::unfold(self, |mut follow| async move {
            loop {
                if let Some(item) = follow.ready.pop_front() {
                    return Some((item, follow));
                }
                if !follow.request.follow {
                    return None;
                }
                follow.advance().await;
            }
        })
    }

    async fn advance(&mut self) {
        tokio::select! {
            Some((process, batch)) = self.live.next() => self.take(&process, batch),
            _ = self.look.tick() => self.look().await,
        }
    }

    /// Listens to services.
    fn join(&mut self, services: &[Service]) -> Result<(), PortError> {
        for service in services {
            self.services.insert(service.id.clone());
            if !self.request.follow {
                continue;
            }
            let listener = self.feeds.listen(service)?;
            let process = service.process.clone();
            let batches =
                stream::unfold((listener, process), |(mut listener, process): (Listener, _)| async move {
                    let batch = listener.next().await?;
                    Some(((ProcessName::clone(&process), batch), (listener, process)))
                });
            self.live.push(batches.boxed());
        }
        Ok(())
    }

    /// What services printed before, in the order of time. Whatever could not be read whole is told first.
    async fn past(&mut self, services: &[Service], newest: Option<u32>) -> Result<Vec<LogEvent>, SwarmError> {
        let resumed = self.request.after.as_ref().and_then(LogPlace::newest);
        let since =
            resumed.map(|newest| newest.checked_sub(OVERLAP).unwrap_or(newest)).or(self.request.since);
        let mut told = Vec::new();
        for service in services {
            let wanted = Wanted {
                instance: self.request.instance.as_ref(),
                newest,
                since: since.map(|since| since.as_second()),
                bytes: PAST_BYTES_MAX / services.len().max(1),
            };
            match past::read(&*self.engine, service, &wanted, &mut self.known).await {
                Ok(events) => told.extend(events),
                // It went while it was looked at.
                Err(SwarmError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        in_order(&mut told);
        self.told = self.known.clone();
        Ok(told)
    }

    /// Tells what the process of a feed printed.
    fn take(&mut self, process: &ProcessName, batch: Batch) {
        let Batch { missed, events } = batch;
        let mut told = Vec::with_capacity(events.len() + 1);
        if missed > 0 {
            let message = format!(
                "{missed} lines of {process} are missing here: it printed more than this reader took"
            );
            told.push(gap(LogGapReason::SlowReader, process, Some(missed), message));
        }
        for event in events {
            if let LogEvent::Line(line) = &*event {
                if self.known.covers(line) {
                    continue;
                }
                self.told.note(line);
            }
            if self.is_wanted(&event) {
                told.push(LogEvent::clone(&event));
            }
        }
        self.put(told);
    }

    fn is_wanted(&self, event: &LogEvent) -> bool {
        let Some(wanted) = &self.request.instance else { return true };
        match event {
            LogEvent::Line(line) => wanted.covers(line.slot, &line.instance),
            LogEvent::Instance(change) => wanted.covers(change.slot, &change.instance),
            LogEvent::Gap(_) => true,
        }
    }

    /// The last of what is told together says where a reader who has it goes on.
    fn put(&mut self, events: Vec<LogEvent>) {
        let last = events.len().saturating_sub(1);
        let place = (!events.is_empty()).then(|| self.told.clone());
        self.ready.extend(
            events
                .into_iter()
                .enumerate()
                .map(|(index, event)| LogItem { event, place: place.clone().filter(|_| index == last) }),
        );
    }

    /// Joins services that are new, from their first line.
    async fn look(&mut self) {
        let found = match find(&*self.engine, self.environment.uid, &self.request).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "it is not known which services an environment has");
                return;
            }
        };
        let (old, new): (Vec<Service>, Vec<Service>) =
            found.into_iter().partition(|service| self.services.contains(&service.id));
        self.services = old.into_iter().map(|service| service.id).collect();
        if new.is_empty() {
            return;
        }
        let told = match self.join(&new) {
            Ok(()) => self.past(&new, None).await,
            Err(_) => {
                let processes: Vec<&str> = new.iter().map(|service| service.process.as_str()).collect();
                let message = format!("{} cannot be followed: too much is already", processes.join(", "));
                let missing = LogGap { reason: LogGapReason::TooMany, process: None, lines: None, message };
                Ok(vec![LogEvent::Gap(missing)])
            }
        };
        match told {
            Ok(told) => self.put(told),
            Err(error) => {
                tracing::debug!(%error, "a new service's lines cannot be read");
                self.put(vec![unread(&new)]);
            }
        }
    }
}

/// Puts lines in the order of their times. What is no line stands before what it is about.
pub(super) fn in_order(events: &mut [LogEvent]) {
    events.sort_by_key(|event| match event {
        LogEvent::Line(line) => Some(line.at),
        LogEvent::Gap(_) | LogEvent::Instance(_) => None,
    });
}

/// The services of the processes, or of the run, that are asked for.
async fn find(
    engine: &dyn Engine,
    environment: Uid,
    request: &LogRequest,
) -> Result<Vec<Service>, SwarmError> {
    let wanted = |service: &Service| {
        let process = request.process.as_ref();
        service.run == request.run.map(RunNumber::new)
            && process.is_none_or(|process| *process == service.process)
    };
    Ok(engine.services(environment).await?.into_iter().filter(wanted).collect())
}

fn unread(services: &[Service]) -> LogEvent {
    let processes: Vec<&str> = services.iter().map(|service| service.process.as_str()).collect();
    let message = format!("the first lines of {} could not be read", processes.join(", "));
    LogEvent::Gap(LogGap { reason: LogGapReason::Connection, process: None, lines: None, message })
}

fn forgot() -> LogEvent {
    let message = "so many instances print that some lines from before may be told twice, or be missing";
    LogEvent::Gap(LogGap {
        reason: LogGapReason::TooMany,
        process: None,
        lines: None,
        message: message.to_owned(),
    })
}
