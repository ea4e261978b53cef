//! `skep run` and `skep runs`: commands that run once in an environment.
//!
//! The server runs it, not this program: whoever breaks off only stops watching. What it printed while nobody watched is in the kept output, and
//! is shown from where the stream had come.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use skep_api::wire::{RunAsked, RunList, RunOutputView, RunQuery, RunState, RunView};
use skep_schemas::kind::Resources;
use skep_schemas::{Bytes, Cpu, ProcessName};

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::client::with_query;
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless};
use crate::output::{PlanFormat, print, stdout_style, yaml};

/// How often it is asked where a run stands.
const ASKED_EVERY: Duration = Duration::from_millis(500);
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
    let path = format!("{}/runs", resource_path(&args.environment.key(session.org.as_ref())?));
    let resources = args.cpu.zip(args.memory).map(|(cpu, memory)| Resources { cpu, memory, pids: PIDS });
    let asked = RunAsked {
        process: args.process,
        command: (!args.command.is_empty()).then_some(args.command),
        resources,
        time_limit: args.time_limit,
    };
    let run: RunView = session.client.post(&path, &asked).await?;
    if args.detach {
        print(&format!("run {} in release v{}\n", run.number, run.release))?;
        return Ok(Outcome::Done);
    }
    eprintln!("run {} in release v{}, process {}", run.number, run.release, run.process);
    watch(session, &path, run).await
}

/// Follows a run until it is over, and passes its exit code on.
async fn watch(session: &Session, path: &str, mut run: RunView) -> Result<Outcome> {
    let one = format!("{path}/{}", run.number);
    let mut said = None;
    while !run.state.is_over() {
        tokio::time::sleep(ASKED_EVERY).await;
        run = session.client.get(&one).await?;
        if !run.state.is_over() && run.reason.is_some() && run.reason != said {
            said.clone_from(&run.reason);
            eprintln!("waiting: {}", harmless(said.as_deref().unwrap_or_default()));
        }
    }
    show_output(session, &one).await?;
    if run.state != RunState::Succeeded {
        eprintln!(
            "run {} {}: {}",
            run.number,
            word(run.state),
            harmless(run.reason.as_deref().unwrap_or("no reason is known"))
        );
    }
    Ok(Outcome::Passed(run.exit_code.map_or(NO_CODE, |code| u8::try_from(code).unwrap_or(NO_CODE))))
}

async fn show_output(session: &Session, one: &str) -> Result<()> {
    let output: RunOutputView = session.client.get(&format!("{one}/output")).await?;
    if let Some(gap) = &output.gap {
        eprintln!("note: {}", harmless(gap));
    }
    output.text.lines().try_for_each(|line| print(&format!("{}\n", harmless(line))))?;
    Ok(())
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
            run.created_at.to_string().into(),
            took(run).unwrap_or_else(|| "-".to_owned()).into(),
            run.made_by.as_deref().unwrap_or("-").into(),
            run.command.as_ref().map_or_else(|| "-".to_owned(), |command| command.join(" ")).into(),
            run.reason.as_deref().unwrap_or("-").into(),
        ]
    };
    let rows: Vec<_> = runs.items.iter().map(row).collect();
    let head = ["RUN", "STATE", "RELEASE", "PROCESS", "ASKED FOR", "TOOK", "BY", "COMMAND", "WHY"];
    render(&head, &rows, stdout_style())
}

const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::TimedOut => "timed out",
        RunState::Stopped => "stopped",
    }
}

const fn tone(state: RunState) -> Tone {
    match state {
        RunState::Succeeded => Tone::Good,
        RunState::Failed | RunState::TimedOut => Tone::Bad,
        RunState::Starting | RunState::Running | RunState::Stopped => Tone::Plain,
    }
}

/// How long its process ran.
fn took(run: &RunView) -> Option<String> {
    let seconds = run.ended_at?.duration_since(run.started_at?).as_secs_f64().max(0.0);
    Some(if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) })
}
