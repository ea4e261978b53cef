//! What an issuer tells: read, kept for a while, and read again when it may have changed.
//!
//! What the issuer changed or took back counts when it was read again, at the latest [`FRESH`] later. What is not enough for whoever asks
//! is read again at once, but not more often than every [`PAUSE`], however many ask. While it cannot be read, what was read before is kept
//! for [`KEPT`]; after that there is nothing.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch::FetchError;

/// How long it is believed without being read again.
const FRESH: Duration = Duration::from_secs(600);
/// The shortest time between two reads.
const PAUSE: Duration = Duration::from_secs(10);
/// How long it is believed when it cannot be read again.
const KEPT: Duration = Duration::from_secs(3600);

/// Something that was read.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    known: RwLock<Option<Known<T>>>,
    /// When it was last asked for, whether or not it came.
    asked: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Known<T> {
    what: Arc<T>,
    read_at: Instant,
}

impl<T> Remembered<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { known: RwLock::new(None), asked: Mutex::new(None) }
    }

    /// What is known, read by `read` if it is not fresh, or if `is_enough` says no of it.
    pub(super) async fn get(
        &self,
        is_enough: impl Fn(&T) -> bool,
        read: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<Arc<T>, FetchError> {
        if let Some(known) = self.younger_than(FRESH)
            && is_enough(&known)
        {
            return Ok(known);
        }
        let failed = self.read_again(read).await.err();
        self.younger_than(KEPT).ok_or_else(|| failed.unwrap_or(FetchError::NotYet))
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<T>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.read_at.elapsed() < age).map(|known| known.what.clone())
    }

    /// Reads it, unless somebody else did or tried to a moment ago.
    async fn read_again(&self, read: impl Future<Output = Result<T, FetchError>>) -> Result<(), FetchError> {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        *asked = Some(Instant::now());
        let known = Known { what: Arc::new(read.await?), read_at: Instant::now() };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(())
    }
}
