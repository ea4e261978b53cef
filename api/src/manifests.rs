//! Admission: bodies to checked manifests, or every problem in them.
//!
//! The reader of `skep-schemas` decides what a manifest is; this module feeds it from the two forms of a body, off the
//! threads that serve connections, because eight megabytes of YAML take a while.

use axum::body::Bytes;
use http::HeaderMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::value::RawValue;
use skep_schemas::codes::Code;
use skep_schemas::diagnostic::{Diagnostic, Diagnostics};
use skep_schemas::manifest::{Batch, DOCUMENTS_MAX, MANIFEST_MAX, ReadOptions, SourcedManifest};
use skep_schemas::{OrgName, ResourceKey, Scope};

use crate::call::{Payload, Text};
use crate::error::ApiError;
use crate::limits::{BOUND_MAX, DELETIONS_MAX};
use crate::wire::{self, ResourceRef};

/// How diagnostics call the body.
const BODY: &str = "body";

/// The body of a PUT: one manifest.
pub(crate) struct OneManifest(Text);

impl Payload for OneManifest {
    const EXPECTED: bool = true;
    const MANIFESTS: bool = true;

    fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        Text::read(headers, bytes).map(Self)
    }

    fn describe(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(crate::openapi::manifest_schema())
    }
}

impl OneManifest {
    /// One that was put together here, of what was sent: it is read as strictly as any.
    pub(crate) fn of_json(document: &serde_json::Value) -> Self {
        Self(Text::Json(document.to_string()))
    }

    /// The manifest, which must be that of the key.
    pub(crate) async fn of(self, key: ResourceKey) -> Result<SourcedManifest, ApiError> {
        aside(move || {
            let mut batch = Batch::new(ReadOptions { default_org: key.org().cloned() });
            match &self.0 {
                Text::Yaml(text) => batch.add_yaml(BODY, text),
                Text::Json(text) => {
                    fits(text, BODY)?;
                    batch.add_json(BODY, text);
                }
            }
            let mut manifests = batch.finish()?;
            match (manifests.pop(), manifests.len()) {
                (Some(only), 0) if only.manifest.key == key => Ok(only),
                (Some(only), 0) => Err(ApiError::AddressMismatch { url: key, body: only.manifest.key }),
                (_, rest) => Err(ApiError::invalid(
                    format!("the body holds {} manifests", rest + 1),
                    "send one, or use POST /v1/apply for several",
                )),
            }
        })
        .await
    }
}

/// The body of a batch: manifests, and what would be deleted.
pub(crate) struct ManyManifests(Text);

impl Payload for ManyManifests {
    const EXPECTED: bool = true;
    const MANIFESTS: bool = true;

    fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        Text::read(headers, bytes).map(Self)
    }

    fn describe(schemas: &mut SchemaGenerator) -> Option<Schema> {
        Some(wire::Batch::json_schema(schemas))
    }
}

/// A batch that was read.
pub(crate) struct Changes {
    /// To be applied, in the order sent.
    pub(crate) manifests: Vec<SourcedManifest>,
    /// To be deleted.
    pub(crate) deletions: Vec<ResourceKey>,
    /// What must not have moved.
    pub(crate) binding: Option<wire::Binding>,
}

/// [`wire::Batch`] with the documents' own text, in which fields that are written twice can still be seen.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBatch {
    #[serde(default)]
    documents: Vec<Box<RawValue>>,
    #[serde(default)]
    delete: Vec<ResourceRef>,
    #[serde(default)]
    binding: Option<wire::Binding>,
}

impl ManyManifests {
    /// What it says.
    pub(crate) async fn read_with(self, default_org: Option<OrgName>) -> Result<Changes, ApiError> {
        aside(move || match self.0 {
            Text::Yaml(text) => {
                let mut batch = Batch::new(ReadOptions { default_org });
                batch.add_yaml(BODY, &text);
                Ok(Changes { manifests: batch.finish()?, deletions: Vec::new(), binding: None })
            }
            Text::Json(text) => read_json(&text, default_org),
        })
        .await
    }
}

fn read_json(text: &str, default_org: Option<OrgName>) -> Result<Changes, ApiError> {
    let raw: RawBatch = serde_json::from_str(text).map_err(|error| {
        // The parser's own words may quote a value.
        ApiError::invalid(
            format!("the body is not a batch, at line {} column {}", error.line(), error.column()),
            "send `{\"documents\": [ … ]}`, or YAML as application/yaml",
        )
    })?;
    let bound = raw.binding.as_ref().map_or(0, |binding| binding.resources.len() + binding.objects.len());
    if bound > BOUND_MAX {
        return Err(ApiError::invalid(
            format!("the plan is bound to {bound} resources and objects, the limit is {BOUND_MAX}"),
            "plan and apply fewer manifests at a time",
        ));
    }
    if raw.documents.len() > DOCUMENTS_MAX || raw.delete.len() > DELETIONS_MAX {
        return Err(too_many(raw.documents.len().max(raw.delete.len())));
    }
    let mut problems = Diagnostics::default();
    let mut deletions = Vec::with_capacity(raw.delete.len());
    for (index, reference) in raw.delete.into_iter().enumerate() {
        match key_of(reference, default_org.as_ref()) {
            Ok(key) => deletions.push(key),
            Err(why) => problems.push(why.with_pointer(format!("/delete/{index}"))),
        }
    }
    let mut batch = Batch::new(ReadOptions { default_org });
    for (index, document) in raw.documents.iter().enumerate() {
        let source = format!("documents/{index}");
        match fits(document.get(), &source) {
            Ok(()) => batch.add_json(&source, document.get()),
            Err(problem) => problems.append(problem),
        }
    }
    let manifests = match batch.finish() {
        Ok(manifests) => manifests,
        // Nothing to apply is no problem when there is something to delete, or a worse one.
        Err(found) if is_empty(&found) && !(deletions.is_empty() && problems.is_empty()) => Vec::new(),
        Err(found) => {
            problems.append(found);
            Vec::new()
        }
    };
    problems.or_ok(Changes { manifests, deletions, binding: raw.binding }).map_err(ApiError::from)
}

/// The limit per manifest, which the reader keeps by itself for YAML only.
fn fits(text: &str, source: &str) -> Result<(), Diagnostics> {
    if text.len() <= MANIFEST_MAX {
        return Ok(());
    }
    let message = format!("the manifest is {} bytes long, the limit is {MANIFEST_MAX}", text.len());
    Err(Diagnostic::new(Code::TooLarge, message).with_source(source).with_help("make it smaller").into())
}

fn is_empty(problems: &Diagnostics) -> bool {
    problems.as_slice().iter().all(|problem| problem.code == Code::NothingToRead)
}

fn too_many(found: usize) -> ApiError {
    let message = format!("{found} documents are too many, the limit is {DOCUMENTS_MAX}");
    Diagnostics::from(Diagnostic::new(Code::TooComplex, message).with_help("send them in several batches"))
        .into()
}

fn key_of(reference: ResourceRef, default_org: Option<&OrgName>) -> Result<ResourceKey, Box<Diagnostic>> {
    use skep_schemas::KindScope::{Org, Platform};
    let ResourceRef { org, kind, name } = reference;
    let scope = match (kind.scope(), org.as_ref().or(default_org)) {
        (Platform, _) if org.is_none() => Scope::Platform,
        (_, Some(org)) => Scope::Org(org.clone()),
        (_, None) => Scope::Platform,
    };
    let code = if kind.scope() == Org { Code::OrgMissing } else { Code::OrgRefused };
    ResourceKey::new(scope, kind, name).map_err(|error| Box::new(Diagnostic::new(code, error.to_string())))
}

/// Runs work that computes for long where it does not hold up others.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
}
