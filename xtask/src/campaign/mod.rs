//! `cargo xtask campaign`: what takes too long for every run of the tests, and the page that tells how it went.
//!
//! A part of the campaign is a harness with everything that it has, or the seeded defects. Each writes its own section of
//! `docs/proof.md` when it has passed; what is written by hand around the sections stays. A part that fails leaves its section as it
//! was and the run fails, after all parts have had their turn.

mod copy;
mod defects;
mod harness;
mod page;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use skep_testbed::{Postgres, install};

use crate::campaign::harness::{HARNESSES, Harness};
use crate::campaign::page::Page;

/// A part of the campaign.
enum Part {
    Harness(&'static Harness),
    Defects,
}

/// The word for the part that is no harness.
const DEFECTS: &str = "defects";

impl Part {
    fn all() -> impl Iterator<Item = Self> {
        HARNESSES.iter().map(Self::Harness).chain([Self::Defects])
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Harness(harness) => harness.part,
            Self::Defects => DEFECTS,
        }
    }

    fn named(name: &str) -> Result<Self> {
        let known = || Self::all().map(|part| part.name()).collect::<Vec<_>>().join(", ");
        Self::all().find(|part| part.name() == name).with_context(|| format!("the parts are {}", known()))
    }
}

/// Runs these parts, or all of them. Defects may be picked by the beginnings of their names: `defects 01 17`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (parts, picked) = match arguments.split_first() {
        None => (Part::all().collect(), Vec::new()),
        Some((&DEFECTS, picked)) => (vec![Part::Defects], picked.to_vec()),
        Some(_) => (arguments.iter().map(|name| Part::named(name)).collect::<Result<Vec<_>>>()?, Vec::new()),
    };
    install::packages()?;
    let server = Postgres::start()?;
    let mut failed = Vec::new();
    for part in parts {
        eprintln!("==> campaign: {}", part.name());
        let section = match &part {
            Part::Harness(harness) => harness.run(&server),
            Part::Defects => defects::run(&server, &picked),
        };
        match section {
            // Some of the defects are no result.
            Ok(_) if !picked.is_empty() => {}
            Ok(section) => Page::read()?.with(part.name(), &section)?.write()?,
            Err(error) => {
                eprintln!("error: {}: {error:#}", part.name());
                failed.push(part.name());
            }
        }
    }
    drop(server);
    skep_testbed::sweep()?;
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    println!("campaign: passed; see {}", page::PATH);
    Ok(())
}

/// A time as people read it.
fn took(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..10 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Fails unless a command said so; for results that are no plain success.
fn told<T>(what: Option<T>, why: &str) -> Result<T> {
    match what {
        Some(told) => Ok(told),
        None => bail!("{why}"),
    }
}
