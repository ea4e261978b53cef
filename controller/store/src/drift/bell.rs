//! A bell that rings when the drift report may have changed.
//!
//! Ringing is a hint and carries nothing: whoever hears it reads the report. It rings for every commit that noted something, when
//! the connection that listens for them was made anew (what was committed meanwhile nobody told), and every few seconds in any
//! case; so a hint that is lost delays a reader and costs it nothing else.

use sqlx::postgres::PgListener;
use tokio::time::{sleep_until, timeout};

use crate::store::Store;
use crate::watch::{CONNECT, Retry, listen, next_poll};

/// The channel on which every commit that changes the report notifies.
const CHANNEL: &str = "skep_drift";

/// The bell. It holds one connection outside the pool.
pub struct DriftBell {
    store: Store,
    listener: Option<PgListener>,
    retry: Retry,
}

impl DriftBell {
    /// A bell that is not connected yet.
    pub fn new(store: Store) -> Self {
        Self { store, listener: None, retry: Retry::default() }
    }

    /// Returns when it rings.
    pub async fn rings(&mut self) {
        if self.listener.is_none() && self.retry.is_due() {
            match timeout(CONNECT, listen(&self.store, CHANNEL)).await {
                Ok(Ok(listener)) => {
                    self.listener = Some(listener);
                    self.retry = Retry::default();
                    return;
                }
                outcome => {
                    self.retry.pause();
                    let error = outcome.ok().and_then(Result::err);
                    tracing::warn!(?error, "cannot listen for drift; polling meanwhile");
                }
            }
        }
        let poll_at = next_poll();
        let until = self.retry.due.map_or(poll_at, |due| poll_at.min(due));
        let Some(listener) = &mut self.listener else { return sleep_until(until).await };
        let hint = tokio::select! {
            hint = listener.try_recv() => hint,
            () = sleep_until(until) => return,
        };
        match hint {
            // One look answers all of them.
            Ok(Some(_)) => while listener.next_buffered().is_some() {},
            Ok(None) | Err(_) => self.listener = None,
        }
    }
}
