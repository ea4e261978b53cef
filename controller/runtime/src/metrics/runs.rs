//! Which runs are under way, for a debug page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::queue::Priority;
use crate::reconcile::ReconcileId;

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentRun {
    /// The controller.
    pub controller: &'static str,
    /// The key, in words.
    pub key: String,
    /// The identity of the pass.
    pub id: ReconcileId,
    /// The highest priority among the wake-ups that led to it.
    pub trigger: Priority,
    /// Since when it runs.
    pub since: SystemTime,
}

/// All current runs. Bounded by the number of workers: each holds at most one guard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    next: u64,
    runs: BTreeMap<u64, CurrentRun>,
}

impl Runs {
    pub(super) fn add(&self, run: CurrentRun) -> RunGuard {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = shown.next;
        shown.next += 1;
        shown.runs.insert(number, run);
        drop(shown);
        RunGuard { runs: self.clone(), number }
    }

    /// Numbers rise, so this is the order in which they began.
    pub(super) fn list(&self) -> Vec<CurrentRun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).runs.values().cloned().collect()
    }
}

/// Shows a run as long as it lives.
#[derive(Debug)]
pub(crate) struct RunGuard {
    runs: Runs,
    number: u64,
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.runs.0.lock().unwrap_or_else(PoisonError::into_inner).runs.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use crate::reconcile::Pass;

    #[test]
    fn a_run_is_shown_exactly_while_its_guard_lives_also_if_that_dies_of_a_panic() {
        let runs = Runs::default();
        let entropy = Entropy::seeded(1);
        let run = |key: &str| CurrentRun {
            controller: "bees",
            key: key.to_owned(),
            id: Pass::detached(&entropy, Priority::Urgent).id(),
            trigger: Priority::Hint,
            since: SystemTime::UNIX_EPOCH,
        };
        let keys = || runs.list().into_iter().map(|run| run.key).collect::<Vec<_>>();
        let first = runs.add(run("tulip"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _second = runs.add(run("rose"));
            assert_eq!(keys(), ["tulip", "rose"]);
            panic!("a run panics");
        }));
        assert!(panicked.is_err());
        assert_eq!(keys(), ["tulip"]);
        drop(first);
        assert!(keys().is_empty());
    }
}
