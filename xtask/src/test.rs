//! `cargo xtask test`: everything CI asks for, in the order in which it is cheapest to find out.
//!
//! A failed check of the source ends the run. Tests all run, whatever fails, and the last line gives their totals.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use skep_testbed::{Postgres, built, install, postgres};

use crate::totals::Totals;
use crate::{deps, queries, workspace};

/// Which tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    Everything,
    /// Those that start no Docker engine.
    WithoutEngines,
}

/// Runs the checks and the tests.
pub(crate) fn run(scope: Scope) -> Result<()> {
    workspace::run("format", workspace::cargo(["fmt", "--all", "--check"])?)?;
    eprintln!("==> direction of dependencies");
    deps::check()?;
    eprintln!("==> what the tests need");
    match scope {
        Scope::Everything => install::all()?,
        Scope::WithoutEngines => install::packages()?,
    }
    // One server for all tests that want no more than a database. It outlives them and goes with this process.
    let server = Postgres::start()?;
    // Before the lints, whose work it does: it touches the store, which would otherwise be checked twice.
    eprintln!("==> queries");
    queries::check_on(&server)?;
    let mut lints = workspace::cargo(["clippy"])?;
    lints.args(queries::LINTS);
    workspace::run("lints", lints)?;

    // Beside the tests, whose features it shares: by itself it would be built once more by the first test that needs it.
    let build = ["build", "--workspace", "--tests", "--bin", "skep", "--locked"];
    workspace::run("build", workspace::cargo(build)?)?;

    let mut tests = tests(scope)?;
    tests.env(postgres::SHARED, server.base_url());
    tests.env(built::VARIABLE, workspace::target()?.join("debug/skep"));
    let (mut totals, tests_passed) = count("tests", tests)?;
    let (in_docs, docs_passed) = count(
        "examples in the documentation",
        workspace::cargo(["test", "--doc", "--workspace", "--locked"])?,
    )?;
    totals += in_docs;
    drop(server);
    // Tests that were killed for their time leave something; nobody should have to run the next tests to be rid of it.
    skep_testbed::sweep()?;
    println!("{totals}");
    ensure!(tests_passed && docs_passed && totals.failed == 0, "some tests failed");
    ensure!(totals.passed > 0, "no test ran");
    Ok(())
}

/// The command that runs the tests: nextest, installed if need be, or cargo's own runner where it cannot be.
fn tests(scope: Scope) -> Result<Command> {
    let profile = match scope {
        Scope::Everything => "--profile=default",
        Scope::WithoutEngines => "--profile=fast",
    };
    if nextest_works()? || install_nextest()? {
        return workspace::cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", profile]);
    }
    eprintln!("warning: cargo-nextest cannot be installed; tests run one after the other");
    let mut tests = workspace::cargo(["test", "--workspace", "--locked", "--no-fail-fast", "--all-targets"])?;
    if scope == Scope::WithoutEngines {
        tests.args(["--exclude", "skep-testbed", "--exclude", "skep-e2e"]);
    }
    // Without nextest's groups, tests that start engines would all run at once.
    tests.args(["--", "--test-threads=1"]);
    Ok(tests)
}

fn nextest_works() -> Result<bool> {
    let mut version = workspace::cargo(["nextest", "--version"])?;
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status().context("cannot run cargo")?;
    Ok(status.success())
}

fn install_nextest() -> Result<bool> {
    // Without optimisation and self-update it takes five minutes of one processor instead of fourteen, more than the whole
    // workspace does; a runner spends its time waiting for tests.
    let mut install = workspace::cargo(["install", "cargo-nextest", "--locked", "--debug"])?;
    install
        .args(["--no-default-features", "--features", "default-no-update"])
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    eprintln!("==> cargo-nextest");
    Ok(install.status().context("cannot run cargo install")?.success())
}

/// Runs a test command, passing on what it prints, and counts from its closing lines. Also says whether it succeeded.
fn count(step: &str, mut command: Command) -> Result<(Totals, bool)> {
    eprintln!("==> {step}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{step}: cannot start cargo"))?;
    let stdout = child.stdout.take().context("the output is a pipe")?;
    let stderr = child.stderr.take().context("the output is a pipe")?;
    // nextest closes on standard error, cargo's own runner on standard output.
    let totals = std::thread::scope(|scope| {
        let errors = scope.spawn(|| pass_on(BufReader::new(stderr), |line| eprintln!("{line}")));
        let mut totals = pass_on(BufReader::new(stdout), |line| println!("{line}"));
        totals += errors.join().unwrap_or_default();
        totals
    });
    let status = child.wait().with_context(|| format!("{step}: cannot wait for cargo"))?;
    Ok((totals, status.success()))
}

fn pass_on(stream: impl BufRead, print: impl Fn(&str)) -> Totals {
    let mut totals = Totals::default();
    for line in stream.split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        print(&line);
        totals += Totals::of_line(&line);
    }
    totals
}
