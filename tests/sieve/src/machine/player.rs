//! Plays stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use serde_json::json;
use skep_planner::naming::{LABEL_INSTANCE, LABEL_NAME, LABEL_ORG, LABEL_ROLE, LABEL_UID, ROLE_EDGE};
use skep_planner::swarm::{ServiceMode, ServiceSpec};
use skep_schemas::ResourceKey;
use skep_simulator::{ImageAnswer, Program, Refusal, Swarm};
use tokio::runtime::Runtime;

use super::action::{ACTIONS_MAX, Action, Change, Edit, Stories, Story, Target};
use super::rest;
use super::witness::{FOREIGN, SECRET, Witness};
use crate::fault::Fault;
use crate::names::Names;
use crate::workflow::Base;
use crate::world::World;

/// How often a failing story is tried with something left out. A try takes about a second.
const SHRINKS_MAX: u32 = 150;
/// How long a rest is.
const WHILE: Duration = Duration::from_secs(12);
/// The node that may be lost: not the one that Skep talks to.
const NODE: &str = "worker1";

/// What every story begins with: an organisation that runs, things that others made, and a proxy at the edge.
const BASE: Base = Base { name: "machine", hands, manifests: &[include_str!("base.yaml")] };

/// What proptest draws: a seed, actions, and a counter of those that were come to, so that the others are left out first.
type Drawn = (u64, Vec<Action>, Option<Arc<AtomicUsize>>);

/// A world in which stories are played one after another.
pub struct Player {
    runtime: Runtime,
    world: World,
}

/// A story that fails, and how.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The story, as small as it could be made.
    pub story: Story,
    /// What was not so.
    pub why: String,
}

impl Player {
    /// A player over an empty database.
    pub fn new(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = runtime.block_on(async {
            let mut world = World::new(url).await?;
            world.keep(crate::workflow::EMPTY).await?;
            anyhow::Ok(world)
        })?;
        Ok(Self { runtime, world })
    }

    /// Plays a story and says what happened. Random words in it have names that are the same each time.
    pub fn play(&mut self, story: &Story) -> Result<Vec<String>> {
        self.play_counting(story, &AtomicUsize::new(0))
    }

    /// The same, and counts the actions that it comes to.
    fn play_counting(&mut self, story: &Story, count: &AtomicUsize) -> Result<Vec<String>> {
        let Self { runtime, world } = self;
        runtime.block_on(async {
            let played = play(world, story, count).await;
            let trace = || world.trace().join("\n  | ");
            let names = played.with_context(|| format!("{story:?}\n  | {}", trace()));
            // Whatever went wrong, the next story begins without these processes.
            let names = match names {
                Ok(names) => names,
                Err(error) => {
                    world.stop_all().await?;
                    return Err(error);
                }
            };
            let trace = world.trace().iter().map(|line| names.plain(line)).collect();
            world.stop_all().await?;
            Ok(trace)
        })
    }

    /// Plays the story that this number draws; if it fails, makes it as small as possible.
    pub fn try_number(&mut self, number: u64) -> Result<(), Box<Failure>> {
        let player = std::cell::RefCell::new(self);
        let outcome = runner(number).run(&stories(), |(seed, actions, count)| {
            let count = count.unwrap_or_default();
            let played = player.borrow_mut().play_counting(&Story { seed, actions }, &count);
            played.map(drop).map_err(|error| TestCaseError::fail(format!("{error:#}")))
        });
        match outcome {
            Ok(()) => Ok(()),
            Err(TestError::Fail(why, (seed, actions, _))) => {
                Err(Box::new(Failure { story: Story { seed, actions }, why: why.message().to_owned() }))
            }
            Err(TestError::Abort(why)) => {
                let story = Story { seed: number, actions: Vec::new() };
                Err(Box::new(Failure { story, why: why.message().to_owned() }))
            }
        }
    }
}

/// The story that this number draws.
pub fn story(number: u64) -> Result<Story> {
    let drawn = stories().new_tree(&mut runner(number));
    let (seed, actions, _) = drawn.map_err(|why| anyhow!("nothing can be drawn: {why}"))?.current();
    Ok(Story { seed, actions })
}

fn stories() -> impl Strategy<Value = Drawn> {
    Stories::sequential_strategy(ACTIONS_MAX / 2..=ACTIONS_MAX)
}

fn runner(number: u64) -> TestRunner {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

async fn play(world: &mut World, story: &Story, count: &AtomicUsize) -> Result<Names> {
    world.begin_from(&BASE).await?;
    world.order(story.seed, None, true).await?;
    let mut names = Names::default();
    names.learn(world).await?;
    world.start().await?;
    let mut witness = Witness::of(world).await?;
    for (at, action) in story.actions.iter().enumerate() {
        count.fetch_add(1, Ordering::Relaxed);
        world.note(format!("{action:?}"));
        let seed = story.seed.wrapping_add(u64::try_from(at)?);
        witness.count(world);
        act(world, *action, seed).await.with_context(|| format!("at action {at}, {action:?}"))?;
        witness.saw(*action);
        names.learn(world).await?;
        witness.check(world).await.with_context(|| format!("after action {at}, {action:?}"))?;
    }
    // Faults stop.
    witness.count(world);
    witness.counts_anew();
    world.order(story.seed, None, true).await?;
    world.swarm().with(|swarm| swarm.restore_node(NODE));
    rest::come(world).await?;
    names.learn(world).await?;
    witness.at_rest(world).await.context("at rest")?;
    rest::check(world).await.context("at rest")?;
    Ok(names)
}

async fn act(world: &mut World, action: Action, seed: u64) -> Result<()> {
    match action {
        Action::Apply(change) => {
            // What does not fit is refused: an environment of an organisation that is being deleted, a host that is taken.
            if let Err(error) = world.apply(&manifest(change)).await {
                world.note(format!("refused: {error}"));
            }
        }
        Action::Delete(target) => {
            if let Err(error) = world.delete(&[key(target)?]).await {
                world.note(format!("refused: {error}"));
            }
        }
        Action::Retry => {
            if let Err(error) = world.retry(&key(Target::Prod)?).await {
                world.note(format!("refused: {error}"));
            }
        }
        Action::Confirm => rest::confirm(world).await?,
        Action::Edit(number, edit) => {
            if let Some(name) = service(world, number) {
                // An engine refuses what it would refuse of anybody.
                drop(world.swarm().with(|swarm| meddle(swarm, &name, edit)));
            }
        }
        Action::Drop(number) => {
            if let Some(name) = service(world, number) {
                drop(world.swarm().with(|swarm| swarm.drop_service(&name)));
            }
        }
        Action::Kill(number) => {
            if let Some(name) = service(world, number) {
                world.swarm().with(|swarm| swarm.kill_tasks(&name, 1));
            }
        }
        Action::LoseEvents(count) => world.swarm().with(|swarm| swarm.lose_events(usize::from(count))),
        Action::Fault(kind, point) => {
            world.order(seed, Some(Fault::new(kind, usize::from(point))), true).await?;
        }
        Action::Crash => {
            world.stop_all().await?;
            world.start().await?;
        }
        Action::Join => world.start().await?,
        Action::NodeLost => world.swarm().with(|swarm| swarm.lose_node(NODE)),
        Action::NodeBack => world.swarm().with(|swarm| swarm.restore_node(NODE)),
        Action::Steps(count) => world.steps(usize::from(count)).await?,
        Action::Wait(seconds) => world.advance_by(Duration::from_secs(seconds.into())).await?,
        Action::Rest => world.for_a_while(WHILE).await?,
    }
    Ok(())
}

/// The service of this number, counting around those that are not the edge's.
fn service(world: &World, number: u8) -> Option<String> {
    let services = world.swarm().with(|swarm| swarm.list_services(&skep_swarm::LabelFilter::any()));
    let names: Vec<String> = services
        .into_iter()
        .map(|service| service.spec.name)
        .filter(|name| !FOREIGN.contains(&name.as_str()) && name != "edge")
        .collect();
    let at = usize::from(number).checked_rem(names.len())?;
    names.get(at).cloned()
}

fn meddle(swarm: &mut Swarm, name: &str, edit: Edit) -> Result<(), Refusal> {
    let change = |spec: &mut ServiceSpec| {
        let container = spec.task_template.container_spec.as_mut();
        match edit {
            Edit::Variable => {
                if let Some(container) = container {
                    container.env.push("MEDDLED=1".to_owned());
                }
            }
            Edit::Replicas(count) => {
                if let Some(ServiceMode::Replicated(mode)) = &mut spec.mode {
                    mode.replicas = Some(count.into());
                }
            }
            Edit::Label => drop(spec.labels.insert("team".to_owned(), "others".to_owned())),
            Edit::Disown => {
                for label in [LABEL_INSTANCE, LABEL_UID, LABEL_ORG, LABEL_NAME] {
                    spec.labels.remove(label);
                }
            }
            Edit::Image => {
                if let Some(container) = container {
                    container.image = "other:1".to_owned();
                }
            }
            Edit::RollBack => {}
        }
    };
    if edit == Edit::RollBack { swarm.roll_back(name) } else { swarm.edit_service(name, change) }
}

fn key(target: Target) -> Result<ResourceKey> {
    crate::workflow::key(match target {
        Target::Organization => "Organization/acme",
        Target::App => "acme/App/shop",
        Target::Secret => "acme/Secret/token",
        Target::Prod => "acme/Environment/prod",
        Target::Late => "acme/Environment/late",
        Target::Domain => "acme/Domain/shop",
    })
}

/// What is applied; JSON is YAML.
fn manifest(change: Change) -> String {
    let of = |kind: &str, name: &str, spec: serde_json::Value| {
        let metadata = match kind {
            "Organization" => json!({ "name": name }),
            _ => json!({ "org": "acme", "name": name }),
        };
        json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": metadata, "spec": spec })
    };
    let environment = |late: bool| if late { "late" } else { "prod" };
    let said = match change {
        Change::Organization => of("Organization", "acme", json!({})),
        Change::App(image) => {
            let image = ["shop:1", "shop:2", "sick:1", "missing:1"].get(usize::from(image)).copied();
            let check = json!({ "command": ["check"], "interval": "2s", "timeout": "1s", "retries": 2 });
            of(
                "App",
                "shop",
                json!({
                    "source": { "image": image.unwrap_or("shop:1") },
                    "processes": { "web": { "ports": [{ "name": "http", "port": 8080 }], "healthCheck": check } },
                }),
            )
        }
        Change::Secret(value) => of("Secret", "token", json!({ "value": format!("{SECRET}{value}") })),
        Change::Environment { late, variable, instances, worker, secret } => {
            let mut processes = json!({ "web": { "instances": instances } });
            if worker {
                processes["worker"] = json!({ "instances": 1, "command": ["work"] });
            }
            let secrets = if secret { json!([{ "name": "token" }]) } else { json!([]) };
            of(
                "Environment",
                environment(late),
                json!({
                    "app": "shop", "env": { "V": variable.to_string() }, "secrets": secrets, "processes": processes,
                }),
            )
        }
        Change::Domain { late } => of(
            "Domain",
            "shop",
            json!({
                "host": "shop.example.com", "environment": environment(late), "tls": "off",
            }),
        ),
    };
    said.to_string()
}

/// What the Swarm has before Skep comes: an edge, a second node, images, and what others made.
fn hands(swarm: &mut Swarm) {
    let service = |name: &str, labels: serde_json::Value, image: &str| {
        json!({
            "Name": name, "Labels": labels,
            "TaskTemplate": { "ContainerSpec": { "Image": image }, "Placement": { "Constraints": ["node.role==manager"] } },
            "Mode": { "Replicated": { "Replicas": 1 } },
        })
    };
    let theirs = FOREIGN.map(|name| service(name, json!({ "team": "others" }), "other:1"));
    let edge = service("edge", json!({ LABEL_ROLE: ROLE_EDGE }), "edge:1");
    for spec in theirs.into_iter().chain([edge]) {
        if let Ok(spec) = serde_json::from_value(spec) {
            drop(swarm.create_service(&spec));
        }
    }
    swarm.set_node(NODE, |_| ());
    swarm.set_program("sick:1", Program::unhealthy("it is not well"));
    swarm.set_image("missing:1", ImageAnswer::Refused(Refusal::new(404, "manifest unknown")));
}
