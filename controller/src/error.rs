//! Why a pass over a resource failed, and what to do about it.

use std::error::Error;

use skep_executor::ExecuteError;
use skep_runtime::{Classify, Disposition};
use skep_schemas::ResourceKey;
use skep_store::StoreError;

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    /// What is wanted could not be loaded.
    #[error("cannot load {key}")]
    Load {
        /// The resource.
        key: ResourceKey,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The plan could not be carried out.
    #[error("cannot carry out the plan for {key}")]
    Execute {
        /// The resource.
        key: ResourceKey,
        /// What the executor said.
        #[source]
        source: ExecuteError,
    },
    /// What is so could not be written down.
    #[error("cannot record the status of {key}")]
    Record {
        /// The resource.
        key: ResourceKey,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The status is not JSON: a fault of ours.
    #[error("cannot write the status of {key} as JSON")]
    Encode {
        /// The resource.
        key: ResourceKey,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// A step failed in a way that may pass.
    #[error("a step for {key} failed: {why}")]
    StepFailed {
        /// The resource.
        key: ResourceKey,
        /// Why, in words.
        why: String,
    },
    /// What the image of an environment stands for could not be found out. That may pass, but nobody says when.
    #[error("the image of {key} could not be looked up: {why}")]
    ImageUnanswered {
        /// The resource.
        key: ResourceKey,
        /// Why not, in words.
        why: String,
    },
    /// The world would not hold still.
    #[error("the Swarm changed under each of {rounds} plans for {key}")]
    Unsettled {
        /// The resource.
        key: ResourceKey,
        /// How many plans were made.
        rounds: u32,
    },
}

impl Classify for PassError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Load { source, .. } | Self::Record { source, .. } => of_store(source),
            Self::Execute { source, .. } => match source {
                ExecuteError::Record { source, .. }
                | ExecuteError::Password { source, .. }
                | ExecuteError::Value { source, .. } => of_store(source),
            },
            Self::Encode { .. } => Disposition::Terminal,
            Self::StepFailed { .. } | Self::ImageUnanswered { .. } => Disposition::Retry,
            // Each plan was carried out or found that somebody else had been quicker. Growing pauses would leave the next edit of
            // somebody who makes many in a row standing for a minute.
            Self::Unsettled { .. } => Disposition::Conflict,
        }
    }
}

fn of_store(error: &StoreError) -> Disposition {
    match error {
        StoreError::Fenced { .. } => Disposition::Fenced,
        // Everything else may pass: the database comes back, the row is written by someone else first, the key is mended.
        _ => Disposition::Retry,
    }
}

/// An error and its causes on one line, for people.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        // Some libraries repeat the cause in their own words.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}
