//! What is drawn at random, under names that are the same in every run.
//!
//! Uids, digests of sealed values and the instance's id differ between runs; the engine's ids depend on the order of calls, and which
//! organisation gets which subnet on the order of passes. For comparing runs each is replaced, wherever it stands, by what it stands
//! for.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;
use skep_swarm::{LabelFilter, SwarmApi};

use crate::world::World;

/// Random words and what they stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// Learns what there is in a world now; what it knew before it keeps.
    pub(crate) async fn learn(&mut self, world: &mut World) -> Result<()> {
        let stored = "SELECT id AS word, 'instance' AS means FROM instance
             UNION ALL SELECT uid::text, 'uid of ' || org || '/' || kind || '/' || name FROM resource
             UNION ALL SELECT replace(uid::text, '-', ''), 'uid of ' || org || '/' || kind || '/' || name FROM resource
             UNION ALL SELECT regexp_replace(host(a.subnet), '[0-9]+$', ''), 'subnet of ' || r.name
                 FROM subnet_allocation a JOIN resource r ON r.uid = a.org_uid
             UNION ALL SELECT left(encode(v.digest, 'hex'), 12), 'value ' || v.version || ' of ' || r.org || '/' || r.name
                 FROM secret_version v JOIN resource r USING (uid)
             UNION ALL SELECT encode(v.digest, 'hex'), 'value ' || v.version || ' of ' || r.org || '/' || r.name
                 FROM secret_version v JOIN resource r USING (uid)";
        for row in world.database.rows(stored).await? {
            let text = |name: &str| row[name].as_str().map(str::to_owned).unwrap_or_default();
            self.0.insert(text("word"), format!("<{}>", text("means")));
        }
        let (swarm, any) = (world.swarm.clone(), LabelFilter::any());
        for service in swarm.list_services(&any).await? {
            self.0.insert(service.id.to_string(), format!("<id of service {}>", service.spec.name));
        }
        for secret in swarm.list_secrets(&any).await? {
            self.0.insert(secret.id.to_string(), format!("<id of secret {}>", secret.spec.name));
        }
        for network in swarm.list_networks(&any).await? {
            self.0.insert(network.id.to_string(), format!("<id of network {}>", network.name));
        }
        Ok(())
    }

    /// A text without random words.
    pub(crate) fn plain(&self, text: &str) -> String {
        // Ids stand for names that have digests in them, so those come last.
        let (ids, others): (Vec<_>, Vec<_>) = self.0.iter().partition(|(_, means)| means.starts_with("<id"));
        ids.into_iter().chain(others).fold(text.to_owned(), |text, (word, means)| {
            if word.is_empty() || !text.contains(word.as_str()) { text } else { text.replace(word, means) }
        })
    }

    /// A value without random words, its maps in the order of their keys.
    pub(crate) fn plain_value(&self, value: &Value) -> Result<Value> {
        let plain: Value = serde_json::from_str(&self.plain(&value.to_string()))?;
        Ok(sorted(plain))
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}
