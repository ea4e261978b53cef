//! How a resource is, in one word with its reason: the answer to "and, does it work?".
//!
//! The word comes from the conditions, and only from those that speak of the resource's current generation: a status that has
//! not caught up is `Pending`, whatever it says.

use jiff::Timestamp;
use skep_api::wire::ResourceView;
use skep_schemas::condition::{Condition, ConditionKind};
use skep_schemas::kind::AnyStatus;
use skep_schemas::{Generation, Reason};

use super::text::Tone;

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The controller has not come to it yet.
    Pending,
    /// It is being deleted.
    Deleting,
    /// It will not get any further by itself.
    Stalled,
    /// It is as the spec says.
    Ready,
    /// It serves, but not as well as it should.
    Degraded,
    /// It is on its way.
    Progressing,
    /// It is not ready, and nobody says that work is under way.
    NotReady,
    /// Its status has a form that this program does not know.
    Unreadable,
}

impl Word {
    /// The word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Deleting => "Deleting",
            Self::Stalled => "Stalled",
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::Progressing => "Progressing",
            Self::NotReady => "NotReady",
            Self::Unreadable => "Unreadable",
        }
    }

    /// Its colour.
    pub(crate) const fn tone(self) -> Tone {
        match self {
            Self::Ready => Tone::Good,
            Self::Pending | Self::Deleting | Self::Progressing | Self::Degraded => Tone::Busy,
            Self::Stalled | Self::NotReady | Self::Unreadable => Tone::Bad,
        }
    }
}

/// How a resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// In one word.
    pub(crate) word: Word,
    /// Why, in one word.
    pub(crate) reason: Option<Reason>,
    /// Why, in words.
    pub(crate) message: String,
}

/// A report about a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Report {
    /// There is none yet.
    None,
    /// It has a form that this program does not know.
    Unreadable,
    /// This.
    Status(AnyStatus),
}

impl Report {
    /// The report in an answer.
    pub(crate) fn of(view: &ResourceView) -> Self {
        match (&view.status, view.any_status()) {
            (None, _) => Self::None,
            (Some(_), None) => Self::Unreadable,
            (Some(_), Some(status)) => Self::Status(status),
        }
    }
}

/// As of when the report speaks, if not of now.
pub(crate) fn last_observed(view: &ResourceView) -> Option<Timestamp> {
    view.any_status()?.last_observed
}

/// The condition of a kind, if it speaks of this generation or a later one.
pub(crate) fn condition(
    status: &AnyStatus,
    kind: ConditionKind,
    generation: Generation,
) -> Option<&Condition> {
    status.conditions.iter().find(|c| c.kind == kind && c.observed_generation >= generation)
}

impl Phase {
    /// How the resource is.
    pub(crate) fn of(view: &ResourceView) -> Self {
        let plain = |word, message: &str| Self { word, reason: None, message: message.to_owned() };
        let status = match Report::of(view) {
            Report::None if view.metadata.deletion_requested_at.is_some() => {
                return plain(Word::Deleting, "");
            }
            Report::None => return plain(Word::Pending, "the controller has not reported yet"),
            Report::Unreadable => return plain(Word::Unreadable, "the server's version is another one"),
            Report::Status(status) => status,
        };
        let generation = view.metadata.generation;
        let of = |word, condition: &Condition| Self {
            word,
            reason: Some(condition.reason),
            message: condition.message.clone(),
        };
        let holds = |kind| condition(&status, kind, generation).filter(|condition| condition.is_true());
        let ready = condition(&status, ConditionKind::Ready, generation);
        if view.metadata.deletion_requested_at.is_some() {
            let told = holds(ConditionKind::Progressing).or(ready).filter(|c| {
                matches!(c.reason, Reason::Deleting | Reason::WaitingForDependents | Reason::StepFailed)
            });
            return told.map_or_else(|| plain(Word::Deleting, ""), |condition| of(Word::Deleting, condition));
        }
        if status.observed_generation < generation {
            return plain(Word::Pending, "the controller has not come to the last change yet");
        }
        if let Some(stalled) = holds(ConditionKind::Stalled) {
            return of(Word::Stalled, stalled);
        }
        match (holds(ConditionKind::Degraded), holds(ConditionKind::Progressing), ready) {
            (_, Some(progressing), ready) if !ready.is_some_and(Condition::is_true) => {
                of(Word::Progressing, progressing)
            }
            (Some(degraded), _, _) => of(Word::Degraded, degraded),
            (None, _, Some(ready)) if ready.is_true() => of(Word::Ready, ready),
            (None, _, Some(ready)) => of(Word::NotReady, ready),
            (None, _, None) => plain(Word::Pending, "the controller has not reported yet"),
        }
    }

    /// Word and reason in one, such as `Stalled: RolledBack`.
    pub(crate) fn short(&self) -> String {
        match (self.word, self.reason) {
            (Word::Ready, _) | (_, None) => self.word.as_str().to_owned(),
            (word, Some(reason)) => format!("{}: {reason}", word.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{condition, environment, ready, resource, rolling_out, stalled};

    #[test]
    fn one_word_sums_the_conditions_up() {
        assert_eq!(Phase::of(&ready(2)).short(), "Ready");
        assert_eq!(Phase::of(&rolling_out(2, 1)).short(), "Progressing: RollingOut");
        assert_eq!(Phase::of(&stalled(2)).short(), "Stalled: RolledBack");
        let degraded = [
            condition("Ready", "True", "Converged", "", 1),
            condition("Degraded", "True", "SecurityNotEnforced", "", 1),
        ];
        assert_eq!(Phase::of(&environment(1, 1, 2, &degraded)).short(), "Degraded: SecurityNotEnforced");
    }

    #[test]
    fn a_status_that_speaks_of_an_older_generation_is_not_believed() {
        let old = [condition("Ready", "True", "Converged", "", 1)];
        assert_eq!(Phase::of(&environment(2, 1, 2, &old)).word, Word::Pending);
        assert_eq!(Phase::of(&environment(2, 2, 2, &old)).word, Word::Pending);
    }

    #[test]
    fn what_is_being_deleted_says_so_whatever_its_last_status_was() {
        let mut view = stalled(2);
        view.metadata.deletion_requested_at = Some(crate::fixture::NOW.parse().unwrap());
        assert_eq!(Phase::of(&view).short(), "Deleting");
    }

    #[test]
    fn a_status_of_an_unknown_form_is_called_unreadable() {
        let view = resource(skep_schemas::Kind::App, "shop", 1, &json!({}), &json!({"conditions": 7}));
        assert_eq!(Phase::of(&view).word, Word::Unreadable);
    }
}
