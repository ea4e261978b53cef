//! Building conditions: every resource states Ready, and the abnormal ones only while they hold.

use jiff::Timestamp;
use serde_json::Value;
use skep_schemas::kind::AnyStatus;
use skep_schemas::{Condition, ConditionKind, ConditionStatus, Generation, Reason};

use crate::blocked::Blocked;
use crate::drift::{Drift, Response};
use crate::plan::Plan;
use crate::policy::Violation;

/// How many differences a condition names; `skep drift` lists them all.
const DRIFT_NAMED_MAX: usize = 3;

/// Collects the conditions of one status.
#[derive(Debug)]
pub struct Conditions {
    previous: Vec<Condition>,
    generation: Generation,
    now: Timestamp,
    found: Vec<Condition>,
}

impl Conditions {
    /// Begins with what the resource's last status said, so that times of transition are kept.
    pub fn new(previous_status: &Value, generation: Generation, now: Timestamp) -> Self {
        let previous = AnyStatus::deserialize_lenient(previous_status);
        Self { previous, generation, now, found: Vec::new() }
    }

    /// States a condition.
    pub fn state(
        &mut self,
        kind: ConditionKind,
        status: ConditionStatus,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let unchanged = self.previous.iter().find(|old| old.kind == kind && old.status == status);
        self.found.retain(|condition| condition.kind != kind);
        self.found.push(Condition {
            kind,
            status,
            reason,
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: unchanged.map_or(self.now, |old| old.last_transition_time),
        });
    }

    /// It is as the spec says.
    pub fn ready(&mut self, message: impl Into<String>) {
        self.state(ConditionKind::Ready, ConditionStatus::True, Reason::Converged, message);
    }

    /// It is not, and work is under way.
    pub fn progressing(&mut self, reason: Reason, message: impl Into<String>) {
        let message = message.into();
        self.state(ConditionKind::Ready, ConditionStatus::False, reason, message.clone());
        self.state(ConditionKind::Progressing, ConditionStatus::True, reason, message);
    }

    /// It is not, and will not be until someone changes something.
    pub fn stalled(&mut self, reason: Reason, message: impl Into<String>) {
        let message = message.into();
        self.state(ConditionKind::Ready, ConditionStatus::False, reason, message.clone());
        self.state(ConditionKind::Stalled, ConditionStatus::True, reason, message);
    }

    /// It serves, but not as well as it should.
    pub fn degraded(&mut self, reason: Reason, message: impl Into<String>) {
        self.state(ConditionKind::Degraded, ConditionStatus::True, reason, message);
    }

    /// It cannot be told now.
    pub fn unknown(&mut self, reason: Reason, message: impl Into<String>) {
        self.state(ConditionKind::Ready, ConditionStatus::Unknown, reason, message);
    }

    /// Somebody else changed what Skep made, and it stays so. Says nothing of what is being put right, or left to others by policy.
    pub fn drifted(&mut self, plan: &Plan) {
        let lasting: Vec<&Drift> = plan
            .drift
            .iter()
            .filter(|drift| matches!(drift.response, Response::Report | Response::Paused | Response::GiveUp))
            .collect();
        let any = |response: Response| lasting.iter().any(|drift| drift.response == response);
        let reason = match lasting.first() {
            None => return,
            Some(_) if any(Response::GiveUp) => Reason::Contested,
            Some(_) if any(Response::Paused) => Reason::Paused,
            Some(_) => Reason::Drifted,
        };
        let named: Vec<String> = lasting.iter().take(DRIFT_NAMED_MAX).map(|drift| drift.in_words()).collect();
        let more = lasting.len().saturating_sub(DRIFT_NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let message = format!("{}{more}; see `skep drift`", named.join("; "));
        self.state(ConditionKind::Drifted, ConditionStatus::True, reason, message);
    }

    /// What runs is against policies that let it run. Of those that stop it, what stands in the way tells.
    pub fn violated(&mut self, violations: &[Violation]) {
        let lets_run = |violation: &&Violation| !violation.stops();
        let words: Vec<String> = violations.iter().filter(lets_run).map(ToString::to_string).collect();
        if words.is_empty() {
            return;
        }
        let message = format!("{}; what runs goes on", words.join("; "));
        self.state(ConditionKind::PolicyViolated, ConditionStatus::True, Reason::PolicyDenied, message);
    }

    /// What stands in the way of a plan. `false` when nothing does. A domain that cannot be routed says so itself, and so does a
    /// fight over fields of something that runs: neither stands in anybody's way.
    pub fn blocked(&mut self, plan: &Plan) -> bool {
        let aside =
            |blocked: &&Blocked| matches!(blocked, Blocked::RouteInvalid { .. } | Blocked::Contested { .. });
        let blocked: Vec<&Blocked> = plan.blocked.iter().filter(|blocked| !aside(blocked)).collect();
        let lasting = blocked.iter().find(|blocked| !blocked.passes_by_itself());
        let Some(first) = lasting.or_else(|| blocked.first()) else { return false };
        let message = Blocked::sentences(&blocked);
        match first {
            Blocked::Unobserved { .. } => self.unknown(first.reason(), message),
            passing if passing.passes_by_itself() => self.progressing(passing.reason(), message),
            lasting => self.stalled(lasting.reason(), message),
        }
        true
    }

    /// The conditions, Ready first.
    pub fn into_vec(mut self) -> Vec<Condition> {
        self.found.sort_by_key(|condition| condition.kind);
        self.found
    }
}

/// Reading conditions out of a stored status.
pub trait ReadConditions {
    /// The conditions of a stored status; none when there is no status yet or it is of a form that this version does not know.
    fn deserialize_lenient(status: &Value) -> Vec<Condition>;
}

impl ReadConditions for AnyStatus {
    fn deserialize_lenient(status: &Value) -> Vec<Condition> {
        serde_json::from_value::<Self>(status.clone()).map(|status| status.conditions).unwrap_or_default()
    }
}

/// Does a stored status say that the resource is ready, for that generation or a later one?
pub fn is_ready(status: &Value, generation: Generation) -> bool {
    AnyStatus::deserialize_lenient(status)
        .iter()
        .any(|c| c.kind == ConditionKind::Ready && c.is_true() && c.observed_generation >= generation)
}
