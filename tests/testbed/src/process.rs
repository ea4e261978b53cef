//! Processes under test, and what the kernel knows about processes.
//!
//! [`Process`] runs a program (the `skep` binary, mostly), keeps what it writes, and ends it when dropped. A test that
//! is killed cannot drop anything, so each process is also on record in a file locked by the test: [`sweep`] ends those
//! whose test is gone. A record names the start time as well as the id, because ids are reused.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
pub use rustix::process::Signal;

use crate::command;
use crate::wait::wait_until;

/// Lines kept per process: a runaway log must not eat the machine, and nobody reads further back.
const MAX_LINES: usize = 100_000;

/// A running program whose output is captured line by line.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    record: PathBuf,
    // Held for its lock alone.
    _lock: File,
}

impl Process {
    /// Starts `command` with its standard output and standard error captured, in the order in which lines arrive.
    pub fn start(mut command: Command) -> Result<Process> {
        let name = command::line(&command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (record, lock) = new_record()?;
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        write_record(&record, child.id())?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stdout) = child.stdout.take() {
            capture(stdout, Arc::clone(&lines));
        }
        if let Some(stderr) = child.stderr.take() {
            capture(stderr, Arc::clone(&lines));
        }
        Ok(Process { name, child, lines, record, _lock: lock })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the process wrote so far (the last 100,000 lines of it).
    pub fn logs(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Waits for a line that `matches` and returns it. A process that ends first is an error that shows its log.
    pub fn wait_for_line(&mut self, within: Duration, matches: impl Fn(&str) -> bool) -> Result<String> {
        let name = self.name.clone();
        let found = wait_until(&format!("a line of {name}"), within, || {
            // Asked first: whatever an ended process wrote is in the log when we look at it afterwards.
            let ended = self.child.try_wait().ok().flatten();
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            match lines.iter().find(|line| matches(line)) {
                Some(line) => Ok(Ok(line.clone())),
                None => match ended {
                    Some(status) => Ok(Err(anyhow!("{name} ended with {status}"))),
                    None => Err(anyhow!("no such line yet")),
                },
            }
        });
        found.and_then(|line| line).with_context(|| format!("its log:\n{}", command::tail(&self.logs())))
    }

    /// Asks the process to stop.
    pub fn sigterm(&self) {
        kill(self.child.id(), Signal::TERM);
    }

    /// Ends the process without warning, as a crash or the kernel would, and waits until it is gone.
    pub fn kill9(&mut self) -> Result<ExitStatus> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Stops the process in its tracks until [`resume`](Self::resume): a test can act while it sleeps.
    pub fn pause(&self) {
        kill(self.child.id(), Signal::STOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        kill(self.child.id(), Signal::CONT);
    }

    /// Waits for the process to end by itself.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        wait_until(&format!("the end of {name}"), within, || {
            self.child.try_wait()?.ok_or_else(|| anyhow!("it is still running"))
        })
        .with_context(|| format!("its log:\n{}", command::tail(&self.logs())))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Failures mean that the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.record);
    }
}

fn capture(stream: impl Read + Send + 'static, lines: Arc<Mutex<VecDeque<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

/// Sends `signal`; a process that is already gone is not an error.
pub(crate) fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// All process ids of this machine.
pub(crate) fn all() -> Vec<u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
        .collect()
}

/// What `/proc/<pid>/stat` says after the program's name: state, parent, … A zombie counts as gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may itself contain parentheses and spaces.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    (fields.first().is_some_and(|state| state != "Z" && state != "X")).then_some(fields)
}

/// The child of `parent` that runs now, if there is exactly one.
pub(crate) fn only_child(parent: u32) -> Option<u32> {
    let parent = parent.to_string();
    let mut children =
        all().into_iter().filter(|pid| stat(*pid).and_then(|s| s.get(1).cloned()) == Some(parent.clone()));
    let first = children.next()?;
    children.next().is_none().then_some(first)
}

/// Writes down a process so that it can be recognised later: id and start time.
pub(crate) fn write_record(path: &Path, pid: u32) -> Result<()> {
    // A process that ended already needs no record.
    let Some(started) = start_time(pid) else { return Ok(()) };
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(format!("{pid} {started}").as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn start_time(pid: u32) -> Option<String> {
    // Field 22 of proc(5); the list here begins with field 3.
    stat(pid)?.get(19).cloned()
}

/// The process on record in `path`, if it still runs and is still the same one.
fn read_record(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    let (pid, started) = text.split_once(' ')?;
    let pid = pid.parse().ok()?;
    (start_time(pid)? == started).then_some(pid)
}

/// Recorded processes in a directory that still run.
pub(crate) fn recorded(dir: &Path) -> Result<Vec<u32>> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| read_record(&entry.path())).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", dir.display())),
    }
}

/// A record file of our own, locked. A sweep may come between its creation and the lock and take it for abandoned; then
/// the locked file is no longer the one at its path, and another is made.
fn new_record() -> Result<(PathBuf, File)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = crate::lease::root().join("processes");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    loop {
        let path = dir.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        let ours = file.metadata().context("an open file has metadata")?.ino();
        if fs::metadata(&path).is_ok_and(|found| found.ino() == ours) {
            return Ok((path, file));
        }
    }
}

/// Ends processes whose test is gone.
pub(crate) fn sweep(root: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(root.join("processes")) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() {
            if let Some(pid) = read_record(&path) {
                kill(pid, Signal::KILL);
            }
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}
