//! `docker stack deploy`: what people use when they have no Skep.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use skep_testbed::{command, wait, wait_until};

use crate::ground::Ground;
use crate::usage;

/// How long the rest of a stack may take to go.
const GONE: Duration = Duration::from_secs(120);

/// What a deploy took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deployed {
    /// From start to end of the client.
    pub(crate) took: Duration,
    /// Time on a CPU, of the client and the engine.
    pub(crate) cpu: Duration,
}

impl Deployed {
    /// The cheaper of two.
    pub(crate) fn min(self, other: Self) -> Self {
        if self.cpu <= other.cpu { self } else { other }
    }
}

/// Deploys a stack file, again if it is there already.
pub(crate) fn deploy(ground: &Ground, file: &std::path::Path) -> Result<Deployed> {
    let mut client = ground.engine.client();
    // Images are given by digest: there is nothing to ask a registry for, as there is not for Skep.
    client.args(["stack", "deploy", "--resolve-image", "never", "--compose-file"]).arg(file).arg("crowd");
    let (before, children) = (ground.used()?, usage::cpu_of_ended_children());
    let began = Instant::now();
    command::stdout(client).context("docker stack deploy")?;
    let took = began.elapsed();
    let cpu = (usage::cpu_of_ended_children() - children) + (ground.used()?.engine - before.engine);
    Ok(Deployed { took, cpu })
}

/// Removes it, and waits until nothing is left.
pub(crate) fn remove(ground: &Ground) -> Result<()> {
    ground.engine.docker_ok(&["stack", "rm", "crowd"])?;
    wait_until("the stack to be gone", GONE, || {
        let filter = "label=com.docker.stack.namespace=crowd";
        let services = ground.engine.docker_ok(&["service", "ls", "--quiet", "--filter", filter])?;
        let networks = ground.engine.docker_ok(&["network", "ls", "--quiet", "--filter", filter])?;
        wait::ready(services.is_empty() && networks.is_empty(), "something is left")
    })
}
