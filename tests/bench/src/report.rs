//! What was found, kept for each part, and the page that is written from it.
//!
//! The page's prose is written by hand. Between the markers of a part stands what its last run found; only that is replaced.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::ground::workspace;

/// The parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// New environments.
    Converge,
    /// Nothing to do.
    Noop,
    /// One among many.
    Scale,
    /// How soon.
    Reaction,
    /// Clients.
    Api,
    /// The planner alone.
    Planner,
    /// Requests while instances are replaced.
    Rollout,
}

impl Part {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 7] =
        [Self::Planner, Self::Converge, Self::Noop, Self::Reaction, Self::Api, Self::Scale, Self::Rollout];

    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Converge => "converge",
            Self::Noop => "noop",
            Self::Scale => "scale",
            Self::Reaction => "reaction",
            Self::Api => "api",
            Self::Planner => "planner",
            Self::Rollout => "rollout",
        }
    }

    /// The part of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.word() == word)
    }
}

/// What a part found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// As the page shows it.
    pub(crate) section: String,
    /// The machine.
    #[serde(default)]
    pub(crate) machine: String,
}

impl Findings {
    /// What this machine found.
    pub(crate) fn new(section: String) -> Self {
        Self { section, machine: machine() }
    }
}

/// Keeps what a part found.
pub(crate) fn keep(part: Part, found: &Findings) -> Result<()> {
    println!("{}", found.section);
    let file = file(part);
    fs::create_dir_all(file.parent().context("it lies in a directory")?)?;
    fs::write(&file, serde_json::to_string_pretty(found)?)
        .with_context(|| format!("write {}", file.display()))
}

/// Writes the page from what is kept.
pub(crate) fn write_page() -> Result<()> {
    let path = workspace().join("docs/benchmarks.md");
    let mut page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for part in Part::ALL {
        let Ok(text) = fs::read_to_string(file(part)) else { continue };
        let found: Findings = serde_json::from_str(&text)?;
        let (begin, end) =
            (format!("<!-- measured: {} -->\n", part.word()), format!("<!-- end: {} -->", part.word()));
        let from = page.find(&begin).with_context(|| format!("the page has no {begin}"))? + begin.len();
        let to = page.find(&end).with_context(|| format!("the page has no {end}"))?;
        page.replace_range(from..to, &format!("{}\n{}\n", found.machine, found.section));
    }
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}

fn file(part: Part) -> PathBuf {
    workspace().join("target/bench").join(format!("{}.json", part.word()))
}

/// The machine and the versions, for people.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
    };
    let kernel = line("uname", "-sr").unwrap_or_default();
    let rust = line("rustc", "--version").unwrap_or_default();
    let rust: Vec<&str> = rust.split(' ').take(2).collect();
    format!("{cores} cores, {kernel}, {}.\n", rust.join(" "))
}

/// The middle of some times.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The time that so many percent of these, in order, do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// A time as people read it.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} µs", seconds * 1e6),
    }
}

/// How many times the other.
pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    if other.is_zero() { f64::INFINITY } else { one.as_secs_f64() / other.as_secs_f64() }
}

/// A word on a target.
pub(crate) const fn met(is: bool) -> &'static str {
    if is { "met" } else { "**not met**" }
}
