//! Everything that a user installs, started and removed by itself.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use skep_testbed::{Engine, EngineOptions, EngineVersion, Postgres, Process, Recipe, http, install, wait, wait_until};
use tempfile::TempDir;

use crate::binary;
use crate::cli::Cli;

/// A key for sealing secrets, good for tests only.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);
/// The edge's ports inside the engine's namespace.
const HTTP_PORT: u16 = 80;

/// An engine, an edge, a database and a server.
pub struct Installation {
    /// The server.
    pub skep: Process,
    /// The command, pointed at it.
    pub cli: Cli,
    /// The engine.
    pub engine: Engine,
    /// The database server.
    pub postgres: Postgres,
    /// The database.
    pub database: String,
    home: TempDir,
    token: String,
}

impl Installation {
    /// Starts everything, with an empty database and `hello:v1` in the registry.
    pub fn start(version: EngineVersion) -> Result<Self> {
        let engine = Engine::start(version, EngineOptions::default())?;
        engine.publish(&Recipe::busybox()?, "anchor:1")?;
        engine.publish(&Recipe::web("v1")?, "hello:v1")?;
        deploy_edge(&engine)?;
        let postgres = Postgres::shared()?;
        let database = postgres.create_database("e2e")?;
        let home = tempfile::tempdir()?;
        let mut skep = serve(&engine, &database, "127.0.0.1:0")?;
        let (server, token) = announced(&mut skep)?;
        let token = token.context("an empty database gets a bootstrap token")?;
        let cli = Cli::new(binary::skep()?, server, token.clone(), home.path());
        Ok(Self { skep, cli, engine, postgres, database, home, token })
    }

    /// Kills the server as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.skep.kill9().map(drop)
    }

    /// Starts the server again over the same database and engine.
    pub fn restart(&mut self) -> Result<()> {
        self.skep = serve(&self.engine, &self.database, "127.0.0.1:0")?;
        let (server, _) = announced(&mut self.skep)?;
        self.cli = Cli::new(binary::skep()?, server, self.token.clone(), self.home.path());
        Ok(())
    }

    /// What the edge answers for a host.
    pub fn request(&self, host: &str) -> Result<http::Answer> {
        http::get(self.engine.address(), HTTP_PORT, host, "/")
    }

    /// Waits until the edge answers a host with this status.
    pub fn wait_for_status(&self, host: &str, status: u16, within: Duration) -> Result<http::Answer> {
        let what = format!("{host} to answer {status}");
        wait_until(&what, within, || {
            let answer = self.request(host)?;
            wait::ready(answer.status == status, &answer.head)?;
            Ok(answer)
        })
    }

    /// The examples of the repository.
    pub fn examples(&self, name: &str) -> String {
        binary::workspace().join("examples").join(name).to_string_lossy().into_owned()
    }

    /// What a person would look at first when something is wrong: tasks, containers, and the server's log.
    pub fn report(&self) -> String {
        let ask = |args: &[&str]| self.docker(args).unwrap_or_else(|error| format!("{error:#}"));
        let services = ask(&["service", "ls", "--quiet"]);
        let mut tasks = vec!["service", "ps", "--no-trunc"];
        tasks.extend(services.lines());
        format!("{}\n{}\n{}", ask(&tasks), ask(&["ps", "--all", "--no-trunc"]), self.skep.logs())
    }

    /// The output of the engine's client.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        self.engine.docker_ok(args)
    }

    /// A service's object as the engine has it.
    pub fn service(&self, name: &str) -> Result<serde_json::Value> {
        let all: serde_json::Value = serde_json::from_str(&self.docker(&["service", "inspect", name])?)?;
        all.get(0).cloned().with_context(|| format!("no service {name}"))
    }

    /// The ids of a service's running tasks, sorted.
    pub fn running_tasks(&self, service: &str) -> Result<Vec<String>> {
        let args = ["service", "ps", "--quiet", "--no-trunc", "--filter", "desired-state=running", service];
        let mut tasks: Vec<String> = self.docker(&args)?.lines().map(str::to_owned).collect();
        tasks.sort();
        Ok(tasks)
    }
}

fn serve(engine: &Engine, database: &str, listen: &str) -> Result<Process> {
    let mut command = Command::new(binary::skep()?);
    command
        .args(["serve", "--listen", listen, "--anchor-image", "127.0.0.1:5000/anchor:1"])
        .args(["--anchor-arg", "/bin/sleep", "--anchor-arg", "2147483647"])
        .env("SKEP_DATABASE_URL", database)
        .env("SKEP_KEY", KEY)
        .env("DOCKER_HOST", engine.docker_host())
        .env("RUST_LOG", "info,skep_controller=debug,skep_executor=debug");
    Process::start(command)
}

/// The address and the token that a server announces.
fn announced(skep: &mut Process) -> Result<(String, Option<String>)> {
    let listens = "skep listens on ";
    let line = skep.wait_for_line(START, |line| line.contains(listens))?;
    let address = line.split(listens).nth(1).context("an address follows")?.trim().to_owned();
    let shown = "stored as a hash): ";
    // Announced in one go with the address, so it is there when that is, or never.
    let token = skep.wait_for_line(Duration::from_secs(1), |line| line.contains(shown)).ok();
    let token = token.and_then(|line| line.split(shown).nth(1).map(|token| token.trim().to_owned()));
    Ok((format!("http://{address}"), token))
}

/// Traefik, from the repository's own manifest.
fn deploy_edge(engine: &Engine) -> Result<()> {
    let image = "127.0.0.1:5000/traefik:test";
    engine.import(&Recipe::traefik(&install::traefik()?)?, image)?;
    let manifest: PathBuf = binary::workspace().join("manifests/traefik.yaml");
    let mut deploy = engine.client();
    deploy
        .args(["stack", "deploy", "--resolve-image", "never", "--compose-file"])
        .arg(&manifest)
        .arg("skep-edge")
        .env("SKEP_TRAEFIK_IMAGE", image)
        .env("SKEP_EDGE_REFRESH_SECONDS", "1")
        .env("SKEP_DOCKER_SOCKET", engine.socket());
    let output = deploy.output().context("run the engine's client")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("the edge to listen", Duration::from_secs(60), || {
        http::get(engine.address(), HTTP_PORT, "nobody.localhost", "/").map(drop)
    })
}
