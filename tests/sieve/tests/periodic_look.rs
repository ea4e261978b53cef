//! The periodic look: it causes a pass over whatever may have changed, and over no environment that cannot have.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use skep_sieve::{World, workflows};
use skep_swarm::{By, LabelFilter};
use skep_testbed::Postgres;

const WEB: &str = "acme_prod_web";
/// More than any change tells of.
const EVENTS: usize = 1000;
/// A snapshot (begin, its moment, the prints, its end), or one list each of keys by kind.
const STATEMENTS_MAX: usize = 8;

/// A world with an environment that a first pass found as it should be, and the server that it needs.
async fn world(count_statements: bool) -> Result<(Postgres, World)> {
    let server = Postgres::shared()?;
    let mut world = World::new(&server.create_database("sieve")?).await?;
    world.keep("empty").await?;
    world.begin_from(&workflows::SMALL).await?;
    world.order(0, None, count_statements).await?;
    world.start().await?;
    world.until_quiet().await?;
    Ok((server, world))
}

/// How many passes were made over environments since then.
fn passes_since(world: &World, before: usize) -> usize {
    world.trace().iter().skip(before).filter(|line| line.contains(" passes acme/Environment/")).count()
}

/// How many passes over environments one periodic look makes.
async fn passes(world: &mut World) -> Result<usize> {
    let before = world.trace().len();
    world.look().await?;
    world.until_quiet().await?;
    Ok(passes_since(world, before))
}

/// Looks until the environment is left out.
async fn rest(world: &mut World) -> Result<()> {
    for _ in 0..4 {
        if passes(world).await? == 0 {
            return Ok(());
        }
    }
    anyhow::bail!("it is passed over at each look: {:#?}", world.trace())
}

#[tokio::test]
async fn an_edit_that_no_event_told_of_is_found_and_put_back() {
    let (_server, mut world) = world(false).await.unwrap();
    rest(&mut world).await.unwrap();
    let edited = world.swarm().with(|swarm| {
        swarm.lose_events(EVENTS);
        swarm.edit_service(WEB, |spec| drop(spec.labels.insert("by-hand".to_owned(), "yes".to_owned())))
    });
    edited.unwrap();
    assert!(passes(&mut world).await.unwrap() > 0, "nobody heard of the edit");
    let service = world.swarm().with(|swarm| swarm.inspect_service(By::Name(WEB))).unwrap();
    assert!(!service.spec.labels.contains_key("by-hand"), "it was put back");
    rest(&mut world).await.unwrap();
}

#[tokio::test]
async fn a_service_that_went_without_an_event_is_made_again() {
    let (_server, mut world) = world(false).await.unwrap();
    rest(&mut world).await.unwrap();
    world.swarm().with(|swarm| {
        let id = swarm.inspect_service(By::Name(WEB)).unwrap().id;
        swarm.lose_events(EVENTS);
        swarm.remove_service(&id).unwrap();
    });
    assert!(passes(&mut world).await.unwrap() > 0);
    assert!(world.swarm().with(|swarm| swarm.inspect_service(By::Name(WEB))).is_some());
    rest(&mut world).await.unwrap();
}

/// No version of a service moves when a task of it fails.
#[tokio::test]
async fn a_task_that_failed_without_an_event_is_noticed() {
    let (_server, mut world) = world(false).await.unwrap();
    rest(&mut world).await.unwrap();
    world.swarm().with(|swarm| {
        swarm.lose_events(EVENTS);
        assert_eq!(swarm.kill_tasks(WEB, 1), 2);
    });
    assert!(passes(&mut world).await.unwrap() > 0);
}

#[tokio::test]
async fn an_environment_is_passed_over_when_a_row_was_written_that_it_may_rest_on() {
    let (_server, mut world) = world(false).await.unwrap();
    rest(&mut world).await.unwrap();
    // None of these is in the log of changes.
    let rows = [
        "resource SET updated_at = updated_at WHERE kind = 'Organization'",
        "resource SET updated_at = updated_at WHERE kind = 'Environment'",
        "resource SET updated_at = updated_at WHERE kind = 'App'",
        "resource SET updated_at = updated_at WHERE kind = 'Domain'",
        "resource_status SET updated_at = updated_at",
        "inventory SET sent_release = sent_release",
        "release SET why = why",
        "secret_version SET digest = digest",
    ];
    for row in rows {
        world.database().run(&format!("UPDATE {row}")).await.unwrap();
        assert!(passes(&mut world).await.unwrap() > 0, "{row}");
        rest(&mut world).await.unwrap();
    }
}

#[tokio::test]
async fn an_environment_that_is_not_at_rest_is_passed_over_at_each_look() {
    let (_server, mut world) = world(false).await.unwrap();
    rest(&mut world).await.unwrap();
    world.swarm().with(|swarm| {
        swarm.hold_unplaced(WEB);
        swarm.kill_tasks(WEB, 1);
    });
    world.for_a_while(Duration::from_secs(1)).await.unwrap();
    for _ in 0..3 {
        let before = world.trace().len();
        world.look().await.unwrap();
        world.for_a_while(Duration::from_millis(1)).await.unwrap();
        assert_eq!(passes_since(&world, before), 1, "an instance is missing");
    }
}

#[tokio::test]
async fn a_look_over_many_environments_at_rest_makes_no_pass_and_asks_no_more_than_over_one() {
    let (_server, mut world) = world(true).await.unwrap();
    rest(&mut world).await.unwrap();
    let asked = async |world: &mut World| {
        let (lines, before) = (world.trace().len(), world.statements());
        world.look().await.unwrap();
        let asked = world.statements() - before;
        world.until_quiet().await.unwrap();
        assert_eq!(passes_since(world, lines), 0);
        asked
    };
    let one = asked(&mut world).await;
    assert!((1..=STATEMENTS_MAX).contains(&one), "{one} statements");
    world.apply(&environments(20)).await.unwrap();
    world.until_quiet().await.unwrap();
    rest(&mut world).await.unwrap();
    assert_eq!(world.swarm().with(|swarm| swarm.list_services(&LabelFilter::any()).len()), 21 + OTHERS);
    assert_eq!(asked(&mut world).await, one);
}

/// The anchor and the proxy at the edge.
const OTHERS: usize = 2;

fn environments(count: usize) -> String {
    let mut yaml = String::new();
    for number in 0..count {
        let _ = writeln!(
            yaml,
            "---\napiVersion: skep.dev/v1\nkind: Environment\nmetadata:\n  org: acme\n  name: e{number}\n\
             spec:\n  app: shop\n  processes:\n    web:\n      instances: 0"
        );
    }
    yaml
}
