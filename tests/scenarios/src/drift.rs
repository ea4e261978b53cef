//! What Postgres would keep about drift: what stands, and what was corrected when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_planner::drift::{FIGHT_WINDOW, Response, Stance};
use skep_planner::{Drift, ObjectRef};
use skep_schemas::kind::DriftPolicySpec;
use skep_schemas::{Kind, OrgName, Resource, ResourceKey};

use crate::store::Store;

type Field = (ObjectRef, String);

/// The drift of one resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    open: BTreeMap<Field, Response>,
    corrected: Vec<(Field, Timestamp)>,
}

impl History {
    /// Everything that differs now.
    pub(crate) fn note(&mut self, drift: &[Drift], complete: bool, now: Timestamp) {
        let seen: BTreeMap<Field, Response> = drift
            .iter()
            .map(|drift| ((drift.object.clone(), drift.pointer.clone()), drift.response))
            .collect();
        for (field, response) in std::mem::replace(&mut self.open, seen) {
            if !complete {
                self.open.entry(field).or_insert(response);
            } else if response == Response::Correct && !self.open.contains_key(&field) {
                self.corrected.push((field, now));
            }
        }
    }

    /// Somebody asked to try again.
    pub(crate) fn retry(&mut self) {
        self.corrected.clear();
        self.open.retain(|_, response| *response != Response::GiveUp);
    }

    /// These objects were put right.
    pub(crate) fn put_right(&mut self, object: &ObjectRef, now: Timestamp) {
        let Self { open, corrected } = self;
        open.retain(|field, response| {
            let put_right = field.0 == *object && *response == Response::Correct;
            if put_right {
                corrected.push((field.clone(), now));
            }
            !put_right
        });
    }
}

/// How the planner is to take the drift of a resource.
pub(crate) fn stance(store: &Store, key: &ResourceKey, app: Option<&ResourceKey>) -> Stance {
    let org = key.org().cloned().or_else(|| OrgName::try_from(key.name()).ok());
    let mut stance = Stance::of_policy(policy(store, org.as_ref(), key).as_ref());
    let now = store.now();
    let organization = org.map(|org| ResourceKey::organization(&org));
    stance.pause = [Some(key), app, organization.as_ref()].into_iter().flatten().find_map(|key| {
        let pause = store.get(key)?.meta.pause.clone().filter(|pause| pause.holds(now))?;
        Some((key.to_string(), pause))
    });
    let Some(history) = store.get(key).and_then(|resource| store.drift(resource.meta.uid)) else {
        return stance;
    };
    for (field, at) in &history.corrected {
        if now.duration_since(*at) < FIGHT_WINDOW {
            *stance.corrections.entry(field.clone()).or_default() += 1;
        }
    }
    let given_up = history.open.iter().filter(|(_, response)| **response == Response::GiveUp);
    stance.given_up = given_up.map(|(field, _)| field.clone()).collect();
    stance.standing = !history.open.is_empty();
    stance
}

fn policy(store: &Store, org: Option<&OrgName>, key: &ResourceKey) -> Option<DriftPolicySpec> {
    let policies =
        store.keys().into_iter().filter(|found| found.kind() == Kind::DriftPolicy && found.org() == org);
    let specs: Vec<DriftPolicySpec> = policies
        .filter_map(|key| store.typed::<DriftPolicySpec>(&key))
        .map(|Resource { spec, .. }| spec)
        .collect();
    let own = specs
        .iter()
        .find(|spec| key.kind() == Kind::Environment && spec.environment.as_ref() == Some(key.name()));
    own.or_else(|| specs.iter().find(|spec| spec.environment.is_none())).cloned()
}
