//! Everything that a user installs, started and removed by itself.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use skep_testbed::{
    Cluster, ClusterOptions, Engine, EngineOptions, EngineVersion, Node, Postgres, Process, Recipe, edge,
    http, wait, wait_until,
};
use tempfile::TempDir;

use crate::binary;
use crate::cli::Cli;
use crate::deaf::Deaf;
use crate::server::Server;

/// A key for sealing secrets, good for tests only.
pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The registries of the engines, which are inside, on whatever port.
pub const REGISTRIES: &str = "http://127.0.0.1";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long a few resyncs may take.
const RESYNCS: Duration = Duration::from_secs(120);

/// How an installation is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The engine's release.
    pub version: EngineVersion,
    /// Talk to the engine over TCP with mutual TLS.
    pub tls: bool,
    /// How often the server looks at everything; its own default when absent.
    pub resync: Option<Duration>,
    /// No event of the engine reaches the server.
    pub deaf: bool,
    /// The engine's address, where the server is to use another than its own.
    pub docker_host: Option<String>,
    /// How many nodes the cluster has, and how many of them are managers.
    pub nodes: (u8, u8),
    /// The database server is the installation's own, so that it can be stopped.
    pub own_postgres: bool,
    /// The engine's registry is there a second time, for those who have its password.
    pub locked_registry: bool,
    /// Further arguments of the engines.
    pub engine_arguments: Vec<String>,
    /// Further variables of the server.
    pub env: Vec<(String, String)>,
    /// Seconds between two looks of the edge at the Swarm.
    pub edge_refresh: u32,
}

impl Options {
    /// The engine's socket and the server's defaults.
    pub fn new(version: EngineVersion) -> Self {
        Self {
            version,
            tls: false,
            resync: None,
            deaf: false,
            docker_host: None,
            nodes: (1, 1),
            own_postgres: false,
            locked_registry: false,
            engine_arguments: Vec::new(),
            env: Vec::new(),
            edge_refresh: 1,
        }
    }

    /// Processes with ports are drained for an edge that looks so often; otherwise nothing is, which spares tests the wait.
    #[must_use]
    pub fn drained(mut self) -> Self {
        self.env.push(("SKEP_EDGE_REFRESH_SECONDS".to_owned(), self.edge_refresh.to_string()));
        self
    }
}

/// An engine, an edge, a database and a server.
pub struct Installation {
    /// The server.
    pub skep: Process,
    /// The command, pointed at it.
    pub cli: Cli,
    /// The other nodes of the cluster. They end before the engine, with which the cluster goes.
    pub others: Vec<Node>,
    /// The engine.
    pub engine: Engine,
    /// The database server.
    pub postgres: Postgres,
    /// The database.
    pub database: String,
    options: Options,
    former_logs: String,
    home: TempDir,
    token: String,
}

impl Installation {
    /// Starts everything, with an empty database and `hello:v1` in the registry.
    pub fn start(version: EngineVersion) -> Result<Self> {
        Self::start_with(Options::new(version))
    }

    /// The same, set up in a special way.
    pub fn start_with(mut options: Options) -> Result<Self> {
        let (size, managers) = options.nodes;
        let engine = EngineOptions {
            tls: options.tls,
            locked_registry: options.locked_registry,
            arguments: options.engine_arguments.clone(),
            ..EngineOptions::default()
        };
        let cluster = Cluster::start(size, &ClusterOptions { version: options.version, engine, managers })?;
        let (engine, others) = Engine::among(cluster)?;
        engine.publish(&Recipe::busybox()?, "anchor:1")?;
        engine.publish(&Recipe::web("v1")?, "hello:v1")?;
        edge::deploy(&engine, &binary::workspace().join("manifests/traefik.yaml"), options.edge_refresh)?;
        let postgres = if options.own_postgres { Postgres::start()? } else { Postgres::shared()? };
        let database = postgres.create_database("e2e")?;
        let home = tempfile::tempdir()?;
        if options.deaf {
            options.docker_host = Some(Deaf::start(home.path(), engine.socket())?.docker_host());
        }
        let mut skep = serve(&engine, &database, &options)?;
        let (server, token) = announced(&mut skep)?;
        let token = token.context("an empty database gets a bootstrap token")?;
        let cli = Cli::new(binary::skep()?, server, token.clone(), home.path());
        let former_logs = String::new();
        Ok(Self { skep, cli, others, engine, postgres, database, options, former_logs, home, token })
    }

    /// Kills the server as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.skep.kill9()?;
        self.former_logs += &self.skep.logs();
        self.former_logs += "--- killed\n";
        Ok(())
    }

    /// Starts the server again over the same database and engine.
    pub fn restart(&mut self) -> Result<()> {
        self.skep = serve(&self.engine, &self.database, &self.options)?;
        let (server, _) = announced(&mut self.skep)?;
        self.cli = Cli::new(binary::skep()?, server, self.token.clone(), self.home.path());
        Ok(())
    }

    /// The same with further settings, in place of those that it had.
    pub fn restart_with(&mut self, env: &[(&str, &str)]) -> Result<()> {
        self.former_logs += &self.skep.logs();
        self.options.env =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.restart()
    }

    /// The server's command with its usual settings, not started.
    pub fn serve_command(&self) -> Result<Command> {
        serve_command(&self.engine, &self.database, &Options { env: Vec::new(), ..self.options.clone() })
    }

    /// Starts a further server, which reaches the database under this URL.
    pub fn another(&self, database: &str) -> Result<Server> {
        let mut process = serve(&self.engine, database, &self.options)?;
        let (server, _) = announced(&mut process)?;
        let cli = Cli::new(binary::skep()?, server, self.token.clone(), self.home.path());
        Server::new(process, cli)
    }

    /// Starts a server of another database on the same engine, with further settings. Its token is its own if the database is new,
    /// and the installation's otherwise.
    pub fn rival(&self, database: &str, env: &[(&str, &str)]) -> Result<Server> {
        let mut command = serve_command(&self.engine, database, &self.options)?;
        command.envs(env.iter().copied());
        let mut process = Process::start(command)?;
        let (server, token) = announced(&mut process)?;
        let token = token.unwrap_or_else(|| self.token.clone());
        let cli = Cli::new(binary::skep()?, server, token, self.home.path());
        Server::new(process, cli)
    }

    /// What the server wrote, in this life and in former ones.
    pub fn logs(&self) -> String {
        self.former_logs.clone() + &self.skep.logs()
    }

    /// Waits until the server has looked at everything so many times more, from beginning to end.
    pub fn wait_for_resyncs(&self, count: usize) -> Result<()> {
        let so_far = || {
            self.skep
                .logs()
                .lines()
                .filter(|line| line.contains("resync") && line.contains("listed="))
                .count()
        };
        // The one that runs now does not count, and the last has ended when another begins.
        let wanted = so_far() + count + 2;
        wait_until("the server to look at everything", RESYNCS, || {
            wait::ready(so_far() >= wanted, "not often enough yet")
        })
    }

    /// What a query of the database answers.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.postgres.psql(&self.database, sql)
    }

    /// What the edge answers for a host.
    pub fn request(&self, host: &str) -> Result<http::Answer> {
        http::get(self.engine.address(), edge::HTTP_PORT, host, "/")
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
        format!("{}\n{}\n{}", ask(&tasks), ask(&["ps", "--all"]), self.logs())
    }
}

/// The command that serves, not started.
fn serve_command(engine: &Engine, database: &str, options: &Options) -> Result<Command> {
    let mut command = Command::new(binary::skep()?);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--anchor-image", "127.0.0.1:5000/anchor:1"])
        .args(["--anchor-arg", "/bin/sleep", "--anchor-arg", "2147483647"])
        .env("SKEP_DATABASE_URL", database)
        .env("SKEP_KEY", KEY)
        .env("SKEP_OUTBOUND_ALLOW", REGISTRIES)
        // What a test does not look at it need not wait for.
        .env("SKEP_EDGE_REFRESH_SECONDS", "0")
        .env("SKEP_LOG", "info,skep_controller=debug,skep_executor=debug,skep_runtime=debug");
    match engine.tls().filter(|_| options.tls) {
        Some((host, credentials)) => {
            command.env("DOCKER_HOST", host).env("DOCKER_CERT_PATH", &credentials.dir);
        }
        None => {
            let host = options.docker_host.clone().unwrap_or_else(|| engine.docker_host());
            command.env("DOCKER_HOST", host);
        }
    }
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
    if let Some(resync) = options.resync {
        command.env("SKEP_RESYNC", format!("{}s", resync.as_secs()));
    }
    Ok(command)
}

fn serve(engine: &Engine, database: &str, options: &Options) -> Result<Process> {
    Process::start(serve_command(engine, database, options)?)
}

/// The address and the token that a server announces.
fn announced(skep: &mut Process) -> Result<(String, Option<String>)> {
    let listens = "skep listens on ";
    let line = skep.wait_for_line(START, |line| line.contains(listens))?;
    let address = line.split(listens).nth(1).context("an address follows")?.trim().to_owned();
    let shown = "stored as a hash): ";
    // Announced before the address, so it is there when that is, or never.
    let logs = skep.logs();
    let token = logs.lines().find(|line| line.contains(shown));
    let token = token.and_then(|line| line.split(shown).nth(1).map(|token| token.trim().to_owned()));
    Ok((format!("http://{address}"), token))
}
