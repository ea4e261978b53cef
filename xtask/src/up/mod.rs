//! `cargo xtask up`: from a machine with Rust, apt and pip to an application that answers through the edge.
//!
//! It installs what is missing, builds `skep`, starts a background process that holds a private engine, proxy, server and
//! database ([`supervise`]), and then uses the installation as a user would ([`tour`]). Nothing that runs on the machine is
//! touched: the engine has its own files, control groups and network namespaces, the database its own socket, and all ports are
//! on loopback. `cargo xtask down` ends it and removes it.

mod forward;
pub(crate) mod home;
mod server;
pub(crate) mod supervise;
mod tour;

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use skep_testbed::{built, install, wait_until};

use self::home::{Home, Running};
use self::tour::Tour;
use crate::{down, workspace};

/// How long everything may take to run, once it is installed and built.
const START: Duration = Duration::from_secs(240);

/// Brings an installation up, or says that it runs.
pub(crate) fn run() -> Result<()> {
    let home = Home::find()?;
    if home.is_taken()? {
        let running = wait_until("the installation that is being started", START, || {
            home.running().context("it is not complete yet")
        })?;
        println!("It runs already.");
        let tour = Tour::new(&home, &running, supervise::built()?);
        tour.page()?;
        return tour.farewell();
    }
    eprintln!("==> what is needed");
    install::packages()?;
    install::traefik()?;
    // Best done before the build, which takes long; the supervisor makes do without it.
    if let Err(error) = install::engine_26() {
        eprintln!("warning: {error:#}");
    }
    if built::skep().is_none() {
        workspace::run("build", workspace::cargo(["build", "--quiet", "--locked", "--package", "skep"])?)?;
    }
    if home.dir().exists() {
        eprintln!("==> removing what an earlier installation left");
        down::clean(&home)?;
    }
    eprintln!("==> start");
    let running = start(&home)?;
    let tour = Tour::new(&home, &running, supervise::built()?);
    tour.give().and_then(|()| tour.farewell()).with_context(|| {
        format!(
            "the installation runs, but not as it should (logs: {}; to remove it: cargo xtask down)",
            home.dir().display()
        )
    })
}

/// Starts the supervisor, passes on what it says, and waits until it announces that everything runs.
fn start(home: &Home) -> Result<Running> {
    home.create()?;
    let path = home.at("log");
    let log = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let this = std::env::current_exe().context("cannot tell which program this is")?;
    let mut supervisor = Command::new(this)
        .arg("supervise")
        .arg(supervise::built()?)
        .current_dir(workspace::root()?)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        .spawn()
        .context("cannot start the supervisor")?;
    let mut shown = 0;
    let started = wait_until("everything to run", START, || {
        let ended = supervisor.try_wait().context("cannot look after the supervisor")?;
        let said = fs::read_to_string(&path).unwrap_or_default();
        eprint!("{}", said.get(shown..).unwrap_or_default());
        shown = said.len();
        match (home.running(), ended) {
            (Some(running), None) => Ok(Ok(running)),
            (_, Some(status)) => Ok(Err(anyhow!("the supervisor ended with {status}"))),
            (None, None) => Err(anyhow!("it is not complete yet; see {}", path.display())),
        }
    });
    started.and_then(|started| started).inspect_err(|_| give_up(supervisor))
}

/// Ends a supervisor that did not get everything to run; what it held goes with it.
fn give_up(mut supervisor: Child) {
    // Fails only if it has ended.
    let _ = supervisor.kill();
    let _ = supervisor.wait();
}
