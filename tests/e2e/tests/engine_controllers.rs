//! Several servers share the work, die, sleep and lose the database in the middle of it. The engine's own history says that nothing was
//! done twice, and its state that nothing was forgotten.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_e2e::{Cli, Installation, Options, Server};
use skep_testbed::events::Event;
use skep_testbed::{EngineVersion, Events, Forwarder, wait, wait_until};

/// Organisations, and environments of each.
const ORGS: usize = 10;
const ENVIRONMENTS: usize = 20;
/// How long a changed installation may take to be as wanted, on a machine with other tests.
const SETTLE: Duration = Duration::from_secs(240);
/// What is promised of a takeover, and what is observed of a handover with time for a busy machine.
const TAKEOVER: Duration = Duration::from_secs(15);
const HANDOVER: Duration = Duration::from_secs(4);
/// How long the stopped server sleeps.
const SLEEP: Duration = Duration::from_secs(60);

/// What the manifests say: per environment in which round it was changed last, and how often.
#[derive(Default)]
struct Intent {
    environments: BTreeMap<(usize, usize), Wanted>,
}

#[derive(Default, Clone)]
struct Wanted {
    round: usize,
    changes: usize,
    deleted: bool,
}

impl Intent {
    fn all() -> Self {
        let keys = (0..ORGS).flat_map(|org| (0..ENVIRONMENTS).map(move |number| (org, number)));
        Self { environments: keys.map(|key| (key, Wanted::default())).collect() }
    }

    /// Changes those environments for which the rule says so.
    fn change(&mut self, round: usize, chosen: impl Fn(usize, usize) -> bool) {
        for ((org, number), wanted) in &mut self.environments {
            if !wanted.deleted && chosen(*org, *number) {
                *wanted = Wanted { round, changes: wanted.changes + 1, deleted: false };
            }
        }
    }

    fn manifests(&self) -> String {
        let app = json!({ "source": { "image": image("anchor:1") }, "processes": { "worker": {} } });
        let mut all: Vec<Value> = Vec::new();
        for org in 0..ORGS {
            all.extend([organization(&name(org)), resource(&name(org), "App", "crowd", app.clone())]);
        }
        for ((org, number), wanted) in self.environments.iter().filter(|(_, wanted)| !wanted.deleted) {
            let spec = json!({
                "app": "crowd",
                "env": { "ROUND": wanted.round.to_string() },
                "processes": { "worker": { "instances": 0 } },
            });
            all.push(resource(&name(*org), "Environment", &format!("copy-{number}"), spec));
        }
        documents(&all)
    }
}

fn name(org: usize) -> String {
    format!("tenant-{org}")
}

fn service(org: usize, number: usize) -> String {
    format!("tenant-{org}_copy-{number}_worker")
}

/// Who holds how many shards at the moment, by the database's clock.
fn holders(at: &Installation) -> Result<BTreeMap<String, usize>> {
    let rows = at.psql(
        "SELECT holder, count(*) FROM lease WHERE name LIKE 'shard-%' AND expires_at > clock_timestamp() GROUP BY holder",
    )?;
    rows.lines()
        .map(|row| {
            let (holder, count) = row.split_once('|').context("two columns")?;
            Ok((holder.to_owned(), count.parse()?))
        })
        .collect()
}

/// Waits until these members and no others hold all shards, in equal shares.
fn wait_for_shares(at: &Installation, members: &[&str], within: Duration) -> Result<Duration> {
    let began = Instant::now();
    wait_until("the shards to be shared", within, || {
        let held = holders(at)?;
        let balanced = members.iter().all(|member| {
            held.get(*member)
                .is_some_and(|count| (16 / members.len()..=16_usize.div_ceil(members.len())).contains(count))
        });
        wait::ready(balanced && held.len() == members.len(), &format!("{held:?}"))
    })?;
    Ok(began.elapsed())
}

/// Waits until all shards are held, and none by this member.
fn wait_for_takeover(at: &Installation, gone: &str, within: Duration) -> Result<Duration> {
    let began = Instant::now();
    wait_until("the shards to pass on", within, || {
        let held = holders(at)?;
        let all = held.values().sum::<usize>() == 16;
        wait::ready(all && !held.contains_key(gone), &format!("{held:?}, {gone} is gone"))
    })?;
    Ok(began.elapsed())
}

/// Applies what is wanted and returns at once.
fn ask(cli: &Cli, intent: &Intent) -> Result<()> {
    cli.apply(&intent.manifests(), &[])?.ok().map(drop)
}

/// Waits until all is as wanted, by status and by the engine's own word.
fn settled(at: &Installation, cli: &Cli, intent: &Intent) -> Result<()> {
    let within = format!("{}s", SETTLE.as_secs());
    cli.apply(&intent.manifests(), &["--wait", "--timeout", &within])?.ok()?;
    let services = at.engine_says("/services")?;
    let services = services.as_array().context("a list")?;
    let by_name: BTreeMap<&str, &Value> =
        services.iter().filter_map(|service| Some((service["Spec"]["Name"].as_str()?, service))).collect();
    for ((org, number), wanted) in &intent.environments {
        let found = by_name.get(service(*org, *number).as_str());
        ensure!(found.is_some() != wanted.deleted, "{} is wrongly there or not", service(*org, *number));
        let Some(found) = found else { continue };
        let env = &found["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"];
        let round = format!("ROUND={}", wanted.round);
        let runs = env.as_array().is_some_and(|env| env.iter().any(|entry| entry == round.as_str()));
        ensure!(runs, "{} has {env} instead of {round}", service(*org, *number));
    }
    Ok(())
}

/// How often each thing was done to a service. A change of the roll-out's state is the manager's own.
fn history(events: &[Event]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "service") {
        let attributes = &event.value["Actor"]["Attributes"];
        if event.action == "update" && attributes.get("updatestate.new").is_some() {
            continue;
        }
        *counts.entry((event.name.clone(), event.action.clone())).or_default() += 1;
    }
    counts
}

/// The address of the database server, and its URL by another address.
fn by_way_of(url: &str, forwarder: &Forwarder) -> Result<String> {
    let address = database_address(url)?;
    Ok(url.replace(&address.to_string(), &forwarder.address().to_string()))
}

fn database_address(url: &str) -> Result<SocketAddr> {
    let (_, rest) = url.split_once('@').context("the URL has a user")?;
    let address = rest.split('/').next().context("the URL has an address")?;
    Ok(address.parse()?)
}

/// Waits until a server has looked at everything twice from now on.
fn wait_for_resyncs(server: &Server) -> Result<()> {
    let so_far = || server.process.logs().lines().filter(|line| line.contains("listed=")).count();
    let wanted = so_far() + 3;
    wait_until("a server to look at everything", SETTLE, || wait::ready(so_far() >= wanted, "not yet"))
}

/// How many steps a server has carried out.
fn steps(server: &Server) -> usize {
    server.process.logs().lines().filter(|line| line.contains("step done")).count()
}

/// Asks for what is wanted, and waits until a server is in the middle of it: until it has carried out so many steps of its share.
fn ask_and_wait(cli: &Cli, intent: &Intent, server: &Server, more: usize) -> Result<()> {
    // Counted before, since the answer may come when everything is done.
    let wanted = steps(server) + more;
    ask(cli, intent)?;
    wait_until("steps to be done", SETTLE, || wait::ready(steps(server) >= wanted, "not so many yet"))
}

#[test]
fn servers_that_die_sleep_and_lose_the_database_do_nothing_twice_and_forget_nothing() -> Result<()> {
    let mut options = Options::new(EngineVersion::V20_10);
    options.resync = Some(Duration::from_secs(20));
    let mut at = Installation::start_with(options)?;
    let mut one = at.another(&at.database)?;
    let mut two = at.another(&at.database)?;
    let forwarder = Forwarder::start(database_address(&at.database)?)?;
    let distant = at.another(&by_way_of(&at.database, &forwarder)?)?;
    let founder = skep_e2e::server::member(&mut at.skep)?;
    wait_for_shares(&at, &[&founder, one.member(), two.member(), distant.member()], TAKEOVER)?;
    let run = churn(&at, &founder, &mut one, &mut two, &distant, &forwarder);
    let log = |name: &str, server: &Server| format!("--- {name}\n{}", server.process.logs());
    run.with_context(|| format!("{}{}{}", log("one", &one), log("two", &two), log("distant", &distant)))
}

fn churn(
    at: &Installation,
    founder: &str,
    one: &mut Server,
    two: &mut Server,
    distant: &Server,
    forwarder: &Forwarder,
) -> Result<()> {
    at.skep.sigterm();
    println!("handover of an idle server: {:?}", wait_for_takeover(at, founder, HANDOVER)?);
    wait_for_shares(at, &[one.member(), two.member(), distant.member()], TAKEOVER)?;
    assert!(one.works_on()?.contains("among 3 members"), "{}", one.works_on()?);
    let events = Events::record(&at.engine)?;
    let mut intent = Intent::all();

    // A holder dies while everything is being made.
    ask_and_wait(&one.cli, &intent, two, 5)?;
    two.process.kill9()?;
    println!("takeover after kill -9: {:?}", wait_for_takeover(at, two.member(), TAKEOVER)?);
    settled(at, &one.cli, &intent)?;

    // Another is stopped in the middle of changes; the world goes on without it, and then it wakes up.
    *two = at.another(&at.database)?;
    wait_for_shares(at, &[one.member(), two.member(), distant.member()], TAKEOVER)?;
    intent.change(1, |org, number| (org + number) % 2 == 0);
    ask_and_wait(&one.cli, &intent, two, 3)?;
    two.process.pause();
    let stopped = Instant::now();
    println!("takeover after SIGSTOP: {:?}", wait_for_takeover(at, two.member(), TAKEOVER)?);
    settled(at, &one.cli, &intent)?;
    intent.change(2, |_, number| number % 3 == 0);
    settled(at, &one.cli, &intent)?;
    std::thread::sleep(SLEEP.saturating_sub(stopped.elapsed()));
    let asleep = two.process.logs().len();
    let done_by_others = history(&events.so_far()?);
    two.process.resume();
    wait_for_shares(at, &[one.member(), two.member(), distant.member()], TAKEOVER)?;
    let awake = two.process.logs();
    let before = awake.get(asleep..).and_then(|log| log.split("took a lease").next()).unwrap_or_default();
    assert!(before.contains("the lease was lost") || before.contains("passed on"), "{before}");
    // Its log is no witness: it may still be told of what the engine had done before it fell asleep.
    assert_eq!(history(&events.so_far()?), done_by_others, "the sleeper woke up and did something: {before}");

    // One loses the way to the database without being told; all others lose their connections, again and again.
    intent.change(3, |_, number| number % 2 == 1);
    ask_and_wait(&one.cli, &intent, distant, 3)?;
    forwarder.block();
    println!(
        "takeover after the database was out of reach: {:?}",
        wait_for_takeover(at, distant.member(), TAKEOVER)?
    );
    // Each time others are changed: of two changes of one that come close to each other, the first may never be made.
    for more in 0..3 {
        intent.change(4 + more, |_, number| number % 6 == 2 * more);
        ask_and_wait(&one.cli, &intent, one, 1)?;
        at.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'skep%'",
        )?;
    }
    forwarder.mend();
    settled(at, &one.cli, &intent)?;
    wait_for_shares(at, &[one.member(), two.member(), distant.member()], SETTLE)?;

    // One is asked to stop while much is being removed.
    for (_, wanted) in intent.environments.iter_mut().filter(|((_, number), _)| number % 4 == 0) {
        wanted.deleted = true;
    }
    delete(&two.cli, &intent)?;
    one.process.sigterm();
    println!("handover of a busy server: {:?}", wait_for_takeover(at, one.member(), HANDOVER)?);
    one.process.wait_exit(SETTLE)?;
    wait_until("the services to be gone", SETTLE, || settled(at, &two.cli, &intent))?;

    let history = history(&events.so_far()?);
    for ((org, number), wanted) in &intent.environments {
        let times = |action: &str| {
            let event = (service(*org, *number), action.to_owned());
            history.get(&event).copied().unwrap_or_default()
        };
        let found = (times("create"), times("update"), times("remove"));
        let expected = (1, wanted.changes, usize::from(wanted.deleted));
        assert_eq!(found, expected, "(created, updated, removed) of {}", service(*org, *number));
    }
    wait_for_resyncs(two)?;
    wait_for_resyncs(distant)?;
    let quiet = self::history(&events.so_far()?);
    assert_eq!(quiet, history, "it is not quiet afterwards");
    let rows = at.psql("SELECT (SELECT count(*) FROM resource WHERE kind = 'Environment'), (SELECT count(*) FROM release WHERE verdict = 'pending')")?;
    assert_eq!(rows, "150|0");
    Ok(())
}

/// Asks for the removal of what is not wanted any more.
fn delete(cli: &Cli, intent: &Intent) -> Result<()> {
    for ((org, number), _) in intent.environments.iter().filter(|(_, wanted)| wanted.deleted) {
        let copy = format!("copy-{number}");
        cli.run(&["delete", "environment", copy.as_str(), "--org", name(*org).as_str()])?.ok()?;
    }
    Ok(())
}
