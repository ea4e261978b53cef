//! Where cases meet that share the fate of a node.
//!
//! A node of real engines takes half a minute to be missed and to come back. Cases that need that of the same node go through it
//! together: each comes to the meeting when it is ready, and when all of them are there it is done, once. Who fails goes home and
//! is not waited for. A case that runs by itself is a meeting of one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The meeting.
#[derive(Debug, Default)]
pub(crate) struct Meeting {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many cases take part; none is as good as one.
    expected: usize,
    here: usize,
    /// How often they have met.
    met: u64,
}

impl Meeting {
    /// So many cases take part from now on.
    pub(crate) fn expect(&self, cases: usize) {
        self.state().expected = cases;
    }

    /// One case takes part no longer.
    pub(crate) fn leave(&self) {
        {
            let mut state = self.state();
            state.expected = state.expected.saturating_sub(1);
        }
        self.changed.notify_waiters();
    }

    /// Does what all cases came for: whoever finds all of them there does it, and its end lets all of them go on. The others are
    /// not told how it went.
    pub(crate) async fn once<T: Default, E>(&self, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let meeting = {
            let mut state = self.state();
            state.here += 1;
            state.met
        };
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.met != meeting {
                    return Ok(T::default());
                }
                if state.here >= state.expected {
                    // Under the lock: nobody else looks until it is done.
                    let done = act();
                    (state.here, state.met) = (0, state.met + 1);
                    drop(state);
                    self.changed.notify_waiters();
                    return done;
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
