//! A stored resource as API and CLI show it.
//!
//! The view has the form of a manifest with two additions: the metadata that Skep maintains, and the status. It reads back in
//! two ways: as a [`Resource`] ([`TryFrom`]), for clients of the API; and as a manifest, because the reader knows exactly the
//! additional fields and ignores them, so that `skep get -o yaml | skep apply -f -` works. Values of secrets are never part of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::API_VERSION;
use crate::formation::{FormationOverride, Stopped};
use crate::kind::{AnySpec, AnyStatus, Kind};
use crate::owner::Owner;
use crate::resource::{
    Annotations, Changed, Finalizer, Generation, Labels, Meta, Pause, Resource, ResourceKey, Revision,
    Rollback, Scope, ScopeError, Uid,
};
use crate::scalar::{OrgName, ResourceName};

/// A resource as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView {
    /// The version of the format.
    pub api_version: String,
    /// What is described.
    pub kind: Kind,
    /// Address, identity and bookkeeping.
    pub metadata: MetaView,
    /// What is wanted.
    pub spec: Json,
    /// What is so. Absent before the first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Json>,
}

/// The metadata of a resource as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetaView {
    /// The organisation that it belongs to; absent for platform resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Its name.
    pub name: ResourceName,
    /// Its identity: a resource that is deleted and made again has another.
    pub uid: Uid,
    /// Counts changes of the spec.
    pub generation: Generation,
    /// The store-wide number of the transaction that last wrote it.
    pub revision: Revision,
    /// Short key-value pairs to select by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Free text for people and tools.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Who wrote its spec, labels or value last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// When its deletion was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_requested_at: Option<Timestamp>,
    /// Who owns it: who writes its manifest, and deletes it.
    #[serde(default)]
    pub managed_by: Owner,
    /// Why it must stay although its deletion was asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub finalizers: BTreeSet<Finalizer>,
    /// Somebody asked that nothing be changed for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// When somebody last asked to try again what was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_at: Option<Timestamp>,
    /// Of an environment: somebody returned it to a former release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Of an environment: what people said of how much of it runs.
    #[serde(default, skip_serializing_if = "FormationOverride::is_empty")]
    pub formation: FormationOverride,
    /// Of an organisation: the platform stopped all that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Stopped>,
}

/// A view cannot be turned into a resource, or into YAML.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The spec is not one of the kind.
    #[error("the spec of {kind} {name} cannot be read")]
    Spec {
        /// The kind.
        kind: Kind,
        /// The resource's name.
        name: ResourceName,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// The kind does not live in that scope.
    #[error("the address of {name} cannot be")]
    Scope {
        /// The resource's name.
        name: ResourceName,
        /// Why.
        #[source]
        source: ScopeError,
    },
    /// It cannot be written as YAML.
    #[error("the resource {name} cannot be written as YAML")]
    Yaml {
        /// The resource's name.
        name: ResourceName,
        /// What the writer said.
        #[source]
        source: serde_saphyr::ser::Error,
    },
}

impl ResourceView {
    /// How a stored resource is shown.
    pub fn of(resource: &Resource) -> Result<Self, serde_json::Error> {
        let Resource { meta, spec, status } = resource;
        Ok(Self {
            api_version: API_VERSION.to_owned(),
            kind: meta.key.kind(),
            metadata: MetaView {
                org: meta.key.org().cloned(),
                name: meta.key.name().clone(),
                uid: meta.uid,
                generation: meta.generation,
                revision: meta.revision,
                labels: meta.labels.clone(),
                annotations: meta.annotations.clone(),
                created_at: meta.created_at,
                updated_at: meta.updated_at,
                changed: meta.changed.clone(),
                deletion_requested_at: meta.deletion_requested_at,
                managed_by: meta.managed_by.clone(),
                finalizers: meta.finalizers.clone(),
                pause: meta.pause.clone(),
                retried_at: meta.retried_at,
                rollback: meta.rollback.clone(),
                formation: meta.formation.clone(),
                suspension: meta.suspension.clone(),
            },
            spec: spec.to_json()?,
            status: (!status.is_null()).then(|| status.clone()),
        })
    }

    /// The part of the status that every kind has; `None` before the first report.
    pub fn any_status(&self) -> Option<AnyStatus> {
        self.status.as_ref().and_then(|status| serde_json::from_value(status.clone()).ok())
    }

    /// The view as one YAML document, without the `---` before it.
    pub fn to_yaml(&self) -> Result<String, ViewError> {
        // Folding could change long texts that have trailing spaces; every text stays on its line or in a literal block.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false, compact_list_indent: false };
        serde_saphyr::to_string_with_options(self, options)
            .map_err(|source| ViewError::Yaml { name: self.metadata.name.clone(), source })
    }
}

impl TryFrom<ResourceView> for Resource {
    type Error = ViewError;

    fn try_from(view: ResourceView) -> Result<Self, ViewError> {
        let ResourceView { api_version: _, kind, metadata, spec, status } = view;
        let name = metadata.name;
        let spec = AnySpec::from_json(kind, spec).map_err(|source| ViewError::Spec {
            kind,
            name: name.clone(),
            source,
        })?;
        let scope = metadata.org.map_or(Scope::Platform, Scope::Org);
        let key = ResourceKey::new(scope, kind, name.clone())
            .map_err(|source| ViewError::Scope { name, source })?;
        let meta = Meta {
            key,
            uid: metadata.uid,
            labels: metadata.labels,
            annotations: metadata.annotations,
            generation: metadata.generation,
            revision: metadata.revision,
            finalizers: metadata.finalizers,
            deletion_requested_at: metadata.deletion_requested_at,
            managed_by: metadata.managed_by,
            created_at: metadata.created_at,
            updated_at: metadata.updated_at,
            changed: metadata.changed,
            pause: metadata.pause,
            retried_at: metadata.retried_at,
            rollback: metadata.rollback,
            formation: metadata.formation,
            suspension: metadata.suspension,
        };
        Ok(Self { meta, spec, status: status.unwrap_or_default() })
    }
}

/// Several resources as one JSON document: a `List`, which the reader takes apart again.
pub fn list_json(views: &[ResourceView]) -> Result<Json, serde_json::Error> {
    Ok(json!({ "apiVersion": API_VERSION, "kind": "List", "items": serde_json::to_value(views)? }))
}

/// Several resources as one multi-document YAML text.
pub fn list_yaml(views: &[ResourceView]) -> Result<String, ViewError> {
    let documents = views.iter().map(ResourceView::to_yaml).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.join("---\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ReadOptions, read_json, read_str};
    use crate::owner::SourceRef;

    fn stopped(since: Timestamp) -> Stopped {
        Stopped { by: "ann".to_owned(), since, reason: None }
    }

    fn stored(spec: &str) -> Resource {
        let text = format!(
            "apiVersion: skep.dev/v1\nkind: Environment\nmetadata: {{org: acme, name: shop}}\nspec: {spec}\n"
        );
        let manifest = read_str("test", &text, &ReadOptions::default()).unwrap().remove(0).manifest;
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let meta = Meta {
            key: manifest.key,
            uid: Uid::generate(),
            labels: [("tier".to_owned(), "7".to_owned())].into(),
            annotations: [("note".to_owned(), "a: b # c\n  two lines \n".to_owned())].into(),
            generation: Generation::new(3),
            revision: Revision::new(17),
            finalizers: [Finalizer::Swarm].into(),
            deletion_requested_at: Some(at),
            managed_by: Owner::Git {
                source: SourceRef { org: Some("acme".parse().unwrap()), name: "main".parse().unwrap() },
            },
            created_at: at,
            updated_at: at,
            changed: Some(Changed { by: "ann".to_owned(), at }),
            pause: Some(Pause { reason: "exam".to_owned(), by: "ann".to_owned(), since: at, until: None }),
            retried_at: Some(at),
            rollback: Some(Rollback {
                to: 2,
                instead_of: 3,
                generation: Generation::new(3),
                app_generation: None,
                by: "ann".to_owned(),
                since: at,
            }),
            formation: FormationOverride {
                stops: [("web".parse().unwrap(), stopped(at))].into(),
                ..FormationOverride::default()
            },
            suspension: Some(stopped(at)),
        };
        let status = json!({ "observedGeneration": 3, "conditions": [], "anything": [1, {"a": null}] });
        Resource { meta, spec: manifest.spec, status }
    }

    /// Texts that a careless writer would turn into something else.
    const AWKWARD: &str = r##"{app: shop, env: {A: "NO", B: "true", C: "1.10", D: "0x1F", E: "null", F: "~", G: "", H: " x ",
        I: "a\nb\n", J: "a: b", K: "# c", L: "- d", M: "*e", N: "&f", O: "!g", P: "{h}", Q: "'i'", R: "\"j\"", S: "\t",
        T: "1e3", U: "---", V: "\u0085\u2028x", W: "\u001b[0m", X: "x\n\n\n", Y: "  lead\nrest", Z: "12:30:45", AA: "=", AB: "<<",
        AC: "a\r\nb", AD: "trailing \nspace", AE: "0o17", AF: ".inf", AG: "2026-01-02", AH: "é𝄞", AI: "@x", AJ: "%y", AK: "? z",
        AL: "|", AM: ">", AN: "\n", AO: "\n\nx", AP: "y", AQ: "\\", AR: "x\t\ny"}}"##;

    #[test]
    fn what_get_shows_can_be_applied_again_without_a_change() {
        let resource = stored(AWKWARD);
        let view = ResourceView::of(&resource).unwrap();
        let yaml = list_yaml(&[view.clone(), ResourceView::of(&stored("{app: blog}")).unwrap()]).unwrap();
        let json = list_json(std::slice::from_ref(&view)).unwrap().to_string();
        let from_yaml = read_str("get", &yaml, &ReadOptions::default());
        // Both have the same name, which the reader notices after it has read them.
        assert!(from_yaml.unwrap_err().as_slice().iter().all(|d| d.code == crate::Code::DuplicateResource));
        let yaml = view.to_yaml().unwrap();
        for read in [
            read_str("get", &yaml, &ReadOptions::default()).unwrap(),
            read_json("get", &json, &ReadOptions::default()).unwrap(),
        ] {
            let manifest = &read[0].manifest;
            assert_eq!(manifest.key, resource.meta.key);
            assert_eq!(
                (&manifest.labels, &manifest.annotations),
                (&resource.meta.labels, &resource.meta.annotations)
            );
            assert_eq!(manifest.spec, resource.spec);
        }
    }

    #[test]
    fn a_client_reads_the_resource_back_equal() {
        let resource = stored("{app: shop}");
        let json = serde_json::to_string(&ResourceView::of(&resource).unwrap()).unwrap();
        let view: ResourceView = serde_json::from_str(&json).unwrap();
        assert_eq!(Resource::try_from(view).unwrap(), resource);
    }
}
