//! The `skep` program: the client's commands, and `serve`, `dev` and `migrate`.
//!
//! It ends with 0 when what was wished is so, with 1 when the answer is no (different, failed, not reached in time), and with 2
//! when something went wrong. Data goes to standard output; progress, notes, errors and the log go to standard error.

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use skep_schemas::diagnostic::Diagnostics;

mod address;
mod args;
mod ask;
mod audit_chain;
mod client;
mod commands;
mod config;
mod context;
mod database;
mod dev;
mod dotenv;
#[cfg(test)]
mod fixture;
mod issuers;
mod login;
#[cfg(test)]
mod loopback;
mod output;
mod plan_file;
mod source;
mod sse;
mod telemetry;
mod trusted_root;
mod wait;
mod watch;

use args::{Cli, Command};
use commands::Outcome;
use telemetry::LogFormat;

/// The answer is no.
const NEGATIVE: u8 = 1;
/// Something went wrong.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match start(&command).and_then(|runtime| runtime.block_on(commands::run(global, command))) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(NEGATIVE),
        Ok(Outcome::Passed(code)) => ExitCode::from(code),
        // Whoever reads the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(ERROR)
        }
    }
}

fn start(command: &Command) -> anyhow::Result<tokio::runtime::Runtime> {
    let (format, filter, server) = match command {
        Command::Serve(args) => (args.log_format(), "info", true),
        Command::Dev(args) => (args.log_format(), "info", true),
        Command::Migrate(_) => (LogFormat::Text, "info", true),
        _ => (LogFormat::Text, "warn", false),
    };
    telemetry::start(format, filter)?;
    // A client waits for one server; one thread is enough, and starts faster.
    let mut builder = if server {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    Ok(builder.enable_all().build()?)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    error.chain().any(|cause| io(cause) == Some(ErrorKind::BrokenPipe))
}

/// Diagnostics come with their own headings, the server's as well as those of the reader; everything else gets one.
fn report(error: &anyhow::Error) {
    let style = output::stderr_style();
    match (error.downcast_ref::<Diagnostics>(), error.downcast_ref::<client::ClientError>()) {
        (Some(diagnostics), _) => eprint!("{}", diagnostics.render(style)),
        (None, Some(refused)) if refused.diagnostics().is_some() => {
            eprint!("{}", refused.diagnostics().unwrap_or_default().render(style));
        }
        (None, _) => eprintln!("error: {error:#}"),
    }
}
