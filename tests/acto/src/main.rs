//! `campaign [--json] [--one-in N] [--chains N] [--length N]`: the whole campaign, and what it came to.
//!
//! `--one-in` makes only a part of the changes of single fields; `--chains` is how many chains of changes on top of each other are
//! made, `--length` how long they are.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use skep_acto::campaign::{Campaign, Part, Tally};

/// Of the changes that are carried out, one in so many is compared with what it comes to from nothing, as are the ends of chains.
const COMPARED: usize = 3;

/// What is asked for.
struct Options {
    json: bool,
    one_in: usize,
    chains: u64,
    length: usize,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { json: false, one_in: 1, chains: 40, length: 10 };
        while let Some(word) = words.next() {
            let mut number = || words.next().context("a number")?.parse::<u64>().context("a number");
            match word.as_str() {
                "--json" => options.json = true,
                "--one-in" => options.one_in = usize::try_from(number()?)?,
                "--chains" => options.chains = number()?,
                "--length" => options.length = usize::try_from(number()?)?,
                other => bail!("there is no option {other}"),
            }
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let options = Options::read(std::env::args().skip(1))?;
    let tally = run(&options).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&tally)?);
    } else {
        println!("{tally:#?}");
    }
    Ok(if tally.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(options: &Options) -> Result<Tally> {
    let mut campaign = Campaign::begin().await?;
    campaign.each_invalid()?;
    campaign.each_resource().await?;
    campaign.each_field(Part { one_in: options.one_in, offset: 0 }, COMPARED).await?;
    for seed in 0..options.chains {
        campaign.chain(seed, options.length).await?;
    }
    // A part of the changes says nothing about fields without an effect.
    if options.one_in == 1 {
        campaign.judge_fields();
    }
    Ok(campaign.tally)
}
