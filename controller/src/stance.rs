//! How Skep stands to the drift of a resource at this moment: its policy, a pause of it or of what it is part of, and its history.

use jiff::Timestamp;
use skep_planner::drift::{FIGHT_WINDOW, Response, Stance};
use skep_schemas::kind::DriftPolicySpec;
use skep_schemas::{AnySpec, Kind, Meta, OrgName, Pause, ResourceKey};
use skep_store::{Snapshot, StoreError};

use crate::wake::fairness_group;

/// The stance to a resource. `within` is what it is part of, nearest first: who pauses an app or an organisation means what runs it or
/// is in it.
pub(crate) async fn of(
    snapshot: &mut Snapshot,
    meta: &Meta,
    within: &[Option<&Meta>],
    now: Timestamp,
) -> Result<Stance, StoreError> {
    let org = fairness_group(&meta.key);
    let mut stance = Stance::of_policy(policy(snapshot, org.as_ref(), &meta.key).await?.as_ref());
    let history = snapshot.drift_of(meta.uid, FIGHT_WINDOW, meta.retried_at).await?;
    stance.corrections = history.corrections;
    stance.standing = !history.open.is_empty();
    stance.given_up = history
        .open
        .into_iter()
        .filter(|(_, _, response)| *response == Response::GiveUp)
        .map(|(object, pointer, _)| (object, pointer))
        .collect();
    let pause = |meta| pause(meta, now);
    stance.pause = pause(meta).or_else(|| within.iter().copied().flatten().find_map(pause));
    Ok(stance)
}

/// The pause that is on a resource itself and holds at that time.
fn pause(meta: &Meta, now: Timestamp) -> Option<(String, Pause)> {
    let pause = meta.pause.clone().filter(|pause| pause.holds(now))?;
    Some((meta.key.to_string(), pause))
}

/// The policy of an environment, or else that of its organisation; the first by name of several.
async fn policy(
    snapshot: &mut Snapshot,
    org: Option<&OrgName>,
    key: &ResourceKey,
) -> Result<Option<DriftPolicySpec>, StoreError> {
    let Some(org) = org else { return Ok(None) };
    let environment = (key.kind() == Kind::Environment).then(|| key.name());
    let mut of_org = None;
    for policy in snapshot.list_org(org, Kind::DriftPolicy).await? {
        let AnySpec::DriftPolicy(spec) = policy.spec else { continue };
        if policy.meta.is_deleting() {
            continue;
        }
        match (&spec.environment, environment) {
            (Some(named), Some(own)) if named == own => return Ok(Some(*spec)),
            (None, _) => of_org = of_org.or(Some(*spec)),
            (Some(_), _) => {}
        }
    }
    Ok(of_org)
}
