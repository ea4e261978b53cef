//! What a run has come to: everything in the Swarm and in the store that may not depend on what went wrong on the way.
//!
//! Left out are times, versions, revisions and ids, and what a service was before: an edit that changes nothing makes the spec its own
//! predecessor. Of the journal only that nothing in it is open counts; how many attempts there were is what faults are about.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};
use skep_planner::naming::{CLAIM, LABEL_ROLE, ROLE_EDGE};
use skep_planner::swarm::TaskState;
use skep_swarm::{By, LabelFilter, SwarmApi, TaskFilter};

use crate::faulty::Made;
use crate::names::Names;
use crate::world::World;

/// Fields of statuses that tell when and by whom, not what.
const OF_TIME: [&str; 8] = [
    "lastTransitionTime",
    "lastObserved",
    "observedRevision",
    "reconcileId",
    "createdAt",
    "at",
    "since",
    "startedAt",
];

/// Parts of the store, each as a query for its rows.
const STORED: [(&str, &str); 14] = [
    (
        "resource",
        "SELECT org, kind, name, spec, labels, annotations, refs, generation, finalizers, deletion_requested_at IS NOT NULL AS deleting,
                managed_by, pause IS NOT NULL AS paused FROM resource",
    ),
    (
        "status",
        "SELECT r.org, r.kind, r.name, s.observed_generation, s.status FROM resource_status s JOIN resource r USING (uid)",
    ),
    (
        "inventory",
        "SELECT r.org, r.kind AS owner, r.name AS of, i.kind, i.name, i.object_id IS NOT NULL AS known, i.sent_release, i.address,
                i.applied FROM inventory i JOIN resource r ON r.uid = i.owner",
    ),
    (
        "release",
        "SELECT r.org, r.name, l.version, l.content, l.why, l.verdict FROM release l JOIN resource r ON r.uid = l.env_uid",
    ),
    ("open plan", "SELECT key, generation FROM plan WHERE finished_at IS NULL"),
    ("open step", "SELECT plan, index FROM plan_step WHERE state IN ('planned', 'started')"),
    ("subnet", "SELECT r.name, a.subnet FROM subnet_allocation a JOIN resource r ON r.uid = a.org_uid"),
    ("claim", "SELECT d.host, r.org, r.name FROM domain_claim d JOIN resource r USING (uid)"),
    ("secret version", "SELECT r.org, r.name, v.version FROM secret_version v JOIN resource r USING (uid)"),
    ("key", "SELECT r.name FROM organization_key k JOIN resource r ON r.uid = k.org_uid"),
    ("drift", "SELECT org, kind, name, object_name, pointer, class, response FROM drift WHERE ended_at IS NULL"),
    ("hold", "SELECT reason, why FROM hold WHERE settled_at IS NULL"),
    ("orphan", "SELECT kind, name FROM orphan"),
    ("unstamped", "SELECT seq FROM change_log WHERE revision IS NULL"),
];

/// What a run has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    parts: BTreeMap<String, Vec<String>>,
}

impl Picture {
    /// A world as it is now.
    pub(crate) async fn of(world: &mut World, names: &Names) -> Result<Self> {
        let mut parts = BTreeMap::new();
        for (part, query) in STORED {
            let mut rows = Vec::new();
            for row in world.database.rows(query).await? {
                rows.push(names.plain_value(&without_times(row))?.to_string());
            }
            rows.sort();
            parts.insert(part.to_owned(), rows);
        }
        for (part, values) in in_swarm(world).await? {
            let mut plain = Vec::new();
            for value in values {
                plain.push(names.plain_value(&value)?.to_string());
            }
            plain.sort();
            parts.insert(part.to_owned(), plain);
        }
        Ok(Self { parts })
    }

    /// Adds what was done to each object on the way.
    pub(crate) fn with_effects(mut self, made: &[Made], names: &Names) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for made in made.iter().filter(|made| made.effect) {
            *counts.entry(names.plain(&format!("{} {}", made.verb.as_str(), made.object))).or_default() += 1;
        }
        let counts = counts.into_iter().map(|(what, count)| format!("{count} x {what}")).collect();
        self.parts.insert("effects".to_owned(), counts);
        self
    }

    /// The end alone, for workflows whose acts overtake each other: how many releases there were, and which number the last has, depends
    /// on which of them were ever acted on.
    pub(crate) fn of_the_end(mut self) -> Result<Self> {
        self.parts.remove("effects");
        let mut newest: BTreeMap<String, (i64, Value)> = BTreeMap::new();
        for row in self.parts.remove("release").unwrap_or_default() {
            let row: Value = serde_json::from_str(&row)?;
            let (of, version) =
                (format!("{}/{}", row["org"], row["name"]), row["version"].as_i64().unwrap_or(0));
            if newest.get(&of).is_none_or(|(known, _)| *known < version) {
                newest.insert(of, (version, row));
            }
        }
        let last: BTreeSet<i64> = newest.values().map(|(version, _)| *version).collect();
        for rows in self.parts.values_mut() {
            for row in &mut *rows {
                *row = unnumbered(serde_json::from_str(row)?, &last).to_string();
            }
            rows.sort();
        }
        // Why it was made tells from what.
        let content =
            |(of, (_, row)): (String, (i64, Value))| format!("{of} {} {}", row["content"], row["verdict"]);
        self.parts.insert("release".to_owned(), newest.into_iter().map(content).collect());
        Ok(self)
    }

    /// In what another differs from this, one line each.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (part, ours) in &self.parts {
            let theirs = other.parts.get(part).map(Vec::as_slice).unwrap_or_default();
            lines.extend(
                ours.iter().filter(|row| !theirs.contains(row)).map(|row| format!("- {part}: {row}")),
            );
            lines.extend(
                theirs.iter().filter(|row| !ours.contains(row)).map(|row| format!("+ {part}: {row}")),
            );
        }
        lines
    }

    /// The rows of one part.
    pub fn part(&self, name: &str) -> &[String] {
        self.parts.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

async fn in_swarm(world: &World) -> Result<Vec<(&'static str, Vec<Value>)>> {
    let (swarm, any) = (world.swarm(), LabelFilter::any());
    let services = swarm.list_services(&any).await?;
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    for task in swarm.list_tasks(&TaskFilter::default()).await? {
        let service = services.iter().find(|service| Some(&service.id) == task.service_id.as_ref());
        if let Some(service) = service
            && task.status.state == Some(TaskState::Running)
        {
            *tasks.entry(service.spec.name.clone()).or_default() += 1;
        }
    }
    let running = tasks.into_iter().map(|(service, count)| json!({"service": service, "running": count}));
    let mut specs = Vec::new();
    for service in &services {
        specs.push(serde_json::to_value(&service.spec)?);
    }
    let mut secrets = Vec::new();
    for secret in swarm.list_secrets(&any).await? {
        secrets.push(serde_json::to_value(&secret.spec)?);
    }
    let networks = swarm.list_networks(&any).await?;
    let networks =
        networks.iter().map(|one| json!({"name": one.name, "labels": one.labels, "ipam": one.ipam}));
    let claim = swarm.inspect_config(By::Name(CLAIM)).await?;
    let claim = claim.iter().map(|claim| json!({"keys": claim.spec.labels.keys().collect::<Vec<_>>()}));
    let mut attached = Vec::new();
    let edge = swarm.list_services(&LabelFilter::any().with(LABEL_ROLE, ROLE_EDGE)).await?;
    let edge = edge.first().map(|edge| edge.id.to_string()).unwrap_or_default();
    // Others' addresses are the Swarm's to give.
    let of_edge = LabelFilter::any().with("com.docker.swarm.service.id", edge);
    for container in swarm.list_containers(&of_edge).await? {
        for network in container.network_settings.networks.values() {
            attached.push(json!({"network": network.network_id, "address": network.ip_address}));
        }
    }
    Ok(vec![
        ("service in the Swarm", specs),
        ("secret in the Swarm", secrets),
        ("network in the Swarm", networks.collect()),
        ("claim on the Swarm", claim.collect()),
        ("attachment in the Swarm", attached),
        ("tasks in the Swarm", running.collect()),
    ])
}

/// The same with a word in place of the number of a newest release.
fn unnumbered(value: Value, newest: &BTreeSet<i64>) -> Value {
    const NEWEST: &str = "the newest";
    let plain = |word: &str| {
        let number = word.strip_prefix('v').and_then(|number| number.parse().ok());
        if number.is_some_and(|number| newest.contains(&number)) {
            NEWEST.to_owned()
        } else {
            word.to_owned()
        }
    };
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (String, Value)| match (key.as_str(), value.as_i64()) {
                ("sent_release" | "version", Some(number)) if newest.contains(&number) => {
                    (key, json!(NEWEST))
                }
                _ => (key, unnumbered(value, newest)),
            };
            Value::Object(map.into_iter().map(entry).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| unnumbered(item, newest)).collect(),
        // In labels it stands alone, in messages among words.
        Value::String(text) => text.split(' ').map(plain).collect::<Vec<_>>().join(" ").into(),
        plain => plain,
    }
}

fn without_times(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(key, _)| !OF_TIME.contains(&key.as_str()))
                .map(|(key, value)| (key, without_times(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_times).collect()),
        plain => plain,
    }
}
