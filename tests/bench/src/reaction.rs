//! How soon Skep reacts: to a commit, to a live edit, to a task that fails, and how soon watchers are told.

use std::sync::Barrier;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use jiff::Timestamp;
use serde_json::json;
use skep_planner::swarm::{ServiceSpec, TaskState};
use skep_schemas::Manifest;
use skep_store::Store;
use skep_swarm::{By, EngineClient, SwarmApi, TaskFilter};
use skep_testbed::EngineVersion;

use crate::client::Client;
use crate::crowd;
use crate::ground::{self, Ground};
use crate::report::{Findings, met, percentile, time};
use crate::server::Server;

/// How often each is measured.
const SAMPLES: usize = 60;
const FAILURES: usize = 20;
const TOLD: usize = 40;
/// One with an instance, and one that is changed.
const ENVIRONMENTS: usize = 2;
/// How many watch at once.
const WATCHERS: usize = 100;
/// The most that a reaction may take, over what the engine itself takes.
const MOST: Duration = Duration::from_millis(250);
/// How long a reaction is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
/// How long after a correction the next edit is made: long enough for the pass that made it to end.
const APART: Duration = Duration::from_millis(200);
/// How often watchers have something to be told.
const PACE: Duration = Duration::from_millis(100);
const SERVICE: &str = "acme_live_web";

/// Measures.
pub(crate) fn measure() -> Result<Findings> {
    let ground = Ground::start(EngineVersion::V26_1)?;
    let server = Server::start(&ground, &[("SKEP_RESYNC", "1h")])?;
    let token = server.token().context("an empty database gets a token")?.to_owned();
    let store = ground.store()?;
    ground.apply(&store, &resources(&ground, 0)?)?;
    ground.wait("both to be ready", &crowd::all_ready("Environment", ENVIRONMENTS))?;
    let engine = ground.client(4)?;
    let (own, commits) = commits(&ground, &store)?;
    let in_a_row = edits(&ground, &engine, Duration::ZERO)?;
    let edits = edits(&ground, &engine, APART)?;
    let (noticed, failures) = failures(&ground, &engine)?;
    let told = told(&ground, &store, &server, &token)?;
    let mut section = "| reaction | p50 | p99 | target for p99 | |\n|---|--:|--:|--:|---|\n".to_owned();
    let row = |what: &str, times: &[Duration], target: bool| {
        let mut times = times.to_vec();
        times.sort_unstable();
        let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
        let judged =
            if target { format!("≤ {} | {}", time(MOST), met(p99 <= MOST)) } else { " | ".to_owned() };
        format!("| {what} | {} | {} | {judged} |\n", time(p50), time(p99))
    };
    section += &row("commit → the call to the engine is about to be made", &commits, true);
    section += &row("the engine's own time for that call", &own, false);
    section += &row("live edit answered → corrected, by the engine's clock", &edits, true);
    section += &row("the same, each edit made as soon as the one before was corrected", &in_a_row, false);
    section += &row("container killed → the Swarm's manager knows", &noticed, false);
    section += &row("the manager knows → status says so", &failures, true);
    section += &row(&format!("commit → told to each of {WATCHERS} watchers"), &told, true);
    section += &format!(
        "\n{SAMPLES} commits, {SAMPLES} edits {} apart, {SAMPLES} in a row, {FAILURES} failures, {TOLD} changes to {WATCHERS} watchers, one \
         every {}.",
        time(APART),
        time(PACE),
    );
    server.stop()?;
    Ok(Findings::new(section))
}

/// An environment with one instance, and one variable that says which change it is.
fn resources(ground: &Ground, change: usize) -> Result<Vec<Manifest>> {
    let document = |kind: &str, name: &str, spec: serde_json::Value| json!({"apiVersion": "skep.dev/v1", "kind": kind, "metadata": {"org": "acme", "name": name}, "spec": spec});
    let web = json!({"command": ["/bin/sleep", "1000000"]});
    let all = json!([
        {"apiVersion": "skep.dev/v1", "kind": "Organization", "metadata": {"name": "acme"}, "spec": {}},
        document("App", "shop", json!({"source": {"image": ground.image}, "processes": {"web": web}})),
        document("Environment", "live", json!({"app": "shop", "restart": {"delay": "1s"}, "processes": {"web": {"instances": 1}}})),
        document("Environment", "still", json!({"app": "shop", "env": {"CHANGE": change.to_string()}, "processes": {"web": {"instances": 0}}})),
    ]);
    ground::manifests(&all.to_string())
}

/// The engine's time for an update, and the time from each commit to the note that the call is about to be made.
fn commits(ground: &Ground, store: &Store) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut own, mut times) = (Vec::new(), Vec::new());
    for number in 1..=SAMPLES {
        let changed = resources(ground, number)?;
        // The call may be under way before this process hears that its transaction was committed.
        let asked = Timestamp::now();
        ground.apply(store, &changed)?;
        let committed = Timestamp::now();
        let (started, took) = until("a commit to be carried out", || {
            let row = ground.ask(&format!(
                "SELECT extract(epoch FROM s.started_at)::numeric(20,6), extract(epoch FROM s.finished_at - s.started_at)::numeric(20,6)
                 FROM plan p JOIN plan_step s ON s.plan = p.id WHERE p.key = 'acme/Environment/still' AND s.started_at > '{asked}'
                 AND s.finished_at IS NOT NULL LIMIT 1"
            ))?;
            let Some((started, took)) = row.split_once('|') else { return Ok(None) };
            Ok(Some((started.parse::<f64>()?, took.parse::<f64>()?)))
        })?;
        let committed = committed.as_microsecond();
        let committed = Duration::from_micros(u64::try_from(committed)?).as_secs_f64();
        times.push(Duration::from_secs_f64((started - committed).max(0.0)));
        own.push(Duration::from_secs_f64(took.max(0.0)));
    }
    Ok((own, times))
}

/// From the answer to each edit by hand until the engine says when it was corrected. Every edit is of a field of its own, because one
/// that is corrected again and again is a fight.
fn edits(ground: &Ground, engine: &EngineClient, apart: Duration) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..SAMPLES {
        let look = || ground.runtime.block_on(engine.inspect_service(By::Name(SERVICE))).context("inspect");
        let service = look()?.context("the service is there")?;
        let label = format!("by-hand-{}-{number}", apart.as_millis());
        let mut spec: ServiceSpec = service.spec.clone();
        spec.labels.insert(label.clone(), "yes".to_owned());
        ground
            .runtime
            .block_on(engine.update_service(&service.id, service.version, &spec, None))
            .context("edit by hand")?;
        let edited = Timestamp::now();
        let corrected = until("an edit to be corrected", || {
            Ok(look()?.filter(|service| !service.spec.labels.contains_key(&label)))
        })?;
        let corrected: Timestamp = corrected.updated_at.parse().context("a time")?;
        times.push(corrected.duration_since(edited).unsigned_abs());
        std::thread::sleep(apart);
    }
    Ok(times)
}

/// From each kill until the Swarm's manager knows of it, and from then until the status says that an instance is missing.
fn failures(ground: &Ground, engine: &EngineClient) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut own, mut times) = (Vec::new(), Vec::new());
    let filter = format!("label=com.docker.swarm.service.name={SERVICE}");
    let service = ground.runtime.block_on(engine.inspect_service(By::Name(SERVICE))).context("inspect")?;
    let tasks = TaskFilter::of_service(service.context("the service is there")?.id);
    for _ in 0..FAILURES {
        ground.wait("it to be ready again", &crowd::all_ready("Environment", ENVIRONMENTS))?;
        let container = until("a container to run", || {
            let found = ground.engine.docker_ok(&["ps", "--quiet", "--no-trunc", "--filter", &filter])?;
            Ok(found.lines().next().map(str::to_owned))
        })?;
        let killed = Timestamp::now();
        let before = seconds(SystemTime::now())?;
        ground.engine.docker_ok(&["kill", &container])?;
        let (mut known, mut told) = (None, None);
        until("a failure to be told", || {
            if known.is_none() {
                let found = ground.runtime.block_on(engine.list_tasks(&tasks)).context("tasks")?;
                let failed = found.iter().find(|task| {
                    let ran = task.status.container_status.as_ref();
                    ran.is_some_and(|ran| ran.container_id.as_str() == container)
                        && task.status.state == Some(TaskState::Failed)
                });
                known = failed.map(|task| task.updated_at.parse::<Timestamp>()).transpose()?;
            }
            if told.is_none() {
                let at = ground.ask(&format!(
                    "SELECT extract(epoch FROM s.updated_at)::numeric(20,6) FROM resource r JOIN resource_status s USING (uid)
                     WHERE r.name = 'live' AND extract(epoch FROM s.updated_at) > {before}"
                ))?;
                told = at.parse::<f64>().ok();
            }
            Ok(known.zip(told))
        })
        .map(|(known, told)| {
            let took = known.duration_since(killed).as_secs_f64().max(0.0);
            own.push(Duration::from_secs_f64(took));
            times.push(Duration::from_secs_f64((told - before - took).max(0.0)));
        })?;
    }
    Ok((own, times))
}

/// From each commit until every watcher has read it.
fn told(ground: &Ground, store: &Store, server: &Server, token: &str) -> Result<Vec<Duration>> {
    let ready = Barrier::new(WATCHERS + 1);
    std::thread::scope(|scope| {
        let watch = || -> Result<Vec<Instant>> {
            let opened = Client::connect(server.port(), token).and_then(|mut client| {
                client.watch("/v1/orgs/acme/apps?watch=true")?;
                Ok(client)
            });
            ready.wait();
            let mut client = opened?;
            let tell = |number| client.wait_for(&change(number)).map(|()| Instant::now());
            (0..TOLD).map(tell).collect()
        };
        let watchers: Vec<_> = (0..WATCHERS).map(|_| scope.spawn(watch)).collect();
        ready.wait();
        let committed = (0..TOLD).map(|number| commit(ground, store, number)).collect::<Result<Vec<_>>>()?;
        let mut times = Vec::new();
        for watcher in watchers {
            let seen = watcher.join().map_err(|_| anyhow!("a watcher panicked"))??;
            let each = seen.iter().zip(&committed);
            times.extend(each.map(|(seen, committed)| seen.saturating_duration_since(*committed)));
        }
        Ok(times)
    })
}

/// Changes what is watched, a while after the last change: two that follow at once may be told as one.
fn commit(ground: &Ground, store: &Store, number: usize) -> Result<Instant> {
    std::thread::sleep(PACE);
    let app = json!({"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"org": "acme", "name": "watched"},
        "spec": {"source": {"image": "registry.example/none:1"}, "description": change(number), "processes": {"web": {}}}});
    ground.apply(store, &ground::manifests(&app.to_string())?)?;
    Ok(Instant::now())
}

/// What watchers look for.
fn change(number: usize) -> String {
    format!("told-{number}-x")
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

fn seconds(at: SystemTime) -> Result<f64> {
    Ok(at.duration_since(SystemTime::UNIX_EPOCH).context("a time after 1970")?.as_secs_f64())
}
