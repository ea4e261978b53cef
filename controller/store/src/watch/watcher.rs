//! The watcher: pages of changes as they come.
//!
//! LISTEN is a hint, polling the truth: a notification, a lost connection and a timer all mean the same, read the log. Nothing
//! depends on a notification arriving; it only makes the answer quick. The listening connection is outside the pool, has no
//! timeouts, and never opens a transaction.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{CHANGES_MAX, Cursor, Page};
use crate::error::StoreError;
use crate::store::Store;

/// The channel on which every commit with changes notifies.
const CHANNEL: &str = "skep_changes";
/// How long a silent channel is believed, at least and at most; spread, so that replicas do not poll together.
const POLL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// Pauses after failures: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));
/// How long connecting for LISTEN may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// What a watcher has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Changes, at least one.
    Changes(Page),
    /// List everything now: changes that were not seen may be gone. What happens after the cursor comes next, so a list that
    /// is made after this event misses nothing.
    Relist {
        /// Where the watcher goes on.
        cursor: Cursor,
    },
}

/// Counts since the watcher was made, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchStats {
    /// Connections for LISTEN made, the first included.
    pub connects: u64,
    /// Times that the log could not be read.
    pub failures: u64,
    /// Times that the reader was told to list again.
    pub relists: u64,
}

/// Follows the changes after a cursor.
#[derive(Debug)]
pub struct Watcher {
    store: Store,
    // None until the reader was told to list.
    cursor: Option<Cursor>,
    listener: Option<PgListener>,
    /// May there be something that was not read yet?
    unread: bool,
    poll_at: Instant,
    listen: Retry,
    stats: WatchStats,
}

/// What ended a wait.
enum Woken {
    Hint,
    ConnectionLost,
    Timer,
}

impl Watcher {
    /// Follows everything: the first event says to list.
    pub fn new(store: Store) -> Self {
        Self::starting(store, None)
    }

    /// Follows the changes after a cursor: that of a list, or of an earlier watch.
    pub fn after(store: Store, cursor: Cursor) -> Self {
        Self::starting(store, Some(cursor))
    }

    fn starting(store: Store, cursor: Option<Cursor>) -> Self {
        Self {
            store,
            cursor,
            listener: None,
            unread: true,
            poll_at: next_poll(),
            listen: Retry::default(),
            stats: WatchStats::default(),
        }
    }

    /// The next changes, as soon as there are any. Failures of the database are waited out. Safe to cancel: what was not
    /// returned is read again.
    pub async fn next(&mut self) -> WatchEvent {
        let mut read = Retry::default();
        loop {
            // Before reading: what is committed after the read must find someone listening.
            self.ensure_listening().await;
            if self.unread {
                match self.read().await {
                    Ok(Some(event)) => return event,
                    Ok(None) => {}
                    Err(error) => {
                        self.stats.failures += 1;
                        tracing::warn!(%error, "cannot read changes; trying again");
                        sleep(read.pause()).await;
                        continue;
                    }
                }
            }
            self.wait().await;
        }
    }

    /// One look at the log. Nothing is awaited between the answer and the note of it, so that a cancelled look is repeated.
    async fn read(&mut self) -> Result<Option<WatchEvent>, StoreError> {
        if let Some(cursor) = self.cursor {
            match self.store.changes(cursor, CHANGES_MAX).await {
                Ok(page) => {
                    self.cursor = Some(page.cursor);
                    self.unread = page.more;
                    return Ok((!page.changes.is_empty()).then_some(WatchEvent::Changes(page)));
                }
                Err(StoreError::CursorExpired) => {}
                Err(error) => return Err(error),
            }
        }
        let cursor = self.store.cursor().await?;
        self.cursor = Some(cursor);
        self.stats.relists += 1;
        Ok(Some(WatchEvent::Relist { cursor }))
    }

    /// Goes on after another cursor: that of a list which was made meanwhile.
    pub const fn resume(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
        self.unread = true;
    }

    /// Counts for metrics.
    pub const fn stats(&self) -> WatchStats {
        self.stats
    }

    async fn ensure_listening(&mut self) {
        if self.listener.is_some() || !self.listen.is_due() {
            return;
        }
        match timeout(CONNECT, listen(&self.store, CHANNEL)).await {
            Ok(Ok(listener)) => {
                self.listener = Some(listener);
                self.listen = Retry::default();
                self.stats.connects += 1;
                // Whatever was committed before nobody told us.
                self.unread = true;
            }
            outcome => {
                self.listen.pause();
                let error = outcome.ok().and_then(Result::err);
                tracing::warn!(?error, "cannot listen for changes; polling meanwhile");
            }
        }
    }

    async fn wait(&mut self) {
        let listener = &mut self.listener;
        let hint = async {
            match listener {
                Some(listener) => match listener.try_recv().await {
                    Ok(Some(_)) => {
                        // One look answers all of them.
                        while listener.next_buffered().is_some() {}
                        Woken::Hint
                    }
                    Ok(None) | Err(_) => Woken::ConnectionLost,
                },
                None => std::future::pending().await,
            }
        };
        let until = self.poll_at.min(self.listen.due.unwrap_or(self.poll_at));
        let woken = tokio::select! {
            woken = hint => woken,
            () = sleep_until(until) => Woken::Timer,
        };
        match woken {
            Woken::Hint | Woken::Timer => {}
            Woken::ConnectionLost => self.listener = None,
        }
        self.unread = true;
        self.poll_at = next_poll();
    }
}

/// A connection of its own that is told what happens on a channel.
pub(crate) async fn listen(store: &Store, channel: &str) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let pool = pool.connect_with(store.listen_options().clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    // A lost connection is replaced by a new listener; a silent replacement would hide the loss.
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}

/// When to look although nothing was told.
pub(crate) fn next_poll() -> Instant {
    Instant::now() + between(POLL.0, POLL.1)
}

fn between(least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(rand::random::<f64>())
}

/// Pauses that double, spread by half.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
    /// When the next attempt is; none before the first failure.
    pub(crate) due: Option<Instant>,
}

impl Retry {
    /// May it be tried now?
    pub(crate) fn is_due(&self) -> bool {
        self.due.is_none_or(|due| due <= Instant::now())
    }

    /// After a failure: when to try again.
    pub(crate) fn pause(&mut self) -> Duration {
        // 2^6 times the first pause is beyond the longest.
        let full = BACKOFF.0.saturating_mul(1 << self.failures.min(6)).min(BACKOFF.1);
        self.failures = self.failures.saturating_add(1);
        let pause = between(full / 2, full);
        self.due = Some(Instant::now() + pause);
        pause
    }
}
