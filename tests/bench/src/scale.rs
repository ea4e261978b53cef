//! One change among many, and memory: what a change and a server cost with few and with many other environments present.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_testbed::EngineVersion;

use crate::ground::Ground;
use crate::report::{Findings, met, percentile, ratio, time};
use crate::server::Server;
use crate::{Options, crowd};

/// How many changes are timed at each size.
const CHANGES: usize = 60;
/// How much longer a change may take among the most than among the fewest.
const FLAT: f64 = 1.2;
/// How much memory an idle server may have, and how much more for each environment.
const IDLE_MIB: f64 = 60.0;
const KIB_EACH: f64 = 15.0;
/// How long after the last environment is ready memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures every size.
pub(crate) fn measure(options: &Options) -> Result<Findings> {
    let ground = Ground::start(EngineVersion::V26_1)?;
    let server = Server::start(&ground, &[("SKEP_RESYNC", "1h")])?;
    let store = ground.store()?;
    ground.apply(&store, &crowd::organisations(&ground.image)?)?;
    ground.wait("organisations to be ready", &crowd::all_ready("Organization", crowd::ORGS))?;
    std::thread::sleep(SETTLE);
    let idle = server.resident()?;
    let mut table = String::new();
    let mut medians: Vec<Duration> = Vec::new();
    let (mut most, mut there) = (idle, 0);
    for size in &options.scales {
        let manifests = crowd::environments(*size)?;
        ground.apply(&store, manifests.get(there..).unwrap_or_default())?;
        there = *size;
        ground.wait("all to be ready", &crowd::all_ready("Environment", *size))?;
        std::thread::sleep(SETTLE);
        most = server.resident()?;
        let mut times = changes(&ground, &store, *size)?;
        times.sort_unstable();
        let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
        let _ = writeln!(
            table,
            "| {size} | {} | {} | {:.1} MiB | {:.1} KiB |",
            time(p50),
            time(p99),
            mib(most),
            kib(most.saturating_sub(idle)) / f64::from(u32::try_from(*size)?)
        );
        medians.push(p50);
    }
    let flat = match (medians.first(), medians.last()) {
        (Some(first), Some(last)) => ratio(*last, *first),
        _ => 1.0,
    };
    let each = kib(most.saturating_sub(idle)) / f64::from(u32::try_from(there.max(1))?);
    let section = format!(
        "| other environments | a change: commit to call, p50 | p99 | memory (RSS) | for each environment |\n|--:|--:|--:|--:|--:|\n\
         | 0 | | | {:.1} MiB | |\n{table}\n\
         Over {CHANGES} changes of one environment at each size, by the journal's own times. A change among {there} takes {flat:.2} times one \
         among the fewest (target: ≤ {FLAT}; {}). An idle server has {:.1} MiB (target: ≤ {IDLE_MIB:.0}; {}) and {each:.1} KiB more for each \
         environment (target: ≤ {KIB_EACH:.0}; {}).",
        mib(idle),
        met(flat <= FLAT),
        mib(idle),
        met(mib(idle) <= IDLE_MIB),
        met(each <= KIB_EACH),
    );
    server.stop()?;
    Ok(Findings::new(section))
}

/// From each commit to the note that its call is about to be made.
fn changes(ground: &Ground, store: &skep_store::Store, size: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let changed = crowd::changed(number % size, &format!("{size}-{number}"))?;
        ground.apply(store, &changed)?;
        let committed = Timestamp::now();
        let key = changed.first().context("one was changed")?.key.to_string();
        let began = Instant::now();
        let started = loop {
            let found = ground.ask(&format!(
                "SELECT to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM plan p JOIN plan_step s ON s.plan = p.id
                 WHERE p.key = '{key}' AND s.started_at > '{committed}' AND p.finished_at IS NOT NULL LIMIT 1"
            ))?;
            if !found.is_empty() {
                break found.parse::<Timestamp>().context("a time")?;
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(30), "{key} was not changed");
            std::thread::sleep(Duration::from_millis(20));
        };
        times.push(started.duration_since(committed).unsigned_abs());
    }
    Ok(times)
}

fn kib(bytes: u64) -> f64 {
    u32::try_from(bytes / 1024).map_or(f64::INFINITY, f64::from)
}

fn mib(bytes: u64) -> f64 {
    kib(bytes) / 1024.0
}
