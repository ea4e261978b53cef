//! One change among many, and memory: what a change and a server cost with few and with many other environments present.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_testbed::EngineVersion;

use crate::ground::Ground;
use crate::report::{Findings, met, percentile, ratio, time};
use crate::server::Server;
use crate::{Options, crowd, simulated, statements};

/// How many changes are timed at each size.
const CHANGES: usize = 60;
/// How much longer a change may take among the most than among the fewest.
const FLAT: f64 = 1.2;
/// How much memory an idle server may have, and how much more for each environment.
const IDLE_MIB: f64 = 60.0;
const KIB_EACH: f64 = 15.0;
/// The most environments that are put on an engine.
const ENGINE_MOST: usize = 1000;
/// How long after the last environment is ready memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);

/// How long after a commit, and how often, it is asked what came of it.
const LOOK: Duration = Duration::from_millis(100);

/// Measures every size: up to [`ENGINE_MOST`] on an engine, and all of them on a simulated Swarm.
pub(crate) fn measure(options: &Options) -> Result<Findings> {
    let mut ground = Ground::start(EngineVersion::V26_1)?;
    let few: Vec<usize> = options.scales.iter().copied().filter(|size| *size <= ENGINE_MOST).collect();
    let server = Server::start(&ground, &[("SKEP_RESYNC", "1h")])?;
    let engine = Curve::measure(&ground, &server, &few, |_| Ok(0))?;
    server.stop()?;
    ground.use_another_database("simulated")?;
    let server = Server::simulated(&ground.database)?;
    let simulated = Curve::measure(&ground, &server, &options.scales, simulated::share)?;
    server.stop()?;
    let mut section = format!(
        "| Swarm | other environments | a change: commit to call, p50 | p99 | memory (RSS) | for each environment |\n|---|--:|--:|--:|--:|--:|\n\
         {}{}\n",
        engine.rows("engine"),
        simulated.rows("simulated"),
    );
    let (idle, each) = (mib(engine.idle), simulated.kib_each());
    let most = simulated.points.last().map_or(0, |point| point.size);
    let _ = write!(
        section,
        "Over {CHANGES} changes of one environment at each size, by the journal's own times. A change among {most} takes {:.2} times one \
         among the fewest on the simulated Swarm (target: ≤ {FLAT}; {}), and {:.2} times on the engine. An idle server has {idle:.1} MiB \
         (target: ≤ {IDLE_MIB:.0}; {}) and, with {most} environments, {each:.1} KiB more for each (target: ≤ {KIB_EACH:.0}; {}). The \
         simulated Swarm is in the server's process; what as many services take in another process that only has a Swarm is taken off.",
        simulated.steepness(),
        met(simulated.steepness() <= FLAT),
        engine.steepness(),
        met(idle <= IDLE_MIB),
        met(each <= KIB_EACH),
    );
    Ok(Findings::new(section))
}

/// What was found at one size.
struct Point {
    size: usize,
    p50: Duration,
    p99: Duration,
    resident: u64,
}

/// What was found on one Swarm.
struct Curve {
    idle: u64,
    points: Vec<Point>,
}

impl Curve {
    /// `others` says how much of the server's memory is not the server's.
    fn measure(
        ground: &Ground,
        server: &Server,
        sizes: &[usize],
        others: impl Fn(&Ground) -> Result<u64>,
    ) -> Result<Self> {
        let store = ground.store()?;
        ground.apply(&store, &crowd::organisations(&ground.image)?)?;
        ground.wait("organisations to be ready", &crowd::all_ready("Organization", crowd::ORGS))?;
        std::thread::sleep(SETTLE);
        let mut curve = Self { idle: server.resident()?, points: Vec::new() };
        let mut there = 0;
        for size in sizes.iter().copied() {
            let manifests = crowd::environments(size)?;
            ground.apply(&store, manifests.get(there..).unwrap_or_default())?;
            there = size;
            let began = Instant::now();
            ground.wait("all to be ready", &crowd::all_ready("Environment", size))?;
            eprintln!("    {size} environments are ready after {}", time(began.elapsed()));
            std::thread::sleep(SETTLE);
            let resident = server.resident()?.saturating_sub(others(ground)?);
            statements::reset(&ground.postgres, &ground.database)?;
            let mut times = changes(ground, &store, size)?;
            statements::tell(&ground.postgres, &ground.database)?;
            times.sort_unstable();
            let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
            curve.points.push(Point { size, p50, p99, resident });
        }
        Ok(curve)
    }

    fn rows(&self, swarm: &str) -> String {
        let mut rows = format!("| {swarm} | 0 | | | {:.1} MiB | |\n", mib(self.idle));
        for point in &self.points {
            let _ = writeln!(
                rows,
                "| {swarm} | {} | {} | {} | {:.1} MiB | {:.1} KiB |",
                point.size,
                time(point.p50),
                time(point.p99),
                mib(point.resident),
                self.each(point),
            );
        }
        rows
    }

    /// How many times longer a change takes among the most than among the fewest.
    fn steepness(&self) -> f64 {
        match (self.points.first(), self.points.last()) {
            (Some(first), Some(last)) => ratio(last.p50, first.p50),
            _ => 1.0,
        }
    }

    /// What the most environments take, each.
    fn kib_each(&self) -> f64 {
        self.points.last().map_or(0.0, |point| self.each(point))
    }

    fn each(&self, point: &Point) -> f64 {
        kib(point.resident.saturating_sub(self.idle))
            / u32::try_from(point.size).map_or(f64::INFINITY, f64::from)
    }
}

/// From each commit to the note that its call is about to be made.
fn changes(ground: &Ground, store: &skep_store::Store, size: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let changed = crowd::changed(number % size, &format!("{size}-{number}"))?;
        // The call may be about to be made before this process hears that its transaction was committed.
        let asked = Timestamp::now();
        ground.apply(store, &changed)?;
        let committed = Timestamp::now();
        let key = changed.first().context("one was changed")?.key.to_string();
        let began = Instant::now();
        let started = loop {
            // Not while it happens: a look goes through all plans, and the more there are, the more it takes from what it looks at.
            std::thread::sleep(LOOK);
            let found = ground.ask(&format!(
                "SELECT to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM plan p JOIN plan_step s ON s.plan = p.id
                 WHERE p.key = '{key}' AND s.started_at > '{asked}' AND p.finished_at IS NOT NULL LIMIT 1"
            ))?;
            if !found.is_empty() {
                break found.parse::<Timestamp>().context("a time")?;
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(30), "{key} was not changed");
        };
        times.push(Duration::try_from(started.duration_since(committed)).unwrap_or_default());
    }
    Ok(times)
}

fn kib(bytes: u64) -> f64 {
    u32::try_from(bytes / 1024).map_or(f64::INFINITY, f64::from)
}

fn mib(bytes: u64) -> f64 {
    kib(bytes) / 1024.0
}
