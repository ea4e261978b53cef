//! A world: a Swarm, a database and the processes of Skep that connect them, with one time, in one thread.
//!
//! Nothing here happens by itself. A step lets whoever is due say that it is alive, tells processes of changes and events, and then
//! lets one of them make one pass, drawn by the seed from all that are due. Only when nothing is due does time go on, to the
//! next moment at which something is. So a world with the same seed, the same requests and the same fault goes the same way each
//! time, to the last call; its trace says which.
//!
//! What a server's scheduler, streams and timers do is done here in their stead ([`schedule`](crate::schedule)); everything else
//! is the product's own ([`skep_controller::local`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use skep_controller::SafetySettings;
use skep_controller::local::{LEASE, LEASES, Local, LocalOptions, Passed};
use skep_planner::Settings;
use skep_planner::safety::RemovalLimits;
use skep_planner::settings::{AnchorImage, EdgeSettings, NetworkPool};
use skep_runtime::{Entropy, Environs, Priority};
use skep_schemas::ResourceKey;
use skep_simulator::{Behaviour, SimSwarm, Swarm};
use skep_store::Store;

use crate::clock::{MachineClock, WorldTime};
use crate::database::Database;
use crate::fault::{Fault, Kind};
use crate::faulty::{Faulty, Interruption, Made, Paused, Switch};
use crate::process::Process;
use crate::proxy::PostgresProxy;
use crate::schedule::Schedule;

/// How often a process says that it is alive: seldom enough to cost little, often enough for its leases.
const BEAT: Duration = Duration::from_secs(2);
/// How soon it says so again when that failed, as a server does.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
/// How long another process works before the one that stood still goes on: longer than any workflow's roll-out.
const STANDS_FOR: Duration = Duration::from_secs(40);
/// How often every key is looked at while a world is not at rest.
const RESYNC: Duration = Duration::from_secs(60);
/// How long what somebody else made by the name of one of ours stays.
const FOREIGN_FOR: Duration = Duration::from_secs(5);
/// How long orphans stay. A world waits for it when there are any.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(60);
/// Steps after which a world is said never to come to rest: many times what any workflow takes.
const STEPS_MAX: usize = 4000;
/// Changes that are read at a time.
const CHANGES_MAX: u32 = 500;

/// What a process does when it is its turn.
#[derive(Debug, Clone)]
enum Act {
    Beat,
    Listen,
    Pass(ResourceKey),
    Survey,
    CloseCutOff,
    WatchHolds,
    Resync,
}

/// A world.
pub struct World {
    pub(crate) database: Database,
    pub(crate) swarm: SimSwarm,
    time: WorldTime,
    switch: Arc<Switch>,
    fault: Option<Fault>,
    settings: Settings,
    store: Store,
    proxy: Option<PostgresProxy>,
    processes: Vec<Process>,
    started: usize,
    kept: BTreeMap<String, Swarm>,
    rng: StdRng,
    entropy: Entropy,
    /// The position of the first event after the fault was ordered.
    events_from: u64,
    foreign_until: Option<Timestamp>,
    /// When every key is looked at again, if it is not at rest by then.
    resyncs: Timestamp,
    silent: bool,
    trace: Vec<String>,
}

impl World {
    /// A world over an empty database, without processes.
    pub async fn new(url: &str) -> Result<Self> {
        let swarm = Swarm::new(Behaviour::V26_1);
        let start = swarm.now();
        let database = Database::new(url, start).await?;
        let store = database.connect().await?;
        let settings = settings(&store).await?;
        Ok(Self {
            database,
            swarm: SimSwarm::new(swarm),
            time: WorldTime::starting_at(start),
            switch: Arc::default(),
            fault: None,
            settings,
            store,
            proxy: None,
            processes: Vec::new(),
            started: 0,
            kept: BTreeMap::new(),
            rng: StdRng::seed_from_u64(0),
            entropy: Entropy::seeded(0),
            events_from: 0,
            foreign_until: None,
            resyncs: start + RESYNC,
            silent: false,
            trace: Vec::new(),
        })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// The Swarm, to look at and to change by hand.
    pub const fn swarm(&self) -> &SimSwarm {
        &self.swarm
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn machine(&self) -> MachineClock {
        self.time.machine()
    }

    pub(crate) fn entropy(&self) -> Entropy {
        self.entropy.clone()
    }

    /// Lets happen what is due in the Swarm, before there is any process.
    pub(crate) async fn until_swarm_is_quiet(&mut self) -> Result<()> {
        while let Some(at) = self.swarm.with(|swarm| swarm.next_due()) {
            self.advance_to(at).await?;
        }
        Ok(())
    }

    /// Members that have ended are forgotten, and their leases are free.
    pub async fn forget_members(&mut self) -> Result<()> {
        self.database.run("DELETE FROM controller_member; UPDATE lease SET expires_at = '-infinity'").await
    }

    /// The store, as the API's side of a process uses it.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The database, to look at.
    pub const fn database(&mut self) -> &mut Database {
        &mut self.database
    }

    /// What happened so far, one line each.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The mutating calls since the world was last kept or restored.
    pub fn made(&self) -> Vec<Made> {
        self.switch.made()
    }

    /// How many events there were since then.
    pub fn events(&self) -> u64 {
        self.swarm.with(|swarm| swarm.event_position()) - self.events_from
    }

    /// How many statements there were since then, if they are counted.
    pub fn statements(&self) -> usize {
        self.proxy.as_ref().map_or(0, PostgresProxy::statements)
    }

    /// Has what was ordered come about?
    pub fn fired(&self) -> bool {
        let lost = self.proxy.as_ref().is_some_and(|proxy| proxy.lost() > 0);
        let position = self.swarm.with(|swarm| swarm.event_position());
        self.switch.fired() || lost || self.dropped_event().is_some_and(|at| at < position)
    }

    /// Keeps everything as it is under this name. Processes are no part of it.
    pub async fn keep(&mut self, name: &str) -> Result<()> {
        self.database.keep(name).await?;
        self.kept.insert(name.to_owned(), self.swarm.snapshot());
        Ok(())
    }

    /// Is there something that was kept under this name?
    pub fn has(&self, name: &str) -> bool {
        self.kept.contains_key(name)
    }

    /// Puts everything back as it was kept, without processes.
    pub async fn restore(&mut self, name: &str) -> Result<()> {
        self.stop_all().await?;
        let swarm = self.kept.get(name).with_context(|| format!("nothing was kept as {name}"))?.clone();
        let now = swarm.now();
        self.swarm = SimSwarm::new(swarm);
        self.database.restore(name).await?;
        self.database.set_time(now).await?;
        self.time = WorldTime::starting_at(now);
        self.started = 0;
        self.foreign_until = None;
        self.resyncs = now + RESYNC;
        self.silent = false;
        self.trace.clear();
        Ok(())
    }

    /// From now on this seed draws, and this goes wrong. Processes that are started from here on are subject to it.
    pub async fn order(&mut self, seed: u64, fault: Option<Fault>, count_statements: bool) -> Result<()> {
        self.rng = StdRng::seed_from_u64(seed);
        self.entropy = Entropy::seeded(seed);
        self.switch.order(fault);
        self.fault = fault;
        self.events_from = self.swarm.with(|swarm| swarm.event_position());
        if count_statements && self.proxy.is_none() {
            self.proxy = Some(PostgresProxy::start(self.database.url(), Arc::clone(&self.switch)).await?);
        }
        if let Some(proxy) = &self.proxy {
            proxy.begin(count_statements.then_some(fault).flatten());
        }
        if !count_statements {
            self.proxy = None;
        }
        Ok(())
    }

    /// Starts a process. It gets its leases when they are free.
    pub async fn start(&mut self) -> Result<()> {
        self.started += 1;
        let name = format!("p{}", self.started);
        let store = match &self.proxy {
            Some(proxy) => self.database.connect_to(&proxy.url_for(self.database.url())?).await?,
            None => self.store.clone(),
        };
        let clock = self.time.machine();
        let faulty = Faulty::new(self.swarm.clone(), Arc::clone(&self.switch));
        let local = Local::new(LocalOptions {
            name: name.clone(),
            store: store.clone(),
            swarm: Arc::new(faulty),
            settings: self.settings.clone(),
            safety: SafetySettings { limits: RemovalLimits::USUAL, orphan_grace: ORPHAN_GRACE },
            environs: Environs { clock: Arc::new(clock.clone()), entropy: self.entropy.clone() },
        });
        let read = self.store.cursor().await?;
        let heard = self.swarm.with(|swarm| swarm.event_position());
        let (beats, schedule) = (self.now(), Schedule::default());
        self.note(format!("{name} starts"));
        self.processes.push(Process {
            name,
            local,
            store,
            clock,
            read,
            heard,
            schedule,
            beats,
            behind: false,
            led: false,
        });
        Ok(())
    }

    /// Ends all processes, as a crash does.
    pub async fn stop_all(&mut self) -> Result<()> {
        for process in std::mem::take(&mut self.processes) {
            self.bury(process).await?;
        }
        Ok(())
    }

    /// What a process leaves behind is gone when its connections are.
    async fn bury(&mut self, process: Process) -> Result<()> {
        drop(process);
        match &self.proxy {
            Some(proxy) => proxy.cut_all().await,
            None => self.store.ping().await?,
        }
        Ok(())
    }

    /// Lets things happen until nothing is due any more.
    pub async fn until_quiet(&mut self) -> Result<()> {
        for _ in 0..STEPS_MAX {
            if !self.step().await? {
                return Ok(());
            }
        }
        bail!("it does not come to rest within {STEPS_MAX} steps")
    }

    /// Lets happen what happens in so much time: for a world that does not come to rest before somebody does something.
    pub async fn for_a_while(&mut self, time: Duration) -> Result<()> {
        let end = self.now() + time;
        while self.now() < end {
            if !self.step().await? {
                return self.advance_to(end).await;
            }
        }
        Ok(())
    }

    /// Lets so many steps happen, or less if nothing is due before.
    pub async fn steps(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            if !self.step().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One step; `false` when there is nothing to do.
    pub async fn step(&mut self) -> Result<bool> {
        let now = self.now();
        for name in self.names() {
            self.look_alive(&name, now).await?;
        }
        for name in self.names() {
            self.act(&name, Act::Listen).await?;
        }
        if let Some((name, key)) = self.draw(now) {
            self.act(&name, Act::Pass(key)).await?;
            return Ok(true);
        }
        if self.foreign_until.is_some_and(|until| until <= now) {
            self.take_foreign_away().await;
            return Ok(true);
        }
        if self.resyncs <= now {
            self.resyncs = now + RESYNC;
            for name in self.names() {
                self.act(&name, Act::Resync).await?;
            }
            return Ok(true);
        }
        match self.next_moment() {
            Some(at) => self.advance_to(at).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Everything that a server does from time to time, and then whatever follows from it.
    pub async fn housekeeping(&mut self) -> Result<()> {
        self.keep_house().await?;
        self.until_quiet().await
    }

    /// Every key is looked at once more, and whatever follows from it is done.
    pub async fn resync(&mut self) -> Result<()> {
        self.wake_all().await?;
        self.until_quiet().await
    }

    /// Everything that a server does from time to time.
    pub(crate) async fn keep_house(&mut self) -> Result<()> {
        for name in self.names() {
            for act in [Act::Survey, Act::CloseCutOff, Act::WatchHolds] {
                self.act(&name, act).await?;
            }
        }
        Ok(())
    }

    /// Every key is to be looked at once more.
    pub async fn wake_all(&mut self) -> Result<()> {
        for name in self.names() {
            self.act(&name, Act::Resync).await?;
        }
        Ok(())
    }

    /// Everything that a server looks at from time to time, and whatever follows from it.
    pub async fn look_at_everything(&mut self) -> Result<()> {
        self.housekeeping().await?;
        self.resync().await?;
        self.housekeeping().await
    }

    /// Did nothing come of the last look at everything? Then there was no call that changes something, and no row was written.
    pub const fn was_silent(&self) -> bool {
        self.silent
    }

    /// Comes to rest as a world does in which time goes on: with the periodic looks, and until orphans are collected.
    pub async fn come_to_rest(&mut self) -> Result<()> {
        self.until_quiet().await?;
        self.switch.refresh();
        let (calls, before) = (self.made().len(), self.database.written().await?);
        self.look_at_everything().await?;
        self.silent = self.made().len() == calls && self.database.written().await? == before;
        let orphans = self.database.rows("SELECT object_id FROM orphan").await?;
        if !orphans.is_empty() {
            self.note(format!("{} orphans wait for their end", orphans.len()));
            self.silent = false;
            self.advance_by(ORPHAN_GRACE).await?;
            self.until_quiet().await?;
            self.housekeeping().await?;
        }
        Ok(())
    }

    /// Lets time pass, and happen in the Swarm what is due in it; processes do nothing meanwhile.
    pub async fn advance_by(&mut self, by: Duration) -> Result<()> {
        self.advance_to(self.now() + by).await
    }

    async fn advance_to(&mut self, at: Timestamp) -> Result<()> {
        let at = at.max(self.now());
        self.swarm.with(|swarm| swarm.advance_to(at));
        self.time.set(at);
        self.database.set_time(at).await
    }

    fn names(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.name.clone()).collect()
    }

    fn find(&mut self, name: &str) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.name == name)
    }

    /// A process says that it is alive if it is time, and takes up the work of the cluster if that became its own.
    async fn look_alive(&mut self, name: &str, now: Timestamp) -> Result<()> {
        if self.find(name).is_some_and(|process| process.beats <= now) {
            self.act(name, Act::Beat).await?;
        }
        let Some(process) = self.find(name) else { return Ok(()) };
        let leads = process.local.leads();
        if leads && !std::mem::replace(&mut process.led, leads) {
            self.act(name, Act::Survey).await?;
            self.act(name, Act::CloseCutOff).await?;
        }
        Ok(())
    }

    /// One of the passes that are due.
    fn draw(&mut self, now: Timestamp) -> Option<(String, ResourceKey)> {
        let mut due: Vec<(String, ResourceKey)> = self
            .processes
            .iter()
            .flat_map(|process| process.due(now).into_iter().map(|key| (process.name.clone(), key)))
            .collect();
        if due.is_empty() {
            return None;
        }
        let index = self.rng.random_range(0..due.len());
        Some(due.swap_remove(index))
    }

    /// When something happens next; nothing if only signs of life would.
    fn next_moment(&self) -> Option<Timestamp> {
        let due = self.swarm.with(|swarm| swarm.next_due());
        let keys = self.processes.iter().filter_map(|process| process.schedule.next());
        let next = keys.chain(due).chain(self.foreign_until).min();
        let leases: usize = self.processes.iter().map(|process| process.local.leases()).sum();
        let beats = self.processes.iter().map(|process| process.beats).min();
        let behind = leases != LEASES || self.processes.iter().any(|process| process.behind);
        if next.is_none() && (!behind || self.processes.is_empty()) {
            return None;
        }
        next.into_iter().chain(beats).min()
    }

    /// Lets a process do something, and whatever goes wrong with that.
    async fn act(&mut self, name: &str, act: Act) -> Result<()> {
        let Some(at) = self.processes.iter().position(|process| process.name == name) else { return Ok(()) };
        let mut process = self.processes.remove(at);
        let (now, switch, clock) = (self.now(), Arc::clone(&self.switch), process.clock.clone());
        let hints = Hints { swarm: self.swarm.clone(), dropped: self.dropped_event() };
        let entropy = self.entropy.clone();
        let mut done = Box::pin(perform(&mut process, act, now, &hints, &entropy));
        let interruption = tokio::select! {
            biased;
            interruption = switch.interrupted() => interruption,
            line = &mut done => {
                drop(done);
                self.processes.insert(at.min(self.processes.len()), process);
                self.note_all(line);
                return Ok(());
            }
        };
        match interruption {
            Interruption::Crashed => {
                drop(done);
                self.note(format!("{name} crashes"));
                self.bury(process).await?;
                return self.start().await;
            }
            Interruption::Paused(paused) => {
                self.note(format!("{name} stands still"));
                Box::pin(self.take_over(paused)).await?;
                if self.fault.is_some_and(|fault| fault.kind == Kind::Takeover) {
                    clock.stood_still(self.now().duration_since(now).unsigned_abs());
                }
            }
        }
        let line = done.await;
        self.note(format!("{name} goes on"));
        self.note_all(line);
        self.processes.push(process);
        Ok(())
    }

    /// Another process takes over and comes to rest; then the call that was under way goes through.
    async fn take_over(&mut self, paused: Box<Paused>) -> Result<()> {
        self.start().await?;
        self.advance_by(LEASE + Duration::from_secs(1)).await?;
        // Not until it comes to rest: it may wait for somebody.
        self.for_a_while(STANDS_FOR).await?;
        paused.let_through(&Faulty::new(self.swarm.clone(), Arc::clone(&self.switch))).await;
        Ok(())
    }

    async fn take_foreign_away(&mut self) {
        self.foreign_until = None;
        for call in self.switch.take_foreign() {
            // Gone already is as good.
            drop(call.send(&self.swarm).await);
        }
    }

    fn dropped_event(&self) -> Option<u64> {
        let fault = self.fault.filter(|fault| fault.kind == Kind::DroppedEvent)?;
        Some(self.events_from + u64::try_from(fault.point).unwrap_or(u64::MAX))
    }

    fn note_all(&mut self, lines: Vec<String>) {
        for line in lines {
            self.note(line);
        }
        if self.foreign_until.is_none() && self.switch.has_foreign() {
            self.foreign_until = Some(self.now() + FOREIGN_FOR);
        }
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: String) {
        let since = self.now().duration_since(self.time.start()).as_millis();
        self.trace.push(format!("{since:>8} {line}"));
    }
}

/// The events of the Swarm, one of which nobody hears.
struct Hints {
    swarm: SimSwarm,
    dropped: Option<u64>,
}

/// What a process does when it is its turn; what there is to tell of it.
async fn perform(
    process: &mut Process,
    act: Act,
    now: Timestamp,
    hints: &Hints,
    entropy: &Entropy,
) -> Vec<String> {
    let name = process.name.clone();
    let mut lines = Vec::new();
    match act {
        Act::Beat => {
            let before = process.local.leases();
            let beat = process.local.beat().await;
            process.behind = beat.is_err();
            process.beats = now + if process.behind { BEAT_AGAIN } else { BEAT };
            let after = process.local.leases();
            if let Err(error) = beat {
                lines.push(format!("{name} {}", words(&error)));
            } else if before != after {
                lines.push(format!("{name} holds {after} leases"));
            }
        }
        Act::Listen => {
            match process.store.changes(process.read, CHANGES_MAX).await {
                Ok(page) => {
                    process.read = page.cursor;
                    if !page.changes.is_empty()
                        && let Err(error) = process.local.changed(&page.changes).await
                    {
                        lines.push(format!("{name} {}", words(&error)));
                    }
                }
                Err(error) => lines.push(format!("{name} {}", words(&error))),
            }
            let from = process.heard;
            let (heard, position) = hints.swarm.with(|swarm| swarm.events_since(from));
            process.heard = position;
            // The engine keeps so many: what is older is lost to everybody.
            let first = position - u64::try_from(heard.len()).unwrap_or_default();
            for (hint, at) in heard.iter().zip(first..) {
                if hints.dropped != Some(at) {
                    process.local.heard(hint).await;
                }
            }
        }
        Act::Pass(key) => {
            let trigger = process.schedule.take(&key);
            let passed = process.local.pass(&key, trigger).await;
            process.schedule.passed(&key, &passed, now, entropy);
            lines.push(format!("{name} passes {key} by {trigger}: {}", outcome(&passed)));
        }
        Act::Survey if process.local.leads() => match process.local.survey().await {
            Ok(found) => lines.push(format!("{name} surveys: {found}")),
            Err(error) => {
                // A task that failed is tried again.
                process.led = false;
                lines.push(format!("{name} {}", words(&error)));
            }
        },
        Act::CloseCutOff if process.local.leads() => {
            if let Err(error) = process.local.close_cut_off().await {
                lines.push(format!("{name} {}", words(&error)));
            }
        }
        Act::Survey | Act::CloseCutOff => {}
        Act::WatchHolds => match process.local.watch_holds().await {
            Ok(0) => {}
            Ok(holds) => lines.push(format!("{name} sees {holds} holds")),
            Err(error) => lines.push(format!("{name} {}", words(&error))),
        },
        Act::Resync => {
            if let Err(error) = process.local.resync(Priority::Resync).await {
                lines.push(format!("{name} {}", words(&error)));
            }
        }
    }
    process.collect(now);
    lines
}

fn outcome(passed: &Passed) -> String {
    match passed {
        Passed::AwaitChange => "done".to_owned(),
        Passed::RequeueAfter(after) => format!("again in {after:?}"),
        Passed::Failed { disposition, why } => format!("{disposition:?}: {why}"),
    }
}

fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

async fn settings(store: &Store) -> Result<Settings> {
    let pool = NetworkPool::new("10.200.0.0/16".parse().context("not a range")?, 24)?;
    let edge = EdgeSettings {
        http_entrypoint: "web".to_owned(),
        https_entrypoint: "websecure".to_owned(),
        certificate_resolver: None,
        public_http_port: 80,
        public_https_port: 443,
        anchor: AnchorImage { image: "anchor:1".to_owned(), args: vec!["wait".to_owned()] },
    };
    Ok(skep_controller::settings(store.instance_id().await?, pool, edge)?)
}
