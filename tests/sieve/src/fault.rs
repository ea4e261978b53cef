//! What can go wrong, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $word:literal, $at:ident;)*) => {
        /// A way in which something goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What it happens to.
            pub const fn at(self) -> At {
                match self { $(Self::$name => At::$at),* }
            }
        }
    };
}

/// What faults happen to. Each of a workflow has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// A mutating call to the Swarm.
    Call,
    /// An event of the Swarm.
    Event,
    /// A statement in Postgres.
    Statement,
}

kinds! {
    /// The process ends before the call is made.
    CrashBefore => "crash-before", Call;
    /// The call has its effect, and the process ends before it learns of it.
    CrashAfter => "crash-after", Call;
    /// The engine cannot be reached: nothing happens, and that is certain.
    Refused => "refused", Call;
    /// No answer comes, and nothing happened.
    LostCall => "lost-call", Call;
    /// No answer comes, and the call had its effect.
    LostReply => "lost-reply", Call;
    /// Somebody else changes the object just before; or has just made one of that name, and takes it away later.
    Conflict => "conflict", Call;
    /// What is read after the call is as it was one mutation before, for a while.
    StaleByOne => "stale-by-1", Call;
    /// The same, two mutations before.
    StaleByTwo => "stale-by-2", Call;
    /// The same, four mutations before.
    StaleByFour => "stale-by-4", Call;
    /// The whole machine stands still at the call; another takes over and comes to rest; then the call goes through, and the
    /// first goes on as if nothing had been.
    Takeover => "takeover", Call;
    /// The process stands still at the call until its term is over and another has taken over; the call goes through late.
    LateCall => "late-call", Call;
    /// Nobody hears of it.
    DroppedEvent => "dropped-event", Event;
    /// The connection breaks before the statement is carried out.
    LostStatement => "lost-statement", Statement;
    /// The statement is carried out, and the connection breaks before its answer.
    LostAnswer => "lost-answer", Statement;
    /// The process ends before the statement is carried out.
    CrashBeforeStatement => "crash-before-statement", Statement;
    /// The statement is carried out, and the process ends before it learns of it.
    CrashAfterStatement => "crash-after-statement", Statement;
}

impl Kind {
    /// Does it happen to a call?
    pub(crate) fn is_of_call(self) -> bool {
        self.at() == At::Call
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// How.
    pub kind: Kind,
    /// At which call, event or statement, counted from 0 after the workflow's change was asked for.
    pub point: usize,
}

impl Fault {
    /// A fault of this kind there.
    pub const fn new(kind: Kind, point: usize) -> Self {
        Self { kind, point }
    }

    /// How many mutations what is read is behind.
    pub(crate) const fn stale_by(self) -> Option<usize> {
        match self.kind {
            Kind::StaleByOne => Some(1),
            Kind::StaleByTwo => Some(2),
            Kind::StaleByFour => Some(4),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.kind, self.point)
    }
}
