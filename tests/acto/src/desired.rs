//! What is wanted, as a set of manifests, and where in it the places of a field are.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use serde_json::Value as Json;
use skep_schemas::manifest::{ReadOptions, read_json, read_str};
use skep_schemas::{Diagnostics, Kind, Manifest, ResourceKey};

use crate::field::Field;

/// The state in which all fields are set.
const BASE: &str = include_str!("base.yaml");

/// A set of manifests as JSON, by address.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired(BTreeMap<ResourceKey, Json>);

/// One place of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The manifest.
    pub key: ResourceKey,
    /// The pointer within it.
    pub pointer: String,
}

impl Desired {
    /// The state in which all fields are set.
    pub fn base() -> Result<Self> {
        let read = read_str("base", BASE, &ReadOptions::default()).map_err(|found| anyhow!("{found}"))?;
        let manifests = read.into_iter().map(|sourced| {
            let json = sourced.manifest.to_json_with_secret_values()?;
            Ok((sourced.manifest.key, json))
        });
        Ok(Self(manifests.collect::<Result<_>>()?))
    }

    /// The addresses.
    pub fn keys(&self) -> impl Iterator<Item = &ResourceKey> {
        self.0.keys()
    }

    /// One manifest.
    pub fn get(&self, key: &ResourceKey) -> Option<&Json> {
        self.0.get(key)
    }

    /// Puts a manifest in the place of the one with its address, or takes that away.
    pub fn put(&mut self, key: &ResourceKey, manifest: Option<Json>) {
        match manifest {
            Some(manifest) => drop(self.0.insert(key.clone(), manifest)),
            None => drop(self.0.remove(key)),
        }
    }

    /// All manifests as the reader takes them.
    pub fn read(&self) -> Result<Vec<Manifest>, Diagnostics> {
        self.0.values().map(read).collect()
    }

    /// One manifest as the reader takes it.
    pub fn read_one(&self, key: &ResourceKey) -> Result<Manifest, Diagnostics> {
        read(self.0.get(key).unwrap_or(&Json::Null))
    }

    /// The places of a field: where it is, and where it could be because what is around it is there.
    pub fn places(&self, field: &Field) -> Vec<Place> {
        let of_kind = self.0.iter().filter(|(key, _)| key.kind() == field.kind);
        let places = of_kind.flat_map(|(key, manifest)| {
            let pointers = pointers(manifest, &field.pattern);
            pointers.into_iter().map(|pointer| Place { key: key.clone(), pointer })
        });
        places.collect()
    }

    /// What stands at a place.
    pub fn at(&self, place: &Place) -> Option<&Json> {
        self.0.get(&place.key)?.pointer(&place.pointer)
    }

    /// The same with something else at a place; nothing instead of a value removes it.
    pub fn with(&self, place: &Place, value: Option<Json>) -> Result<Self> {
        let mut changed = self.clone();
        let manifest = changed.0.get_mut(&place.key).with_context(|| format!("there is no {}", place.key))?;
        let (around, last) = place.pointer.rsplit_once('/').context("a pointer")?;
        let parent = manifest.pointer_mut(around).with_context(|| format!("{around} of {}", place.key))?;
        let name = last.replace("~1", "/").replace("~0", "~");
        match (parent, value) {
            (Json::Object(fields), Some(value)) => drop(fields.insert(name, value)),
            (Json::Object(fields), None) => drop(fields.shift_remove(&name)),
            (Json::Array(items), value) => {
                let at: usize = name.parse()?;
                match value {
                    Some(value) if at < items.len() => items[at] = value,
                    Some(value) => items.push(value),
                    None => drop(items.remove(at)),
                }
            }
            (other, _) => return Err(anyhow!("nothing can be set in {other}")),
        }
        Ok(changed)
    }

    /// Does anything of this kind have that name?
    pub fn has(&self, kind: Kind, name: &str) -> bool {
        self.0.keys().any(|key| key.kind() == kind && key.name().as_str() == name)
    }
}

fn read(manifest: &Json) -> Result<Manifest, Diagnostics> {
    let mut read = read_json("change", &manifest.to_string(), &ReadOptions::default())?;
    // One document was given, so one manifest was read.
    read.pop().map(|sourced| sourced.manifest).ok_or_else(Diagnostics::default)
}

fn pointers(manifest: &Json, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let segments: Vec<&str> = pattern.split('/').skip(1).collect();
    for (depth, segment) in segments.iter().enumerate() {
        let is_last = depth + 1 == segments.len();
        found = found
            .into_iter()
            .flat_map(|at| {
                let here = manifest.pointer(&at);
                let names: Vec<String> = match (*segment, here) {
                    ("*", Some(Json::Object(fields))) => {
                        fields.keys().map(|name| name.replace('~', "~0").replace('/', "~1")).collect()
                    }
                    ("-", Some(Json::Array(items))) => {
                        (0..items.len()).map(|index| index.to_string()).collect()
                    }
                    ("*" | "-", _) | (_, None) => Vec::new(),
                    (name, Some(_)) => vec![name.to_owned()],
                };
                let there = |name: &String| is_last || manifest.pointer(&format!("{at}/{name}")).is_some();
                names
                    .into_iter()
                    .filter(|name| there(name))
                    .map(|name| format!("{at}/{name}"))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use skep_schemas::Kind;

    use super::*;
    use crate::field;

    /// What the schema has and no manifest of the state. A Plan's images are under the rules of an ImagePolicy, and a Plan has no Secrets. A switch that is on
    /// is the same as none, and if these were off, nothing of the state could be made anew.
    const NOWHERE: [(Kind, &str); 7] = [
        (Kind::Plan, "/spec/images/scan/secret"),
        (Kind::Platform, "/spec/features/paas"),
        (Kind::Platform, "/spec/features/caas"),
        (Kind::Platform, "/spec/features/customDomains"),
        (Kind::Organization, "/spec/features/paas"),
        (Kind::Organization, "/spec/features/caas"),
        (Kind::Organization, "/spec/features/customDomains"),
    ];

    #[test]
    fn every_field_of_every_kind_is_set_somewhere() -> Result<()> {
        let base = Desired::base()?;
        for field in field::all() {
            let is_set = base.places(&field).iter().any(|place| base.at(place).is_some());
            let nowhere = NOWHERE.contains(&(field.kind, field.pattern.as_str()));
            assert_ne!(is_set, nowhere, "{} {}", field.kind, field.pattern);
        }
        Ok(())
    }
}
