//! Seeded defects: the product, broken in one place, and the tests that must notice.
//!
//! `tests/defects/NN-name.patch` is a patch with words before it: what it breaks, which guarantee that is, and which tests catch it. All
//! of those tests pass on the sources as they are, and each fails on the broken copy. A harness that misses a defect is a bug of
//! the harness.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use skep_testbed::{Postgres, postgres};

use super::copy::Copy;
use super::harness::Ran;
use super::{told, took};
use crate::workspace;

/// Where they are.
const DIRECTORY: &str = "tests/defects";
/// How nextest says that tests ran and some failed; anything else means that they could not be built or found.
const FAILED: &str = "error: test run failed";
/// The most of what a test said that goes on the page.
const SAID_MAX: usize = 150;
/// In how many lines it may say that.
const SAID_LINES: usize = 3;

/// A defect.
#[derive(Debug, PartialEq, Eq)]
struct Defect {
    name: String,
    patch: PathBuf,
    /// What it breaks, in a sentence.
    what: String,
    /// The guarantee.
    breaks: String,
    /// Who must notice.
    caught_by: Vec<Catcher>,
}

/// A test that must fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Catcher {
    package: String,
    test: String,
}

impl Defect {
    fn read(patch: &Path) -> Result<Self> {
        let text = fs::read_to_string(patch).with_context(|| format!("cannot read {}", patch.display()))?;
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&name, patch, &text).with_context(|| format!("the words before {name}"))
    }

    fn parse(name: &str, patch: &Path, text: &str) -> Result<Self> {
        let (words, _) = text.split_once("diff --git ").context("no patch follows")?;
        let what =
            words.lines().next().filter(|line| !line.is_empty()).context("no sentence says what it does")?;
        let said = |label: &'static str| words.lines().filter_map(move |line| line.strip_prefix(label));
        let breaks = said("Breaks: ").next().context("no line says what it breaks")?;
        let catchers = said("Caught by: ").map(|line| {
            let (package, test) =
                line.split_once(' ').context("a test is named by its package and its name")?;
            Ok(Catcher { package: package.to_owned(), test: test.to_owned() })
        });
        let caught_by = catchers.collect::<Result<Vec<_>>>()?;
        ensure!(!caught_by.is_empty(), "no line says who catches it");
        Ok(Self {
            name: name.to_owned(),
            patch: patch.to_owned(),
            what: what.to_owned(),
            breaks: breaks.to_owned(),
            caught_by,
        })
    }
}

/// All defects, in the order of their numbers.
fn all() -> Result<Vec<Defect>> {
    let entries = fs::read_dir(workspace::root()?.join(DIRECTORY)).context("cannot list the defects")?;
    let mut patches = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    patches.iter().map(|patch| Defect::read(patch)).collect()
}

/// Tries every defect, or those whose names begin so.
pub(super) fn run(server: &Postgres, picked: &[&str]) -> Result<String> {
    let mut defects = all()?;
    defects.retain(|defect| picked.is_empty() || picked.iter().any(|start| defect.name.starts_with(start)));
    ensure!(!defects.is_empty(), "no defect has such a name");
    let copy = Copy::fresh()?;
    sound(&copy, server, &defects)?;
    let mut rows = Vec::new();
    let mut missed = Vec::new();
    let mut time = Duration::ZERO;
    for defect in &defects {
        copy.restore()?;
        copy.apply(&defect.patch)?;
        for catcher in &defect.caught_by {
            match caught(&copy, server, catcher) {
                Ok((said, took)) => {
                    println!("{}: caught by {}: {said}", defect.name, catcher.test);
                    rows.push(row(defect, catcher, &said));
                    time += took;
                }
                Err(error) => {
                    eprintln!("error: {}: {}: {error:#}", defect.name, catcher.test);
                    missed.push(defect.name.as_str());
                }
            }
        }
    }
    copy.restore()?;
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    Ok(format!(
        "{} defects, all caught, in {} with the builds.\n\n| defect | breaks | caught by | what it said |\n|---|---|---|---|\n{}",
        defects.len(),
        took(time),
        rows.join("\n")
    ))
}

/// The tests pass on the sources as they are.
fn sound(copy: &Copy, server: &Postgres, defects: &[Defect]) -> Result<()> {
    let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for catcher in defects.iter().flat_map(|defect| &defect.caught_by) {
        tests.entry(&catcher.package).or_default().insert(&catcher.test);
    }
    for (package, tests) in tests {
        let filter = tests.iter().map(|test| is(test)).collect::<Vec<_>>().join(" + ");
        let ran = ran(copy, server, package, &filter)?;
        let found = usize::try_from(ran.totals.passed)?;
        ensure!(ran.succeeded && found >= tests.len(), "without a defect {found} of {tests:?} pass");
    }
    Ok(())
}

/// What the test said when it failed, and how long that took.
fn caught(copy: &Copy, server: &Postgres, catcher: &Catcher) -> Result<(String, Duration)> {
    let ran = ran(copy, server, &catcher.package, &is(&catcher.test))?;
    ensure!(!ran.succeeded, "the test passes");
    if !ran.lines.iter().any(|line| line.starts_with(FAILED)) || ran.totals.failed == 0 {
        let why = ran.lines.iter().rfind(|line| line.starts_with("error"));
        bail!("it does not build or run: {}", told(why, "cargo says nothing")?);
    }
    Ok((said(&ran.lines), ran.took))
}

fn ran(copy: &Copy, server: &Postgres, package: &str, filter: &str) -> Result<Ran> {
    let mut command = copy.cargo(["nextest", "run", "--locked", "--no-fail-fast", "--profile=campaign"])?;
    command.args(["--package", package, "-E", filter]).env(postgres::SHARED, server.base_url());
    Ran::run(command, &|_| ())
}

/// The tests of this name, in whatever module.
fn is(test: &str) -> String {
    format!("test(/(^|::){test}$/)")
}

/// The first thing that a failing test said.
fn said(lines: &[String]) -> String {
    let panicked = lines.iter().position(|line| line.contains("panicked at")).map(|at| at + 1);
    let error = lines.iter().position(|line| line.trim_start().starts_with("Error: "));
    let from = panicked.or(error).unwrap_or(lines.len());
    let of_it = |line: &&String| !line.contains("stack backtrace:") && !line.trim().is_empty();
    let text: Vec<&str> =
        lines.iter().skip(from).take(SAID_LINES).take_while(of_it).map(|line| line.trim()).collect();
    text.join(" ").trim_start_matches("Error: ").chars().take(SAID_MAX).collect()
}

fn row(defect: &Defect, catcher: &Catcher, said: &str) -> String {
    let said = said.replace('|', "\\|").replace('`', "'");
    let package = catcher.package.trim_start_matches("skep-");
    let Defect { name, what, breaks, .. } = defect;
    format!("| {name}: {what} | {breaks} | {package} *{}* | `{said}` |", catcher.test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::copy::git;

    #[test]
    fn every_defect_says_what_it_breaks_and_still_applies() -> Result<()> {
        let root = workspace::root()?;
        let defects = all()?;
        assert!(defects.len() >= 12, "{}", defects.len());
        for defect in defects {
            let check = git(&root).args(["apply", "--check"]).arg(&defect.patch).output()?;
            let why = String::from_utf8_lossy(&check.stderr);
            assert!(check.status.success(), "{} does not apply any more: {why}", defect.name);
        }
        Ok(())
    }

    #[test]
    fn the_words_before_a_patch_are_read() -> Result<()> {
        let text = "A sentence.\n\nBreaks: I9\nCaught by: skep-store a_test\n\ndiff --git a/x b/x\n";
        let defect = Defect::parse("01-x", Path::new("x"), text)?;
        let catcher = Catcher { package: "skep-store".to_owned(), test: "a_test".to_owned() };
        assert_eq!((defect.what.as_str(), defect.breaks.as_str()), ("A sentence.", "I9"));
        assert_eq!(defect.caught_by, [catcher]);
        for missing in
            ["A sentence.\n\nBreaks: I9\n\ndiff --git a/x", "A sentence.\n\nCaught by: a b\n\ndiff --git a/x"]
        {
            assert!(Defect::parse("01-x", Path::new("x"), missing).is_err());
        }
        Ok(())
    }

    #[test]
    fn what_a_failing_test_said_first_is_found_in_both_forms() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let panicked = "  thread 'a' panicked at src/x.rs:1:1:\n  assertion failed: x\n";
        assert_eq!(said(&lines(panicked)), "assertion failed: x");
        assert_eq!(said(&lines("  Error: it is not so\n")), "it is not so");
    }
}
