//! `skep logs`: what the processes of an environment print.
//!
//! A followed stream that breaks is taken up again at the last instant that was shown; lines of that instant which were
//! shown already are not shown twice.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use skep_api::wire::{LogLine, LogQuery, Problem};
use skep_schemas::ProcessName;

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::{environment, span};
use crate::client::{ClientError, EventSource, with_query};
use crate::output::print;
use crate::output::text::harmless;

/// The pause before a broken stream is taken up again.
const PAUSE: Duration = Duration::from_secs(1);
/// The most lines that may be asked for, as the server's limit. After a break as many are asked for as can be.
const TAIL_MAX: u32 = 10_000;

/// `skep logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Go on with new lines as they come.
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only of this process.
    #[arg(long, value_name = "PROCESS")]
    process: Option<ProcessName>,
    /// How many of the newest lines of each process.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=i64::from(TAIL_MAX)))]
    tail: Option<u32>,
    /// Only lines that are not older than this, such as `5m`.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    since: Option<Duration>,
    /// With the time of each line.
    #[arg(long, short)]
    timestamps: bool,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: LogsArgs) -> Result<Outcome> {
    let path = format!("{}/logs", resource_path(&args.environment.key(session.org.as_ref())?));
    let since = match args.since {
        Some(span) => Some(Timestamp::now().checked_sub(SignedDuration::try_from(span)?)?),
        None => None,
    };
    let mut query = LogQuery { process: args.process, since, tail: args.tail, follow: args.follow };
    let mut shown = Shown::default();
    let mut source = session.client.stream(&with_query(&path, &query)?).await?;
    loop {
        let why = match pump(&mut source, &mut shown, args.timestamps).await? {
            Pumped::Ended if !args.follow => return Ok(Outcome::Done),
            Pumped::Ended => None,
            Pumped::Broken(error) if !args.follow => return Err(error.into()),
            Pumped::Broken(error) => Some(error),
        };
        if let Some(error) = why {
            eprintln!("note: {}", error.to_string().lines().next().unwrap_or_default());
        }
        if let Some(at) = shown.at {
            query = LogQuery { since: Some(at), tail: Some(TAIL_MAX), ..query };
        }
        source = reopen(session, &with_query(&path, &query)?).await?;
    }
}

async fn reopen(session: &Session, path: &str) -> Result<EventSource, ClientError> {
    loop {
        tokio::time::sleep(PAUSE).await;
        match session.client.stream(path).await {
            Err(error) if error.may_pass() => tracing::debug!(%error, "the log stream is not back yet"),
            other => return other,
        }
    }
}

/// How a stream stopped.
enum Pumped {
    /// The server said that this was all, or closed the stream.
    Ended,
    /// It broke.
    Broken(ClientError),
}

async fn pump(source: &mut EventSource, shown: &mut Shown, timestamps: bool) -> Result<Pumped> {
    loop {
        let event = match source.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Pumped::Ended),
            Err(error) if error.may_pass() => return Ok(Pumped::Broken(error)),
            Err(error) => return Err(error.into()),
        };
        match event.name.as_str() {
            "log" => {
                let line: LogLine = serde_json::from_str(&event.data)?;
                if shown.is_new(&line) {
                    print(&text(&line, timestamps))?;
                }
            }
            "end" => return Ok(Pumped::Ended),
            "problem" => {
                let problem: Problem = serde_json::from_str(&event.data)?;
                let error = ClientError::Problem(Box::new(problem));
                if error.may_pass() {
                    return Ok(Pumped::Broken(error));
                }
                bail!(anyhow!(error));
            }
            // A later server may say more.
            _ => {}
        }
    }
}

fn text(line: &LogLine, timestamps: bool) -> String {
    let at = if timestamps { format!("{} ", line.at) } else { String::new() };
    format!("{at}{}.{} | {}\n", line.process, harmless(&line.instance), harmless(&line.text))
}

/// The newest instant of which lines were shown, and what was shown of it.
#[derive(Debug, Default)]
struct Shown {
    at: Option<Timestamp>,
    lines: HashSet<(String, String)>,
}

impl Shown {
    /// Was the line not shown before? Lines of several processes come in no strict order, so only what was shown of the newest
    /// instant counts as known.
    fn is_new(&mut self, line: &LogLine) -> bool {
        let entry = (line.instance.clone(), line.text.clone());
        if self.at.is_none_or(|at| line.at > at) {
            self.at = Some(line.at);
            self.lines = HashSet::from([entry]);
            return true;
        }
        self.at != Some(line.at) || self.lines.insert(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        serde_json::from_value(serde_json::json!({
            "at": Timestamp::from_second(second).unwrap(), "process": "web", "instance": "abc",
            "stream": "stdout", "text": text,
        }))
        .unwrap()
    }

    #[test]
    fn after_a_break_the_lines_of_the_last_instant_are_not_shown_twice() {
        let mut shown = Shown::default();
        for (second, text) in [(1, "a"), (2, "b"), (2, "c")] {
            assert!(shown.is_new(&line(second, text)));
        }
        assert!(!shown.is_new(&line(2, "b")) && !shown.is_new(&line(2, "c")));
        assert!(shown.is_new(&line(2, "d")) && shown.is_new(&line(3, "b")));
    }

    #[test]
    fn a_line_cannot_move_the_cursor_and_names_its_process() {
        assert_eq!(text(&line(0, "x\u{1b}[2Jy"), false), "web.abc | x\u{fffd}[2Jy\n");
        assert!(text(&line(0, "x"), true).starts_with("1970-01-01T00:00:00Z web.abc | "));
    }
}
