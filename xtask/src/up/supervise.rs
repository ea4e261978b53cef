//! `cargo xtask supervise`: the background process that holds an installation. `up` starts it; nobody else needs to.
//!
//! Engine, registry, proxy, server and database are values of this process, and each of them ends when this process does, even
//! when it is killed: their machines read from pipes that it holds. What remains then (directories, network namespaces) is
//! named after a slot whose lock is free, and `down` or any later start sweeps it.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use skep_testbed::{Engine, EngineOptions, EngineVersion, Recipe, edge, install};

use super::forward;
use super::home::{Home, Running};
use super::server::{self, Server};
use crate::workspace;

/// How often the server and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Pause before a server that ended is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// The loopback port of the edge, if it is free.
const EDGE_PORT: u16 = 8080;

/// What the example application says.
const PAGE: &str = "Hello from Skep, version 1";

/// What its next version says, for whoever wants to try a roll-out.
const NEXT_PAGE: &str = "Hello from Skep, version 2";

/// Holds an installation of the given `skep` until it is asked to stop.
pub(crate) fn run(program: &Path) -> Result<()> {
    // A session of its own, so that neither the end of the terminal nor its Ctrl-C reaches it.
    rustix::process::setsid().context("cannot leave the terminal's session")?;
    let home = Home::find()?;
    let _lock = home.take()?.context("another installation runs in this workspace")?;
    let started = Instant::now();
    let step = |what: &str| eprintln!("[{:5.1} s] {what}", started.elapsed().as_secs_f32());

    step("engine: a private Docker engine in Swarm mode, with a registry");
    let engine = start_engine(&step)?;
    step("images: the example application and the proxy");
    engine.publish(&Recipe::busybox()?, server::ANCHOR)?;
    engine.publish(&Recipe::web(PAGE)?, "hello:v1")?;
    engine.publish(&Recipe::web(NEXT_PAGE)?, "hello:v2")?;
    step("edge: Traefik from manifests/traefik.yaml");
    edge::deploy(&engine, &workspace::root()?.join("manifests/traefik.yaml"), 1)?;
    let front = forward::listen(EDGE_PORT)?;
    let edge_port = front.local_addr().context("a bound socket has an address")?.port();
    forward::start(front, server::edge(&engine));
    step("server: skep dev with a private Postgres");
    let (mut server, token) = Server::start(program, &engine, edge_port, &home.at("server.log"))?;

    home.write("config.yaml", &context(server.address(), &token))?;
    home.announce(&Running {
        edge_port,
        server: server.address().to_owned(),
        docker_host: engine.docker_host(),
        parts: engine.dir(),
    })?;
    step("everything runs");
    while !home.must_stop() {
        if server.look_after()? {
            step("the server had ended; it was started again");
            sleep(PAUSE);
        }
        sleep(LOOK);
    }
    step("asked to stop");
    Ok(())
}

/// The newer engine, which keeps more of what Skep asks for; where it cannot be had, the machine's own.
fn start_engine(step: &impl Fn(&str)) -> Result<Engine> {
    let options = EngineOptions::default();
    match install::engine_26() {
        Ok(_) => Engine::start(EngineVersion::V26_1, options),
        Err(error) => {
            step(&format!("engine: 26.1 cannot be fetched, the installed one is taken: {error:#}"));
            Engine::start(EngineVersion::V20_10, EngineOptions { any_release: true, ..options })
        }
    }
}

/// A configuration file for the `skep` command. JSON is YAML.
fn context(server: &str, token: &str) -> String {
    let context = serde_json::json!({
        "currentContext": "up",
        "contexts": {"up": {"server": server, "token": token, "org": "hello"}},
    });
    format!("{context:#}\n")
}

/// The `skep` that an installation runs.
pub(crate) fn built() -> Result<PathBuf> {
    let built = match skep_testbed::built::skep() {
        Some(built) => built,
        None => workspace::target()?.join("debug/skep"),
    };
    std::path::absolute(built).context("the program has no absolute path")
}
