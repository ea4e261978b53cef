//! A schedule of every minute, followed by two controllers of which one is killed every ten seconds: between two passes, before a call, after one, before a statement and
//! after one. Each slot is run once, by the store's count and by the engine's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use skep_sieve::{Fault, Kind, World, workflows};
use skep_simulator::Program;
use skep_swarm::Verb;
use skep_testbed::Postgres;

const SLOTS: usize = 60;
const KILLED_EVERY: Duration = Duration::from_secs(10);
/// How the next one is killed; `None` between two passes.
const KILLS: [Option<Kind>; 5] = [
    None,
    Some(Kind::CrashBefore),
    Some(Kind::CrashAfter),
    Some(Kind::CrashBeforeStatement),
    Some(Kind::CrashAfterStatement),
];
const REPORT: &str = r#"
apiVersion: skep.dev/v1
kind: App
metadata: {org: acme, name: jobs}
spec:
  source: {image: "job:1"}
  processes:
    report:
      command: [report]
      schedule: {cron: "* * * * *", timeZone: Europe/Berlin}
---
apiVersion: skep.dev/v1
kind: Environment
metadata: {org: acme, name: jobs}
spec: {app: jobs}
"#;

/// The slots that have a run, as the store has them.
async fn slots(world: &mut World) -> Result<Vec<Timestamp>> {
    let rows =
        world.database().rows("SELECT slot FROM run WHERE purpose = 'schedule' ORDER BY number").await?;
    rows.iter().map(|row| Ok(row["slot"].as_str().unwrap_or_default().parse()?)).collect()
}

/// The services of runs that the engine made, and when.
fn made(world: &World) -> Vec<(String, Timestamp)> {
    world.swarm().with(|swarm| {
        let made = swarm.mutations().iter().filter(|one| one.verb == Verb::CreateService);
        let of_runs = made.filter(|one| one.object.starts_with("acme_jobs_run_"));
        of_runs.map(|one| (one.object.clone(), one.at)).collect()
    })
}

#[tokio::test]
async fn sixty_slots_are_run_once_each_while_one_of_two_controllers_is_killed_every_ten_seconds() {
    let server = Postgres::shared().unwrap();
    let mut world = World::new(&server.create_database("sieve").unwrap()).await.unwrap();
    world.keep("empty").await.unwrap();
    world.begin_from(&workflows::SMALL).await.unwrap();
    world.swarm().with(|swarm| swarm.set_program("job:1", Program::exits_after(Duration::from_secs(5), 0)));
    world.order(1, None, true).await.unwrap();
    world.apply(REPORT).await.unwrap();
    world.start().await.unwrap();
    world.start().await.unwrap();
    world.for_a_while(Duration::from_secs(20)).await.unwrap();
    let (mut killed, mut at_work) = (0_u64, 0);
    while slots(&mut world).await.unwrap().len() < SLOTS {
        assert!(killed < 500, "after {killed} there are {:?}", slots(&mut world).await.unwrap());
        let kill = KILLS[usize::try_from(killed).unwrap() % KILLS.len()];
        world.order(killed + 2, kill.map(|kind| Fault::new(kind, 0)), true).await.unwrap();
        killed += 1;
        world.for_a_while(KILLED_EVERY).await.unwrap();
        // Where nothing was called or asked meanwhile, nobody died of it.
        if kill.is_some() && world.fired() {
            at_work += 1;
        } else {
            world.kill_oldest().await.unwrap();
        }
    }
    world.for_a_while(Duration::from_secs(40)).await.unwrap();
    let latest = check(&mut world).await.unwrap();
    println!(
        "{SLOTS} slots, {killed} kills, {at_work} of them in the middle of a pass; the latest was begun {latest} seconds late"
    );
}

/// By how many seconds the latest was begun late.
async fn check(world: &mut World) -> Result<i64> {
    let (slots, made) = (slots(world).await?, made(world));
    let each: BTreeSet<&Timestamp> = slots.iter().collect();
    ensure!(each.len() == slots.len(), "a slot was run twice: {slots:?}");
    let a_minute = |pair: &[Timestamp]| pair[1].duration_since(pair[0]).as_secs() == 60;
    ensure!(slots.windows(2).all(a_minute), "a slot was left out: {slots:?}");
    let missed = world.database().rows("SELECT missed, missed_why FROM schedule").await?;
    ensure!(missed.iter().all(|row| row["missed"] == 0), "{missed:?}");
    let names: BTreeSet<&String> = made.iter().map(|(name, _)| name).collect();
    ensure!(names.len() == made.len(), "a service was made twice: {made:?}");
    ensure!(made.len() == slots.len(), "{} services for {} slots", made.len(), slots.len());
    let ended = "SELECT number, outcome, reason FROM run WHERE outcome IS DISTINCT FROM 'succeeded'";
    let failed = world.database().rows(ended).await?;
    ensure!(failed.is_empty(), "each has run to its end: {failed:?}");
    let late = slots.iter().zip(&made).map(|(slot, (_, at))| at.duration_since(*slot).as_secs());
    Ok(late.max().unwrap_or_default())
}
