//! The server of an installation: `skep dev` with its private Postgres, on a machine of its own.
//!
//! The machine is what ends both, whatever becomes of them: when it is dropped, and when the supervisor is killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use skep_testbed::machine::Machine;
use skep_testbed::{Engine, command, registry};

/// The port of the API, if it can be had.
const PORT: u16 = 7700;

/// How long the server may take to listen: it initialises a database first.
const START: Duration = Duration::from_secs(90);

/// What the server announces, before the address and the token.
const LISTENS: &str = "skep listens on ";
const TOKEN: &str = "bootstrap token (shown this once, stored as a hash): ";

/// Lines of an announcement kept for whoever waits for them; the rest of standard output is of no interest.
const MAX_LINES: usize = 16;

/// A server that is looked after.
#[derive(Debug)]
pub(crate) struct Server {
    machine: Machine,
    process: Child,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    address: String,
}

impl Server {
    /// Starts the server against an engine, and returns its bootstrap token as well. `edge_port` is where people reach the edge.
    pub(crate) fn start(
        program: &Path,
        engine: &Engine,
        edge_port: u16,
        log: &Path,
    ) -> Result<(Server, String)> {
        // The preferred port may be taken, even between a look at it and the start; the second attempt leaves the choice to
        // the kernel, which nobody can come before.
        Server::start_on(PORT, program, engine, edge_port, log)
            .or_else(|_| Server::start_on(0, program, engine, edge_port, log))
            .with_context(|| {
                let said = fs::read_to_string(log).unwrap_or_default();
                format!("the end of its log:\n{}", command::tail(&said))
            })
    }

    fn start_on(
        port: u16,
        program: &Path,
        engine: &Engine,
        edge_port: u16,
        log: &Path,
    ) -> Result<(Server, String)> {
        let data = engine.dir().join("skep");
        // A server that did not get far may have made a token that nobody read.
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        let machine = Machine::start(&engine.dir().join("machines"), "skep", None)?;
        let mut arguments = vec![
            "dev".to_owned(),
            format!("--data-dir={}", data.display()),
            format!("--docker-host={}", engine.docker_host()),
            format!("--public-http-port={edge_port}"),
            format!("--anchor-image={}/{ANCHOR}", registry::HOST),
            format!("--outbound-allow=http://{}", registry::HOST),
            "--anchor-arg=/bin/sleep".to_owned(),
            "--anchor-arg=2147483647".to_owned(),
            format!("--listen=127.0.0.1:{port}"),
        ];
        let (process, lines) = launch(&machine, program, &arguments, log)?;
        let (address, token) = announced(&lines)?;
        // Started again, it has to be found where it was.
        arguments.pop();
        arguments.push(format!("--listen={address}"));
        let address = format!("http://{address}");
        let (program, log) = (program.to_owned(), log.to_owned());
        Ok((Server { machine, process, program, arguments, log, address }, token))
    }

    /// The API's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Starts the server again if it ended. Returns whether it had.
    pub(crate) fn look_after(&mut self) -> Result<bool> {
        if self.process.try_wait().context("cannot look after the server")?.is_none() {
            return Ok(false);
        }
        (self.process, _) = launch(&self.machine, &self.program, &self.arguments, &self.log)?;
        Ok(true)
    }
}

/// The image of the tasks that hold networks on edge nodes, in the engine's registry.
pub(crate) const ANCHOR: &str = "anchor:1";

fn launch(
    machine: &Machine,
    program: &Path,
    arguments: &[String],
    log: &Path,
) -> Result<(Child, Receiver<String>)> {
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("cannot open {}", log.display()))?;
    let mut command = machine.command(&program.to_string_lossy(), arguments);
    // What the caller's shell says about some other installation.
    for name in ["SKEP_DATABASE_URL", "SKEP_KEY", "SKEP_KEY_FILE", "DOCKER_CERT_PATH"] {
        command.env_remove(name);
    }
    let mut process =
        command.stdout(Stdio::piped()).stderr(file).spawn().context("cannot start the server")?;
    let output = process.stdout.take().context("the output is a pipe")?;
    let (sender, lines) = sync_channel(MAX_LINES);
    // Reads to the end whether or not anybody listens: the server must never block on what it prints.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.try_send(line);
        }
    });
    Ok((process, lines))
}

/// The address that the server announces, and the token that it has announced before.
fn announced(lines: &Receiver<String>) -> Result<(String, String)> {
    let deadline = Instant::now() + START;
    let mut token = None;
    loop {
        let line = lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .context("the server did not announce itself")?;
        if let Some(shown) = line.strip_prefix(TOKEN) {
            token = Some(shown.trim().to_owned());
        }
        if let Some(address) = line.strip_prefix(LISTENS) {
            return Ok((address.trim().to_owned(), token.context("an address and no token")?));
        }
    }
}

/// Where the edge answers, on the engine's own network.
pub(crate) fn edge(engine: &Engine) -> (IpAddr, u16) {
    (engine.address(), skep_testbed::edge::HTTP_PORT)
}
