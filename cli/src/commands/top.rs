//! `skep top`: what the instances of an environment use.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use skep_api::wire::{InstanceMetrics, MetricsView, UsageView};

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless};
use crate::output::{PlanFormat, print, stdout_style};

/// How often it is looked again; the server gives an answer again for as long.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// From which part of a limit on it stands out.
const HIGH: f64 = 0.9;

/// `skep top`
#[derive(Debug, Args)]
#[command(
    after_help = "Memory is the working set, as `docker stats` has it: without files that could be dropped at once. Instances on nodes whose engine \
                  the server does not talk to are listed and cannot be read."
)]
pub(crate) struct TopArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Look again every two seconds.
    #[arg(long, short)]
    watch: bool,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: TopArgs) -> Result<Outcome> {
    let path = format!("{}/metrics", resource_path(&args.environment.key(session.org.as_ref())?));
    loop {
        let answer: Result<MetricsView, _> = session.client.get(&path).await;
        match answer {
            Ok(metrics) => print(&args.output.of(&metrics, || told(&metrics, args.watch))?)?,
            Err(error) if args.watch && error.may_pass() => {
                eprintln!("note: {}", error.to_string().lines().next().unwrap_or_default());
            }
            Err(error) => return Err(error.into()),
        }
        if !args.watch {
            return Ok(Outcome::Done);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn told(metrics: &MetricsView, again: bool) -> String {
    if metrics.items.is_empty() {
        return "nothing runs\n".to_owned();
    }
    let mut rows: Vec<Vec<Cell>> = metrics.items.iter().map(instance).collect();
    let read = metrics.items.iter().filter(|item| item.usage.is_some()).count();
    if read > 1 {
        rows.push([vec!["(all)".into()], numbers(&metrics.total), vec!["".into()]].concat());
    }
    let head = ["INSTANCE", "CPU", "OF LIMIT", "MEMORY", "OF LIMIT", "IN", "OUT", ""];
    let mut text = render(&head, &rows, stdout_style());
    if metrics.unread > 0 && read > 0 {
        text.push_str(&format!("{} could not be read and are in no sum\n", metrics.unread));
    }
    if again {
        text = format!("{}\n{text}\n", metrics.at);
    }
    text
}

fn instance(item: &InstanceMetrics) -> Vec<Cell> {
    let name = match item.slot {
        Some(slot) => format!("{}.{slot}", item.process),
        None => format!("{}.{}", item.process, harmless(&item.instance)),
    };
    let nothing = || vec![Cell::from("-"); 6];
    let numbers = item.usage.as_ref().map_or_else(nothing, numbers);
    let why =
        item.unread.as_ref().map_or_else(|| "".into(), |unread| Cell::toned(&unread.message, Tone::Bad));
    [vec![name.into()], numbers, vec![why]].concat()
}

fn numbers(usage: &UsageView) -> Vec<Cell> {
    let UsageView { cpu, memory, network } = usage;
    let cores = cpu.cores.map_or_else(|| "-".to_owned(), |cores| format!("{cores:.3}"));
    let each_second = |bytes: Option<u64>| match (network, bytes) {
        (None, _) => "-".to_owned(),
        (Some(_), None) => "?".to_owned(),
        (Some(_), Some(bytes)) => format!("{}/s", size(bytes)),
    };
    vec![
        cores.into(),
        part(cpu.share),
        size(memory.working_set_bytes).into(),
        part(memory.share),
        each_second(network.as_ref().and_then(|network| network.received_each_second)).into(),
        each_second(network.as_ref().and_then(|network| network.sent_each_second)).into(),
    ]
}

fn part(share: Option<f64>) -> Cell {
    let Some(share) = share else { return "-".into() };
    let tone = if share >= HIGH { Tone::Bad } else { Tone::Plain };
    Cell::toned(&format!("{:.1}%", share * 100.0), tone)
}

/// Bytes, in the unit in which they have up to four digits.
fn size(bytes: u64) -> String {
    let units = ["B", "Ki", "Mi", "Gi"];
    let (mut count, mut unit) = (bytes, 0);
    while count >= 10_240 && unit + 1 < units.len() {
        (count, unit) = (count >> 10, unit + 1);
    }
    format!("{count}{}", units.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lines(metrics: Value) -> Vec<String> {
        let text = told(&serde_json::from_value(metrics).unwrap(), false);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn each_instance_is_told_with_what_it_uses_or_why_that_is_not_known() {
        let usage = json!({
            "cpu": {"cores": 0.4504, "limit": 0.5, "share": 0.9008},
            "memory": {"usedBytes": 9_334_784, "workingSetBytes": 1_142_784, "limitBytes": 67_108_864, "share": 0.017},
            "network": {"receivedBytes": 640, "sentBytes": 0, "receivedEachSecond": 67, "sentEachSecond": 0},
        });
        let new = json!({"cpu": {}, "memory": {"usedBytes": 5, "workingSetBytes": 5}});
        let away =
            json!({"reason": "anotherNode", "message": "cannot be read from here: runs on another node"});
        let metrics = json!({"at": "2026-11-22T17:10:18Z", "total": usage, "unread": 1, "items": [
            {"process": "web", "slot": 1, "instance": "abc", "usage": usage},
            {"process": "web", "slot": 2, "instance": "def", "usage": new},
            {"process": "run", "instance": "ghi", "unread": away},
        ]});
        assert_eq!(
            lines(metrics),
            [
                "INSTANCE CPU OF LIMIT MEMORY OF LIMIT IN OUT",
                "web.1 0.450 90.1% 1116Ki 1.7% 67B/s 0B/s",
                "web.2 - - 5B - - -",
                "run.ghi - - - - - - cannot be read from here: runs on another node",
                "(all) 0.450 90.1% 1116Ki 1.7% 67B/s 0B/s",
                "1 could not be read and are in no sum",
            ]
        );
        let total = json!({"cpu": {}, "memory": {"usedBytes": 0, "workingSetBytes": 0}});
        assert_eq!(
            lines(json!({"at": "2026-11-22T17:10:18Z", "total": total, "unread": 0, "items": []})),
            ["nothing runs"]
        );
        assert_eq!(
            (size(10_239), size(64 << 20), size(3 << 40)),
            ("10239B".into(), "64Mi".into(), "3072Gi".into())
        );
    }
}
