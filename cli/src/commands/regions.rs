//! `skep regions`: where environments can run.

use anyhow::Result;
use clap::Args;
use skep_api::wire::{NodeItem, RegionList, RegionNodes};

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::text::Tone;
use crate::output::{PlanFormat, print, stdout_style};

/// `skep regions`
#[derive(Debug, Args)]
#[command(
    after_help = "A region is what nodes have as their label `region`, and `region` of an environment names it. Without an organisation it is all \
                  regions; administrators of the platform see the nodes."
)]
pub(crate) struct RegionsArgs {
    /// All regions, whoever their nodes are kept for, also where an organisation is set.
    #[arg(long)]
    all: bool,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: &RegionsArgs) -> Result<Outcome> {
    let path = match session.org.as_ref().filter(|_| !args.all) {
        Some(org) => format!("/v1/orgs/{org}/regions"),
        None => "/v1/regions".to_owned(),
    };
    let regions: RegionList = session.client.get(&path).await?;
    print(&args.output.of(&regions, || told(&regions))?)?;
    Ok(Outcome::Done)
}

fn told(regions: &RegionList) -> String {
    if let Some(missing) = &regions.missing {
        return format!(
            "{missing} is not there, and before it is nothing is placed on any node: ask whoever runs the platform\n"
        );
    }
    if regions.items.is_empty() && regions.elsewhere.is_none() {
        return "no node says a region: environments run on any node\n".to_owned();
    }
    let with_nodes = regions.elsewhere.is_some() || regions.items.iter().any(|one| one.nodes.is_some());
    let mut rows = Vec::new();
    for region in &regions.items {
        let takes = if region.takes_work { ("yes", Tone::Good) } else { ("no", Tone::Bad) };
        let mut row = vec![region.name.as_str().into(), Cell::toned(takes.0, takes.1)];
        row.extend(region.nodes.as_ref().map(sums).unwrap_or_default());
        rows.push(row);
        rows.extend(region.nodes.iter().flat_map(|nodes| &nodes.items).map(node));
    }
    if let Some(elsewhere) = &regions.elsewhere {
        rows.push([vec!["(none)".into(), "".into()], sums(elsewhere)].concat());
        rows.extend(elsewhere.items.iter().map(node));
    }
    let head: &[&str] = if with_nodes {
        &["REGION", "TAKES WORK", "NODES", "CPU", "MEMORY"]
    } else {
        &["REGION", "TAKES WORK"]
    };
    render(head, &rows, stdout_style())
}

/// Its columns are those of nodes that answer.
fn sums(nodes: &RegionNodes) -> Vec<Cell> {
    let RegionNodes { ready, active, items, .. } = nodes;
    let count = format!("{} of {} ready, {active} active", ready, items.len());
    vec![count.into(), cores(nodes.cpu_millis).into(), mebibytes(nodes.memory_bytes).into()]
}

fn node(node: &NodeItem) -> Vec<Cell> {
    let NodeItem { hostname, state, availability, isolation, .. } = node;
    let kept = isolation.as_ref().map(|level| format!(", {level}")).unwrap_or_default();
    let takes = state == "ready" && availability == "active";
    let tone = if takes { Tone::Plain } else { Tone::Bad };
    vec![
        format!("  {hostname}").into(),
        "".into(),
        Cell::toned(&format!("{state}, {availability}{kept}"), tone),
        cores(node.cpu_millis).into(),
        mebibytes(node.memory_bytes).into(),
    ]
}

fn cores(millis: u64) -> String {
    format!("{millis}m")
}

fn mebibytes(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(regions: serde_json::Value) -> Vec<String> {
        let text = told(&serde_json::from_value(regions).unwrap());
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn regions_are_told_by_name_and_with_nodes_where_those_are_told() {
        let names = json!({"items": [{"name": "eu", "takesWork": true}, {"name": "us", "takesWork": false}]});
        assert_eq!(lines(names), ["REGION TAKES WORK", "eu yes", "us no"]);
        let node = |hostname: &str, state: &str| {
            json!({"id": "n", "hostname": hostname, "state": state, "availability": "active",
                   "cpuMillis": 2000, "memoryBytes": 1 << 30})
        };
        let nodes = |items: serde_json::Value| json!({"ready": 1, "active": 1, "cpuMillis": 2000, "memoryBytes": 1 << 30, "items": items});
        let eu = nodes(json!([node("one", "ready"), node("two", "down\u{1b}[2J")]));
        let full = json!({"items": [{"name": "eu", "takesWork": true, "nodes": eu}], "elsewhere": nodes(json!([node("three", "ready")]))});
        assert_eq!(
            lines(full),
            [
                "REGION TAKES WORK NODES CPU MEMORY",
                "eu yes 1 of 2 ready, 1 active 2000m 1024Mi",
                "one ready, active 2000m 1024Mi",
                "two down\u{fffd}[2J, active 2000m 1024Mi",
                "(none) 1 of 1 ready, 1 active 2000m 1024Mi",
                "three ready, active 2000m 1024Mi",
            ]
        );
        assert_eq!(lines(json!({"items": []})), ["no node says a region: environments run on any node"]);
        let missing = lines(json!({"items": [], "missing": "Plan/gold"}));
        assert!(missing[0].starts_with("Plan/gold is not there"), "{missing:?}");
    }
}
