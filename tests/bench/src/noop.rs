//! What it costs to look at everything when nothing has changed, and to do nothing at all.

use std::time::Duration;

use anyhow::{Context, Result};
use skep_testbed::EngineVersion;

use crate::ground::{Ground, Used};
use crate::report::{Findings, met, ratio, time};
use crate::server::Server;
use crate::tap::Tap;
use crate::{Options, crowd, stack, statements};

/// The size that the targets speak of.
const TARGET_SIZE: usize = 500;
/// How many times cheaper a look at everything has to be than `docker stack deploy` without a change.
const CHEAPER: f64 = 20.0;
/// How often everything is looked at while it is measured, and over how many of these times.
const EVERY: Duration = Duration::from_secs(10);
const TIMES: u32 = 3;
/// How long a server has to be quiet before it counts as idle.
const QUIET: Duration = Duration::from_secs(5);

/// What a while cost.
struct Cost {
    skep: Duration,
    postgres: Duration,
    engine: Duration,
    calls: f64,
    writes: f64,
    statements: u64,
    bytes: (u64, u64),
}

/// Measures the size of the target.
pub(crate) fn measure(_: &Options) -> Result<Findings> {
    let size = TARGET_SIZE;
    let ground = Ground::start(EngineVersion::V26_1)?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), crowd::stack_file(&ground.image, size))?;
    stack::deploy(&ground, file.path())?;
    let again = stack::deploy(&ground, file.path())?.min(stack::deploy(&ground, file.path())?);
    stack::remove(&ground)?;
    let (engine, database) = (Tap::of_unix(&ground.engine.socket())?, Tap::of_tcp(&ground.database)?);
    let (docker_host, url) = (engine.docker_host(), database.url(&ground.database)?);
    let env = |resync: &'static str| {
        [("SKEP_RESYNC", resync), ("DOCKER_HOST", docker_host.as_str()), ("SKEP_DATABASE_URL", url.as_str())]
    };
    let server = Server::start(&ground, &env("1h"))?;
    let token = server.token().context("an empty database gets a token")?.to_owned();
    let store = ground.store()?;
    ground.apply(&store, &crowd::organisations(&ground.image)?)?;
    ground.wait("organisations to be ready", &crowd::all_ready("Organization", crowd::ORGS))?;
    ground.apply(&store, &crowd::environments(size)?)?;
    ground.wait("all to be ready", &crowd::all_ready("Environment", size))?;
    std::thread::sleep(QUIET);
    let window = EVERY * TIMES;
    let taps = [&engine, &database];
    let idle = cost(&ground, &server, &token, taps, window)?;
    server.stop()?;
    let server = Server::start(&ground, &env("10s"))?;
    // A server that has just started looks at everything once.
    std::thread::sleep(EVERY + QUIET);
    let busy = cost(&ground, &server, &token, taps, window)?;
    server.stop()?;
    let all = |cost: &Cost| cost.skep + cost.postgres + cost.engine;
    let each = |busy: Duration, idle: Duration| busy.saturating_sub(idle) / TIMES;
    let whole = each(all(&busy), all(&idle));
    let cheaper = ratio(again.cpu, whole);
    let per = |busy: f64, idle: f64| ((busy - idle) / f64::from(TIMES)).max(0.0);
    let count = |number: u64| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    let minute = |idle: Duration| idle.mul_f64(60.0 / window.as_secs_f64());
    let per_minute = |idle: f64| idle * 60.0 / window.as_secs_f64();
    let kib = |bytes: u64| count(bytes) / 1024.0;
    let section = format!(
        "| | a look at {size} converged environments | an idle minute |\n|---|--:|--:|\n\
         | CPU of skep | {} | {} |\n| CPU of Postgres | {} | {} |\n| CPU of the engine | {} | {} |\n\
         | calls to the engine | {:.0} | {:.0} |\n| of which write | {:.0} | {:.0} |\n| statements | {:.0} | {:.0} |\n\
         | KiB to and from the engine | {:.0} | {:.0} |\n| KiB to and from Postgres | {:.0} | {:.0} |\n\n\
         `docker stack deploy` of {size} services without a change takes {} and {} of CPU, client and engine together. Skep's look costs \
         {} of CPU, of all three together: {cheaper:.1} times less (target: at least {CHEAPER:.0}; {}). Writes to the engine when nothing \
         changed: {:.0} (target: 0; {}).",
        time(each(busy.skep, idle.skep)),
        time(minute(idle.skep)),
        time(each(busy.postgres, idle.postgres)),
        time(minute(idle.postgres)),
        time(each(busy.engine, idle.engine)),
        time(minute(idle.engine)),
        per(busy.calls, idle.calls),
        per_minute(idle.calls),
        busy.writes,
        idle.writes,
        per(count(busy.statements), count(idle.statements)),
        per_minute(count(idle.statements)),
        per(kib(busy.bytes.0), kib(idle.bytes.0)),
        per_minute(kib(idle.bytes.0)),
        per(kib(busy.bytes.1), kib(idle.bytes.1)),
        per_minute(kib(idle.bytes.1)),
        time(again.took),
        time(again.cpu),
        time(whole),
        met(cheaper >= CHEAPER),
        busy.writes,
        met(busy.writes == 0.0),
    );
    Ok(Findings::new(section))
}

fn cost(ground: &Ground, server: &Server, token: &str, taps: [&Tap; 2], window: Duration) -> Result<Cost> {
    let look = || -> Result<(Duration, Used, f64, f64, [u64; 2])> {
        let calls = server.counter("skep_swarm_call_seconds_count", token, "")?;
        let writes = ["create", "update", "remove", "connect"]
            .iter()
            .map(|verb| server.counter("skep_swarm_call_seconds_count", token, &format!("verb=\"{verb}")));
        let writes = writes.sum::<Result<f64>>()?;
        Ok((server.cpu()?.0, ground.used()?, calls, writes, taps.map(Tap::bytes)))
    };
    statements::reset(&ground.postgres, &ground.database)?;
    let before = look()?;
    std::thread::sleep(window);
    let after = look()?;
    Ok(Cost {
        skep: after.0.saturating_sub(before.0),
        postgres: after.1.postgres - before.1.postgres,
        engine: after.1.engine - before.1.engine,
        calls: after.2 - before.2,
        writes: after.3 - before.3,
        statements: statements::count(&ground.postgres, &ground.database)?,
        bytes: (after.4[0] - before.4[0], after.4[1] - before.4[1]),
    })
}
