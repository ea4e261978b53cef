//! The brake: how much may be removed at a time without anyone saying that it is meant.
//!
//! What counts is what is due and was not confirmed, together with what was removed a short while ago: otherwise a mass deletion
//! that is carried out as fast as it is asked for would never be seen. A hold that the brake has opened stays until what it holds
//! was confirmed or is due no longer; the mere passing of time never lets a removal through.

use std::time::Duration;

use super::hold::{Finding, HoldReason};

/// How much may be removed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovalLimits {
    /// Up to so many objects, whatever their share: small installations come and go as a whole.
    pub floor: u64,
    /// Up to this share of the managed objects, in percent.
    pub percent: u8,
    /// For how long a removal counts.
    pub window: Duration,
}

impl RemovalLimits {
    /// Fifty objects or a quarter, within ten minutes.
    pub const USUAL: Self = Self { floor: 50, percent: 25, window: Duration::from_secs(600) };
}

/// What is to be removed, as the store and the last survey know it. Objects are networks, secrets and services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removals {
    /// How many objects Skep answers for.
    pub managed: u64,
    /// How many are due to be removed and were not confirmed.
    pub due: u64,
    /// How many were removed within the window without having been confirmed.
    pub recent: u64,
    /// Whose they are: the first of them, in words.
    pub examples: Vec<String>,
}

/// What the brake says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brake {
    /// Nothing unusual.
    Clear,
    /// Too much at a time.
    Pull(Finding),
}

/// Does what is due go too far?
pub fn brake(limits: RemovalLimits, removals: &Removals) -> Brake {
    let going = removals.due.saturating_add(removals.recent);
    // What was removed was managed before.
    let all = removals.managed.saturating_add(removals.recent);
    let too_many = going > limits.floor;
    let too_large = u128::from(going) * 100 > u128::from(all) * u128::from(limits.percent);
    if removals.due == 0 || !too_many || !too_large {
        return Brake::Clear;
    }
    let already = match removals.recent {
        0 => String::new(),
        recent => format!(", {recent} of them removed already"),
    };
    Brake::Pull(Finding {
        reason: HoldReason::TooManyRemovals,
        subject: String::new(),
        why: format!(
            "{going} of {all} managed objects would be removed{already}; more than {} and more than {} % at a time are \
             removed only when someone confirms it",
            limits.floor, limits.percent
        ),
        evidence: removals.examples.iter().take(super::hold::EVIDENCE_MAX).cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulls(managed: u64, due: u64, recent: u64) -> bool {
        let removals = Removals { managed, due, recent, examples: Vec::new() };
        matches!(brake(RemovalLimits::USUAL, &removals), Brake::Pull(_))
    }

    #[test]
    fn both_the_floor_and_the_share_have_to_be_exceeded() {
        assert!(!pulls(50, 50, 0), "all of a small installation");
        assert!(!pulls(1000, 250, 0), "a quarter of a large one");
        assert!(pulls(1000, 251, 0));
        assert!(pulls(60, 51, 0));
    }

    #[test]
    fn what_was_removed_a_moment_ago_counts_and_was_managed_then() {
        assert!(pulls(100, 21, 30));
        assert!(!pulls(400, 21, 30), "51 of 430 are less than a quarter");
        assert!(!pulls(10, 0, 60), "nothing is left that could be held");
    }

    #[test]
    fn no_count_overflows() {
        assert!(pulls(0, u64::MAX, u64::MAX));
    }
}
