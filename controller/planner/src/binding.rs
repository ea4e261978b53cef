//! Bindings: what a plan was made from, so that it can be refused when that has moved.
//!
//! A binding names every stored resource that a plan read, with its revision, and every object of the Swarm that it looked at, with
//! its id and version index. Two bindings of the same things at different times differ in exactly what has moved. It says nothing
//! about what the plan does: whoever carries a bound plan out plans again, from the same state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName, Revision, Scope, Uid};

use crate::inventory::{ObjectKind, ObjectRef};

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    /// The stored resources that it read, in order.
    pub resources: Vec<BoundResource>,
    /// The objects of the Swarm that it looked at, in order.
    pub objects: Vec<BoundObject>,
}

/// A stored resource at one moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundResource {
    /// The organisation; absent for platform kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: ResourceName,
    /// Its identity; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
    /// The transaction that last wrote it; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// An object of the Swarm at one moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundObject {
    /// What sort it is: `service`, `network` or `secret`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The engine's id; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its version index, for objects that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl BoundResource {
    /// A resource that is, or is not, there.
    pub fn new(key: &ResourceKey, found: Option<(Uid, Revision)>) -> Self {
        Self {
            org: key.org().cloned(),
            kind: key.kind(),
            name: key.name().clone(),
            uid: found.map(|(uid, _)| uid),
            revision: found.map(|(_, revision)| revision),
        }
    }

    /// Its key; none if no such key can be.
    pub fn key(&self) -> Option<ResourceKey> {
        let scope = self.org.clone().map_or(Scope::Platform, Scope::Org);
        ResourceKey::new(scope, self.kind, self.name.clone()).ok()
    }
}

impl BoundObject {
    /// An object that is, or is not, there.
    pub fn new(kind: ObjectKind, name: &str, found: Option<(&str, Option<u64>)>) -> Self {
        Self {
            kind: kind.as_str().to_owned(),
            name: name.to_owned(),
            id: found.map(|(id, _)| id.to_owned()),
            version: found.and_then(|(_, version)| version),
        }
    }

    /// Which object; none for a sort that this version does not know.
    pub fn object(&self) -> Option<ObjectRef> {
        Some(ObjectRef::new(ObjectKind::from_word(&self.kind)?, &self.name))
    }
}

impl Binding {
    /// A binding in its one order.
    pub fn new(mut resources: Vec<BoundResource>, mut objects: Vec<BoundObject>) -> Self {
        resources.sort();
        resources.dedup();
        objects.sort();
        objects.dedup();
        Self { resources, objects }
    }

    /// What has moved between this binding and one of the same things now, one sentence each.
    pub fn moved(&self, now: &Self) -> Vec<String> {
        let mut moved = Vec::new();
        for was in &self.resources {
            let is = now
                .resources
                .iter()
                .find(|is| (&is.org, is.kind, &is.name) == (&was.org, was.kind, &was.name));
            let Some(key) = was.key() else {
                moved.push(format!("{} {} is no resource", was.kind, was.name));
                continue;
            };
            match (was.uid, is.and_then(|is| is.uid)) {
                (None, None) => {}
                (None, Some(_)) => moved.push(format!("{key} exists now")),
                (Some(_), None) => moved.push(format!("{key} does not exist any more")),
                (Some(was), Some(is)) if was != is => moved.push(format!("{key} was deleted and made again")),
                (Some(_), Some(_)) => {
                    if let (Some(was), Some(is)) = (was.revision, is.and_then(|is| is.revision))
                        && was != is
                    {
                        moved.push(format!("{key} was changed: revision {was}, now {is}"));
                    }
                }
            }
        }
        for was in &self.objects {
            let is = now.objects.iter().find(|is| (&is.kind, &is.name) == (&was.kind, &was.name));
            let what = format!("{} {}", was.kind, was.name);
            match (&was.id, is.and_then(|is| is.id.as_ref())) {
                (None, None) => {}
                (None, Some(_)) => moved.push(format!("{what} exists now")),
                (Some(_), None) => moved.push(format!("{what} does not exist any more")),
                (Some(was), Some(is)) if was != is => {
                    moved.push(format!("{what} was replaced by another object"))
                }
                (Some(_), Some(_)) => {
                    let is = is.and_then(|is| is.version);
                    if let (Some(was), Some(is)) = (was.version, is)
                        && was != is
                    {
                        moved.push(format!("{what} was changed: version {was}, now {is}"));
                    }
                }
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ResourceKey {
        ResourceKey::organization(&"acme".parse::<OrgName>().unwrap())
    }

    fn binding(found: Option<(Uid, i64)>, service: Option<(&str, u64)>) -> Binding {
        let found = found.map(|(uid, revision)| (uid, Revision::new(revision)));
        let service = service.map(|(id, version)| (id, Some(version)));
        Binding::new(
            vec![BoundResource::new(&key(), found)],
            vec![BoundObject::new(ObjectKind::Service, "acme_shop_web", service)],
        )
    }

    #[test]
    fn nothing_has_moved_while_everything_is_the_same() {
        let uid = Uid::generate();
        let there = || binding(Some((uid, 7)), Some(("s1", 40)));
        assert_eq!(there().moved(&there()), Vec::<String>::new());
        assert_eq!(binding(None, None).moved(&binding(None, None)), Vec::<String>::new());
    }

    #[test]
    fn whatever_moved_is_named_with_what_it_was_and_is() {
        let uid = Uid::generate();
        let was = binding(Some((uid, 7)), Some(("s1", 40)));
        assert_eq!(
            was.moved(&binding(Some((uid, 9)), Some(("s1", 41)))),
            [
                "Organization/acme was changed: revision 7, now 9",
                "service acme_shop_web was changed: version 40, now 41"
            ]
        );
        assert_eq!(
            was.moved(&binding(None, Some(("s2", 40)))),
            [
                "Organization/acme does not exist any more",
                "service acme_shop_web was replaced by another object"
            ]
        );
        assert_eq!(
            binding(None, None).moved(&binding(Some((uid, 1)), Some(("s1", 1)))),
            ["Organization/acme exists now", "service acme_shop_web exists now"]
        );
    }
}
