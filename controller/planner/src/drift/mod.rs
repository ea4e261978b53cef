//! Drift: what is live differs from what was last converged, although desired state did not change.
//!
//! Three versions of an object meet here: what Skep last sent (`applied`, kept in the inventory), what it would send now (`desired`)
//! and what is there (`live`). A field in which applied and desired agree and live differs was changed by somebody else: it is
//! drift. A field in which applied and desired differ is a change that somebody asked for, whatever is live. Without an applied
//! version nothing is called drift.
//!
//! What is done about it depends on the resource's [`Stance`]: the policy's mode, the fields that it leaves to others, a pause, and
//! the history of the same field. A field that is left alone keeps its live value in whatever is sent, so that a deploy does not
//! silently undo what a policy said to leave.

mod service;
mod stance;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use service::{ServiceChange, ServiceSides, replaced, service};
pub use stance::{CONTESTED_AFTER, Corrections, FIGHT_WINDOW, Stance};

use crate::blocked::Blocked;
use crate::inventory::ObjectRef;
use crate::plan::Plan;

/// The longest value that a report holds, in characters of JSON; more would not be read there, and rows must stay small.
const VALUE_MAX: usize = 2048;

/// In what way an object differs from what was last converged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftClass {
    /// A field has another value.
    Modified,
    /// Swarm or somebody returned the service to an earlier spec; told field by field.
    RolledBack,
    /// The object is gone.
    Missing,
    /// Another object carries its name and our labels.
    Replaced,
    /// Another object has its name, and is not ours.
    Foreign,
    /// An object carries our labels, and nothing that Skep knows of asked for it.
    Orphan,
}

impl DriftClass {
    /// All classes.
    pub const ALL: [Self; 6] =
        [Self::Modified, Self::RolledBack, Self::Missing, Self::Replaced, Self::Foreign, Self::Orphan];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modified => "modified",
            Self::RolledBack => "rolled-back",
            Self::Missing => "missing",
            Self::Replaced => "replaced",
            Self::Foreign => "foreign",
            Self::Orphan => "orphan",
        }
    }

    /// The class of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl fmt::Display for DriftClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "DriftResponse")]
pub enum Response {
    /// It is put back.
    Correct,
    /// It is reported and left.
    Report,
    /// The policy leaves it to others.
    Ignore,
    /// The resource is paused.
    Paused,
    /// Another writer goes on and on; Skep has stopped.
    GiveUp,
}

impl Response {
    /// All responses.
    pub const ALL: [Self; 5] = [Self::Correct, Self::Report, Self::Ignore, Self::Paused, Self::GiveUp];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Report => "report",
            Self::Ignore => "ignore",
            Self::Paused => "paused",
            Self::GiveUp => "give-up",
        }
    }

    /// Where something cannot be put right, it is at least reported.
    #[must_use]
    pub const fn unless_corrected(self) -> Self {
        match self {
            Self::Correct | Self::GiveUp => Self::Report,
            Self::Report | Self::Ignore | Self::Paused => self,
        }
    }

    /// The response of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|response| response.as_str() == word)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One difference that nobody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// On which object.
    pub object: ObjectRef,
    /// Where in it: a JSON pointer, or nothing when it is about the object as a whole.
    pub pointer: String,
    /// In what way.
    pub class: DriftClass,
    /// What Skep wants there.
    pub desired: Option<Value>,
    /// What is there.
    pub live: Option<Value>,
    /// What is done about it.
    pub response: Response,
}

impl Drift {
    /// A difference of one field.
    pub fn of_field(
        object: &ObjectRef,
        class: DriftClass,
        change: &crate::step::FieldChange,
        response: Response,
    ) -> Self {
        Self {
            object: object.clone(),
            pointer: change.pointer.clone(),
            class,
            desired: change.to.as_ref().map(shortened),
            live: change.from.as_ref().map(shortened),
            response,
        }
    }

    /// A difference of an object as a whole, with what tells the two apart.
    pub fn of_object(
        object: &ObjectRef,
        class: DriftClass,
        desired: Option<&str>,
        live: Option<&str>,
        response: Response,
    ) -> Self {
        Self {
            object: object.clone(),
            pointer: String::new(),
            class,
            desired: desired.map(Value::from),
            live: live.map(Value::from),
            response,
        }
    }

    /// One line about it.
    pub fn in_words(&self) -> String {
        let shown =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let Self { object, pointer, class, .. } = self;
        if pointer.is_empty() {
            return format!("{object} is {class}");
        }
        format!("{pointer} of {object} is {} instead of {}", shown(&self.live), shown(&self.desired))
    }

    /// Another object has the name, and is not ours. It is never touched, so there is nothing to choose.
    pub fn foreign(object: &ObjectRef, live: &str) -> Self {
        Self::of_object(object, DriftClass::Foreign, None, Some(live), Response::Report)
    }

    /// Another object has the name and our labels. It is taken over, so there is nothing left to put right.
    pub fn replaced(object: &ObjectRef, known: &str, live: &str) -> Self {
        Self::of_object(object, DriftClass::Replaced, Some(known), Some(live), Response::Correct)
    }
}

fn shortened(value: &Value) -> Value {
    let text = value.to_string();
    if text.chars().count() <= VALUE_MAX {
        return value.clone();
    }
    Value::String(text.chars().take(VALUE_MAX).chain("…".chars()).collect())
}

/// Has a plan compared everything that belongs to its resource? What an incomplete one does not tell may differ all the same, so
/// nothing ends because of it.
pub fn is_complete(plan: &Plan) -> bool {
    plan.blocked.iter().all(|blocked| match blocked {
        Blocked::ReleaseFailed { .. }
        | Blocked::ReleaseCancelled { .. }
        | Blocked::ForeignObject { .. }
        | Blocked::RouteInvalid { .. }
        | Blocked::UpdateInProgress { .. }
        | Blocked::StepFailed { .. }
        | Blocked::NotKept { .. }
        | Blocked::NetworkOutdated { .. }
        | Blocked::Paused { .. }
        | Blocked::SafetyHold { .. }
        | Blocked::Contested { .. }
        | Blocked::PolicyDenied { stopped: true, .. } => true,
        Blocked::ReferenceMissing { .. }
        | Blocked::ReferenceUnresolved { .. }
        | Blocked::DependencyNotReady { .. }
        | Blocked::SecretMissing { .. }
        | Blocked::EntryPointMissing { .. }
        | Blocked::ProcessInvalid { .. }
        | Blocked::ImageUnresolved { .. }
        | Blocked::QuotaExceeded { .. }
        | Blocked::PolicyDenied { stopped: false, .. }
        | Blocked::WouldNeverSchedule { .. }
        | Blocked::LinkNotAllowed { .. }
        | Blocked::LinkNotAgreed { .. }
        | Blocked::ForwarderMissing
        | Blocked::NetworkPoolExhausted
        | Blocked::EdgeAddressesExhausted { .. }
        | Blocked::Unobserved { .. }
        | Blocked::WaitingForDependents { .. }
        | Blocked::StillInUse { .. }
        | Blocked::PasswordMissing { .. }
        | Blocked::RegistryDenied { .. }
        | Blocked::SpecTooLarge { .. } => false,
    })
}

/// Do two pointers speak of the same field, or of one within the other?
pub fn overlap(a: &str, b: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(a, b) || within(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_what_they_stand_for() {
        for class in DriftClass::ALL {
            assert_eq!(DriftClass::from_word(class.as_str()), Some(class));
        }
        for response in Response::ALL {
            assert_eq!(Response::from_word(response.as_str()), Some(response));
        }
    }

    #[test]
    fn only_the_same_field_or_one_within_the_other_overlap() {
        assert!(overlap("/Labels/a", "/Labels/a"));
        assert!(overlap("/Labels", "/Labels/a") && overlap("/Labels/a", "/Labels"));
        assert!(!overlap("/Labels/a", "/Labels/ab"));
    }
}
