//! `skep schedules`: what an environment runs again and again.

use anyhow::Result;
use clap::Args;
use skep_api::wire::{RunState, RunView, ScheduleList, ScheduleView};

use super::run::{tone, word};
use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless};
use crate::output::{PlanFormat, print, stdout_style, yaml};

/// `skep schedules`
#[derive(Debug, Args)]
#[command(
    after_help = "A schedule is that of the newest release that succeeded. `skep stop ENV PROCESS` lets none of its runs begin until `skep start`; \
                  `skep run ENV --process PROCESS` runs it now."
)]
pub(crate) struct SchedulesArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries `skep schedules` out.
pub(super) async fn run(session: &Session, args: SchedulesArgs) -> Result<Outcome> {
    let environment = resource_path(&args.environment.key(session.org.as_ref())?);
    let schedules: ScheduleList = session.client.get(&format!("{environment}/schedules")).await?;
    print(&match args.output {
        PlanFormat::Text if schedules.items.is_empty() => "nothing has a schedule\n".to_owned(),
        PlanFormat::Text => told(&schedules),
        PlanFormat::Json => format!("{}\n", serde_json::to_string_pretty(&schedules)?),
        PlanFormat::Yaml => yaml(&schedules)?,
    })?;
    Ok(Outcome::Done)
}

fn told(schedules: &ScheduleList) -> String {
    let rows: Vec<_> = schedules.items.iter().map(row).collect();
    let head = ["PROCESS", "SCHEDULE", "TIME ZONE", "NEXT", "LAST", "HOW IT WENT", "MISSED"];
    let mut text = render(&head, &rows, stdout_style());
    for one in &schedules.items {
        let stopped = one.stopped.iter().map(|stopped| format!("is stopped {}", stopped.in_words()));
        let missed =
            one.last_missed.iter().map(|missed| format!("did not run at {}: {}", missed.at, missed.why));
        for line in stopped.chain(missed) {
            text.push_str(&format!("{} {}\n", one.process, harmless(&line)));
        }
    }
    text
}

fn row(one: &ScheduleView) -> Vec<Cell> {
    let last = one.last_run.as_ref();
    let went = last.map_or_else(|| "-".into(), |run| Cell::toned(&went(run), tone(run.state)));
    let missed = if one.missed == 0 { Tone::Plain } else { Tone::Bad };
    vec![
        one.process.as_str().into(),
        one.schedule.cron.as_str().into(),
        one.schedule.time_zone.as_str().into(),
        one.next.map_or_else(|| "-".to_owned(), |next| next.to_string()).into(),
        last.and_then(|run| run.slot).map_or_else(|| "-".to_owned(), |slot| slot.to_string()).into(),
        went,
        Cell::toned(&one.missed.to_string(), missed),
    ]
}

fn went(run: &RunView) -> String {
    match (run.state, run.exit_code) {
        (RunState::Failed, Some(code)) => format!("failed with {code} (run {})", run.number),
        (state, _) => format!("{} (run {})", word(state), run.number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_is_told_with_what_comes_next_how_the_last_went_and_what_was_missed() {
        let run = json!({
            "number": 7, "purpose": "schedule", "release": 3, "process": "report", "slot": "2026-11-22T02:00:00Z", "state": "failed", "exitCode": 3,
            "resources": {"cpu": "1", "memory": "64Mi", "pids": 64}, "timeLimit": "1h", "createdAt": "2026-11-22T02:00:01Z",
        });
        let schedules: ScheduleList = serde_json::from_value(json!({"items": [{
            "process": "report", "schedule": {"cron": "0 3 * * *", "timeZone": "Europe/Berlin"}, "timeLimit": "1h", "release": 3,
            "next": "2026-11-23T02:00:00Z", "missed": 2, "lastMissed": {"at": "2026-11-21T02:00:00Z", "why": "run 5 was not over"}, "lastRun": run,
        }]}))
        .unwrap();
        let text = told(&schedules);
        let lines: Vec<&str> = text.lines().collect();
        let words: Vec<&str> = lines[1].split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(
            words,
            [
                "report",
                "0 3 * * *",
                "Europe/Berlin",
                "2026-11-23T02:00:00Z",
                "2026-11-22T02:00:00Z",
                "failed with 3 (run 7)",
                "2"
            ]
        );
        assert_eq!(lines[2], "report did not run at 2026-11-21T02:00:00Z: run 5 was not over");
    }
}
