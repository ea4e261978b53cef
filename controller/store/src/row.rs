//! Resources as rows, and back.
//!
//! Reading is strict: a row that this version cannot read is [`StoreError::Corrupt`] with its name, never a default.

use std::collections::BTreeSet;

use skep_schemas::{
    Annotations, AnySpec, Changed, Finalizer, FormationOverride, Generation, Kind, Labels, Meta, Owner,
    Pause, Resource, ResourceKey, ResourceName, Revision, Rollback, Scope, Stopped, Uid,
};
use sqlx::types::{Json, Uuid};

use crate::error::StoreError;
use crate::time::Time;

/// A row of `resource` with the status of `resource_status`, as [`resource_query!`] reads it.
#[derive(Debug, Clone)]
pub(crate) struct ResourceRow {
    pub(crate) uid: Uuid,
    pub(crate) org: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) spec: serde_json::Value,
    pub(crate) labels: Json<Labels>,
    pub(crate) annotations: Json<Annotations>,
    pub(crate) refs: Vec<String>,
    pub(crate) generation: i64,
    pub(crate) revision: i64,
    pub(crate) finalizers: Vec<String>,
    pub(crate) deletion_requested_at: Option<Time>,
    pub(crate) managed_by: Json<Owner>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) changed_by: Option<String>,
    pub(crate) changed_at: Option<Time>,
    pub(crate) pause: Option<Json<Pause>>,
    pub(crate) retried_at: Option<Time>,
    pub(crate) rollback: Option<Json<Rollback>>,
    pub(crate) formation: Option<Json<FormationOverride>>,
    pub(crate) suspension: Option<Json<Stopped>>,
    pub(crate) status: Option<serde_json::Value>,
}

/// A checked query for [`ResourceRow`]s; the argument continues the statement after the join of `resource r`.
macro_rules! resource_query {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::row::ResourceRow,
            r#"SELECT r.uid AS "uid!", r.org AS "org!", r.kind AS "kind!", r.name AS "name!", r.spec AS "spec!",
                   r.labels AS "labels!: _", r.annotations AS "annotations!: _", r.refs AS "refs!",
                   r.generation AS "generation!", r.revision AS "revision!", r.finalizers AS "finalizers!",
                   r.deletion_requested_at AS "deletion_requested_at?: _", r.managed_by AS "managed_by!: _",
                   r.created_at AS "created_at!: _", r.updated_at AS "updated_at!: _", r.changed_by AS "changed_by?",
                   r.changed_at AS "changed_at?: _",
                   r.pause AS "pause?: _", r.retried_at AS "retried_at?: _",
                   r.rollback AS "rollback?: _", r.formation AS "formation?: _",
                   r.suspension AS "suspension?: _", s.status AS "status?"
               FROM resource r LEFT JOIN resource_status s ON s.uid = r.uid "# + $tail
            $(, $argument)*
        )
    };
}
pub(crate) use resource_query;

impl ResourceRow {
    pub(crate) const fn uid(&self) -> Uid {
        Uid::from_uuid(self.uid)
    }

    pub(crate) const fn is_deleting(&self) -> bool {
        self.deletion_requested_at.is_some()
    }

    pub(crate) fn key(&self) -> Result<ResourceKey, StoreError> {
        key_of_columns(&self.org, &self.kind, &self.name)
    }

    pub(crate) fn into_resource(self) -> Result<Resource, StoreError> {
        let key = self.key()?;
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt(key.to_string(), why);
        let spec = AnySpec::from_json(key.kind(), self.spec).map_err(|why| corrupt(&why))?;
        let finalizers = self
            .finalizers
            .iter()
            .map(|word| finalizer(word).ok_or(word))
            .collect::<Result<BTreeSet<_>, _>>();
        let finalizers = finalizers.map_err(|word| corrupt(&format_args!("unknown finalizer {word}")))?;
        Ok(Resource {
            meta: Meta {
                uid: Uid::from_uuid(self.uid),
                labels: self.labels.0,
                annotations: self.annotations.0,
                generation: Generation::new(self.generation),
                revision: Revision::new(self.revision),
                finalizers,
                deletion_requested_at: self.deletion_requested_at.map(|time| time.0),
                managed_by: self.managed_by.0,
                created_at: self.created_at.0,
                updated_at: self.updated_at.0,
                changed: changed(self.changed_by, self.changed_at),
                pause: self.pause.map(|pause| pause.0),
                retried_at: self.retried_at.map(|time| time.0),
                rollback: self.rollback.map(|rollback| rollback.0),
                formation: self.formation.map(|formation| formation.0).unwrap_or_default(),
                suspension: self.suspension.map(|suspension| suspension.0),
                key,
            },
            spec,
            status: self.status.unwrap_or_default(),
        })
    }
}

/// Who wrote something and when, as columns say it.
pub(crate) fn changed(by: Option<String>, at: Option<Time>) -> Option<Changed> {
    Some(Changed { by: by?, at: at?.0 })
}

/// The word for a finalizer.
pub(crate) const fn finalizer_word(finalizer: Finalizer) -> &'static str {
    match finalizer {
        Finalizer::Swarm => "swarm",
    }
}

fn finalizer(word: &str) -> Option<Finalizer> {
    [Finalizer::Swarm].into_iter().find(|finalizer| finalizer_word(*finalizer) == word)
}

/// A resource's address and spec alone, for whoever reads many and needs nothing else of them.
pub(crate) struct SpecRow {
    pub(crate) org: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) spec: serde_json::Value,
}

impl SpecRow {
    /// What the row is of, and what it says.
    pub(crate) fn into_spec(self) -> Result<(ResourceKey, AnySpec), StoreError> {
        let key = key_of_columns(&self.org, &self.kind, &self.name)?;
        let spec = AnySpec::from_json(key.kind(), self.spec)
            .map_err(|why| StoreError::corrupt(key.to_string(), why))?;
        Ok((key, spec))
    }
}

/// The `org` column: empty for the platform.
pub(crate) fn org_column(scope: &Scope) -> &str {
    scope.org().map_or("", |org| org.as_str())
}

/// The key that the columns of a row name.
pub(crate) fn key_of_columns(org: &str, kind: &str, name: &str) -> Result<ResourceKey, StoreError> {
    parts_to_key(org, kind, name)
        .ok_or_else(|| StoreError::corrupt("resource key", format_args!("{org}/{kind}/{name}")))
}

/// The key in the text form that `refs` holds; `None` for one that this version does not know.
pub(crate) fn key_of_text(text: &str) -> Option<ResourceKey> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [kind, name] => parts_to_key("", kind, name),
        [org, kind, name] => parts_to_key(org, kind, name),
        _ => None,
    }
}

fn parts_to_key(org: &str, kind: &str, name: &str) -> Option<ResourceKey> {
    let scope = if org.is_empty() { Scope::Platform } else { Scope::Org(org.parse().ok()?) };
    let kind = Kind::ALL.iter().copied().find(|known| known.as_str() == kind)?;
    let name: ResourceName = name.parse().ok()?;
    ResourceKey::new(scope, kind, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_text() {
        for text in ["acme/Environment/shop", "Plan/small", "Organization/acme"] {
            assert_eq!(key_of_text(text).unwrap().to_string(), text);
        }
        for text in ["acme/Plan/small", "App/shop", "acme/Nothing/x", "a/b/c/d", ""] {
            assert_eq!(key_of_text(text), None, "{text}");
        }
    }
}
