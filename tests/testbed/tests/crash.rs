//! A test run that is killed: its machines end with it, and the next run removes the rest.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use skep_testbed::wait::ready;
use skep_testbed::{Process, sweep, wait_until};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn what_a_killed_run_leaves_is_swept_by_the_next() -> Result<()> {
    // A run of its own: this program holds an engine until its input ends.
    let mut holder = Command::new(env!("CARGO_BIN_EXE_skep-testbed"))
        .args(["engine", "20.10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let socket = wait_until("the other run's engine", SOON, || {
        let record = std::fs::read_dir(skep_testbed::lease::root())?.flatten();
        let sockets = record.map(|slot| slot.path().join("n1/docker.sock"));
        sockets
            .into_iter()
            .find(|socket| socket.exists() && is_held_by(socket, holder.id()))
            .context("it is not there yet")
    })?;
    let dir = socket.ancestors().nth(2).context("a socket lies in a slot")?.to_owned();
    let slot = dir.file_name().context("a slot has a number")?.to_string_lossy().into_owned();

    // A sweep beside a live run takes nothing from it.
    sweep()?;
    assert!(socket.exists());
    assert!(Path::new(&format!("/run/netns/skt{slot}n1")).exists());

    holder.kill()?;
    holder.wait()?;
    wait_until("the next run's sweep to remove everything", SOON, || {
        sweep()?;
        ready(!dir.exists(), "the directory is still there")
    })?;
    assert!(!PathBuf::from(format!("/run/netns/skt{slot}n1")).exists());
    assert!(!PathBuf::from(format!("/sys/class/net/skt{slot}")).exists());
    Ok(())
}

/// Whether the slot of `socket` is locked by the process `pid`, as the kernel's list of locks says.
fn is_held_by(socket: &Path, pid: u32) -> bool {
    let Some(dir) = socket.ancestors().nth(2) else { return false };
    let Some((root, slot)) = dir.parent().zip(dir.file_name()) else { return false };
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let lock = root.join("locks").join(slot);
    links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|target| target == lock)
}

#[test]
fn a_process_under_test_is_heard_signalled_and_ended() -> Result<()> {
    let mut command = Command::new("tail");
    command.args(["-n", "1", "-f", "/etc/hostname", "/etc/passwd"]);
    let mut process = Process::start(command)?;
    process.wait_for_line(SOON, |line| line.contains("/etc/passwd"))?;
    let silent = process.wait_for_line(Duration::from_millis(100), |line| line == "never said");
    assert!(format!("{:#}", silent.expect_err("no such line")).contains("no such line yet"));
    process.sigterm();
    assert!(!process.wait_exit(SOON)?.success());

    let mut process = Process::start(Command::new("true"))?;
    let ended = process.wait_for_line(SOON, |line| line == "never said").expect_err("it has ended");
    assert!(format!("{ended:#}").contains("ended with exit status: 0"), "{ended:#}");
    Ok(())
}
