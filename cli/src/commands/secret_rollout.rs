//! Waiting for a new value of a secret: first until every environment that names it runs a release with it, then until the former values
//! are gone from the Swarm. Says what it waits for whenever that changes.

use std::time::{Duration, Instant};

use anyhow::Result;
use skep_api::wire::{SecretRotated, SecretWhere};
use skep_schemas::{Kind, ResourceKey, ResourceName};

use super::{Outcome, apply};
use crate::address::key_of;
use crate::client::Client;
use crate::output::text::harmless;
use crate::wait::progress::Display;
use crate::wait::run::{End, run as wait};
use crate::wait::{Goal, Seen, Target, Tracker};

/// Between two looks at what is left of former values. No watch tells of that.
const LOOK: Duration = Duration::from_secs(1);

/// Waits for it.
pub(super) async fn until_retired(
    client: &Client,
    path: &str,
    rotated: &SecretRotated,
    timeout: Duration,
) -> Result<Outcome> {
    let deadline = Instant::now() + timeout;
    let path = format!("{path}/where");
    let used: SecretWhere = client.get(&path).await?;
    let tracker = tracker(rotated, &used.environments);
    let end = wait(client, tracker, timeout, Display::for_stderr(timeout)).await?;
    if end != End::Reached {
        return Ok(apply::conclude(&end, timeout));
    }
    let mut told = Vec::new();
    loop {
        let left = left(&client.get(&path).await?, rotated.version);
        if left.is_empty() {
            return Ok(Outcome::Done);
        }
        if Instant::now() >= deadline {
            return Ok(apply::conclude(&End::TimedOut(left), timeout));
        }
        if left != told {
            left.iter().for_each(|line| eprintln!("waiting: {}", harmless(line)));
            told = left;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The secret, and every environment that names it, ready by reports that know of the new value.
fn tracker(rotated: &SecretRotated, environments: &[ResourceName]) -> Tracker {
    let mut tracker = Tracker::default();
    let secret = &rotated.resource;
    let Some(key) = key_of(secret) else { return tracker };
    let of_revision = |goal| Target { inputs: Some(secret.metadata.revision), ..Target::named(goal) };
    let own = Target { generation: Some(secret.metadata.generation), ..of_revision(Goal::Ready) };
    tracker.add(key.clone(), own, Seen::Nothing);
    for name in environments {
        if let Ok(environment) = ResourceKey::new(key.scope().clone(), Kind::Environment, name.clone()) {
            tracker.add(environment, of_revision(Goal::Ready), Seen::Nothing);
        }
    }
    tracker
}

/// What is left of former values, a line each.
fn left(used: &SecretWhere, version: u32) -> Vec<String> {
    // Somebody else may have changed it again: then ours is a former value by now, and goes as they do.
    let current = used.current.map_or(version, |current| current.max(version));
    let former = used.objects.iter().filter(|object| object.version != Some(current));
    let why = |name: &str| {
        let needed = used.uses.iter().filter(|one| one.needed && one.object == name);
        let mut users: Vec<String> =
            needed.map(|one| format!("release v{} of {}", one.release, one.environment)).collect();
        users.dedup();
        if users.is_empty() {
            "it is being removed".to_owned()
        } else {
            format!("{} needs it", users.join(", "))
        }
    };
    former.map(|object| format!("{} holds a former value: {}", object.name, why(&object.name))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_former_value_is_waited_for_with_the_releases_that_need_it() {
        let used = |needed: bool, objects: serde_json::Value| -> SecretWhere {
            serde_json::from_value(json!({
                "current": 2, "environments": ["prod"], "objects": objects,
                "uses": [{"environment": "prod", "release": 3, "verdict": "succeeded", "version": 1, "object": "old",
                          "file": "db", "processes": ["web"], "needed": needed}],
            }))
            .unwrap()
        };
        let both = json!([{"name": "new", "version": 2}, {"name": "old", "version": 1}]);
        assert_eq!(
            left(&used(true, both.clone()), 2),
            ["old holds a former value: release v3 of prod needs it"]
        );
        assert_eq!(left(&used(false, both), 2), ["old holds a former value: it is being removed"]);
        // Its value is not kept any more, and its object is there still.
        assert_eq!(left(&used(false, json!([{"name": "older"}])), 2).len(), 1);
        assert!(left(&used(false, json!([{"name": "new", "version": 2}])), 2).is_empty());
    }
}
