//! Holds: what was found, how far it reaches, and what it takes out of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::blocked::Blocked;
use crate::plan::Plan;

/// The most pieces of evidence that a hold keeps: enough for a person to recognise the situation.
pub(super) const EVIDENCE_MAX: usize = 20;

/// Why the loop is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldReason {
    /// The Swarm belongs to another Skep instance, or this one looks at an empty or a wrong database.
    SecondInstance,
    /// The database is older than the Swarm: it was restored from a backup, or a failover lost what was written last.
    RestoredDatabase,
    /// More would be removed than is usual.
    TooManyRemovals,
}

impl HoldReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::SecondInstance, Self::RestoredDatabase, Self::TooManyRemovals];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondInstance => "second-instance",
            Self::RestoredDatabase => "restored-database",
            Self::TooManyRemovals => "too-many-removals",
        }
    }

    /// The reason of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// How far it reaches.
    pub const fn scope(self) -> HoldScope {
        match self {
            Self::SecondInstance | Self::RestoredDatabase => HoldScope::Everything,
            Self::TooManyRemovals => HoldScope::Removals,
        }
    }

    /// What confirming it does, for the one who is asked.
    pub const fn on_confirm(self) -> &'static str {
        match self {
            Self::SecondInstance => {
                "this instance takes the Swarm over; another one that is still alive stops and goes on hold"
            }
            Self::RestoredDatabase => {
                "Skep goes on with what this database knows: newer releases are replaced by its own, and objects that it does not \
                 know are collected after the grace period"
            }
            Self::TooManyRemovals => "everything that is marked for deletion now is removed",
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a hold reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldScope {
    /// Nothing in the Swarm is changed.
    Everything,
    /// Nothing is removed; creating and updating go on.
    Removals,
}

impl HoldScope {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Removals => "removals",
        }
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was found and looks like a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The sort of mistake.
    pub reason: HoldReason,
    /// What it is about, exactly: a confirmation is good for this and nothing else. The other instance, or the store's epoch.
    pub subject: String,
    /// In words.
    pub why: String,
    /// What was seen, one by one; the first of them.
    pub evidence: Vec<String>,
}

/// A hold that is in force, as far as planning is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its number; none for one that would come into force if a preview were carried out.
    pub id: Option<i64>,
    /// How far it reaches.
    pub scope: HoldScope,
    /// In words.
    pub why: String,
}

/// Takes out of a plan what a hold forbids, and says so in it.
pub fn restrain(plan: &mut Plan, hold: &InForce) {
    let restrained = match hold.scope {
        HoldScope::Everything => stop(plan),
        HoldScope::Removals => {
            let before = plan.steps.len();
            plan.steps.retain(|step| !step.op.removes());
            plan.steps.len() < before
        }
    };
    if restrained {
        // First, because it explains the others.
        plan.blocked.insert(0, Blocked::SafetyHold { hold: hold.id.unwrap_or(0), why: hold.why.clone() });
    }
}

/// A plan of a wrong database is wrong as a whole: its releases and verdicts as much as its steps.
fn stop(plan: &mut Plan) -> bool {
    if plan.is_quiet() && plan.blocked.is_empty() {
        return false;
    }
    plan.release = None;
    plan.phase = None;
    plan.verdicts.clear();
    plan.schedules.clear();
    plan.steps.clear();
    plan.learned.clear();
    plan.forget.clear();
    plan.finalized = false;
    true
}

#[cfg(test)]
mod tests {
    use skep_schemas::{Generation, OrgName, ResourceKey, Uid};

    use super::*;
    use crate::swarm::{NetworkCreate, ServiceId};
    use crate::{Cost, ObjectKind, ObjectRef, Op, Step};

    fn plan() -> Plan {
        let key = ResourceKey::organization(&"acme".parse::<OrgName>().unwrap());
        let step = |op| Step::new(ObjectRef::new(ObjectKind::Service, "x"), op, "", Cost::Create);
        let mut plan = Plan::empty(key, Uid::generate(), Generation::new(1));
        plan.steps = vec![
            step(Op::CreateNetwork { spec: Box::new(NetworkCreate::default()) }),
            step(Op::RemoveService { id: ServiceId::from("s") }),
        ];
        plan.forget = vec![ObjectRef::new(ObjectKind::Service, "y")];
        plan.finalized = true;
        plan
    }

    fn hold(scope: HoldScope) -> InForce {
        InForce { id: Some(7), scope, why: "test".to_owned() }
    }

    #[test]
    fn a_hold_on_everything_leaves_nothing_of_a_plan_but_the_reason() {
        let mut plan = plan();
        restrain(&mut plan, &hold(HoldScope::Everything));
        assert!(plan.is_quiet());
        assert!(matches!(&plan.blocked[..], [Blocked::SafetyHold { hold: 7, .. }]));
    }

    #[test]
    fn a_hold_on_removals_lets_everything_else_pass() {
        let mut plan = plan();
        restrain(&mut plan, &hold(HoldScope::Removals));
        assert!(matches!(&plan.steps[..], [Step { op: Op::CreateNetwork { .. }, .. }]));
        assert!(matches!(&plan.blocked[..], [Blocked::SafetyHold { .. }]));
        let mut creates = plan.clone();
        creates.blocked.clear();
        restrain(&mut creates, &hold(HoldScope::Removals));
        assert!(creates.blocked.is_empty());
    }

    #[test]
    fn a_plan_that_has_nothing_to_do_is_not_held() {
        let mut quiet = Plan { steps: Vec::new(), forget: Vec::new(), finalized: false, ..plan() };
        restrain(&mut quiet, &hold(HoldScope::Everything));
        assert!(quiet.blocked.is_empty());
    }

    #[test]
    fn every_reason_reads_back_from_its_word() {
        for reason in HoldReason::ALL {
            assert_eq!(HoldReason::from_word(reason.as_str()), Some(reason));
        }
    }
}
