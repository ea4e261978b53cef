//! How urgent a wake-up is, from "some day" to "now".

use std::fmt;

/// The urgency of a key. A key woken several times keeps the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A periodic look at everything, in case a wake-up was lost.
    Resync,
    /// A run asked for another run, or failed.
    Retry,
    /// Something in the world moved and may concern this key.
    Hint,
    /// What is wanted changed. Ends any backoff of the key.
    Change,
    /// Somebody waits for this key. Ends any backoff of the key.
    Urgent,
}

impl Priority {
    /// All priorities, lowest first.
    pub const ALL: [Self; 5] = [Self::Resync, Self::Retry, Self::Hint, Self::Change, Self::Urgent];

    /// The name used in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resync => "resync",
            Self::Retry => "retry",
            Self::Hint => "hint",
            Self::Change => "change",
            Self::Urgent => "urgent",
        }
    }

    /// Whether the wake-up means that what failed before may now succeed, so that backoff must end.
    #[must_use]
    pub const fn is_change(self) -> bool {
        match self {
            Self::Resync | Self::Retry | Self::Hint => false,
            Self::Change | Self::Urgent => true,
        }
    }

    /// The position in [`Priority::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Resync => 0,
            Self::Retry => 1,
            Self::Hint => 2,
            Self::Change => 3,
            Self::Urgent => 4,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_priorities_stand_at_their_index_in_rising_order() {
        assert!(Priority::ALL.is_sorted());
        for (index, priority) in Priority::ALL.into_iter().enumerate() {
            assert_eq!(priority.index(), index);
        }
    }
}
