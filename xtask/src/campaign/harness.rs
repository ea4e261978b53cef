//! Harnesses: tests that can do more than they do in every run.
//!
//! What a harness wants on the page it prints in lines that begin with [`TOLD`]; they are Markdown. A harness whose tests fail, or of
//! which no test ran, has no result.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use skep_testbed::{Postgres, postgres};

use super::took;
use crate::totals::Totals;
use crate::workspace;

/// What precedes a line for the page.
const TOLD: &str = "campaign| ";

/// A harness with everything that it has.
pub(super) struct Harness {
    /// The name of the part.
    pub(super) part: &'static str,
    /// Whose.
    package: &'static str,
    /// What of it.
    runs: Runs,
}

/// What a harness consists of.
enum Runs {
    /// Tests, and what makes them do more.
    Tests {
        /// Which, as nextest's filters say.
        filter: &'static str,
        /// Variables of their environment.
        more: &'static [(&'static str, &'static str)],
    },
    /// Its program, which says on standard output how it went. What is no Markdown is shown as it is.
    Program {
        /// With these arguments.
        arguments: &'static [&'static str],
        /// Is it Markdown?
        markdown: bool,
    },
}

/// All of them, in the order of the page.
pub(super) const HARNESSES: &[Harness] = &[
    Harness { part: "models", package: "skep-models", runs: Runs::Tests { filter: "all()", more: &[] } },
    Harness { part: "sieve", package: "skep-sieve", runs: Runs::Program { arguments: &[], markdown: true } },
    Harness {
        part: "state-machine",
        package: "skep-sieve",
        runs: Runs::Tests { filter: "binary(state_machine)", more: &[("SKEP_MACHINE_CASES", "300")] },
    },
    Harness {
        part: "acto",
        package: "skep-acto",
        runs: Runs::Program { arguments: &["--json"], markdown: false },
    },
    Harness {
        part: "fuzz",
        package: "skep-fuzz",
        runs: Runs::Tests { filter: "all()", more: &[("SKEP_FUZZ_CASES", "20000")] },
    },
];

impl Harness {
    /// Runs it and says how it went.
    pub(super) fn run(&self, server: &Postgres) -> Result<String> {
        match self.runs {
            Runs::Tests { filter, more } => self.test(server, filter, more),
            Runs::Program { arguments, markdown } => self.program(server, arguments, markdown),
        }
    }

    fn test(&self, server: &Postgres, filter: &str, more: &[(&str, &str)]) -> Result<String> {
        let command = || -> Result<Command> {
            let mut command = workspace::cargo(["nextest", "run", "--locked", "--profile=campaign"])?;
            command.args(["--package", self.package, "-E", filter]);
            Ok(command)
        };
        let mut build = command()?;
        build.arg("--no-run");
        workspace::run(&format!("build {}", self.package), build)?;
        let mut tests = command()?;
        tests.args(["--no-fail-fast", "--test-threads=1", "--success-output=immediate"]);
        tests.env(postgres::SHARED, server.base_url()).envs(more.iter().copied());
        let ran = Ran::run(tests, &|line| eprintln!("{line}"))?;
        ensure!(ran.succeeded && ran.totals.failed == 0, "{} failed", ran.totals.failed);
        ensure!(ran.totals.passed > 0, "no test ran");
        let mut told: Vec<&str> =
            ran.lines.iter().filter_map(|line| line.trim_start().strip_prefix(TOLD)).collect();
        // Tests end in any order.
        told.sort_unstable();
        let said = format!("{} tests passed in {}.", ran.totals.passed, took(ran.took));
        Ok(format!("{said}\n\n{}", told.join("\n")))
    }

    fn program(&self, server: &Postgres, arguments: &[&str], markdown: bool) -> Result<String> {
        // As it is released: these take their time, and most of it is the planner's.
        let build = workspace::cargo(["build", "--release", "--locked", "--package", self.package])?;
        workspace::run(&format!("build {}", self.package), build)?;
        let mut program =
            workspace::cargo(["run", "--quiet", "--release", "--locked", "--package", self.package, "--"])?;
        program.args(arguments).env(postgres::SHARED, server.base_url()).stderr(Stdio::inherit());
        let began = Instant::now();
        let output = program.output().context("cannot run cargo")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(output.status.success() && !said.is_empty(), "it failed:\n{said}");
        let said = if markdown { said } else { format!("```text\n{said}\n```") };
        Ok(format!("Passed in {}.\n\n{said}", took(began.elapsed())))
    }
}

/// How tests went.
pub(super) struct Ran {
    /// What they printed.
    pub(super) lines: Vec<String>,
    /// How many passed and failed.
    pub(super) totals: Totals,
    /// Did the runner say that all passed?
    pub(super) succeeded: bool,
    /// How long it took.
    pub(super) took: Duration,
}

impl Ran {
    /// Runs a command that runs tests, and shows what it prints.
    pub(super) fn run(mut command: Command, show: &(dyn Fn(&str) + Sync)) -> Result<Self> {
        let began = Instant::now();
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run cargo")?;
        let stdout = child.stdout.take().context("the output is a pipe")?;
        let stderr = child.stderr.take().context("the output is a pipe")?;
        let lines = std::thread::scope(|scope| {
            // nextest prints everything on standard error.
            let printed = scope.spawn(|| lines(BufReader::new(stdout), show));
            let mut all = lines(BufReader::new(stderr), show);
            all.extend(printed.join().unwrap_or_default());
            all
        });
        let succeeded = child.wait().context("cannot wait for cargo")?.success();
        let mut totals = Totals::default();
        lines.iter().for_each(|line| totals += Totals::of_line(line));
        Ok(Self { lines, totals, succeeded, took: began.elapsed() })
    }
}

fn lines(stream: impl BufRead, show: &dyn Fn(&str)) -> Vec<String> {
    let lines = stream.split(b'\n').map_while(Result::ok);
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.inspect(|line| show(line)).collect()
}
