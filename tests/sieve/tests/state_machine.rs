//! The state machine: a reduced number of stories. `SKEP_MACHINE_CASES=500` plays more, `SKEP_MACHINE_FIRST` says from which number on.

use anyhow::{Context, Result, anyhow, bail, ensure};
use skep_sieve::machine::{Player, keep, kept};
use skep_sieve::{World, workflows};
use skep_swarm::By;
use skep_testbed::Postgres;

/// How many stories every run of the tests plays: some twenty seconds.
const CASES: u64 = 8;

fn number(variable: &str) -> Result<Option<u64>> {
    let text = std::env::var(variable).ok();
    text.map(|text| text.parse().with_context(|| format!("{variable} is not a number"))).transpose()
}

fn player(server: &Postgres, name: &str) -> Result<Player> {
    Player::new(&server.create_database(name)?)
}

#[test]
fn whatever_happens_nothing_foreign_is_touched_nothing_is_doubled_and_it_comes_to_rest() -> Result<()> {
    let server = Postgres::shared()?;
    let mut player = player(&server, "machine")?;
    let stories = kept()?;
    for (name, story) in &stories {
        player.play(story).with_context(|| format!("the kept story {name}"))?;
    }
    let first = number("SKEP_MACHINE_FIRST")?.unwrap_or_default();
    let cases = number("SKEP_MACHINE_CASES")?.unwrap_or(CASES);
    for number in first..first.saturating_add(cases) {
        if let Err(failure) = player.try_number(number) {
            let name = keep(&failure.story)?;
            bail!("story {number} fails; made small it is kept as {name}:\n{}", failure.why);
        }
    }
    println!("campaign| - {cases} stories that were drawn, and {} that are kept", stories.len());
    Ok(())
}

#[test]
fn the_same_story_goes_the_same_way_each_time() -> Result<()> {
    let server = Postgres::shared()?;
    for number in [1, 7] {
        let story = skep_sieve::machine::story(number)?;
        let (one, other) =
            (player(&server, "machine_one")?.play(&story)?, player(&server, "machine_other")?.play(&story)?);
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert_eq!(differs, None, "of story {number}: {story:?}");
        assert_eq!(one.len(), other.len());
    }
    Ok(())
}

#[tokio::test]
async fn an_edit_that_no_event_told_of_is_put_back_at_the_next_look_at_everything() -> Result<()> {
    const WEB: &str = "acme_prod_web";
    let server = Postgres::shared()?;
    let mut world = World::new(&server.create_database("unheard")?).await?;
    world.keep("empty").await?;
    world.begin_from(&workflows::SMALL).await?;
    world.order(0, None, false).await?;
    world.start().await?;
    world.until_quiet().await?;
    let is_edited = |world: &World| {
        let found = world.swarm().with(|swarm| swarm.inspect_service(By::Name(WEB)));
        found.is_some_and(|service| service.spec.labels.is_empty())
    };
    let edited = world.swarm().with(|swarm| {
        swarm.lose_events(10);
        swarm.edit_service(WEB, |spec| spec.labels.clear())
    });
    edited.map_err(|refusal| anyhow!("{refusal:?}"))?;
    // Nobody heard of it, and no time passes: a lease that ran out would make its next holder look.
    world.until_quiet().await?;
    ensure!(is_edited(&world), "somebody looked without being told");
    world.resync().await?;
    ensure!(!is_edited(&world), "it is as somebody else made it");
    Ok(())
}
