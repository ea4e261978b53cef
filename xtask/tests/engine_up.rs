//! `cargo xtask up` and `down` as a user runs them, in a directory of their own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_testbed::wait::ready;
use skep_testbed::{command, http, wait_until};

/// How long what a killed supervisor held may take to be gone.
const GONE: Duration = Duration::from_secs(20);

/// An installation, removed when the test ends, whatever comes of it.
struct Installation {
    dir: tempfile::TempDir,
}

impl Installation {
    fn new() -> Result<Installation> {
        Ok(Installation { dir: tempfile::tempdir()? })
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("skep")
    }

    fn run(&self, task: &str) -> Result<Output> {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.arg(task).env("SKEP_UP_DIR", self.home()).stdin(Stdio::null());
        command::output(xtask)
    }

    /// What the task prints, if it succeeds.
    fn ok(&self, task: &str) -> Result<String> {
        let output = self.run(task)?;
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        ensure!(output.status.success(), "{task} ended with {}\n{out}\n{err}", output.status);
        Ok(out)
    }

    fn running(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.home().join("running.json"))?)?)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.run("down");
    }
}

/// Where the parts of an installation are, to look for them afterwards.
struct Parts {
    dir: PathBuf,
    slot: String,
    edge_port: u16,
}

impl Parts {
    fn of(running: &Value) -> Result<Parts> {
        let dir = PathBuf::from(running.get("parts").and_then(Value::as_str).context("parts")?);
        let slot = dir.file_name().context("a slot")?.to_string_lossy().into_owned();
        let edge_port = running.get("edgePort").and_then(Value::as_u64).context("a port")?;
        Ok(Parts { dir, slot, edge_port: u16::try_from(edge_port)? })
    }

    fn page(&self) -> Result<http::Answer> {
        http::get(IpAddr::V4(Ipv4Addr::LOCALHOST), self.edge_port, "hello.localhost", "/")
    }

    /// Processes that name the directory.
    fn processes(&self) -> Vec<String> {
        let named = format!("{}/", self.dir.display());
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(&named))
            .collect()
    }

    fn ensure_gone(&self) -> Result<()> {
        ensure!(self.processes().is_empty(), "{:?}", self.processes());
        ensure!(!self.dir.exists(), "{} exists", self.dir.display());
        ensure!(self.page().is_err(), "something still answers");
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(!mounts.contains(&format!("{}/", self.dir.display())), "{mounts}");
        for name in ["hub", "n1"] {
            let namespace = Path::new("/run/netns").join(format!("skt{}{name}", self.slot));
            ensure!(!namespace.exists(), "{} exists", namespace.display());
        }
        ensure!(!Path::new("/sys/class/net").join(format!("skt{}", self.slot)).exists(), "the link exists");
        Ok(())
    }
}

#[test]
fn up_serves_the_example_a_second_time_says_so_and_down_leaves_nothing() -> Result<()> {
    let installation = Installation::new()?;
    let shown = installation.ok("up")?;
    assert!(shown.contains("200 OK") && shown.contains("Hello from Skep"), "{shown}");
    assert!(
        shown.contains("[rolling restart of 2 tasks]") && shown.contains("back at 2 instances"),
        "{shown}"
    );
    let running = installation.running()?;
    let parts = Parts::of(&running)?;
    assert_eq!(parts.page()?.status, 200);
    assert!(!parts.processes().is_empty(), "the look for processes finds those that run");

    let again = installation.ok("up")?;
    assert!(again.starts_with("It runs already."), "{again}");
    assert_eq!(installation.running()?, running, "nothing was started anew");

    installation.ok("down")?;
    assert!(!installation.home().exists());
    parts.ensure_gone()?;
    let nothing = installation.ok("down")?;
    assert!(nothing.starts_with("Nothing runs"), "{nothing}");
    Ok(())
}

#[test]
fn a_killed_supervisor_takes_everything_with_it_and_down_removes_the_rest() -> Result<()> {
    let installation = Installation::new()?;
    installation.ok("up")?;
    let parts = Parts::of(&installation.running()?)?;
    let supervisor = fs::read_to_string(installation.home().join("lock"))?;
    command::run("busybox", ["kill", "-KILL", &supervisor])?;
    wait_until("everything to end with the supervisor", GONE, || {
        let left = parts.processes();
        ready(left.is_empty(), &format!("{left:?}"))
    })?;
    installation.ok("down")?;
    assert!(!installation.home().exists());
    parts.ensure_gone()
}
