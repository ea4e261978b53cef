//! `cargo xtask down`: ends what `up` started and removes every trace of it.
//!
//! Asked to stop, the supervisor takes everything down itself. One that does not is killed, and what it held dies with it;
//! then the sweep removes the rest by name. At the end the machine is searched for what should be gone, and anything found is
//! an error: "removed" is never said on faith.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use skep_testbed::wait::ready;
use skep_testbed::{command, wait_until};

use crate::up::home::Home;

/// How long the supervisor may take to remove everything.
const STOP: Duration = Duration::from_secs(60);

/// How long a killed supervisor and its machines may take to be gone.
const KILL: Duration = Duration::from_secs(20);

/// Ends and removes the installation of this workspace.
pub(crate) fn run() -> Result<()> {
    let home = Home::find()?;
    if !home.dir().exists() {
        skep_testbed::tidy()?;
        println!("Nothing runs, and nothing is left.");
        return Ok(());
    }
    clean(&home)?;
    println!("Removed. What was installed and built stays: packages, target/.");
    Ok(())
}

/// Ends the supervisor, if there is one, and removes what it made.
pub(crate) fn clean(home: &Home) -> Result<()> {
    let parts = home.running().map(|running| running.parts);
    if home.is_taken()? {
        home.ask_to_stop()?;
        wait_until("the supervisor to end", STOP, || ready(!home.is_taken()?, "it is still busy"))
            .or_else(|error| kill(home).with_context(|| format!("{error:#}")))?;
    }
    skep_testbed::tidy()?;
    home.remove()?;
    match parts {
        Some(parts) => verify(&parts),
        None => Ok(()),
    }
}

fn kill(home: &Home) -> Result<()> {
    // The one that holds the lock now wrote its id into it.
    let supervisor = home.supervisor().context("the supervisor left no process id")?;
    command::run("busybox", ["kill", "-KILL", &supervisor.to_string()])?;
    wait_until("the supervisor to be gone", KILL, || ready(!home.is_taken()?, "it is still there"))
}

/// Looks for whatever still uses the directory of the parts, or is named after it.
fn verify(parts: &Path) -> Result<()> {
    let text = parts.to_string_lossy().into_owned();
    let inside = |words: &str| {
        words
            .split(|c: char| c.is_whitespace() || "=:,\0".contains(c))
            .any(|word| Path::new(word).starts_with(parts))
    };
    let mut left = Vec::new();
    if parts.exists() {
        left.push(text.clone());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot list mounts")?;
    left.extend(mounts.lines().filter(|line| inside(line)).map(|line| format!("mount {line}")));
    for entry in fs::read_dir("/proc").context("cannot list processes")?.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        if pid.parse::<u32>().is_ok() && inside(&String::from_utf8_lossy(&line)) {
            left.push(format!("process {pid} {}", String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    ensure!(left.is_empty(), "something is left:\n  {}", left.join("\n  "));
    Ok(())
}
