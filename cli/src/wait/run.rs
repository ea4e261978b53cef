//! Carries a wait out: watches what is waited for and shows how it stands, until the tracker or the clock says that it is over.
//!
//! There is one watch for each kind in each organisation; each runs as a task of its own and sends what it learns over a
//! bounded channel. A broken connection is restored by its watch and never ends the wait; the deadline always does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use skep_schemas::{Kind, ResourceKey, Scope};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::progress::Display;
use super::{Standing, Tracker};
use crate::address::key_of_ref;
use crate::client::{Client, ClientError};
use crate::watch::{Update, Watch, Watched};

/// The most watches of one wait: each is a connection, and the server allows some hundreds to all clients together.
const WATCHES_MAX: usize = 64;
/// Updates that are not yet taken; a watch that is faster waits.
const CHANNEL: usize = 256;
/// How often the display is drawn again when nothing happens, so that the time in it moves.
const TICK: Duration = Duration::from_secs(1);

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Every goal was reached.
    Reached,
    /// At least one cannot be; one line for each resource that is not as it should be.
    Failed(Vec<String>),
    /// The time was over; likewise.
    TimedOut(Vec<String>),
}

type Place = (Scope, Kind);
type News = (Place, Result<Update, ClientError>);

/// Waits.
pub(crate) async fn run(
    client: &Client,
    mut tracker: Tracker,
    timeout: Duration,
    mut display: Display,
) -> Result<End> {
    let places: BTreeSet<Place> = tracker.keys().map(|key| (key.scope().clone(), key.kind())).collect();
    if places.len() > WATCHES_MAX {
        bail!(
            "{} kinds in organisations are too many to wait for at once, the limit is {WATCHES_MAX}",
            places.len()
        );
    }
    let deadline = Instant::now() + timeout;
    let (send, mut news) = mpsc::channel::<News>(CHANNEL);
    // Dropped at the end of this function, which ends the watches.
    let mut watches = JoinSet::new();
    for place in places {
        watches.spawn(follow(client.clone(), place, send.clone()));
    }
    drop(send);
    loop {
        display.show(&tracker)?;
        let unfinished = || tracker.unfinished();
        match tracker.standing() {
            Standing::Reached => return display.end().map(|()| End::Reached),
            Standing::Failed => return display.end().map(|()| End::Failed(unfinished())),
            Standing::Open if Instant::now() >= deadline => {
                return display.end().map(|()| End::TimedOut(unfinished()));
            }
            Standing::Open => {}
        }
        tokio::select! {
            // What has been heard counts before the clock does.
            biased;
            message = news.recv() => match message {
                Some((place, Ok(update))) => take(&mut tracker, &mut display, &place, update)?,
                Some((_, Err(error))) => {
                    display.end()?;
                    return Err(error.into());
                }
                None => bail!("the watches ended unexpectedly"),
            },
            () = tokio::time::sleep_until(deadline.min(Instant::now() + TICK)) => {}
        }
    }
}

async fn follow(client: Client, place: Place, news: mpsc::Sender<News>) {
    let (scope, kind) = place.clone();
    let mut watch = Watch::new(client, Watched { scope, kind, all_orgs: false, selector: None }, None);
    loop {
        let update = watch.next().await;
        let last = update.is_err();
        if news.send((place.clone(), update)).await.is_err() || last {
            return;
        }
    }
}

fn take(tracker: &mut Tracker, display: &mut Display, place: &Place, update: Update) -> Result<()> {
    let covers = |key: &ResourceKey| *key.scope() == place.0 && key.kind() == place.1;
    match update {
        // The list of a platform kind and that of an organisation's kind over all organisations have the same path, so a
        // snapshot can hold more than its place; the tracker passes over what it does not wait for.
        Update::Snapshot(views) => tracker.snapshot(covers, views),
        Update::Changed(view) => tracker.see(*view),
        Update::Gone(reference, uid) => {
            if let Some(key) = key_of_ref(&reference) {
                tracker.gone(&key, uid);
            }
        }
        Update::Interrupted(why) => display.note(&why)?,
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
