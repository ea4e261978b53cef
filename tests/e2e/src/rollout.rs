//! Everything that replaces, adds or takes away instances, under requests through the edge, and what became of the requests.
//!
//! The application ends at once when it is asked to stop, as most do. What keeps its requests from failing is the platform's doing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_testbed::{EngineVersion, Recipe, wait, wait_until};

use crate::installation::{Installation, Options};
use crate::manifests::Web;

/// How many requests a second, as the issue asks for.
pub const PER_SECOND: u32 = 200;

const HOST: &str = "acme.localhost";
const ENVIRONMENT: &str = "acme/Environment/production";
/// How long an operation may take until nothing of it is under way.
const PATIENCE: Duration = Duration::from_secs(120);
const FEW: u32 = 2;
const MANY: u32 = 4;

/// What is done to an application that is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Another image.
    Image,
    /// Another variable.
    Config,
    /// More instances.
    ScaleUp,
    /// Fewer.
    ScaleDown,
    /// Back to what ran before all of it.
    Rollback,
}

impl Operation {
    /// All of them, in the order in which they are done.
    pub const ALL: [Self; 5] = [Self::Image, Self::Config, Self::ScaleUp, Self::ScaleDown, Self::Rollback];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Image => "image change",
            Self::Config => "config change",
            Self::ScaleUp => "scale up, 2 to 4",
            Self::ScaleDown => "scale down, 4 to 2",
            Self::Rollback => "rollback",
        }
    }
}

/// What became of the requests during one operation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many were sent.
    pub sent: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The first of these in words.
    pub failures: Vec<String>,
    /// From the command to the last instance that ended.
    pub took: Duration,
}

/// An application of two instances that can be asked, behind an edge that looks at the Swarm every so many seconds.
pub fn installed(edge_refresh: u32, is_drained: bool) -> Result<(Installation, Web)> {
    let options = Options { edge_refresh, ..Options::new(EngineVersion::V26_1) };
    let at = Installation::start_with(if is_drained { options.drained() } else { options })?;
    let mut web = Web::new("acme");
    web.instances = FEW;
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    Ok((at, web))
}

/// Does all of them once. `round` makes each image and each variable a new one.
pub fn round(at: &Installation, web: &mut Web, round: usize) -> Result<BTreeMap<Operation, Outcome>> {
    let before = newest(at)?;
    let image = format!("shop:{round}");
    at.engine.publish(&Recipe::web(&format!("round {round}"))?, &image)?;
    only_in_the_registry(at, &crate::manifests::image(&image))?;
    let mut outcomes = BTreeMap::new();
    for operation in Operation::ALL {
        let outcome = under_requests(at, web, |web| match operation {
            Operation::Image => {
                *web = web.clone().with_image(&image);
                apply(at, web)
            }
            Operation::Config => {
                web.env.insert("ROUND".to_owned(), round.to_string());
                apply(at, web)
            }
            Operation::ScaleUp => {
                web.instances = MANY;
                apply(at, web)
            }
            Operation::ScaleDown => {
                web.instances = FEW;
                apply(at, web)
            }
            Operation::Rollback => {
                let to = format!("v{before}");
                at.cli.run(&["rollback", ENVIRONMENT, &to, "--wait", "--timeout", "3m"])?.ok().map(drop)
            }
        });
        let outcome = outcome.with_context(|| operation.words())?;
        println!("{}: {outcome:?}", operation.words());
        outcomes.insert(operation, outcome);
    }
    Ok(outcomes)
}

fn apply(at: &Installation, web: &Web) -> Result<()> {
    at.cli.apply_and_wait(&web.manifests())?.ok().map(drop)
}

/// Does something while the application is being asked, until nothing of what is replaced is left.
fn under_requests(
    at: &Installation,
    web: &mut Web,
    operation: impl FnOnce(&mut Web) -> Result<()>,
) -> Result<Outcome> {
    let former = at.containers(&web.service())?;
    let traffic = at.traffic_of(HOST, "/", PER_SECOND)?;
    let began = Instant::now();
    operation(web).with_context(|| at.report())?;
    wait_until("what was replaced to have ended", PATIENCE, || {
        let running = at.containers(&web.service())?;
        let wanted = usize::try_from(web.instances)?;
        wait::ready(running.len() == wanted, &format!("{former:?} became {running:?}"))
    })?;
    let took = began.elapsed();
    let mut counted = traffic.stop()?;
    counted.bodies.clear();
    let sent = counted.answered + counted.failed;
    let rate = sent / counted.took.as_secs().max(1);
    ensure!(rate >= u64::from(PER_SECOND) * 3 / 4, "only {rate} requests a second: {counted:?}");
    Ok(Outcome { sent, failed: counted.failed, failures: counted.failures, took })
}

/// As in a cluster whose managers run nothing: what the image starts has to be read from its registry.
fn only_in_the_registry(at: &Installation, image: &str) -> Result<()> {
    let format = "{{join .RepoTags \" \"}} {{join .RepoDigests \" \"}}";
    let names = at.docker(&["image", "inspect", "--format", format, image])?;
    for name in names.split_whitespace() {
        at.docker(&["image", "rm", "--force", name])?;
    }
    Ok(())
}

fn newest(at: &Installation) -> Result<u64> {
    let releases: Value = at.cli.run(&["releases", ENVIRONMENT, "-o", "json"])?.json()?;
    releases["items"][0]["version"].as_u64().context("a release")
}
