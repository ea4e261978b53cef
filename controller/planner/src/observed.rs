//! What was seen of one object, with the difference that matters most kept visible: *not there* is not *not known*.

/// The result of looking at one object.
///
/// After an uncertain call, or when the engine does not answer, an object is `Unknown` until it is read again (invariant I6).
/// Nothing is created because something is unknown, and nothing is deleted because something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    /// It was looked for and is certainly not there.
    Absent,
    /// It could not be read.
    Unknown {
        /// Why not, in words.
        why: String,
    },
    /// It is there.
    Present(T),
}

impl<T> Observed<T> {
    /// What is there, if it is.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }

    /// Is it certainly not there?
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// A view of the same observation.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Absent => Observed::Absent,
            Self::Unknown { why } => Observed::Unknown { why },
            Self::Present(value) => Observed::Present(change(value)),
        }
    }

    /// The observation by reference.
    pub fn as_ref(&self) -> Observed<&T> {
        match self {
            Self::Absent => Observed::Absent,
            Self::Unknown { why } => Observed::Unknown { why: why.clone() },
            Self::Present(value) => Observed::Present(value),
        }
    }
}

impl<T> From<Option<T>> for Observed<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Absent, Self::Present)
    }
}
