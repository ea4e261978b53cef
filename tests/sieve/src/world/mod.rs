//! A world: a Swarm, a database and the processes of Skep that connect them, with one time, in one thread.
//!
//! Nothing here happens by itself. A step lets whoever is due say that it is alive, tells processes of changes and events, and then
//! lets one of them make one pass, drawn by the seed from all that are due. Only when nothing is due does time go on, to the
//! next moment at which something is. So a world with the same seed, the same requests and the same fault goes the same way each
//! time, to the last call; its trace says which.
//!
//! What a server's scheduler, streams and timers do is done here in their stead ([`schedule`](crate::schedule)); everything else
//! is the product's own ([`skep_controller::local`]).

mod interrupted;
mod nowhere;
mod rest;
mod turn;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use skep_controller::SafetySettings;
use skep_controller::local::{LEASES, Local, LocalOptions};
use skep_outbound::Outbound;
use skep_planner::Settings;
use skep_planner::policy::reach::Reach;
use skep_planner::safety::RemovalLimits;
use skep_planner::settings::{AnchorImage, EdgeSettings, NetworkPool};
use skep_runtime::{Entropy, Environs};
use skep_schemas::ResourceKey;
use skep_simulator::{Behaviour, SimSwarm, Swarm};
use skep_store::Store;

use crate::clock::{MachineClock, WorldTime};
use crate::database::Database;
use crate::fault::Fault;
use crate::faulty::{Faulty, Made, Switch};
use crate::process::Process;
use crate::proxy::PostgresProxy;
use crate::schedule::Schedule;
use nowhere::Nowhere;

use turn::Act;

/// How often every key is looked at while a world is not at rest.
const RESYNC: Duration = Duration::from_secs(60);
/// How long orphans stay. A world waits for it when there are any.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(60);

/// A world.
pub struct World {
    pub(crate) database: Database,
    pub(crate) swarm: SimSwarm,
    time: WorldTime,
    switch: Arc<Switch>,
    fault: Option<Fault>,
    settings: Settings,
    outbound: Outbound,
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
        let outbound = Outbound::resolving(settings.reach.clone(), Box::new(Nowhere))?;
        Ok(Self {
            database,
            swarm: SimSwarm::new(swarm),
            time: WorldTime::starting_at(start),
            switch: Arc::default(),
            fault: None,
            settings,
            outbound,
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

    pub(crate) const fn outbound(&self) -> &Outbound {
        &self.outbound
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
            outbound: self.outbound.clone(),
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
            self.look().await?;
            return Ok(true);
        }
        match self.next_moment() {
            Some(at) => self.advance_to(at).await.map(|()| true),
            None => Ok(false),
        }
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

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: String) {
        let since = self.now().duration_since(self.time.start()).as_millis();
        self.trace.push(format!("{since:>8} {line}"));
    }
}

async fn settings(store: &Store) -> Result<Settings> {
    let pool = NetworkPool::new("10.200.0.0/16".parse().context("not a range")?, 24)?;
    let edge = EdgeSettings {
        http_entrypoint: "web".to_owned(),
        https_entrypoint: "websecure".to_owned(),
        certificate_resolver: None,
        public_http_port: 80,
        public_https_port: 443,
        drain: None,
        anchor: AnchorImage { image: "anchor:1".to_owned(), args: vec!["wait".to_owned()] },
    };
    // Where some images of changes are.
    let reach = Reach::with(["http://127.0.0.1:5000".parse()?]);
    let settings = skep_controller::settings(store.instance_id().await?, pool, edge, reach)?;
    Ok(Settings { forward_image: Some("skep:1".to_owned()), ..settings })
}
