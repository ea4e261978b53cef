//! Why nothing is happening: every reason has a variant, a word for programs, a sentence for people, and an answer to the question
//! whether it will pass by itself. The sentences, which tell people what to do as well, are in `words`.

mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_schemas::Reason;

use crate::policy::Violation;
use crate::release::ReleaseVersion;

pub use words::one_of_each;

/// Why something that should be done is not being done. Every "why is nothing happening" has a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "blocked")]
pub enum Blocked {
    /// A resource that this one refers to does not exist.
    ReferenceMissing {
        /// The resource, in its written form.
        resource: String,
    },
    /// A reference in a variable stands for nothing.
    ReferenceUnresolved {
        /// The variable.
        variable: String,
        /// The reference, and why not, in words.
        why: String,
    },
    /// A resource that this one needs is not ready yet.
    DependencyNotReady {
        /// The resource, in its written form.
        resource: String,
        /// What it waits for.
        why: String,
    },
    /// A secret has no value, or does not exist.
    SecretMissing {
        /// The secret.
        name: String,
    },
    /// A process takes secrets as variables and does not say its entry point. Whoever sets the variables has to start the program, and what
    /// an image starts by itself is not known from outside.
    EntryPointMissing {
        /// The process.
        process: String,
    },
    /// What app and environment say of a process contradicts itself, though neither does alone.
    ProcessInvalid {
        /// The process.
        process: String,
        /// Why it cannot be, in words.
        why: String,
    },
    /// The image could not be resolved.
    ImageUnresolved {
        /// The reference.
        image: String,
        /// Why not.
        why: String,
    },
    /// A credential for a registry has no password: its Secret is not there.
    PasswordMissing {
        /// The RegistryCredential.
        credential: String,
        /// The Secret that it names.
        secret: String,
    },
    /// The registry does not let in whoever it was asked as.
    RegistryDenied {
        /// The registry.
        registry: String,
        /// The image.
        image: String,
        /// The RegistryCredential that it was asked with; none if the organisation has none for it.
        credential: Option<String>,
        /// The registry's words.
        why: String,
    },
    /// More than the plan allows.
    QuotaExceeded {
        /// What is too much, in words.
        what: String,
    },
    /// A policy does not allow it.
    PolicyDenied {
        /// Whose rule it is, as `ImagePolicy/default`.
        policy: String,
        /// What is not allowed, and why, in words.
        why: String,
        /// Was what ran stopped?
        stopped: bool,
    },
    /// It can never be scheduled on this cluster.
    WouldNeverSchedule {
        /// Why not, in words.
        why: String,
    },
    /// The wanted release failed; it stays so until the spec changes.
    ReleaseFailed {
        /// Which release.
        release: ReleaseVersion,
        /// Does the previous one run again?
        rolled_back: bool,
        /// Why it failed, in words.
        why: String,
    },
    /// Somebody cancelled the wanted release; it stays so until the spec changes.
    ReleaseCancelled {
        /// Which release.
        release: ReleaseVersion,
        /// Is there one before it to run again?
        rolled_back: bool,
        /// Who cancelled it, in words.
        why: String,
    },
    /// An object of the name exists and does not belong to this resource.
    ForeignObject {
        /// The object.
        object: String,
    },
    /// The organisation's network was made when its plan said otherwise.
    NetworkOutdated {
        /// The network.
        object: String,
        /// In what it is otherwise, in words.
        why: String,
    },
    /// The organisation's plan or tier has no links.
    LinkNotAllowed {
        /// The organisation.
        org: String,
    },
    /// The other side of a link does not name this one, or is not there; nobody is told which.
    LinkNotAgreed {
        /// What the link leads to.
        target: String,
    },
    /// The server was started without an image for forwarders.
    ForwarderMissing,
    /// No subnet is free.
    NetworkPoolExhausted,
    /// No address for an edge task is free in the organisation's subnet.
    EdgeAddressesExhausted {
        /// The subnet.
        subnet: String,
    },
    /// Something could not be read, so nothing that depends on it is done.
    Unobserved {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
    /// Deletion waits for others to be gone.
    WaitingForDependents {
        /// Who, in words.
        who: String,
    },
    /// The engine still uses an object that is to be removed.
    StillInUse {
        /// The object.
        object: String,
        /// By what, in words.
        by: String,
    },
    /// Two processes cannot both be routed to, or a domain asks for a port that is not there.
    RouteInvalid {
        /// The domain.
        domain: String,
        /// Why not.
        why: String,
    },
    /// A roll-out is under way, and a change that restarts nothing waits for its end: writing to the service now would make Swarm
    /// forget what it would roll back to.
    UpdateInProgress {
        /// The service.
        object: String,
    },
    /// A step failed.
    StepFailed {
        /// The object that it was about.
        object: String,
        /// Why, in words.
        why: String,
        /// Will it be tried again by itself?
        retried: bool,
    },
    /// The engine accepted a change and does not keep it; asking again would restart tasks for nothing.
    NotKept {
        /// The object.
        object: String,
        /// The fields, as JSON pointers.
        pointers: Vec<String>,
    },
    /// Someone paused the resource, or one that it is part of: Skep looks and reports, and changes nothing.
    Paused {
        /// What was paused, in its written form.
        resource: String,
        /// By whom.
        by: String,
        /// Why, in their words.
        why: String,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// The loop is on hold: what it would do looks like a mistake, and nothing is done before someone confirms it.
    SafetyHold {
        /// The number of the hold, which is confirmed; zero in a preview of what would be held.
        hold: i64,
        /// What looks wrong, in words.
        why: String,
    },
    /// Another writer sets the same fields again and again; correcting them once more would only go on with the fight.
    Contested {
        /// The object.
        object: String,
        /// The fields, as JSON pointers.
        pointers: Vec<String>,
        /// How often they were corrected in a row.
        rounds: u32,
    },
    /// The rendered spec is larger than the engine can store and still update.
    SpecTooLarge {
        /// The object.
        object: String,
        /// Its size in bytes.
        bytes: u64,
    },
}

impl Blocked {
    /// A policy does not allow something; was what ran stopped?
    pub fn denied(violation: Violation, stopped: bool) -> Self {
        let Violation { policy, why, enforcement: _ } = violation;
        Self::PolicyDenied { policy, why, stopped }
    }

    /// The word for it in conditions.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ReferenceMissing { .. } | Self::ReferenceUnresolved { .. } | Self::RouteInvalid { .. } => {
                Reason::ReferenceMissing
            }
            Self::DependencyNotReady { .. } => Reason::DependencyNotReady,
            Self::SecretMissing { .. } | Self::PasswordMissing { .. } => Reason::SecretMissing,
            Self::EntryPointMissing { .. } => Reason::EntryPointMissing,
            Self::ProcessInvalid { .. } => Reason::ProcessInvalid,
            Self::ImageUnresolved { .. } => Reason::ImageUnresolved,
            Self::RegistryDenied { .. } => Reason::RegistryDenied,
            Self::QuotaExceeded { .. } => Reason::QuotaExceeded,
            Self::PolicyDenied { .. } => Reason::PolicyDenied,
            Self::WouldNeverSchedule { .. } | Self::SpecTooLarge { .. } => Reason::WouldNeverSchedule,
            Self::ReleaseFailed { rolled_back: true, .. } => Reason::RolledBack,
            Self::ReleaseFailed { rolled_back: false, .. } => Reason::RolloutFailed,
            Self::ReleaseCancelled { .. } => Reason::Cancelled,
            Self::ForeignObject { .. } => Reason::ForeignObject,
            Self::NetworkOutdated { .. } => Reason::NetworkOutdated,
            Self::LinkNotAllowed { .. } | Self::ForwarderMissing => Reason::LinkNotAllowed,
            Self::LinkNotAgreed { .. } => Reason::LinkNotAgreed,
            Self::NetworkPoolExhausted | Self::EdgeAddressesExhausted { .. } => Reason::NetworkPoolExhausted,
            Self::UpdateInProgress { .. } => Reason::UpdateInProgress,
            Self::StepFailed { .. } => Reason::StepFailed,
            Self::NotKept { .. } => Reason::NotKept,
            Self::Paused { .. } => Reason::Paused,
            Self::SafetyHold { .. } => Reason::SafetyHold,
            Self::Contested { .. } => Reason::Contested,
            Self::Unobserved { .. } => Reason::EngineUnavailable,
            Self::WaitingForDependents { .. } | Self::StillInUse { .. } => Reason::WaitingForDependents,
        }
    }

    /// Will it pass without anyone changing the spec? Such a block is progress that waits, the others are a stall.
    pub const fn passes_by_itself(&self) -> bool {
        match self {
            Self::DependencyNotReady { .. }
            | Self::Unobserved { .. }
            | Self::WaitingForDependents { .. }
            | Self::StillInUse { .. }
            | Self::UpdateInProgress { .. }
            | Self::StepFailed { retried: true, .. } => true,
            Self::ReferenceMissing { .. }
            | Self::ReferenceUnresolved { .. }
            | Self::SecretMissing { .. }
            | Self::EntryPointMissing { .. }
            | Self::ProcessInvalid { .. }
            | Self::ImageUnresolved { .. }
            | Self::PasswordMissing { .. }
            | Self::RegistryDenied { .. }
            | Self::QuotaExceeded { .. }
            | Self::PolicyDenied { .. }
            | Self::WouldNeverSchedule { .. }
            | Self::ReleaseFailed { .. }
            | Self::ReleaseCancelled { .. }
            | Self::ForeignObject { .. }
            | Self::NetworkOutdated { .. }
            | Self::LinkNotAllowed { .. }
            | Self::LinkNotAgreed { .. }
            | Self::ForwarderMissing
            | Self::NetworkPoolExhausted
            | Self::EdgeAddressesExhausted { .. }
            | Self::RouteInvalid { .. }
            | Self::StepFailed { retried: false, .. }
            | Self::NotKept { .. }
            | Self::Paused { .. }
            | Self::SafetyHold { .. }
            | Self::Contested { .. }
            | Self::SpecTooLarge { .. } => false,
        }
    }
}
