//! `acto [--json] [--one-in N] [--chains N] [--length N] [--workers N]`: the whole campaign, and what it came to.
//!
//! `--one-in` makes only a part of the changes of single fields; `--chains` is how many chains of changes on top of each other are
//! made, `--length` how long they are. The work is shared by `--workers`, each with grounds of its own: one for each processor
//! unless told otherwise.

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use skep_acto::campaign::{Campaign, Part};
use skep_acto::tally::Tally;

/// Of the changes that are carried out, one in so many is compared with what it comes to from nothing, as are the ends of chains.
const COMPARED: usize = 3;

/// What is asked for.
#[derive(Clone, Copy)]
struct Options {
    json: bool,
    one_in: usize,
    chains: u64,
    length: usize,
    workers: usize,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let mut options = Self { json: false, one_in: 1, chains: 40, length: 10, workers };
        while let Some(word) = words.next() {
            let mut number = || words.next().context("a number")?.parse::<usize>().context("a number");
            match word.as_str() {
                "--json" => options.json = true,
                "--one-in" => options.one_in = number()?.max(1),
                "--chains" => options.chains = number()?.try_into()?,
                "--length" => options.length = number()?,
                "--workers" => options.workers = number()?.max(1),
                other => bail!("there is no option {other}"),
            }
        }
        Ok(options)
    }
}

fn main() -> Result<ExitCode> {
    let options = Options::read(std::env::args().skip(1))?;
    let workers: Vec<_> =
        (0..options.workers).map(|number| thread::spawn(move || share(&options, number))).collect();
    let mut tally = Tally::default();
    for worker in workers {
        tally.add(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
    }
    // A part of the changes says nothing about fields without an effect.
    if options.one_in == 1 {
        tally.judge_fields();
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&tally)?);
    } else {
        println!("{tally:#?}");
    }
    Ok(if tally.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What one worker does: every so many of the changes and of the chains, and the first also what is not worth sharing.
fn share(options: &Options, number: usize) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut campaign = Campaign::begin().await?;
        if number == 0 {
            campaign.each_invalid()?;
            campaign.each_resource().await?;
        }
        let part = Part { one_in: options.one_in * options.workers, offset: options.one_in * number };
        campaign.each_field(part, COMPARED).await?;
        eprintln!("worker {number}: every field done");
        for seed in (0..options.chains).skip(number).step_by(options.workers) {
            campaign.chain(seed, options.length).await?;
        }
        Ok(campaign.tally)
    })
}
