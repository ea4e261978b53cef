//! What processes have used: time on a CPU and memory, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks of `/proc/<pid>/stat`: USER_HZ, which is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Time that processes were on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cpu(pub(crate) Duration);

impl Sub for Cpu {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time of a process and everything below it, those that ended included.
pub(crate) fn cpu_of_tree(root: u32) -> Result<Cpu> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("list processes")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut sum = Duration::ZERO;
    let mut left = vec![root];
    while let Some(pid) = left.pop() {
        sum += cpu(pid) + ended_children(pid);
        left.extend(children.get(&pid).into_iter().flatten());
    }
    Ok(Cpu(sum))
}

/// The time of the children of this process that ended and were waited for.
pub(crate) fn cpu_of_ended_children() -> Cpu {
    Cpu(ended_children(std::process::id()))
}

/// The time of the thread that asks, as of the scheduler's last look at it, some milliseconds ago at most.
pub(crate) fn cpu_of_this_thread() -> Cpu {
    Cpu(on_core("/proc/thread-self/schedstat").unwrap_or_default())
}

/// The memory of a process that is in RAM, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read a process's status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("it has memory")?;
    let kib: u64 = line.split_whitespace().nth(1).context("a number follows")?.parse()?;
    Ok(kib * 1024)
}

/// The process whose command line contains this.
pub(crate) fn find(words: &[&str]) -> Result<u32> {
    for entry in fs::read_dir("/proc").context("list processes")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let program = line.split(' ').next().unwrap_or_default();
        if pid != std::process::id()
            && words
                .iter()
                .enumerate()
                .all(|(at, word)| if at == 0 { program.ends_with(word) } else { line.contains(word) })
        {
            return Ok(pid);
        }
    }
    anyhow::bail!("no process runs {words:?}")
}

/// Time of one process in nanoseconds' resolution, from the scheduler's own count for each thread.
fn cpu(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    threads.flatten().filter_map(|thread| on_core(thread.path().join("schedstat"))).sum()
}

fn on_core(schedstat: impl AsRef<Path>) -> Option<Duration> {
    let text = fs::read_to_string(schedstat).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

fn ended_children(pid: u32) -> Duration {
    let ticks = |at: usize| stat(pid).and_then(|fields| fields.get(at)?.parse::<u32>().ok()).unwrap_or(0);
    TICK * (ticks(13) + ticks(14))
}

/// The fields of proc(5) from the third on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
