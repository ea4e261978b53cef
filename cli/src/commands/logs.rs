//! `skep logs`: what the processes of an environment print.
//!
//! A followed stream that breaks is taken up again at the last place that the server gave; lines after it which were shown already are
//! not shown twice. What the server says is missing is a line of its own among the others.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use skep_api::wire::{
    InstanceChange, InstanceState, LogEvent, LogGap, LogInstance, LogLine, LogQuery, Problem,
};
use skep_schemas::ProcessName;

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::{environment, span};
use crate::client::{ClientError, EventSource, with_query};
use crate::output::print;
use crate::output::text::harmless;
use crate::sse::Event;

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
    /// Of this run while it is not over; `skep runs` shows what one printed that is.
    #[arg(long, value_name = "RUN", conflicts_with = "process")]
    run: Option<u32>,
    /// Only of this instance: its number, as 2 in `web.2`, or the beginning of its id.
    #[arg(long, value_name = "INSTANCE")]
    instance: Option<LogInstance>,
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
    let LogsArgs { follow, process, run, instance, tail, timestamps, .. } = args;
    let mut query = LogQuery { process, run, instance, since, tail, follow, after: None };
    let mut shown = Shown::default();
    let mut source = session.client.stream(&with_query(&path, &query)?).await?;
    loop {
        let why = match pump(&mut source, &mut shown, timestamps).await? {
            Pumped::Ended if !follow => return Ok(Outcome::Done),
            Pumped::Ended => None,
            Pumped::Broken(error) if !follow => return Err(error.into()),
            Pumped::Broken(error) => Some(error),
        };
        if let Some(error) = why {
            eprintln!("note: {}", error.to_string().lines().next().unwrap_or_default());
        }
        query = shown.rest(query);
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
            "log" | "gap" | "instance" => {
                if let Some(text) = text(&event, shown, timestamps)? {
                    print(&text)?;
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

/// What is printed of an event, if it is new.
fn text(event: &Event, shown: &mut Shown, timestamps: bool) -> Result<Option<String>> {
    let told = match event.name.as_str() {
        "gap" => LogEvent::Gap(serde_json::from_str(&event.data)?),
        "instance" => LogEvent::Instance(serde_json::from_str(&event.data)?),
        _ => LogEvent::Line(serde_json::from_str(&event.data)?),
    };
    let text = match &told {
        LogEvent::Line(line) => shown.is_new(line).then(|| line_text(line, timestamps)),
        LogEvent::Gap(gap) => Some(gap_text(gap)),
        LogEvent::Instance(change) => Some(change_text(change)),
    };
    if let Some(place) = &event.id {
        shown.reach(place);
    }
    Ok(text)
}

fn line_text(line: &LogLine, timestamps: bool) -> String {
    let at = if timestamps { format!("{} ", line.at) } else { String::new() };
    let rest = if line.cut { " …" } else { "" };
    let who = who(line.process.as_str(), line.slot, &line.instance);
    format!("{at}{who} | {}{rest}\n", harmless(&line.text))
}

fn gap_text(gap: &LogGap) -> String {
    format!("-- {} --\n", harmless(&gap.message))
}

fn change_text(change: &InstanceChange) -> String {
    let who = who(change.process.as_str(), change.slot, &change.instance);
    let what = match (change.state, change.exit_code) {
        (InstanceState::Running, _) => "runs".to_owned(),
        (InstanceState::Ended, Some(code)) => format!("ended with exit code {code}"),
        (InstanceState::Ended, None) => "ended".to_owned(),
    };
    format!("-- {who} ({}) {what} --\n", harmless(&change.instance))
}

/// An instance, as `web.2`; by its id where it has no number.
fn who(process: &str, slot: Option<u64>, instance: &str) -> String {
    match slot {
        Some(slot) => format!("{process}.{slot}"),
        None => format!("{process}.{}", harmless(instance)),
    }
}

/// What tells a line from others.
type Known = (String, Timestamp, String);

/// What was shown, as far as the server may tell it again.
#[derive(Debug, Default)]
struct Shown {
    /// The last place that the server gave.
    place: Option<String>,
    /// Lines since that place, with how often each was shown.
    since: HashMap<Known, usize>,
    /// Lines that were shown before the stream was taken up again, and may come once more.
    again: HashMap<Known, usize>,
    /// The oldest line that was shown, for a server that has given no place yet.
    oldest: Option<Timestamp>,
}

impl Shown {
    /// Was the line not shown before?
    fn is_new(&mut self, line: &LogLine) -> bool {
        let known = (line.instance.clone(), line.at, line.text.clone());
        let is_again = match self.again.get_mut(&known) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        *self.since.entry(known).or_default() += 1;
        self.oldest = Some(self.oldest.map_or(line.at, |oldest| oldest.min(line.at)));
        !is_again
    }

    /// Everything so far need not be told again.
    fn reach(&mut self, place: &str) {
        self.place = Some(place.to_owned());
        self.since.clear();
        self.again.clear();
    }

    /// What is asked for after a break.
    fn rest(&mut self, query: LogQuery) -> LogQuery {
        self.again = std::mem::take(&mut self.since);
        match (&self.place, self.oldest) {
            (Some(place), _) => LogQuery { after: Some(place.clone()), ..query },
            (None, Some(oldest)) => LogQuery { since: Some(oldest), tail: Some(TAIL_MAX), ..query },
            (None, None) => query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, text: &str) -> serde_json::Value {
        serde_json::json!({
            "at": Timestamp::from_second(second).unwrap(), "process": "web", "instance": "abc", "slot": 2,
            "stream": "stdout", "text": text,
        })
    }

    fn told(shown: &mut Shown, name: &str, data: &serde_json::Value, id: Option<&str>) -> Option<String> {
        let event = Event { name: name.to_owned(), data: data.to_string(), id: id.map(str::to_owned) };
        text(&event, shown, false).unwrap()
    }

    #[test]
    fn after_a_break_lines_since_the_last_place_are_not_shown_twice_and_all_others_are() {
        let mut shown = Shown::default();
        let query = LogQuery { follow: true, tail: Some(5), ..LogQuery::default() };
        assert!(told(&mut shown, "log", &line(1, "a"), None).is_some());
        let rest = shown.rest(query.clone());
        assert_eq!((rest.since, rest.tail), (Some(Timestamp::from_second(1).unwrap()), Some(TAIL_MAX)));
        assert!(told(&mut shown, "log", &line(1, "a"), Some("p1")).is_none(), "it comes again");
        for text in ["b", "b"] {
            assert!(told(&mut shown, "log", &line(2, text), None).is_some());
        }
        let rest = shown.rest(query);
        assert_eq!((rest.after.as_deref(), rest.tail), (Some("p1"), Some(5)));
        assert!((0..2).all(|_| told(&mut shown, "log", &line(2, "b"), None).is_none()));
        assert!(told(&mut shown, "log", &line(2, "b"), None).is_some(), "a third one was not shown");
        assert!(told(&mut shown, "log", &line(0, "late, of another instance"), Some("p2")).is_some());
        assert!(shown.since.is_empty() && shown.again.is_empty());
    }

    #[test]
    fn a_line_cannot_move_the_cursor_and_names_its_instance_and_gaps_are_marked() {
        let mut shown = Shown::default();
        assert_eq!(
            told(&mut shown, "log", &line(0, "x\u{1b}[2Jy"), None).unwrap(),
            "web.2 | x\u{fffd}[2Jy\n"
        );
        let gap =
            serde_json::json!({"reason": "slowReader", "lines": 7, "message": "7 lines\u{7} are missing"});
        assert_eq!(told(&mut shown, "gap", &gap, None).unwrap(), "-- 7 lines\u{fffd} are missing --\n");
        let change = serde_json::json!({
            "process": "web", "instance": "abc", "slot": 1, "state": "ended", "exitCode": 137,
        });
        assert_eq!(
            told(&mut shown, "instance", &change, None).unwrap(),
            "-- web.1 (abc) ended with exit code 137 --\n"
        );
        let old = serde_json::from_value(serde_json::json!({
            "at": Timestamp::UNIX_EPOCH, "process": "web", "instance": "abc", "stream": "stderr", "text": "x",
            "cut": true,
        }));
        assert_eq!(line_text(&old.unwrap(), true), "1970-01-01T00:00:00Z web.abc | x …\n");
    }
}
