//! One Docker engine on one machine: which programs it is made of, its flags, its start.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::machine::Machine;
use crate::tls::Credentials;
use crate::wait::{ready, wait_until};
use crate::{command, http, install};

/// How long an engine may take to answer. Alone it takes half a second; on a loaded machine with many tests, more.
const START: Duration = Duration::from_secs(60);

/// The port of an engine that speaks TLS, the registered one.
pub const TLS_PORT: u16 = 2376;

/// The releases the product is tested with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineVersion {
    /// Debian 12's engine, API 1.41: the oldest supported. It drops service fields that it does not know.
    V20_10,
    /// Debian 13's engine, API 1.45.
    V26_1,
}

impl EngineVersion {
    /// How the version the engine reports begins.
    pub fn prefix(self) -> &'static str {
        match self {
            EngineVersion::V20_10 => "20.10.",
            EngineVersion::V26_1 => "26.1.",
        }
    }

    /// The search path under which `dockerd` and everything it starts are of this release.
    fn path(self) -> Result<String> {
        let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        match self {
            EngineVersion::V20_10 => Ok(system.to_owned()),
            EngineVersion::V26_1 => {
                let tree = install::engine_26()?;
                let tree = tree.display();
                Ok(format!("{tree}/usr/sbin:{tree}/usr/bin:{system}"))
            }
        }
    }
}

/// How an engine is set up. The default is a manager of a new swarm, reachable by its Unix socket.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Listen on TCP with mutual TLS as well.
    pub tls: bool,
    /// Leave the engine outside any swarm.
    pub standalone: bool,
    /// Do not insist on the release. For an installation to try things on, never for a test.
    pub any_release: bool,
    /// Have a second registry that asks who it is, over the same images: see [`registry::locked`](crate::registry::locked).
    pub locked_registry: bool,
    /// Labels of the engine, as `key=value`.
    pub labels: Vec<String>,
    /// Further arguments for `dockerd`.
    pub arguments: Vec<String>,
}

/// What an engine is started from; the same again after a crash.
#[derive(Debug)]
pub(crate) struct Daemon {
    version: EngineVersion,
    options: EngineOptions,
    dir: PathBuf,
    control_group: String,
    address: IpAddr,
    credentials: Option<Credentials>,
    process: Option<Child>,
}

impl Daemon {
    pub(crate) fn new(
        version: EngineVersion,
        options: EngineOptions,
        dir: PathBuf,
        control_group: String,
        address: IpAddr,
    ) -> Result<Daemon> {
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let credentials = options.tls.then(|| Credentials::create(&dir.join("tls"), address)).transpose()?;
        Ok(Daemon { version, options, dir, control_group, address, credentials, process: None })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    pub(crate) fn has_locked_registry(&self) -> bool {
        self.options.locked_registry
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("dockerd.log")
    }

    /// Starts the engine on `machine` and waits until it answers.
    pub(crate) fn start(&mut self, machine: &Machine) -> Result<()> {
        // Left by a killed engine. A stale id could name a live process of the new namespace, and the engine refuses.
        for stale in ["dockerd.pid", "docker.sock", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(self.dir.join(stale));
        }
        let mut command = machine.command("dockerd", self.arguments());
        command.env("PATH", self.version.path()?);
        let mut child = machine.spawn(command, &self.log())?;
        wait_until("an engine to answer", START, || {
            if let Some(status) = child.try_wait().context("cannot look after dockerd")? {
                return Ok(Err(anyhow!("dockerd ended with {status}")));
            }
            let answer = http::get_unix(&self.socket(), "/_ping")?;
            ready(answer.status == 200, "it does not answer its ping").map(Ok)
        })
        .and_then(|answered| answered)
        .with_context(|| self.quoted_log())?;
        self.process = Some(child);
        self.check_version()
    }

    /// Ends `dockerd` without warning; `containerd` goes with it, containers go on.
    pub(crate) fn kill(&mut self, machine: &Machine) -> Result<()> {
        let pid = fs::read_to_string(self.dir.join("dockerd.pid")).context("the engine has no process id")?;
        machine.signal(pid.trim().parse().context("the engine's process id is no number")?, "KILL")?;
        self.forget();
        Ok(())
    }

    /// Reaps the process of an engine that has ended.
    pub(crate) fn forget(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.wait();
        }
    }

    /// A `docker` command that talks to this engine and reads nobody's configuration.
    pub(crate) fn client(&self) -> Command {
        let program = if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        let mut command =
            command::command(program, ["--host", &format!("unix://{}", self.socket().display())]);
        command.env("DOCKER_CONFIG", self.dir.join("client")).env_remove("DOCKER_CONTEXT");
        command
    }

    fn arguments(&self) -> Vec<String> {
        let dir = self.dir.display();
        let mut arguments = vec![
            format!("--data-root={dir}/data"),
            format!("--exec-root={dir}/exec"),
            format!("--pidfile={dir}/dockerd.pid"),
            format!("--host=unix://{}", self.socket().display()),
            // Every engine has its own network namespace, so all may use the same bridge address.
            "--bip=172.30.0.1/24".to_owned(),
            "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
            format!("--cgroup-parent=/{}", self.control_group),
        ];
        if let Some(credentials) = &self.credentials {
            arguments.push(format!("--host=tcp://{}:{TLS_PORT}", self.address));
            arguments.push("--tlsverify".to_owned());
            arguments.push(format!("--tlscacert={}", credentials.ca.display()));
            arguments.push(format!("--tlscert={}", credentials.server_certificate.display()));
            arguments.push(format!("--tlskey={}", credentials.server_key.display()));
        }
        arguments.extend(self.options.labels.iter().map(|label| format!("--label={label}")));
        arguments.extend(self.options.arguments.iter().cloned());
        arguments
    }

    /// A test that asks for a release must not silently run with another.
    fn check_version(&self) -> Result<()> {
        if self.options.any_release {
            return Ok(());
        }
        let mut client = self.client();
        client.args(["version", "--format", "{{.Server.Version}}"]);
        let version = command::stdout(client)?;
        let wanted = self.version.prefix();
        ensure!(version.starts_with(wanted), "the engine is {} and not {wanted}x", version.trim());
        Ok(())
    }

    pub(crate) fn quoted_log(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        format!("the engine's log:\n{}", command::tail(&log))
    }
}
