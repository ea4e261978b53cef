//! A machine within the machine: process, mount, shared memory, host name and (if asked) network namespaces around an init process.
//!
//! Everything started in it ends with it: the kernel kills a process namespace whole when its init ends, and private
//! mounts and shared memory go with the last process that sees them. The init (`tini`, which reaps what a crashed engine orphans) waits
//! for `cat`, and `cat` waits for the end of a pipe that this process holds open. So a machine ends when it is dropped,
//! when it is killed, and when the test process is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::command;
use crate::process::{self, Signal};
use crate::wait::wait_until;

/// How long namespaces may take to come up or to go away: they are measured in milliseconds.
const SETTLE: Duration = Duration::from_secs(10);

/// Programs that serve as init, by preference. All come with the engine's packages.
const INITS: [&str; 3] = ["/usr/bin/tini", "/usr/bin/docker-init", "/usr/bin/tini-static"];

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    // Its standard input is the pipe that keeps the machine alive.
    child: Child,
    init: u32,
    record: PathBuf,
    // Reaped when the machine ends.
    services: Vec<Child>,
}

impl Machine {
    /// Starts a machine called `name`, put on record in `records`, in the named network namespace or in ours.
    pub fn start(records: &Path, name: &str, namespace: Option<&str>) -> Result<Machine> {
        let init = INITS.iter().find(|path| Path::new(path).exists());
        let init = init.context("no tini is installed (it comes with docker.io)")?;
        let mut args: Vec<String> = Vec::new();
        // Not `ip netns exec`: it mounts another /sys and hides the control groups.
        if let Some(namespace) = namespace {
            args.extend(["nsenter".to_owned(), format!("--net=/run/netns/{namespace}")]);
        }
        let namespaces =
            ["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
        args.extend(namespaces.map(str::to_owned));
        args.extend([*init, "-s", "--", "cat"].map(str::to_owned));
        // In a file and not on our standard error: unshare complains whenever its child is killed.
        let complaints = records.join(format!("{name}.log"));
        let log =
            File::create(&complaints).with_context(|| format!("cannot create {}", complaints.display()))?;
        let (program, args) = args.split_first().context("the command is not empty")?;
        let mut child = command::command(program, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start a machine")?;
        let init = wait_until("a machine's init", SETTLE, || {
            if let Some(status) = child.try_wait()? {
                let said = fs::read_to_string(&complaints).unwrap_or_default();
                return Ok(Err(anyhow!("unshare ended with {status}: {said}")));
            }
            let pid = process::only_child(child.id()).context("it has not been forked yet")?;
            // Until tini waits for its child, signals and mounts of ours could meet a half-made namespace.
            process::only_child(pid).context("it has not started its child yet")?;
            Ok(Ok(pid))
        })
        .and_then(|found| found)?;
        let record = records.join(name);
        process::write_record(&record, init)?;
        let machine = Machine { child, init, record, services: Vec::new() };
        // A private /run: containerd keeps its shims' sockets in a fixed place there, for all engines alike.
        command::stdout(machine.command("mount", ["-t", "tmpfs", "skt", "/run"]))?;
        // A database server that is killed leaves its shared memory there, and a segment in its namespace, of which a kernel has 4,096.
        command::stdout(machine.command("mount", ["-t", "tmpfs", "skt", "/dev/shm"]))?;
        command::stdout(machine.command("hostname", [name]))?;
        Ok(machine)
    }

    /// A command that runs inside the machine. Its process id is that of `nsenter`, not its own.
    pub fn command<I, S>(&self, program: &str, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let target = self.init.to_string();
        let mut command = command::command(
            "nsenter",
            ["--target", &target, "--mount", "--uts", "--ipc", "--net", "--pid", "--", program],
        );
        command.args(args);
        command
    }

    /// Starts a long-running program inside the machine, its output appended to `log`. It ends with the machine.
    pub fn spawn(&self, mut command: Command, log: &Path) -> Result<Child> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        command.stdin(Stdio::null()).stderr(file.try_clone().context("cannot share the log")?).stdout(file);
        command.spawn().with_context(|| format!("cannot start {}", command::line(&command)))
    }

    /// Starts a program that nobody looks after; it ends with the machine.
    pub fn serve(&mut self, command: Command, log: &Path) -> Result<()> {
        let child = self.spawn(command, log)?;
        self.services.push(child);
        Ok(())
    }

    /// Sends a signal to a process by its id inside the machine.
    pub fn signal(&self, pid: u32, signal: &str) -> Result<()> {
        let signal = format!("-{signal}");
        command::stdout(self.command("busybox", ["kill", &signal, &pid.to_string()])).map(drop)
    }

    /// Ends the machine and everything in it at once, as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        process::kill(self.init, Signal::KILL);
        self.child.wait().context("cannot wait for a machine to end")?;
        for mut service in self.services.drain(..) {
            let _ = service.wait();
        }
        // `unshare` has waited for the init, and the init ends only after every other process of its namespace.
        let _ = fs::remove_file(&self.record);
        Ok(())
    }

    /// Whether the machine runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What is left after a failure is found by the lease's removal.
        let _ = self.kill();
    }
}
