//! New environments: from committed rows to services, over the floor and over `docker stack deploy`.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::swarm::{Service, ServiceSpec};
use skep_store::Store;
use skep_testbed::EngineVersion;

use crate::ground::Ground;
use crate::report::{Findings, median, met, ratio, time};
use crate::server::Server;
use crate::stack::Deployed;
use crate::{Options, crowd, floor, stack, statements};

/// The size that the targets speak of.
const TARGET_SIZE: usize = 500;
const OVER_STACK: f64 = 1.0;
const OVER_FLOOR: f64 = 1.5;
/// How many environments come and go before anything is measured, so that connections are open and statements prepared.
const WARM_UP: usize = 20;
/// The size at which the best concurrency of the floor is looked for.
const TRIAL: usize = 200;

/// What Skep took for a crowd.
struct Converged {
    /// From commit to the last service made.
    made: Duration,
    /// From commit to the last status that says Ready.
    ready: Duration,
    skep: Duration,
    postgres: Duration,
    engine: Duration,
    statements: u64,
    calls: f64,
    services: Vec<Service>,
}

/// All rounds of one size.
#[derive(Default)]
struct Rounds {
    skep: Vec<Converged>,
    floor: Vec<Duration>,
    first: Vec<Deployed>,
    again: Vec<Deployed>,
}

/// Measures every size.
pub(crate) fn measure(options: &Options) -> Result<Findings> {
    let ground = Ground::start(EngineVersion::V26_1)?;
    let server = Server::start(&ground, &[("SKEP_RESYNC", "1h")])?;
    let token = server.token().context("an empty database gets a token")?.to_owned();
    let store = ground.store()?;
    ground.apply(&store, &crowd::organisations(&ground.image)?)?;
    ground.wait("organisations to be ready", &crowd::all_ready("Organization", crowd::ORGS))?;
    server.stop()?;
    let mut concurrency = None;
    let mut table = String::new();
    for size in &options.sizes {
        let mut rounds = Rounds::default();
        for round in 0..options.rounds {
            eprintln!("    {size} environments, round {}", round + 1);
            let converged = converge(&ground, &store, &token, *size)?;
            let specs = floor::specs(&converged.services);
            let concurrency = match concurrency {
                Some(found) => found,
                None => *concurrency.insert(best(&ground, &specs)?),
            };
            rounds.skep.push(converged);
            rounds.floor.push(floor::make(&ground, &specs, concurrency)?);
            deploy(&ground, *size, &mut rounds)?;
        }
        row(&mut table, *size, &rounds);
    }
    let concurrency = concurrency.unwrap_or_default();
    let mut section = format!(
        "| N | Skep: made | Skep: all Ready | floor ({concurrency} at once) | stack deploy | again, no change | over floor | over stack | \
         CPU for each: skep + Postgres + engine | statements | calls |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n{table}"
    );
    let _ = writeln!(
        section,
        "\nMedians of {} rounds, each measuring all of its row. CPU, statements and calls are for each environment up to Ready.",
        options.rounds
    );
    Ok(Findings::new(section))
}

fn converge(ground: &Ground, store: &Store, token: &str, size: usize) -> Result<Converged> {
    let server = Server::start(ground, &[("SKEP_RESYNC", "1h")])?;
    let few = crowd::environments(WARM_UP)?;
    ground.apply(store, &few)?;
    ground.wait("the first few to be ready", &crowd::all_ready("Environment", few.len()))?;
    ground.delete(store, &few)?;
    let manifests = crowd::environments(size)?;
    statements::reset(&ground.postgres, &ground.database)?;
    let before = (server.cpu()?, ground.used()?, server.counter("skep_swarm_call_seconds_count", token, "")?);
    ground.apply(store, &manifests)?;
    let committed = Timestamp::now();
    let applying = statements::count(&ground.postgres, &ground.database)?;
    let waited = ground.wait("all to be ready", &crowd::all_ready("Environment", size));
    waited.with_context(|| server.logs().lines().rev().take(20).collect::<Vec<_>>().join("\n"))?;
    let after = (server.cpu()?, ground.used()?, server.counter("skep_swarm_call_seconds_count", token, "")?);
    let statements = statements::count(&ground.postgres, &ground.database)?.saturating_sub(applying);
    statements::tell(&ground.postgres, &ground.database)?;
    let services = floor::crowd(ground)?;
    let created = services.iter().filter_map(|service| service.created_at.parse::<Timestamp>().ok()).max();
    let ready: Timestamp = ground
        .ask("SELECT to_char(max(s.updated_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM resource r JOIN resource_status s USING (uid) WHERE r.kind = 'Environment'")?
        .parse()
        .context("a time")?;
    let since = |at: Timestamp| at.duration_since(committed).unsigned_abs();
    let converged = Converged {
        made: since(created.context("services were made")?),
        ready: since(ready),
        skep: after.0 - before.0,
        postgres: after.1.postgres - before.1.postgres,
        engine: after.1.engine - before.1.engine,
        statements,
        calls: after.2 - before.2,
        services,
    };
    ground.delete(store, &manifests)?;
    server.stop()?;
    Ok(converged)
}

/// The number of calls at once with which the engine makes services fastest.
fn best(ground: &Ground, specs: &[ServiceSpec]) -> Result<usize> {
    let some = &specs[..specs.len().min(TRIAL)];
    let mut best = (Duration::MAX, 1);
    for concurrency in floor::CONCURRENCIES {
        let took = floor::make(ground, some, concurrency)?.min(floor::make(ground, some, concurrency)?);
        eprintln!("    floor: {} services, {concurrency} at once: {}", some.len(), time(took));
        best = best.min((took, concurrency));
    }
    Ok(best.1)
}

fn deploy(ground: &Ground, size: usize, rounds: &mut Rounds) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), crowd::stack_file(&ground.image, size))?;
    rounds.first.push(stack::deploy(ground, file.path())?);
    rounds.again.push(stack::deploy(ground, file.path())?);
    stack::remove(ground)
}

fn row(table: &mut String, size: usize, rounds: &Rounds) {
    let of = |part: fn(&Converged) -> Duration| median(&rounds.skep.iter().map(part).collect::<Vec<_>>());
    let each = |time: Duration| time.div_f64(u32::try_from(size).map_or(1.0, f64::from));
    let (made, floor) = (of(|one| one.made), median(&rounds.floor));
    let first = median(&rounds.first.iter().map(|one| one.took).collect::<Vec<_>>());
    let again = median(&rounds.again.iter().map(|one| one.took).collect::<Vec<_>>());
    let (over_floor, over_stack) = (ratio(made, floor), ratio(made, first));
    let judged = |ratio: f64, most: f64| match size {
        TARGET_SIZE => format!("{ratio:.2} (≤ {most}: {})", met(ratio <= most)),
        _ => format!("{ratio:.2}"),
    };
    let last = rounds.skep.last();
    let size_f = u32::try_from(size).map_or(1.0, f64::from);
    let statements = last.and_then(|one| u32::try_from(one.statements).ok()).map_or(0.0, f64::from) / size_f;
    let _ = writeln!(
        table,
        "| {size} | {} | {} | {} | {} | {} | {} | {} | {} + {} + {} | {statements:.1} | {:.1} |",
        time(made),
        time(of(|one| one.ready)),
        time(floor),
        time(first),
        time(again),
        judged(over_floor, OVER_FLOOR),
        judged(over_stack, OVER_STACK),
        time(each(of(|one| one.skep))),
        time(each(of(|one| one.postgres))),
        time(each(of(|one| one.engine))),
        last.map_or(0.0, |one| one.calls) / size_f,
    );
}
