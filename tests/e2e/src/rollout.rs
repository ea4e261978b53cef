//! Everything that replaces, adds or takes away instances, under requests through the edge, and what became of the requests.
//!
//! The application ends at once when it is asked to stop, as most do. What keeps its requests from failing is the platform's doing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_testbed::{EngineVersion, Recipe, registry, wait, wait_until};

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
    /// How many were sent a second. Fewer than [`PER_SECOND`] when the machine is too busy: whoever measures has to look at it.
    pub rate: u64,
}

/// An application that is being asked for while it is changed.
pub struct Rollouts {
    /// Where it runs.
    pub at: Installation,
    /// What runs.
    pub web: Web,
    registry: SocketAddr,
    is_drained: bool,
}

impl Rollouts {
    /// An application of two instances that can be asked, behind an edge that looks at the Swarm every so many seconds.
    pub fn start(edge_refresh: u32, is_drained: bool) -> Result<Self> {
        // What an image starts the server reads from its registry, which has to be the same for the server and for the engine.
        let trusting = vec!["--insecure-registry=0.0.0.0/0".to_owned()];
        let options =
            Options { edge_refresh, engine_arguments: trusting, ..Options::new(EngineVersion::V26_1) };
        let mut at = Installation::start_with(options)?;
        let registry = SocketAddr::new(at.engine.address(), registry::PORT);
        let (allow, refresh) = (format!("http://{registry}"), edge_refresh.to_string());
        let draining = ("SKEP_EDGE_REFRESH_SECONDS", refresh.as_str());
        let settings = [("SKEP_OUTBOUND_ALLOW", allow.as_str()), draining];
        at.kill()?;
        at.restart_with(&settings[..if is_drained { 2 } else { 1 }])?;
        let web = Web { image: format!("{registry}/hello:v1"), instances: FEW, ..Web::new("acme") };
        let mut rollouts = Self { at, web, registry, is_drained };
        rollouts.only_in_the_registry("hello:v1")?;
        rollouts.apply()?;
        Ok(rollouts)
    }

    /// Does all of them once. `round` makes each image and each variable a new one.
    pub fn round(&mut self, round: usize) -> Result<BTreeMap<Operation, Outcome>> {
        let before = self.newest()?;
        let image = format!("shop:{round}");
        self.at.engine.publish(&Recipe::web(&format!("round {round}"))?, &image)?;
        self.only_in_the_registry(&image)?;
        let mut outcomes = BTreeMap::new();
        for operation in Operation::ALL {
            let outcome = self.under_requests(|it| match operation {
                Operation::Image => {
                    it.web.image = format!("{}/{image}", it.registry);
                    it.apply()
                }
                Operation::Config => {
                    it.web.env.insert("ROUND".to_owned(), round.to_string());
                    it.apply()
                }
                Operation::ScaleUp => {
                    it.web.instances = MANY;
                    it.apply()
                }
                Operation::ScaleDown => {
                    it.web.instances = FEW;
                    it.apply()
                }
                Operation::Rollback => {
                    let to = format!("v{before}");
                    it.at
                        .cli
                        .run(&["rollback", ENVIRONMENT, &to, "--wait", "--timeout", "5m"])?
                        .ok()
                        .map(drop)
                }
            });
            let outcome = outcome.with_context(|| operation.words())?;
            println!("{}: {outcome:?}", operation.words());
            outcomes.insert(operation, outcome);
        }
        Ok(outcomes)
    }

    fn apply(&mut self) -> Result<()> {
        let applied = self.at.cli.apply_and_wait(&self.web.manifests())?;
        applied.ok().map(drop).with_context(|| self.at.report())
    }

    /// Does something while the application is being asked, until nothing of what is replaced is left.
    fn under_requests(&mut self, operation: impl FnOnce(&mut Self) -> Result<()>) -> Result<Outcome> {
        let service = self.web.service();
        let former = self.at.containers(&service)?;
        for container in &former {
            self.check_first_process(container)?;
        }
        let traffic = self.at.traffic_of(HOST, "/", PER_SECOND)?;
        let began = Instant::now();
        operation(self).with_context(|| self.at.report())?;
        let wanted = usize::try_from(self.web.instances)?;
        wait_until("what was replaced to have ended", PATIENCE, || {
            let running = self.at.containers(&service)?;
            wait::ready(running.len() == wanted, &format!("{former:?} became {running:?}"))
        })?;
        let took = began.elapsed();
        let mut counted = traffic.stop()?;
        counted.bodies.clear();
        let sent = counted.answered + counted.failed;
        ensure!(sent > 0, "nothing was asked: {counted:?}");
        let rate = sent / counted.took.as_secs().max(1);
        Ok(Outcome { sent, failed: counted.failed, failures: counted.failures, took, rate })
    }

    /// Is it drained, or not, as it is meant to be? Otherwise something else is measured.
    fn check_first_process(&self, container: &str) -> Result<()> {
        let path = self.at.docker(&["inspect", "--format", "{{.Path}}", container])?;
        let is_drained = path.trim() == "/.skep/entry";
        ensure!(is_drained == self.is_drained, "{container} begins with {path}: {}", self.at.report());
        Ok(())
    }

    /// As in a cluster whose managers run nothing: what the image starts has to be read from its registry.
    fn only_in_the_registry(&self, image: &str) -> Result<()> {
        let format = "{{join .RepoTags \" \"}} {{join .RepoDigests \" \"}}";
        let names =
            self.at.docker(&["image", "inspect", "--format", format, &crate::manifests::image(image)])?;
        for name in names.split_whitespace() {
            self.at.docker(&["image", "rm", "--force", name])?;
        }
        Ok(())
    }

    fn newest(&self) -> Result<u64> {
        let releases: Value = self.at.cli.run(&["releases", ENVIRONMENT, "-o", "json"])?.json()?;
        releases["items"][0]["version"].as_u64().context("a release")
    }
}
