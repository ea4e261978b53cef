//! Waiting until resources are as they should be, or cannot become so.
//!
//! [`judge`] looks at one resource and one goal; a [`Tracker`] holds what has been seen of all that are waited for and sums up.
//! Both are pure: what they say depends on what they were shown, never on a clock or a connection. [`run`] feeds a tracker from
//! watches until it says that the wait is over, or the time is.
//!
//! Guarantees: only a report about the wanted generation, or a later one, is believed (invariant I15); a goal that can no
//! longer be reached ends the wait at once, with the reason; everything must hold at the same time.

use std::collections::BTreeMap;

use skep_api::wire::ResourceView;
use skep_schemas::condition::ConditionKind;
use skep_schemas::{Generation, ResourceKey, Revision, Uid};

use crate::address::key_of;
use crate::output::phase::{Phase, Report, condition};
use crate::output::resources::last_errors;

pub(crate) mod progress;
pub(crate) mod run;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It is as its spec says.
    Ready,
    /// It is gone.
    Deleted,
    /// A condition holds.
    Condition(ConditionKind),
}

/// One resource that is waited for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// What is waited for.
    pub(crate) goal: Goal,
    /// The identity, when only this one counts.
    pub(crate) uid: Option<Uid>,
    /// The generation that a report has to speak of; the resource's own when absent.
    pub(crate) generation: Option<Generation>,
    /// The newest write among the resource and what it refers to. A report that names an older state than this rests on what
    /// was before.
    pub(crate) inputs: Option<Revision>,
}

impl Target {
    /// Waits for a goal of whatever has the name.
    pub(crate) const fn named(goal: Goal) -> Self {
        Self { goal, uid: None, generation: None, inputs: None }
    }
}

/// What has been seen of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Nothing has been heard yet.
    Nothing,
    /// It does not exist.
    Absent,
    /// It is this.
    Present(Box<ResourceView>),
}

/// What is to be thought of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Not yet; this is what it waits for.
    Waiting(String),
    /// The goal is reached.
    Reached,
    /// The goal will not be reached by waiting; this is why.
    Failed(String),
}

/// Looks at one resource.
pub(crate) fn judge(target: &Target, seen: &Seen) -> Judgement {
    let waiting = |text: &str| Judgement::Waiting(text.to_owned());
    let view = match (seen, target.goal) {
        (Seen::Nothing, _) => return waiting("the server has not told about it yet"),
        (Seen::Absent, Goal::Deleted) => return Judgement::Reached,
        (Seen::Absent, Goal::Ready | Goal::Condition(_)) if target.uid.is_some() => {
            return Judgement::Failed("it was deleted in the meantime".to_owned());
        }
        (Seen::Absent, Goal::Ready | Goal::Condition(_)) => return waiting("it does not exist yet"),
        (Seen::Present(view), _) => view,
    };
    let replaced = target.uid.is_some_and(|uid| uid != view.metadata.uid);
    match target.goal {
        Goal::Deleted if replaced => Judgement::Reached,
        Goal::Deleted => Judgement::Waiting(deletion(view)),
        Goal::Ready | Goal::Condition(_) if replaced => {
            Judgement::Failed("it was deleted in the meantime, and another one has its name".to_owned())
        }
        Goal::Ready => report(target, view, ConditionKind::Ready),
        Goal::Condition(kind) => report(target, view, kind),
    }
}

/// A deletion never counts as failed: the stalled report of a broken resource stays until its deletion has begun.
fn deletion(view: &ResourceView) -> String {
    let phase = Phase::of(view);
    match (view.metadata.deletion_requested_at.is_some(), phase.message.is_empty()) {
        (false, _) => "it exists, and nobody has asked for its deletion".to_owned(),
        (true, true) => phase.short(),
        (true, false) => format!("{}: {}", phase.short(), phase.message),
    }
}

fn report(target: &Target, view: &ResourceView, wanted: ConditionKind) -> Judgement {
    if view.metadata.deletion_requested_at.is_some() {
        return Judgement::Failed("it is being deleted".to_owned());
    }
    let status = match Report::of(view) {
        Report::None => return Judgement::Waiting("the controller has not reported yet".to_owned()),
        Report::Unreadable => {
            return Judgement::Failed(
                "its status cannot be read: the server's version is another one".to_owned(),
            );
        }
        Report::Status(status) => status,
    };
    let generation = target.generation.unwrap_or(view.metadata.generation);
    let behind = target.inputs.is_some_and(|inputs| status.observed_revision < inputs);
    if status.observed_generation < generation || behind {
        return Judgement::Waiting("the controller has not come to the last change yet".to_owned());
    }
    let holds = |kind| condition(&status, kind, generation).filter(|condition| condition.is_true());
    if wanted != ConditionKind::Ready && holds(wanted).is_some() {
        return Judgement::Reached;
    }
    if let Some(stalled) = holds(ConditionKind::Stalled) {
        let errors: String = last_errors(view).iter().map(|error| format!("; {error}")).collect();
        return Judgement::Failed(format!("{}: {}{errors}", stalled.reason, stalled.message));
    }
    if holds(wanted).is_some() {
        return Judgement::Reached;
    }
    let told = holds(ConditionKind::Progressing).or(condition(&status, ConditionKind::Ready, generation));
    Judgement::Waiting(told.map_or_else(
        || "the controller has not reported yet".to_owned(),
        |condition| format!("{}: {}", condition.reason, condition.message),
    ))
}

/// How a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something is still waited for.
    Open,
    /// Every goal is reached.
    Reached,
    /// At least one will not be.
    Failed,
}

/// Everything that is waited for, with what has been seen of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker {
    targets: Vec<(ResourceKey, Target, Seen)>,
    places: BTreeMap<ResourceKey, usize>,
}

impl Tracker {
    /// Adds a resource; a second target for the same one takes the place of the first.
    pub(crate) fn add(&mut self, key: ResourceKey, target: Target, seen: Seen) {
        match self.places.get(&key).and_then(|place| self.targets.get_mut(*place)) {
            Some(entry) => *entry = (key, target, seen),
            None => {
                self.places.insert(key.clone(), self.targets.len());
                self.targets.push((key, target, seen));
            }
        }
    }

    /// All keys, in the order they were added.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ResourceKey> {
        self.targets.iter().map(|(key, _, _)| key)
    }

    /// A resource is as shown.
    pub(crate) fn see(&mut self, view: ResourceView) {
        if let Some(seen) = key_of(&view).and_then(|key| self.seen(&key)) {
            *seen = Seen::Present(Box::new(view));
        }
    }

    /// The resource of this identity is gone.
    pub(crate) fn gone(&mut self, key: &ResourceKey, uid: Uid) {
        if let Some(seen) = self.seen(key) {
            // A successor that has been seen already is not gone.
            if !matches!(seen, Seen::Present(view) if view.metadata.uid != uid) {
                *seen = Seen::Absent;
            }
        }
    }

    /// Of the resources that `covers` says yes to, these are all that there are.
    pub(crate) fn snapshot(&mut self, covers: impl Fn(&ResourceKey) -> bool, views: Vec<ResourceView>) {
        for (key, _, seen) in &mut self.targets {
            if covers(key) {
                *seen = Seen::Absent;
            }
        }
        for view in views {
            self.see(view);
        }
    }

    fn seen(&mut self, key: &ResourceKey) -> Option<&mut Seen> {
        let place = *self.places.get(key)?;
        self.targets.get_mut(place).map(|(_, _, seen)| seen)
    }

    /// Each resource with what has been seen and what is to be thought of it.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = (&ResourceKey, &Seen, Judgement)> {
        self.targets.iter().map(|(key, target, seen)| (key, seen, judge(target, seen)))
    }

    /// How the wait stands.
    pub(crate) fn standing(&self) -> Standing {
        let mut standing = Standing::Reached;
        for (_, _, judgement) in self.judgements() {
            match judgement {
                Judgement::Failed(_) => return Standing::Failed,
                Judgement::Waiting(_) => standing = Standing::Open,
                Judgement::Reached => {}
            }
        }
        standing
    }

    /// One line for each resource that is not as it should be.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let lines = self.judgements().filter_map(|(key, _, judgement)| match judgement {
            Judgement::Reached => None,
            Judgement::Waiting(why) | Judgement::Failed(why) => Some(format!("{key}: {why}")),
        });
        lines.collect()
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
