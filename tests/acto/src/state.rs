//! What there is: the objects in the Swarm and what every resource's status says, in words that do not depend on chance.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value as Json;
use skep_planner::naming::LABEL_RELEASE;

/// What statuses say of times, numbers of writes and passes.
const OF_TIME: [&str; 10] = [
    "lastTransitionTime",
    "transitionedAt",
    "lastObserved",
    "observedGeneration",
    "observedRevision",
    "reconcileId",
    "createdAt",
    "at",
    "since",
    "id",
];
/// Digits of a digest in the name of a secret's object.
const DIGEST: usize = 12;

/// What a ground found.
#[derive(Debug, Default)]
pub struct Found {
    /// Objects by kind and name: what each was told to be.
    pub objects: BTreeMap<String, Json>,
    /// Statuses by address.
    pub statuses: BTreeMap<String, Json>,
    /// Words that are given by chance, and what they stand for.
    pub words: BTreeMap<String, String>,
}

/// What there is, as single values by object and pointer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    leaves: BTreeMap<String, Json>,
}

impl State {
    /// Without words of chance and without times.
    pub fn of(found: &Found) -> Result<Self> {
        let mut leaves = BTreeMap::new();
        let plain = |json: &Json| -> Result<Json> {
            let text =
                found.words.iter().fold(json.to_string(), |text, (word, means)| text.replace(word, means));
            Ok(serde_json::from_str(&text)?)
        };
        for (name, object) in &found.objects {
            gather(&format!("object {name} "), &plain(object)?, &mut leaves);
        }
        for (key, status) in &found.statuses {
            gather(&format!("status {key} "), &plain(status)?, &mut leaves);
        }
        leaves.retain(|pointer, _| !is_of_time(pointer));
        Ok(Self { leaves })
    }

    /// The same without what depends on the way: the number of a release and of a secret's value, and digests, whose key is
    /// made at random for each organisation. Also without the number of instances of services that are left to whoever scales
    /// them: it stays as it was, by design.
    pub fn end(&self, left_to_others: &BTreeSet<String>) -> Self {
        let mut leaves = BTreeMap::new();
        for (pointer, value) in &self.leaves {
            let undeclared = left_to_others.iter().any(|service| {
                pointer.starts_with(&format!("object service {service} ")) && pointer.ends_with("/Replicas")
            });
            if undeclared || pointer.ends_with("/version") || is_count(pointer, left_to_others) {
                continue;
            }
            let value = match value {
                Json::String(text) => Json::from(without_release(&without_digests(text))),
                other => other.clone(),
            };
            leaves.insert(without_digests(pointer), value);
        }
        Self { leaves }
    }

    /// In what another differs from this, a line each.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pointers: BTreeSet<&String> = self.leaves.keys().chain(other.leaves.keys()).collect();
        let shown = |value: Option<&Json>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        pointers
            .into_iter()
            .filter(|pointer| self.leaves.get(*pointer) != other.leaves.get(*pointer))
            .map(|pointer| {
                format!(
                    "{pointer}: {} and {}",
                    shown(self.leaves.get(pointer)),
                    shown(other.leaves.get(pointer))
                )
            })
            .collect()
    }

    /// Is everything as it is wanted, as the statuses say?
    pub fn is_ready(&self) -> bool {
        let ready =
            |pointer: &str| pointer.starts_with("status ") && pointer.ends_with("/conditions/0/status");
        self.leaves
            .iter()
            .filter(|(pointer, _)| ready(pointer))
            .all(|(_, value)| value.as_str() == Some("True"))
    }

    /// The objects there are.
    pub fn objects(&self) -> BTreeSet<String> {
        let named =
            self.leaves.keys().filter_map(|pointer| pointer.strip_prefix("object ")?.split_once(" /"));
        named.map(|(name, _)| name.to_owned()).collect()
    }
}

fn gather(at: &str, value: &Json, leaves: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                gather(&format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), field, leaves);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                gather(&format!("{at}/{index}"), item, leaves);
            }
        }
        other => drop(leaves.insert(at.to_owned(), other.clone())),
    }
}

fn is_of_time(pointer: &str) -> bool {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    let release = LABEL_RELEASE.replace('/', "~1");
    let is_status = pointer.starts_with("status ");
    (is_status && (OF_TIME.contains(&last) || pointer.ends_with("/release/version")))
        || pointer.ends_with(&format!("/Labels/{release}"))
}

/// A number in a status that counts instances of a service whose number is nobody's.
fn is_count(pointer: &str, left_to_others: &BTreeSet<String>) -> bool {
    let Some((address, at)) = pointer.strip_prefix("status ").and_then(|rest| rest.split_once(" /")) else {
        return false;
    };
    let mut parts = address.split('/');
    let (org, name) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    left_to_others.iter().any(|service| {
        service
            .strip_prefix(&format!("{org}_{name}_"))
            .is_some_and(|process| at.starts_with(&format!("processes/{process}/")))
    })
}

/// Every run of twelve hexadecimal digits after an underscore is one of a digest.
fn without_digests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits == DIGEST {
            out.push_str("<digest>");
            rest = after.split_at(DIGEST).1;
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Statuses name the release that runs by its number.
fn without_release(text: &str) -> String {
    match text.split_once("release v") {
        Some((before, after)) => {
            format!("{before}release v{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_from_names() {
        assert_eq!(without_digests("acme_token_0123456789ab x_y"), "acme_token_<digest> x_y");
        assert_eq!(without_digests("acme_prod_web"), "acme_prod_web");
    }
}
