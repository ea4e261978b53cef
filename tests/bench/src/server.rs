//! A server, built for release: the real `skep serve`, or the same over a simulated Swarm.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use skep_testbed::{Process, http};

use crate::ground::{Ground, KEY, workspace};
use crate::simulated;
use crate::usage::{self, Cpu};

/// How long a server may take to listen, and to take its shards.
const START: Duration = Duration::from_secs(30);

/// What a server says before its address, and before its first token.
pub(crate) const LISTENS: &str = "skep listens on ";
pub(crate) const TOKEN: &str = "stored as a hash): ";

/// A server.
pub(crate) struct Server {
    process: Process,
    port: u16,
    token: Option<String>,
}

impl Server {
    /// Starts one over the ground's engine and database, and waits until it works on every shard.
    pub(crate) fn start(ground: &Ground, env: &[(&str, &str)]) -> Result<Self> {
        let binary = binary();
        ensure!(binary.exists(), "{} is not built; `cargo xtask bench` does that", binary.display());
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--anchor-image", &ground.anchor])
            .args(["--anchor-arg", "/bin/sleep", "--anchor-arg", "2147483647"])
            .env("SKEP_DATABASE_URL", &ground.database)
            .env("SKEP_KEY", KEY)
            .env("SKEP_OUTBOUND_ALLOW", "http://127.0.0.1:5000")
            .env("DOCKER_HOST", ground.engine.docker_host())
            .envs(env.iter().copied());
        let mut server = Self::of(command)?;
        server.process.wait_for_line(START, |line| line.contains("holds shards"))?;
        Ok(server)
    }

    /// Starts one over a simulated Swarm of its own, in a process of its own, and waits until it listens.
    pub(crate) fn simulated(database: &str) -> Result<Self> {
        let program = match std::env::var_os("SKEP_BENCH_SIMULATED") {
            Some(named) => PathBuf::from(named),
            None => std::env::current_exe().context("find this program")?,
        };
        let mut command = Command::new(program);
        command.arg(simulated::WORD).env(simulated::DATABASE, database);
        Self::of(command)
    }

    fn of(command: Command) -> Result<Self> {
        let mut process = Process::start(command)?;
        let line = process.wait_for_line(START, |line| line.contains(LISTENS))?;
        let port = line.rsplit_once(':').context("an address has a port")?.1.trim().parse()?;
        // Announced before the address, or never.
        let logs = process.logs();
        let token = logs.lines().find(|line| line.contains(TOKEN));
        let token = token.and_then(|line| line.split(TOKEN).nth(1).map(|token| token.trim().to_owned()));
        Ok(Self { process, port, token })
    }

    /// The first administrator's token, if the database was empty.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Where it listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The time that it used so far.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        usage::cpu_of_tree(self.process.pid())
    }

    /// The memory that it has.
    pub(crate) fn resident(&self) -> Result<u64> {
        usage::resident(self.process.pid())
    }

    /// The sum of a counter over those of its labels that contain this.
    pub(crate) fn counter(&self, name: &str, token: &str, labels: &str) -> Result<f64> {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let bearer = format!("Bearer {token}");
        let answer =
            http::get_with(address, self.port, "127.0.0.1", "/metrics", &[("Authorization", &bearer)])?;
        ensure!(answer.status == 200, "the metrics answer {}", answer.status);
        let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
        let values =
            answer.body.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// What it wrote.
    pub(crate) fn logs(&self) -> String {
        self.process.logs()
    }

    /// Ends it in peace.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.sigterm();
        self.process.wait_exit(START).map(drop)
    }
}

fn binary() -> PathBuf {
    match std::env::var_os("SKEP_BENCH_BINARY") {
        Some(named) => PathBuf::from(named),
        None => workspace().join("target/release/skep"),
    }
}
