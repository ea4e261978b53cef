//! What became of every key.

use std::fmt;

/// What became of one key, or of all beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands: `services.web.ports[0]`.
    pub pointer: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It says the same in a manifest, or is so without being said.
    Done {
        /// Where, or why it need not be said.
        to: String,
    },
    /// Somebody has to decide something.
    Decide {
        /// What, and how.
        what: String,
    },
    /// It is not taken over.
    Refused {
        /// Why not, and what there is instead.
        why: String,
    },
}

impl Outcome {
    /// One word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Decide { .. } => "decide",
            Self::Refused { .. } => "refused",
        }
    }

    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Self::Done { to } => to,
            Self::Decide { what } => what,
            Self::Refused { why } => why,
        }
    }
}

/// The account of all keys, in the order in which they were met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many are done, to be decided, and refused.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |word: &str| self.entries.iter().filter(|entry| entry.outcome.word() == word).count();
        (count("done"), count("decide"), count("refused"))
    }

    pub(crate) fn done(&mut self, pointer: impl Into<String>, to: impl Into<String>) {
        self.push(pointer, Outcome::Done { to: to.into() });
    }

    pub(crate) fn decide(&mut self, pointer: impl Into<String>, what: impl Into<String>) {
        self.push(pointer, Outcome::Decide { what: what.into() });
    }

    pub(crate) fn refuse(&mut self, pointer: impl Into<String>, why: impl Into<String>) {
        self.push(pointer, Outcome::Refused { why: why.into() });
    }

    fn push(&mut self, pointer: impl Into<String>, outcome: Outcome) {
        self.entries.push(Entry { pointer: pointer.into(), outcome });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { pointer, outcome } in &self.entries {
            writeln!(f, "{:7} {pointer}: {}", outcome.word(), outcome.text())?;
        }
        Ok(())
    }
}
