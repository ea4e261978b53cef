//! Terms: how long this process may work under a lease, and how it stops in time.
//!
//! A term begins when a lease is taken and knows until when the lease is surely held, by this process' own monotonic
//! clock: counted from *before* the renewal was sent, so the database's own count ends later. All work under the lease runs inside
//! [`Term::hold`], which looks at that clock before every single step of the work. So a process that could not renew stops before
//! another can take over. And one that was stopped (SIGSTOP, a swapped-out machine) and goes on later finds its term over before
//! it sends another request: CLOCK_MONOTONIC goes on while a process is stopped. It does not count the time that a whole machine
//! was suspended; then the fence keeps the late writes out of Postgres, and versions and unique names keep them out of the Swarm.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use skep_runtime::{Clock, Instant};
use tokio::sync::watch;

/// The work was dropped because the term is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the term is over")]
pub(crate) struct TermOver;

/// The time for which this process holds a lease.
#[derive(Debug)]
pub(crate) struct Term {
    until: Mutex<Instant>,
    clock: Arc<dyn Clock>,
    phase: watch::Sender<Phase>,
    visits: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Work may begin.
    Open,
    /// Work that runs may end; none may begin.
    Closing,
    /// Nothing may be done any more.
    Over,
}

impl Term {
    /// A term until then by this clock.
    pub(super) fn begin(until: Instant, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (phase, visits) = (watch::Sender::new(Phase::Open), watch::Sender::new(0));
        Arc::new(Self { until: Mutex::new(until), clock, phase, visits })
    }

    /// The lease was renewed: the term lasts until then.
    pub(super) fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Begins no more work.
    pub(super) fn close(&self) {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            if open {
                *phase = Phase::Closing;
            }
            open
        });
    }

    /// Stops all work at once.
    pub(crate) fn end(&self) {
        self.phase.send_replace(Phase::Over);
    }

    /// Was it ended, or has its time run out?
    pub(crate) fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::Over || self.clock.now() >= self.until()
    }

    /// May work begin?
    pub(crate) fn is_open(&self) -> bool {
        *self.phase.borrow() == Phase::Open && !self.is_over()
    }

    /// Begins a piece of work, if work may begin.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Visit> {
        // Counted before the look: whoever closes the term either sees this visit or is seen by it.
        self.visits.send_modify(|visits| *visits += 1);
        let visit = Visit { term: Arc::clone(self) };
        self.is_open().then_some(visit)
    }

    /// Completes when no work runs, or after `patience`. Was there none?
    pub(super) async fn idle(&self, patience: Duration) -> bool {
        let mut visits = self.visits.subscribe();
        let idle = visits.wait_for(|visits| *visits == 0);
        tokio::time::timeout(patience, idle).await.is_ok_and(|idle| idle.is_ok())
    }

    /// Does some work, and drops it as soon as the term is over. The clock is looked at before every step of it.
    pub(crate) async fn hold<F: Future>(&self, work: F) -> Result<F::Output, TermOver> {
        let mut work = pin!(work);
        let guarded = poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(Err(TermOver));
            }
            work.as_mut().poll(context).map(Ok)
        });
        tokio::select! {
            biased;
            () = self.over() => Err(TermOver),
            done = guarded => done,
        }
    }

    /// Completes when the term is over.
    async fn over(&self) {
        let mut phase = self.phase.subscribe();
        while !self.is_over() {
            // Looked at again afterwards: it may have been extended meanwhile.
            let until = self.until();
            tokio::select! {
                _ = phase.wait_for(|phase| *phase == Phase::Over) => return,
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of work that runs in a term; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    term: Arc<Term>,
}

impl Visit {
    /// The term.
    pub(crate) fn term(&self) -> &Term {
        &self.term
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.term.visits.send_modify(|visits| *visits -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use skep_runtime::SystemClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn term(lasts: Duration) -> Arc<Term> {
        Term::begin(Instant::now() + lasts, Arc::new(SystemClock))
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_the_term_is_extended_and_is_dropped_when_it_is_not() {
        let term = term(2 * SECOND);
        let began = Instant::now();
        let work = term.hold(tokio::time::sleep(60 * SECOND));
        let renewals = async {
            for _ in 0..5 {
                tokio::time::sleep(SECOND).await;
                term.extend(Instant::now() + 2 * SECOND);
            }
        };
        let (done, ()) = tokio::join!(work, renewals);
        assert_eq!(done, Err(TermOver));
        assert_eq!(began.elapsed().as_secs(), 7);
        assert!(term.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_past_its_term_takes_not_one_more_step() {
        let term = term(2 * SECOND);
        let steps = AtomicU32::new(0);
        let mut work = Box::pin(term.hold(async {
            loop {
                steps.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }));
        let _: Poll<Result<(), TermOver>> = futures::poll!(&mut work);
        // Nothing of this process runs, and the clock does.
        tokio::time::advance(60 * SECOND).await;
        let before = steps.load(Ordering::Relaxed);
        assert_eq!(futures::poll!(&mut work), Poll::Ready(Err(TermOver)));
        assert_eq!(steps.load(Ordering::Relaxed), before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_term_lets_work_end_and_begins_none() {
        let term = term(60 * SECOND);
        let visit = term.enter().unwrap();
        term.close();
        assert!(term.enter().is_none());
        assert!(!term.idle(SECOND).await);
        assert_eq!(visit.term().hold(tokio::time::sleep(SECOND)).await, Ok(()));
        drop(visit);
        assert!(term.idle(SECOND).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_that_ends_drops_its_work_at_once() {
        let term = term(60 * SECOND);
        let began = Instant::now();
        let end = async {
            tokio::time::sleep(SECOND).await;
            term.end();
        };
        let (done, ()) = tokio::join!(term.hold(std::future::pending::<()>()), end);
        assert_eq!(done, Err(TermOver));
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}
