//! Conditions: how a status says what is so, since when, and why.
//!
//! `Ready` is always there. `Progressing`, `Stalled` and `Degraded` are there only while they hold, so their absence is the
//! good news. A condition carries the generation it speaks of (invariant I15): a waiter that applied generation 7 believes only
//! a condition with `observed_generation >= 7`.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::Generation;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionKind {
    /// The world is as the spec says.
    Ready,
    /// Work is under way and within its deadline.
    Progressing,
    /// No progress will come by itself: someone has to change something.
    Stalled,
    /// It serves, but not as well as it should: fewer instances than wanted, or running an older release.
    Degraded,
    /// Somebody else changed what Skep made, and it stays so: by policy, by a pause, or because the other goes on.
    Drifted,
    /// What runs is against a policy that lets it run.
    PolicyViolated,
    /// Somebody stopped it, or part of it: no instances are wanted of that.
    Stopped,
}

/// Does a condition hold?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told now, for example because the engine does not answer.
    Unknown,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition is as it is: one word for programs. The message beside it is for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons, for documentation and for metrics that start at zero.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// The world is as the spec says.
    Converged,
    /// Written, and waiting for its turn.
    Pending,
    /// Changes are being made in the Swarm.
    Applying,
    /// Tasks are starting or being replaced.
    RollingOut,
    /// A change that restarts nothing waits until the roll-out that is under way is over.
    UpdateInProgress,
    /// Objects are being removed.
    Deleting,
    /// Deletion waits until other resources are gone.
    WaitingForDependents,
    /// A resource that this one refers to does not exist.
    ReferenceMissing,
    /// A resource that this one needs is not ready yet.
    DependencyNotReady,
    /// A secret that is needed does not exist.
    SecretMissing,
    /// A process takes secrets as variables and does not say what it starts.
    EntryPointMissing,
    /// What app and environment say of a process together cannot be.
    ProcessInvalid,
    /// The image could not be found or resolved to a digest.
    ImageUnresolved,
    /// The registry does not give the image out with the credential that there is, or without one.
    RegistryDenied,
    /// More than the plan allows.
    QuotaExceeded,
    /// A policy does not allow it.
    PolicyDenied,
    /// Something it asks for can never be scheduled on this cluster.
    WouldNeverSchedule,
    /// The release failed and the previous one runs again.
    RolledBack,
    /// The release failed and there was nothing to go back to.
    RolloutFailed,
    /// Somebody cancelled the release.
    Cancelled,
    /// The roll-out did not finish before its deadline.
    DeadlineExceeded,
    /// The organisation's plan or its tier has no links.
    LinkNotAllowed,
    /// The other side of a link does not name this one.
    LinkNotAgreed,
    /// Tasks start and end again and again.
    CrashLoop,
    /// Fewer instances run than wanted.
    InstancesMissing,
    /// Another resource owns the host name.
    HostTaken,
    /// The engine cannot enforce part of the security profile.
    SecurityNotEnforced,
    /// An object of that name exists in the Swarm and is not ours.
    ForeignObject,
    /// The network was made when its plan said otherwise.
    NetworkOutdated,
    /// No free subnet is left in the pool.
    NetworkPoolExhausted,
    /// The engine does not answer, or has no manager.
    EngineUnavailable,
    /// The secret's value cannot be decrypted.
    SecretUnreadable,
    /// A step failed and will be tried again.
    StepFailed,
    /// The engine accepts part of what it is asked for and does not keep it.
    NotKept,
    /// What is live differs from what was last converged, and the drift policy leaves it so.
    Drifted,
    /// Somebody stopped it, and nothing is to run.
    Stopped,
    /// The platform suspended its organisation, and nothing is to run.
    Suspended,
    /// Someone paused it: Skep looks and reports, and changes nothing.
    Paused,
    /// The loop is on hold until an administrator confirms what it would do.
    SafetyHold,
    /// Messages of a Notification were not taken, or were given up.
    MessagesUndelivered,
    /// Another writer sets the same fields again and again; Skep has stopped correcting them.
    Contested,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One statement about a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// Does it hold?
    pub status: ConditionStatus,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people; says what will happen next where that is known.
    pub message: String,
    /// The generation of the spec that it speaks of.
    pub observed_generation: Generation,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

impl Condition {
    /// Does it hold?
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }

    /// Equal apart from the time of the last transition: such a condition need not be written again.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { kind, status, reason, message, observed_generation, last_transition_time: _ } = self;
        (*kind, *status, *reason, message, *observed_generation)
            == (other.kind, other.status, other.reason, &other.message, other.observed_generation)
    }
}
