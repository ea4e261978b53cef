//! `skep deployments`: the attempts at releases, and what of each took how long.

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use skep_api::wire::{
    DeploymentState, ReleaseItem, ReleaseList, ReleaseOutputView, ReleaseQuery, ReleaseVerdict, RolledView,
    StageName, StageView,
};
use skep_schemas::diagnostic::Style;
use skep_schemas::{Kind, ResourceKey};

use super::release::number;
use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::client::with_query;
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless, lasted};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep deployments`
#[derive(Debug, Args)]
#[command(
    after_help = "Each is the attempt at a release and has its number; `skep release` tells what one waited for, and how long each process took."
)]
pub(crate) struct DeploymentsArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Only those before this one, such as `v41`.
    #[arg(long, value_name = "RELEASE", value_parser = number)]
    before: Option<u32>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn list(session: &Session, args: DeploymentsArgs) -> Result<Outcome> {
    let path = format!("{}/releases", resource_path(&args.environment.key(session.org.as_ref())?));
    let query = ReleaseQuery { before: args.before, limit: Some(args.limit) };
    let releases: ReleaseList = session.client.get(&with_query(&path, &query)?).await?;
    print(&args.output.of(&releases, || table(&releases, stdout_style()))?)?;
    if let Some(next) = releases.next {
        eprintln!("there are earlier ones: --before v{next}");
    }
    Ok(Outcome::Done)
}

fn table(releases: &ReleaseList, style: Style) -> String {
    const STAGES: [StageName; 4] =
        [StageName::Queued, StageName::Releasing, StageName::Rolling, StageName::Verifying];
    let row = |release: &ReleaseItem| -> Vec<Cell> {
        let stage = |name| release.timeline.iter().find(|stage| stage.stage == name);
        let mut cells: Vec<Cell> = vec![
            format!("v{}", release.version).into(),
            Cell::toned(release.state.as_str(), tone(release.state)),
            release.created_at.to_string().into(),
        ];
        cells.extend(
            STAGES.iter().map(|name| Cell::from(stage(*name).map_or_else(|| "-".to_owned(), length))),
        );
        cells.push(release.made_by.as_deref().unwrap_or("-").into());
        cells.push(release.why.as_str().into());
        cells
    };
    let rows: Vec<_> = releases.items.iter().map(row).collect();
    let headings =
        ["DEPLOYMENT", "STATE", "MADE", "QUEUED", "RELEASING", "ROLLING", "VERIFYING", "BY", "WHY"];
    render(&headings, &rows, style)
}

const fn tone(state: DeploymentState) -> Tone {
    match state {
        DeploymentState::Done => Tone::Good,
        DeploymentState::RolledBack | DeploymentState::Failed => Tone::Bad,
        DeploymentState::Queued
        | DeploymentState::Releasing
        | DeploymentState::Rolling
        | DeploymentState::Verifying => Tone::Busy,
        DeploymentState::Cancelled | DeploymentState::Superseded => Tone::Plain,
    }
}

/// Of how many environments it is told at the end of a wait what their releases failed by.
const TOLD_MAX: usize = 5;

/// Tells what the newest releases of environments printed last that failed, as far as whoever asks may read it.
pub(super) async fn tell_last_lines(session: &Session, keys: &[ResourceKey]) -> Result<()> {
    for key in keys.iter().filter(|key| key.kind() == Kind::Environment).take(TOLD_MAX) {
        let path = resource_path(key);
        let query = ReleaseQuery { before: None, limit: Some(1) };
        let newest: ReleaseList =
            session.client.get(&with_query(&format!("{path}/releases"), &query)?).await?;
        for release in &newest.items {
            if let Some(text) = last_lines(session, &path, release).await {
                eprint!("{key}: {text}");
            }
        }
    }
    Ok(())
}

/// Shows what a release printed last that failed, as far as whoever asks may read it.
pub(super) async fn show_last_lines(session: &Session, path: &str, release: &ReleaseItem) -> Result<()> {
    match last_lines(session, path, release).await {
        Some(text) => Ok(print(&format!("\n{text}"))?),
        None => Ok(()),
    }
}

async fn last_lines(session: &Session, path: &str, release: &ReleaseItem) -> Option<String> {
    if !matches!(release.verdict, ReleaseVerdict::RolledBack | ReleaseVerdict::Failed) {
        return None;
    }
    // Nothing is kept, or it is not for whoever asks: either way there is nothing to show.
    let output = session.client.get(&format!("{path}/releases/{}/output", release.version)).await.ok()?;
    Some(in_words(release.version, &output))
}

fn in_words(version: u32, output: &ReleaseOutputView) -> String {
    let mut text = format!("the last lines of {} of v{version}:\n", output.process);
    output.text.lines().for_each(|line| text.push_str(&format!("  {}\n", harmless(line))));
    if let Some(gap) = &output.gap {
        text.push_str(&format!("  -- {} --\n", harmless(gap)));
    }
    text
}

/// The parts of one, a line each.
pub(super) fn stages(timeline: &[StageView], style: Style) -> String {
    if timeline.is_empty() {
        return String::new();
    }
    let row = |stage: &StageView| -> Vec<Cell> {
        vec![stage.stage.as_str().into(), length(stage).into(), what(stage).into()]
    };
    let rows: Vec<_> = timeline.iter().map(row).collect();
    render(&["STAGE", "TOOK", ""], &rows, style)
}

fn what(stage: &StageView) -> String {
    let mut parts: Vec<String> = stage.waits.iter().map(|wait| wait.why.clone()).collect();
    parts.extend(stage.run.map(|run| format!("run {run}")));
    parts.extend(stage.processes.iter().map(rolled));
    parts.join("; ")
}

fn rolled(process: &RolledView) -> String {
    format!("{} {}", process.process, span(process.sent_at, process.up_at))
}

fn length(stage: &StageView) -> String {
    span(stage.began_at, stage.ended_at)
}

fn span(began: Timestamp, ended: Option<Timestamp>) -> String {
    ended.map_or_else(|| "not over".to_owned(), |ended| lasted(ended.duration_since(began).as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_told_with_what_it_waited_for_and_how_long_each_part_took() {
        let at = |second: &str| format!("2026-11-22T10:00:{second}Z");
        let timeline = json!([
            {"stage": "queued", "beganAt": at("00"), "endedAt": at("02"), "waits": [{"why": "waiting for Organization/acme", "since": at("00")}]},
            {"stage": "releasing", "beganAt": at("02"), "endedAt": at("10"), "run": 7},
            {"stage": "rolling", "beganAt": at("10"), "processes": [
                {"process": "web", "sentAt": at("10"), "upAt": at("13")}, {"process": "worker", "sentAt": at("11")}]},
        ]);
        let releases: ReleaseList = serde_json::from_value(json!({"items": [{
            "version": 3, "image": "shop:2", "digest": "sha256:ab", "processes": ["web"], "why": "changed: image", "madeBy": "ann",
            "verdict": "pending", "state": "rolling", "timeline": timeline, "createdAt": at("00")}]}))
        .unwrap();
        assert_eq!(
            stages(&releases.items[0].timeline, Style::Plain),
            "STAGE      TOOK\n\
             queued     2.0 s     waiting for Organization/acme\n\
             releasing  8.0 s     run 7\n\
             rolling    not over  web 3.0 s; worker not over\n"
        );
        assert_eq!(
            table(&releases, Style::Plain),
            "DEPLOYMENT  STATE    MADE                  QUEUED  RELEASING  ROLLING   VERIFYING  BY   WHY\n\
             v3          rolling  2026-11-22T10:00:00Z  2.0 s   8.0 s      not over  -          ann  changed: image\n"
        );
    }
}
