//! `skep run` and `skep runs`: commands that run once in an environment.
//!
//! The server runs it, not this program: whoever breaks off only stops watching. What it printed while nobody watched is in the kept output, and
//! is shown from where the stream had come.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use skep_api::wire::{LogLine, LogQuery, RunAsked, RunList, RunOutputView, RunQuery, RunState, RunView};
use skep_schemas::kind::Resources;
use skep_schemas::{Bytes, Cpu, ProcessName};

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::client::{EventSource, with_query};
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless, lasted};
use crate::output::{PlanFormat, print, stdout_style, yaml};
use crate::sse::Event;

/// How often it is asked where a run stands.
const ASKED_EVERY: Duration = Duration::from_millis(500);
/// How many of the lines before the stream was there.
const TAIL: u32 = 10_000;
/// The exit code for a run whose process had none that can be passed on; as of `timeout` and `docker`, it is not one that programs use.
const NO_CODE: u8 = 125;
/// What an instance of a run may have of processes and threads, when its other limits are named.
const PIDS: u32 = 256;

/// `skep run`
#[derive(Debug, Args)]
#[command(
    after_help = "The command runs in the image, config and secrets of the release that runs, as arguments of the process's entry point; it is no shell line. \
                  Breaking off stops watching, not the run. Exit code: that of the command; 125 if it had none."
)]
pub(crate) struct RunArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// The process whose config it has; `web`, or the only one, when absent.
    #[arg(long, value_name = "PROCESS")]
    process: Option<ProcessName>,
    /// For how long it may run, such as `10m`; an hour when absent, a day at most.
    #[arg(long, value_name = "SPAN")]
    time_limit: Option<skep_schemas::Duration>,
    /// How much CPU it may use, such as `500m`; what the process may when absent.
    #[arg(long, value_name = "AMOUNT", requires = "memory")]
    cpu: Option<Cpu>,
    /// How much memory it may use, such as `512Mi`; what the process may when absent.
    #[arg(long, value_name = "AMOUNT", requires = "cpu")]
    memory: Option<Bytes>,
    /// Do not wait for it.
    #[arg(long, short)]
    detach: bool,
    /// The command and its arguments; the process's own when absent.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

/// `skep runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Show this run with what it printed.
    #[arg(value_name = "RUN")]
    run: Option<u32>,
    /// Stop it.
    #[arg(long, requires = "run")]
    stop: bool,
    /// Only those before this one.
    #[arg(long, value_name = "RUN", conflicts_with = "run")]
    before: Option<u32>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries `skep run` out.
pub(super) async fn run(session: &Session, args: RunArgs) -> Result<Outcome> {
    let environment = resource_path(&args.environment.key(session.org.as_ref())?);
    let resources = args.cpu.zip(args.memory).map(|(cpu, memory)| Resources { cpu, memory, pids: PIDS });
    let asked = RunAsked {
        process: args.process,
        command: (!args.command.is_empty()).then_some(args.command),
        resources,
        time_limit: args.time_limit,
    };
    let run: RunView = session.client.post(&format!("{environment}/runs"), &asked).await?;
    if args.detach {
        print(&format!("run {} in release v{}\n", run.number, run.release))?;
        return Ok(Outcome::Done);
    }
    eprintln!("run {} in release v{}, process {}", run.number, run.release, run.process);
    watch(session, &environment, run).await
}

/// Follows a run until it is over, and passes its exit code on.
async fn watch(session: &Session, environment: &str, mut run: RunView) -> Result<Outcome> {
    let one = format!("{environment}/runs/{}", run.number);
    let query = LogQuery { run: Some(run.number), follow: true, tail: Some(TAIL), ..LogQuery::default() };
    let mut printed = Printed::default();
    let mut live = session.client.stream(&with_query(&format!("{environment}/logs"), &query)?).await.ok();
    let mut asked = tokio::time::interval(ASKED_EVERY);
    let mut said = None;
    while !run.state.is_over() {
        tokio::select! {
            event = next(&mut live) => match event {
                Some(event) => printed.show(&event)?,
                // What it tells else is in the kept output.
                None => live = None,
            },
            _ = asked.tick() => {
                run = session.client.get(&one).await?;
                if run.state == RunState::Starting && run.reason.is_some() && run.reason != said {
                    said.clone_from(&run.reason);
                    eprintln!("waiting: {}", harmless(said.as_deref().unwrap_or_default()));
                }
            }
        }
    }
    let output: RunOutputView = session.client.get(&format!("{one}/output")).await?;
    printed.rest(&output)?;
    if run.state != RunState::Succeeded {
        let why = run.reason.as_deref().unwrap_or("no reason is known");
        eprintln!("run {} {}: {}", run.number, word(run.state), harmless(why));
    }
    let code = run.exit_code.and_then(|code| u8::try_from(code).ok());
    Ok(Outcome::Passed(code.unwrap_or(NO_CODE)))
}

/// The next event of a stream; `None` when it ended or broke.
async fn next(live: &mut Option<EventSource>) -> Option<Event> {
    match live {
        Some(source) => source.next().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// What of a run's output was printed while it ran.
#[derive(Default)]
struct Printed {
    lines: usize,
    last: Option<String>,
    gap: bool,
}

impl Printed {
    fn show(&mut self, event: &Event) -> Result<()> {
        match event.name.as_str() {
            "log" => {
                let line: LogLine = serde_json::from_str(&event.data)?;
                self.lines += 1;
                print(&format!("{}\n", harmless(&line.text)))?;
                self.last = Some(line.text);
            }
            "gap" => self.gap = true,
            _ => {}
        }
        Ok(())
    }

    /// Prints what is kept of the output and was not printed.
    fn rest(&self, output: &RunOutputView) -> Result<()> {
        let (text, note) = self.left(output);
        if let Some(note) = note {
            eprintln!("note: {}", harmless(&note));
        }
        text.iter().try_for_each(|line| print(&format!("{}\n", harmless(line))))?;
        Ok(())
    }

    /// The lines that were not printed, and what is missing before them.
    fn left<'o>(&self, output: &'o RunOutputView) -> (Vec<&'o str>, Option<String>) {
        let kept: Vec<&str> = output.text.lines().collect();
        if output.gap.is_none() && !self.gap {
            return (kept.into_iter().skip(self.lines).collect(), None);
        }
        let last = self.last.as_deref().and_then(|last| kept.iter().rposition(|line| *line == last));
        match last {
            Some(last) => (kept.into_iter().skip(last + 1).collect(), None),
            None if kept.is_empty() => (kept, output.gap.clone()),
            None => {
                let gap = output.gap.clone();
                (kept, Some(gap.unwrap_or_else(|| "lines before these are missing".to_owned())))
            }
        }
    }
}

async fn show_output(session: &Session, one: &str) -> Result<()> {
    let output: RunOutputView = session.client.get(&format!("{one}/output")).await?;
    Printed::default().rest(&output)
}

/// Carries `skep runs` out.
pub(super) async fn list(session: &Session, args: RunsArgs) -> Result<Outcome> {
    let path = format!("{}/runs", resource_path(&args.environment.key(session.org.as_ref())?));
    if let Some(number) = args.run {
        return one(session, &format!("{path}/{number}"), args.stop, args.output).await;
    }
    let query = RunQuery { before: args.before, limit: Some(args.limit) };
    let runs: RunList = session.client.get(&with_query(&path, &query)?).await?;
    print(&match args.output {
        PlanFormat::Text if runs.items.is_empty() => "nothing was run yet\n".to_owned(),
        PlanFormat::Text => table(&runs),
        PlanFormat::Json => format!("{}\n", serde_json::to_string_pretty(&runs)?),
        PlanFormat::Yaml => yaml(&runs)?,
    })?;
    Ok(Outcome::Done)
}

async fn one(session: &Session, path: &str, stop: bool, format: PlanFormat) -> Result<Outcome> {
    let run: RunView = if stop {
        session.client.post(&format!("{path}/stop"), &()).await?
    } else {
        session.client.get(path).await?
    };
    if stop {
        ensure!(!run.state.is_over(), "run {} is over already: {}", run.number, word(run.state));
        print(&format!("run {} will be stopped\n", run.number))?;
        return Ok(Outcome::Done);
    }
    match format {
        PlanFormat::Text | PlanFormat::Yaml => print(&yaml(&run)?)?,
        PlanFormat::Json => print(&format!("{}\n", serde_json::to_string_pretty(&run)?))?,
    }
    if run.state.is_over() && format == PlanFormat::Text {
        print("\n")?;
        show_output(session, path).await?;
    }
    Ok(Outcome::Done)
}

fn table(runs: &RunList) -> String {
    let row = |run: &RunView| -> Vec<Cell> {
        vec![
            run.number.to_string().into(),
            Cell::toned(word(run.state), tone(run.state)),
            format!("v{}", run.release).into(),
            run.process.as_str().into(),
            purpose(run).into(),
            run.created_at.to_string().into(),
            took(run).unwrap_or_else(|| "-".to_owned()).into(),
            run.made_by.as_deref().unwrap_or("-").into(),
            run.command.as_ref().map_or_else(|| "-".to_owned(), |command| command.join(" ")).into(),
            run.reason.as_deref().unwrap_or("-").into(),
        ]
    };
    let rows: Vec<_> = runs.items.iter().map(row).collect();
    let head = ["RUN", "STATE", "RELEASE", "PROCESS", "FOR", "MADE", "TOOK", "BY", "COMMAND", "WHY"];
    render(&head, &rows, stdout_style())
}

/// What it is for, with the time of its schedule.
fn purpose(run: &RunView) -> String {
    match run.slot {
        Some(slot) => format!("{} of {slot}", run.purpose),
        None => run.purpose.clone(),
    }
}

pub(super) const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::TimedOut => "timed out",
        RunState::Stopped => "stopped",
    }
}

pub(super) const fn tone(state: RunState) -> Tone {
    match state {
        RunState::Succeeded => Tone::Good,
        RunState::Failed | RunState::TimedOut => Tone::Bad,
        RunState::Starting | RunState::Running | RunState::Stopped => Tone::Plain,
    }
}

/// How long its process ran.
fn took(run: &RunView) -> Option<String> {
    let seconds = run.ended_at?.duration_since(run.started_at?).as_secs_f64().max(0.0);
    Some(lasted(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str, gap: Option<&str>) -> RunOutputView {
        RunOutputView { text: text.to_owned(), gap: gap.map(str::to_owned) }
    }

    fn printed(lines: &[&str]) -> Printed {
        let last = lines.last().map(|line| (*line).to_owned());
        Printed { lines: lines.len(), last, gap: false }
    }

    #[test]
    fn after_the_end_only_what_was_not_seen_is_shown() {
        let all = kept("one\ntwo\ntwo\n", None);
        assert_eq!(printed(&[]).left(&all), (vec!["one", "two", "two"], None));
        assert_eq!(printed(&["one", "two"]).left(&all), (vec!["two"], None));
        assert_eq!(printed(&["one", "two", "two"]).left(&all), (vec![], None));
    }

    #[test]
    fn what_is_missing_is_said_unless_it_was_seen() {
        let end = kept("eight\nnine\n", Some("only the last 2 lines are kept"));
        assert_eq!(printed(&["seven", "eight"]).left(&end), (vec!["nine"], None));
        let (lines, note) = printed(&["one"]).left(&end);
        assert_eq!((lines, note.as_deref()), (vec!["eight", "nine"], Some("only the last 2 lines are kept")));
        let broken = Printed { gap: true, ..printed(&["one"]) };
        assert_eq!(broken.left(&kept("two\n", None)).1.as_deref(), Some("lines before these are missing"));
    }
}
