//! What an engine says when it refuses, as it says it: a status code and words.
//!
//! The words are those of real engines, and the same code sorts them that sorts a real engine's
//! (`skep_swarm::classify`), so that a refusal here means what it would mean there.

use std::fmt;

use skep_swarm::{Call, SwarmError, classify};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code of the answer.
    pub status: u16,
    /// The engine's words.
    pub message: String,
}

impl Refusal {
    /// A refusal in these words.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The refusal of a manager, with the code that the engine makes of it.
    pub(crate) fn rpc(code: Code, message: impl fmt::Display) -> Self {
        let (status, word) = match code {
            Code::InvalidArgument => (400, "InvalidArgument"),
            Code::FailedPrecondition => (400, "FailedPrecondition"),
            Code::AlreadyExists => (409, "AlreadyExists"),
            Code::Unimplemented => (501, "Unimplemented"),
            Code::Unknown => (500, "Unknown"),
        };
        Self::new(status, format!("rpc error: code = {word} desc = {message}"))
    }

    /// The version that was named is not the object's.
    pub(crate) fn out_of_sequence() -> Self {
        Self::rpc(Code::Unknown, "update out of sequence")
    }

    /// There is no such object.
    pub(crate) fn missing(kind: &str, id: impl fmt::Display) -> Self {
        Self::new(404, format!("{kind} {id} not found"))
    }

    /// The same refusal as callers of a real engine get it.
    pub fn sorted(self, call: Call) -> SwarmError {
        classify(call, self.status, &self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The managers' own codes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    InvalidArgument,
    FailedPrecondition,
    AlreadyExists,
    Unimplemented,
    Unknown,
}
