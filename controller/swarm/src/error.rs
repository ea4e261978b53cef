//! What can go wrong between us and an engine, in the words the executor acts on.
//!
//! Every error names the call: which verb, on which object. Two questions are answered here once for all callers: what
//! kind of refusal it was (the engine's status codes alone do not tell, see the classification of the client), and
//! whether the call may have taken effect all the same ([`SwarmError::effect`]). After an unknown effect the object is
//! unknown until it is read again; nothing is retried blindly.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::verb::Verb;
use crate::version::ApiVersion;

/// One call: the verb and the object it was about, by name or id; no object for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub verb: Verb,
    /// Of which object; empty for calls without one.
    pub object: String,
}

impl Call {
    /// A call about one object.
    pub fn on(verb: Verb, object: impl fmt::Display) -> Self {
        Self { verb, object: object.to_string() }
    }

    /// A call about no object in particular.
    pub fn plain(verb: Verb) -> Self {
        Self { verb, object: String::new() }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verb.fmt(f)?;
        if self.object.is_empty() { Ok(()) } else { write!(f, " {}", self.object) }
    }
}

/// Whether a failed call may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed.
    None,
    /// Perhaps it did: the object is unknown until it is read again.
    Unknown,
}

/// What lies beneath an error. Shared, because one call's answer may be the answer to several who asked the same.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SwarmError {
    /// The object changed since it was read; plan again from what it is now.
    #[error("cannot {call}: it changed since it was read")]
    Conflict {
        /// The call.
        call: Call,
    },
    /// An object of that name, or an attachment at that place, is there already.
    #[error("cannot {call}: {message}")]
    NameTaken {
        /// The call.
        call: Call,
        /// The engine's words.
        message: String,
    },
    /// The object, or one that it refers to, is not there.
    #[error("cannot {call}: {message}")]
    NotFound {
        /// The call.
        call: Call,
        /// The engine's words.
        message: String,
    },
    /// The engine refuses what was asked; asking again will not help.
    #[error("cannot {call}: the engine refuses: {message}")]
    Invalid {
        /// The call.
        call: Call,
        /// The engine's words.
        message: String,
    },
    /// Something still refers to the object, or holds the address.
    #[error("cannot {call}: {message}")]
    InUse {
        /// The call.
        call: Call,
        /// The engine's words.
        message: String,
    },
    /// The engine cannot be reached, or the connection was lost.
    #[error("cannot {call}: the engine cannot be reached")]
    Unavailable {
        /// The call.
        call: Call,
        /// Whether the request may have reached the engine before the connection was lost.
        sent: bool,
        /// What the connection says.
        #[source]
        source: Cause,
    },
    /// The engine answers, but is no Swarm manager, or the managers have no leader.
    #[error("cannot {call}: {message}")]
    NoManager {
        /// The call.
        call: Call,
        /// Whether the request may have been passed on before the leader was lost.
        passed_on: bool,
        /// The engine's words.
        message: String,
    },
    /// No answer in time.
    #[error("cannot {call}: no answer within {after:?}")]
    Timeout {
        /// The call.
        call: Call,
        /// How long it waited.
        after: Duration,
        /// Whether the request may have reached the engine.
        sent: bool,
    },
    /// The engine, or the registry behind it, wants other credentials.
    #[error("cannot {call}: not authorised: {message}")]
    Unauthorized {
        /// The call.
        call: Call,
        /// The engine's or the registry's words.
        message: String,
    },
    /// The engine is too old for us.
    #[error(
        "the engine speaks Docker API {engine} at most, and Skep needs {needed} (Docker Engine 20.10) or newer"
    )]
    EngineTooOld {
        /// The newest version the engine speaks.
        engine: ApiVersion,
        /// The oldest version we speak.
        needed: ApiVersion,
    },
    /// The engine is too new for us.
    #[error("the engine speaks Docker API {engine} at least, and this version of Skep speaks {ours} at most")]
    EngineTooNew {
        /// The oldest version the engine speaks.
        engine: ApiVersion,
        /// The newest version we speak.
        ours: ApiVersion,
    },
    /// The answer is not what the verb's answer looks like.
    #[error("cannot {call}: the answer is not readable")]
    Decode {
        /// The call.
        call: Call,
        /// Where reading stopped.
        #[source]
        source: Cause,
    },
    /// The answer is larger than we are prepared to hold.
    #[error("cannot {call}: the answer exceeds {limit} bytes")]
    AnswerTooLarge {
        /// The call.
        call: Call,
        /// The bound.
        limit: usize,
    },
    /// Where the engine is, or how to trust it, was said wrongly.
    #[error("cannot use the engine address: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates or keys are not usable.
    #[error("cannot use {what}")]
    Certificates {
        /// Which of them.
        what: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Anything else the engine said.
    #[error("cannot {call}: the engine answers {status}: {message}")]
    Other {
        /// The call.
        call: Call,
        /// The status code.
        status: u16,
        /// The engine's words.
        message: String,
        /// Whether this refusal is known to leave everything as it was.
        effect: Effect,
    },
}

impl SwarmError {
    /// The call, for errors that are about one.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Conflict { call }
            | Self::NameTaken { call, .. }
            | Self::NotFound { call, .. }
            | Self::Invalid { call, .. }
            | Self::InUse { call, .. }
            | Self::Unavailable { call, .. }
            | Self::NoManager { call, .. }
            | Self::Timeout { call, .. }
            | Self::Unauthorized { call, .. }
            | Self::Decode { call, .. }
            | Self::AnswerTooLarge { call, .. }
            | Self::Other { call, .. } => Some(call),
            Self::EngineTooOld { .. }
            | Self::EngineTooNew { .. }
            | Self::Address { .. }
            | Self::Certificates { .. } => None,
        }
    }

    /// Whether the call may have taken effect in spite of the error.
    ///
    /// Reading never has one. A mutation has an unknown one when the request was out and no verdict came back: the
    /// connection broke, time ran out, the answer was not readable, or the engine failed in a way (5xx) that does not
    /// exclude that the Swarm's managers agreed on the change.
    pub fn effect(&self) -> Effect {
        if !self.call().is_some_and(|call| call.verb.is_mutation()) {
            return Effect::None;
        }
        match self {
            Self::Conflict { .. }
            | Self::NameTaken { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::InUse { .. }
            | Self::Unauthorized { .. }
            | Self::EngineTooOld { .. }
            | Self::EngineTooNew { .. }
            | Self::Address { .. }
            | Self::Certificates { .. } => Effect::None,
            Self::Unavailable { sent: maybe, .. }
            | Self::Timeout { sent: maybe, .. }
            | Self::NoManager { passed_on: maybe, .. } => {
                if *maybe {
                    Effect::Unknown
                } else {
                    Effect::None
                }
            }
            Self::Decode { .. } | Self::AnswerTooLarge { .. } => Effect::Unknown,
            Self::Other { effect, .. } => *effect,
        }
    }
}
