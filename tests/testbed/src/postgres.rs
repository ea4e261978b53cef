//! A private PostgreSQL server per test process, with a database per test.
//!
//! The server runs on a machine of its own, as an unprivileged user, on a free loopback port. Its files are copied from a
//! template that `initdb` made once (tens of milliseconds instead of half a second). Durability is off unless a test asks:
//! a crash of the *server* loses nothing without it, and a crash of the machine is not what tests are about.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::lease::{self, Lease};
use crate::machine::Machine;
use crate::wait::wait_until;

/// Names a server that several test processes share, as a URL without a database.
pub const SHARED: &str = "SKEP_TESTBED_POSTGRES";

/// The superuser of the server.
const OWNER: &str = "skep";

/// The account under which the server runs; it refuses to run as root.
const ACCOUNT: &str = "postgres";

/// How long the server may take to accept connections.
const START: Duration = Duration::from_secs(30);

/// Attempts to find a port that is still free when the server binds it.
const PORT_ATTEMPTS: u32 = 5;

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Write to disk as in production (`fsync`, full pages).
    pub durable: bool,
    /// Further settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A running server, or a share of one. Dropping it stops and removes a server of our own.
#[derive(Debug)]
pub struct Postgres {
    base: String,
    // None for a server that someone else started.
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    // Before the lease, whose removal expects the machine's processes to have ended.
    machine: Machine,
    port: u16,
    options: PostgresOptions,
    bin: PathBuf,
    lease: Lease,
}

impl Postgres {
    /// Starts a server with the default options.
    pub fn start() -> Result<Postgres> {
        Postgres::start_with(PostgresOptions::default())
    }

    /// The server that the test run shares, if it does (`SKEP_TESTBED_POSTGRES`), or a new one. For tests that need no more
    /// than a database: a shared server cannot be stopped.
    pub fn shared() -> Result<Postgres> {
        match std::env::var(SHARED) {
            Ok(base) => Ok(Postgres { base, server: None }),
            Err(_) => Postgres::start(),
        }
    }

    /// Starts a server.
    pub fn start_with(options: PostgresOptions) -> Result<Postgres> {
        let bin = programs()?;
        let template = template(&bin)?;
        let lease = Lease::take()?;
        let dir = lease.dir();
        command::run("cp", ["-a", "--reflink=auto", &text(&template)?, &text(&dir.join("data"))?])?;
        fs::create_dir(dir.join("socket")).context("cannot create the socket's directory")?;
        command::run("chown", ["-R", &format!("{ACCOUNT}:"), &text(&dir.join("socket"))?])?;
        let machine = Machine::start(&dir.join("machines"), "postgres", None)?;
        let mut server = Server { machine, port: 0, options, bin, lease };
        let mut attempt = 1;
        loop {
            server.port = free_port()?;
            match server.boot() {
                Ok(()) => break,
                Err(error) if attempt == PORT_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
        Ok(Postgres { base: format!("postgres://{OWNER}@127.0.0.1:{}", server.port), server: Some(server) })
    }

    /// The server's address without a database, in the form [`SHARED`] takes.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The URL of the server's first, empty database. Tests share it; see [`create_database`](Self::create_database).
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Creates a database for one test and returns its URL. The name is made unique.
    pub fn create_database(&self, name: &str) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        ensure!(
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
            "{name:?} is no plain database name"
        );
        let name = format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.psql(&self.url(), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs SQL with `psql` and returns the rows, fields separated by `|`: for assertions and fault tests.
    pub fn psql(&self, url: &str, sql: &str) -> Result<String> {
        let mut psql = command::command("psql", ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--dbname", url, "--command", sql]);
        command::stdout(psql).map(|rows| rows.trim_end().to_owned())
    }

    /// Runs a file of SQL in one transaction.
    pub fn run_file(&self, url: &str, file: &Path) -> Result<()> {
        let mut psql = command::command("psql", ["--no-psqlrc", "--quiet", "--single-transaction"]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--dbname", url, "--file"]).arg(file);
        command::stdout(psql).map(drop)
    }

    /// The database as SQL text (`pg_dump`), to look for what must not be in it.
    pub fn dump(&self, url: &str) -> Result<String> {
        command::run("pg_dump", ["--dbname", url])
    }

    /// Stops the server as a crash would: no checkpoint, connections cut, recovery at the next start.
    pub fn stop_immediate(&mut self) -> Result<()> {
        let server = self.own()?;
        let stop = server.pg_ctl(["stop", "--mode=immediate", "--silent"]);
        command::stdout(stop).map(drop)
    }

    /// Starts the server again, on the same port, stopping it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        let server = self.own()?;
        // Fails when the server is stopped, which is what is wanted.
        let _ = command::stdout(server.pg_ctl(["stop", "--mode=fast", "--silent"]));
        server.boot()
    }

    fn url_of(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    fn own(&mut self) -> Result<&mut Server> {
        self.server.as_mut().context("a server that is shared with other tests cannot be stopped")
    }
}

impl Server {
    /// Starts the server process and waits until it accepts connections.
    fn boot(&mut self) -> Result<()> {
        let dir = self.lease.dir();
        let log = dir.join("postgres.log");
        let mut args = vec![
            format!("--reuid={ACCOUNT}"),
            format!("--regid={ACCOUNT}"),
            "--clear-groups".to_owned(),
            text(&self.bin.join("postgres"))?,
            "-D".to_owned(),
            text(&dir.join("data"))?,
        ];
        let durable = if self.options.durable { "on" } else { "off" };
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", text(&dir.join("socket"))?),
            // Tests open many small pools at once.
            "max_connections=300".to_owned(),
            "shared_buffers=64MB".to_owned(),
            format!("fsync={durable}"),
            format!("full_page_writes={durable}"),
        ];
        for setting in own.iter().chain(&self.options.settings) {
            args.extend(["-c".to_owned(), setting.clone()]);
        }
        let command = self.machine.command("setpriv", args);
        let mut child = self.machine.spawn(command, &log)?;
        let bin = self.bin.clone();
        let port = self.port.to_string();
        let answered = wait_until("PostgreSQL to accept connections", START, || {
            if let Some(status) = child.try_wait().context("cannot look after PostgreSQL")? {
                return Ok(Err(anyhow::anyhow!("PostgreSQL ended with {status}")));
            }
            command::run(&text(&bin.join("pg_isready"))?, ["--quiet", "--host=127.0.0.1", "--port", &port])
                .map(|_| Ok(()))
        });
        // Its end is found out through the server itself; this only keeps the process table clean.
        std::thread::spawn(move || child.wait());
        answered.and_then(|answered| answered).with_context(|| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("its log:\n{}", command::tail(&log))
        })
    }

    fn pg_ctl<const N: usize>(&self, args: [&str; N]) -> Command {
        let pg_ctl = self.bin.join("pg_ctl");
        let data = self.lease.dir().join("data");
        let mut command = self.machine.command(
            "setpriv",
            [format!("--reuid={ACCOUNT}"), format!("--regid={ACCOUNT}"), "--clear-groups".to_owned()],
        );
        command.arg(pg_ctl).arg("--pgdata").arg(data).args(args);
        command
    }
}

/// The directory of the newest installed server's programs.
fn programs() -> Result<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").context("postgresql is not installed")?;
    let versions = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.max().context("postgresql is not installed")?;
    Ok(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
}

/// An initialised data directory to copy, made once per server release.
fn template(bin: &Path) -> Result<PathBuf> {
    let release =
        bin.parent().and_then(Path::file_name).context("the programs lie in a release's directory")?;
    let base = lease::root().join("templates");
    let done = base.join(format!("postgres-{}", release.display()));
    if done.exists() {
        return Ok(done);
    }
    fs::create_dir_all(&base).with_context(|| format!("cannot create {}", base.display()))?;
    let lock = File::create(base.join("lock")).context("cannot create the template's lock")?;
    lock.lock().context("cannot lock the template")?;
    if done.exists() {
        return Ok(done);
    }
    let part = base.join("part");
    if part.exists() {
        fs::remove_dir_all(&part).context("cannot remove an incomplete template")?;
    }
    fs::create_dir(&part).context("cannot create a template")?;
    command::run("chown", [&format!("{ACCOUNT}:"), &text(&part)?])?;
    let identity = [format!("--reuid={ACCOUNT}"), format!("--regid={ACCOUNT}"), "--clear-groups".to_owned()];
    let mut initdb = command::command("setpriv", identity);
    initdb.arg(bin.join("initdb")).arg("--pgdata").arg(&part).args([
        "--no-sync",
        "--auth=trust",
        "--encoding=UTF8",
    ]);
    initdb.args(["--locale=C.UTF-8", &format!("--username={OWNER}")]);
    command::stdout(initdb)?;
    fs::rename(&part, &done).context("cannot complete a template")?;
    Ok(done)
}

pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no loopback port is free")?;
    Ok(listener.local_addr().context("a bound socket has an address")?.port())
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not text", path.display()))
}
