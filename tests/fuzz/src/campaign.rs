//! Running a target: what is kept first, then new inputs by the number.
//!
//! Every input that ever failed is kept as a file under `corpus/<target>/`, and is tried first in every run from then on. A
//! failure is made small, written there, and told with the seed that made it; the same seed makes the same inputs.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::mutate::mutate;
use crate::random::Random;

/// How many inputs each target tries beyond those that are kept: `SKEP_FUZZ_CASES=1000000 cargo nextest run -p skep-fuzz`.
const CASES_VARIABLE: &str = "SKEP_FUZZ_CASES";
/// Where the sequence begins: another number is another campaign.
const SEED_VARIABLE: &str = "SKEP_FUZZ_SEED";
/// How often a failing input is tried with something left out. Enough for inputs of some kilobytes.
const SHRINKS_MAX: usize = 3000;

/// What says of an input that it was not treated as it should be.
pub type Check<'a> = &'a dyn Fn(&[u8]) -> Result<(), String>;

/// What is tried on a target.
#[derive(Debug)]
pub struct Campaign {
    /// The name of the target; its directory in the corpus.
    pub target: &'static str,
    /// Inputs to begin with, beside those in the corpus.
    pub seeds: Vec<Vec<u8>>,
    /// Pieces that mean something to the target.
    pub dictionary: &'static [&'static str],
    /// Makes a whole input, where there is a grammar for it.
    pub generate: Option<fn(&mut Random) -> Vec<u8>>,
    /// How many new inputs are tried unless the environment says otherwise.
    pub cases: u64,
}

impl Campaign {
    /// Runs the target and says how many inputs were tried.
    pub fn run(&self, check: Check<'_>) -> Result<u64> {
        let directory = corpus().join(self.target);
        let kept = files(&directory)?;
        for (path, input) in &kept {
            if let Err(why) = outcome(check, input) {
                bail!("{}: the input kept in {} fails: {why}", self.target, path.display());
            }
        }
        let mut seeds = self.seeds.clone();
        seeds.extend(kept.into_iter().map(|(_, input)| input));
        let cases = number(CASES_VARIABLE)?.unwrap_or(self.cases);
        let first = number(SEED_VARIABLE)?.unwrap_or_default();
        for seed in first..first.saturating_add(cases) {
            let input = self.input(&seeds, seed);
            if let Err(why) = outcome(check, &input) {
                let small = shrink(check, &input);
                let path = keep(&directory, &small)?;
                let why = outcome(check, &small).err().unwrap_or(why);
                bail!(
                    "{}: seed {seed} fails: {why}\nthe input is kept in {}:\n{}",
                    self.target,
                    path.display(),
                    small.escape_ascii()
                );
            }
        }
        Ok(cases)
    }

    fn input(&self, seeds: &[Vec<u8>], seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
        let whole = |random: &mut Random| match self.generate {
            Some(generate) if seeds.is_empty() || !random.once_in(3) => generate(random),
            _ if seeds.is_empty() => Vec::new(),
            _ => random.pick(seeds).clone(),
        };
        let input = whole(&mut random);
        // What a grammar made is also tried as it is.
        if self.generate.is_some() && random.once_in(3) {
            return input;
        }
        let other = whole(&mut random);
        mutate(&input, &other, self.dictionary, &mut random)
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn number(variable: &str) -> Result<Option<u64>> {
    let text = std::env::var(variable).ok();
    text.map(|text| text.parse().with_context(|| format!("{variable} is not a number"))).transpose()
}

/// The files of a directory in the order of their names; none when it does not exist.
pub fn files(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
}

fn outcome(check: Check<'_>, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check(input))).unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("it panics: {}", text.unwrap_or("with something that is no text")))
    })
}

/// Leaves out stretches as long as the rest still fails.
fn shrink(check: Check<'_>, input: &[u8]) -> Vec<u8> {
    let mut small = input.to_vec();
    let mut length = small.len() / 2;
    let mut tried = 0;
    while length > 0 {
        let mut at = 0;
        while at < small.len() && tried < SHRINKS_MAX {
            let mut without = small.clone();
            drop(without.drain(at..(at + length).min(small.len())));
            tried += 1;
            if outcome(check, &without).is_err() {
                small = without;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    small
}

/// Writes a failing input where every later run finds it.
fn keep(directory: &Path, input: &[u8]) -> Result<PathBuf> {
    // FNV-1a: the name says nothing and does not change.
    let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("failed-{hash:016x}"));
    fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_input_is_made_as_small_as_what_fails_in_it() {
        let check = |input: &[u8]| {
            if input.windows(2).any(|pair| pair == b"x:") { Err("found".to_owned()) } else { Ok(()) }
        };
        assert_eq!(shrink(&check, b"apiVersion: x: y\nkind: App\n"), b"x:");
    }

    #[test]
    fn a_panic_is_a_failure_with_its_words() {
        let check = |_: &[u8]| -> Result<(), String> { panic!("at {}", 7) };
        assert_eq!(outcome(&check, b""), Err("it panics: at 7".to_owned()));
    }

    #[test]
    fn the_same_seed_makes_the_same_input() {
        let campaign = Campaign {
            target: "none",
            seeds: vec![b"one".to_vec(), b"another".to_vec()],
            dictionary: &["piece"],
            generate: None,
            cases: 0,
        };
        for seed in 0..100 {
            assert_eq!(campaign.input(&campaign.seeds, seed), campaign.input(&campaign.seeds, seed));
        }
    }
}
