//! A Postgres server of our own, for one data directory.
//!
//! Input is a directory that the caller holds the lock of. The server listens on a unix socket in a directory that only its
//! owner may enter, never on a network, and asks for no password: who gets at the socket is who may use it.
//!
//! Guarantees: an initialisation that was cut short starts anew; a server that an earlier, killed `skep dev` left running is
//! recognised by its working directory and program, stopped and replaced; no other server is ever signalled. When the value
//! is dropped without [`PrivatePostgres::stop`], the server is asked to stop all the same.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};

use super::identity::Identity;
use super::programs::Programs;
use crate::client::escape;

/// How long the server may take to be ready: recovery after a crash replays at most a few checkpoints.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop when it is asked to close its connections.
const STOP: Duration = Duration::from_secs(20);
/// How often its state is looked at meanwhile.
const POLL: Duration = Duration::from_millis(50);
/// The longest path of a unix socket, its final zero included (`sun_path`).
const SOCKET_PATH_MAX: usize = 108;
/// The port, which is only part of the socket's name.
const PORT: u16 = 5432;
/// The log is begun anew when it is larger than this.
const LOG_MAX: u64 = 10 * 1024 * 1024;
/// How much of the log's end is shown when the server does not start.
const LOG_SHOWN: u64 = 2000;
/// The owner of everything in the database.
const OWNER: &str = "skep";

/// A running server.
#[derive(Debug)]
pub(crate) struct PrivatePostgres {
    child: Child,
    places: Places,
}

/// Where the parts of a cluster are.
#[derive(Debug, Clone)]
struct Places {
    data: PathBuf,
    part: PathBuf,
    run: PathBuf,
    log: PathBuf,
}

impl Places {
    fn below(dir: &Path) -> Self {
        let base = dir.join("postgres");
        let at = |name: &str| base.join(name);
        Self { data: at("data"), part: at("data.part"), run: at("run"), log: at("log") }
    }
}

impl PrivatePostgres {
    /// Starts the server of a data directory, which is initialised at the first call. Blocks until it is ready.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let places = Places::below(dir);
        let socket = places.run.join(format!(".s.PGSQL.{PORT}.lock"));
        ensure!(
            socket.as_os_str().len() < SOCKET_PATH_MAX,
            "the path {} is too long for a socket\nhelp: choose a shorter one with --data-dir",
            places.run.display()
        );
        let identity = Identity::choose(&places.data)?;
        let programs = Programs::find(&places.data)?;
        prepare(&places, identity)?;
        if !places.data.exists() {
            initialise(&places, &programs, identity)?;
        }
        stop_left_over(&places.data)?;
        let child = spawn(&places, &programs, identity)?;
        let mut server = Self { child, places };
        server.wait_ready()?;
        Ok(server)
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        // The path is text: `spawn` has refused any other.
        let host = escape(&self.places.run.to_string_lossy());
        format!("postgres://{OWNER}@localhost:{PORT}/postgres?host={host}")
    }

    /// Stops the server: connections are closed, everything is written.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::INT);
        if self.ended_within(STOP)? {
            return Ok(());
        }
        tracing::warn!("Postgres does not stop; it is made to, and recovers at the next start");
        self.signal(Signal::QUIT);
        ensure!(self.ended_within(STOP)?, "Postgres (process {}) does not stop", self.child.id());
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails only when the server has ended, which is what is wanted. It is our child and not yet waited for, so
            // the process id cannot belong to another.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn ended_within(&mut self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            if self.child.try_wait().context("cannot look after Postgres")?.is_some() {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot look after Postgres")? {
                bail!("Postgres ended ({status}); the end of its log:\n{}", log_end(&self.places.log));
            }
            if PidFile::read(&self.places.data)?.is_some_and(|file| file.ready && file.pid == self.child.id())
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "Postgres is not ready after {} s; the end of its log:\n{}",
                START.as_secs(),
                log_end(&self.places.log)
            );
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::INT);
            let _ = self.ended_within(STOP);
        }
    }
}

/// Makes the directories around the cluster.
fn prepare(places: &Places, identity: Identity) -> Result<()> {
    fs::create_dir_all(&places.run).with_context(|| format!("cannot create {}", places.run.display()))?;
    let base = places.run.parent().context("the socket's directory has a parent")?;
    for (dir, mode) in [(base, 0o700), (places.run.as_path(), 0o700)] {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot set the mode of {}", dir.display()))?;
        identity.give(dir)?;
    }
    identity.check_reaches(&places.run)
}

/// Initialises the cluster under another name and renames it when it is complete.
fn initialise(places: &Places, programs: &Programs, identity: Identity) -> Result<()> {
    match fs::remove_dir_all(&places.part) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot remove {}", places.part.display())),
    }
    tracing::info!(data = %places.data.display(), "initialising a private Postgres");
    let mut initdb = Command::new(programs.path("initdb")?);
    initdb.arg("--pgdata").arg(&places.part);
    initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]);
    initdb.arg(format!("--username={OWNER}"));
    let output = isolated(&mut initdb, places, identity).output().context("cannot run initdb")?;
    ensure!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    fs::rename(&places.part, &places.data).context("cannot complete the initialisation")
}

fn spawn(places: &Places, programs: &Programs, identity: Identity) -> Result<Child> {
    let log = open_log(&places.log)?;
    let mut server = Command::new(programs.path("postgres")?);
    server.arg("-D").arg(&places.data);
    let run = places.run.to_str().context("the path of the data directory is not text")?;
    for setting in [
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        format!("unix_socket_directories={run}"),
        "unix_socket_permissions=0700".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "cluster_name=skep-dev".to_owned(),
    ] {
        server.arg("-c").arg(setting);
    }
    isolated(&mut server, places, identity)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        // Its own process group: an interrupt typed at the terminal must reach Skep first, which stops the server last.
        .process_group(0)
        .spawn()
        .context("cannot start Postgres")
}

/// No environment but the one it needs (`PG*` variables would change what it does), a directory that its user may be in, and
/// that user.
fn isolated<'c>(command: &'c mut Command, places: &Places, identity: Identity) -> &'c mut Command {
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir(&places.run);
    identity.apply(command);
    command
}

fn open_log(path: &Path) -> Result<File> {
    let large = fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_MAX);
    let mut options = File::options();
    options.create(true);
    if large {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// What a server writes about itself into its data directory.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: u32,
    ready: bool,
}

impl PidFile {
    fn read(data: &Path) -> Result<Option<Self>> {
        let path = data.join("postmaster.pid");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The process is on the first line and the state on the eighth. `None` while the file is being written.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        Some(Self { pid, ready: lines.nth(6).is_some_and(|state| state.trim() == "ready") })
    }
}

/// Stops the server that an earlier run left in this data directory, or removes what a dead one left of itself.
fn stop_left_over(data: &Path) -> Result<()> {
    let Some(file) = PidFile::read(data)? else { return Ok(()) };
    if !serves(file.pid, data) {
        // The server is dead, and its process id may by now belong to another program. Postgres would refuse to start as long
        // as such a process lives, so the file goes; the lock on the data directory keeps a second server out.
        tracing::info!("the private Postgres did not stop cleanly; it recovers now");
        return fs::remove_file(data.join("postmaster.pid")).context("cannot remove an old postmaster.pid");
    }
    tracing::info!(pid = file.pid, "stopping the private Postgres that an earlier run left");
    for signal in [Signal::INT, Signal::QUIT] {
        let pid = i32::try_from(file.pid).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
        let end = Instant::now() + STOP;
        while Instant::now() < end {
            if !serves(file.pid, data) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
    bail!("the Postgres that an earlier run left (process {}) does not stop", file.pid)
}

/// Is the process a Postgres server that works on this data? The server makes its data directory its working directory.
fn serves(pid: u32, data: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let here = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == data);
    let server = fs::read_link(proc.join("exe")).is_ok_and(|exe| {
        exe.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"postgres"))
    });
    here && server
}

fn log_end(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_SHOWN)))?;
        let mut bytes = Vec::new();
        file.take(LOG_SHOWN).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
