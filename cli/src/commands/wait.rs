//! `skep wait`: waits for one resource, which need not exist yet.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use skep_api::wire::ResourceView;
use skep_schemas::ResourceKey;
use skep_schemas::condition::ConditionKind;

use super::deployment::tell_last_lines;
use super::{Outcome, Session, apply};
use crate::args::{OneResource, span};
use crate::output::print;
use crate::wait::progress::Display;
use crate::wait::run::{End, run as wait};
use crate::wait::{Goal, Seen, Target, Tracker};

/// `skep wait`
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    what: OneResource,
    /// What to wait for: `ready`, `deleted`, or `condition=` with Ready, Progressing, Stalled or Degraded.
    #[arg(long = "for", value_name = "GOAL", default_value = "ready", value_parser = goal)]
    goal: Goal,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
}

fn goal(text: &str) -> Result<Goal, String> {
    let lower = text.to_ascii_lowercase();
    match (lower.as_str(), lower.strip_prefix("condition=")) {
        ("ready", _) | (_, Some("ready")) => Ok(Goal::Ready),
        ("deleted", _) => Ok(Goal::Deleted),
        (_, Some("progressing")) => Ok(Goal::Condition(ConditionKind::Progressing)),
        (_, Some("stalled")) => Ok(Goal::Condition(ConditionKind::Stalled)),
        (_, Some("degraded")) => Ok(Goal::Condition(ConditionKind::Degraded)),
        _ => {
            Err("write ready, deleted, or condition= with Ready, Progressing, Stalled or Degraded".to_owned())
        }
    }
}

/// Waits until a resource that was just asked for something is as it was asked to be.
pub(super) async fn until_ready(
    session: &Session,
    key: ResourceKey,
    view: ResourceView,
    timeout: Duration,
) -> Result<Outcome> {
    let target = Target {
        goal: Goal::Ready,
        uid: Some(view.metadata.uid),
        generation: Some(view.metadata.generation),
        inputs: Some(view.metadata.revision),
    };
    let environment = key.clone();
    let mut tracker = Tracker::default();
    tracker.add(key, target, Seen::Present(Box::new(view)));
    let end = wait(&session.client, tracker, timeout, Display::for_stderr(timeout)).await?;
    let outcome = apply::conclude(&end, timeout);
    if matches!(end, End::Failed(_)) {
        tell_last_lines(session, std::slice::from_ref(&environment)).await?;
    }
    Ok(outcome)
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: WaitArgs) -> Result<Outcome> {
    let key = args.what.address()?.key(session.org.as_ref())?;
    let mut tracker = Tracker::default();
    tracker.add(key.clone(), Target::named(args.goal), Seen::Nothing);
    let end = wait(&session.client, tracker, args.timeout, Display::for_stderr(args.timeout)).await?;
    if end == End::Reached {
        let what = match args.goal {
            Goal::Ready => "is ready".to_owned(),
            Goal::Deleted => "is gone".to_owned(),
            Goal::Condition(kind) => format!("is {kind:?}"),
        };
        print(&format!("{key} {what}\n"))?;
    }
    Ok(apply::conclude(&end, args.timeout))
}
