//! A checked tree to a [`Manifest`]: kind and version, address, labels, and the checks that a JSON Schema cannot express.

use serde_json::Value as Json;

use super::ReadOptions;
use super::finding::Finding;
use super::node::{Node, Value, pointer_step};
use super::redact::exact_kind;
use super::suggest::nearest;
use super::walk::{listed, shown, walk};
use crate::codes::Code;
use crate::kind::{AnySpec, Kind, KindScope, Problems};
use crate::resource::{Manifest, ManifestMeta, ResourceKey, Scope};
use crate::schema;
use crate::selector::{LABEL_MAX, label_key_is_valid, label_value_is_valid};
use crate::{API_VERSION, RESERVED_PREFIX};

/// The most labels of one resource: each is indexed.
const LABELS_MAX: usize = 64;
/// The most bytes of all annotations of one resource, keys included; the limit that Kubernetes users know.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// Reads one manifest, or finds everything that is wrong with it.
pub(super) fn read(root: &Node, options: &ReadOptions) -> Result<Manifest, Vec<Finding>> {
    if !matches!(root.value, Value::Map(_)) {
        let message = format!("a manifest is made of fields, found {}", root.what());
        let help = "begin with `apiVersion`, `kind`, `metadata` and `spec`";
        return Err(vec![Finding::new(Code::WrongType, message).at(root.span).help(help).pointer("")]);
    }
    let mut findings = Vec::new();
    version(root, &mut findings);
    let kind = kind(root, &mut findings);
    let schema = kind.map_or_else(schema::envelope_schema, schema::manifest_schema);
    // Kind and version have been judged above, with better words.
    let judged = |finding: &Finding| {
        matches!(finding.pointer.as_deref(), Some("/kind" | "/apiVersion"))
            && matches!(finding.code, Code::UnknownChoice | Code::WrongType)
    };
    findings.extend(walk(root, schema).into_iter().filter(|finding| !judged(finding)));
    labels(root, &mut findings);
    let scope = kind.and_then(|kind| scope(root, kind, options, &mut findings));
    // A root that lacks a field may lack the spec.
    let in_spec = |finding: &Finding| {
        finding.pointer.as_deref().is_none_or(|at| at.is_empty() || at.starts_with("/spec"))
    };
    let spec = match kind {
        Some(kind) if !root.is_broken() && !findings.iter().any(in_spec) => spec(root, kind, &mut findings),
        _ => None,
    };
    match (scope, spec) {
        (Some(scope), Some(spec)) if findings.is_empty() => address(root, scope, spec),
        _ => Err(findings),
    }
}

fn version(root: &Node, findings: &mut Vec<Finding>) {
    let Some(entry) = root.entry("apiVersion") else { return };
    if entry.value.text() == Some(API_VERSION) {
        return;
    }
    let message = match entry.value.text() {
        Some(text) => format!("apiVersion `{}` is not supported", shown(text)),
        None => format!("apiVersion is text, found {}", entry.value.what()),
    };
    let finding = Finding::new(Code::UnsupportedVersion, message).located(root, "/apiVersion");
    findings.push(finding.help(format!("write `apiVersion: {API_VERSION}`")));
}

fn kind(root: &Node, findings: &mut Vec<Finding>) -> Option<Kind> {
    let entry = root.entry("kind")?;
    let Some(text) = entry.value.text() else {
        let message = format!("kind is text, found {}", entry.value.what());
        findings.push(Finding::new(Code::UnknownKind, message).located(root, "/kind").help(kinds_help()));
        return None;
    };
    let kind = exact_kind(text);
    if kind.is_none() {
        let message = format!("`{}` is not a kind", shown(text));
        let help = match nearest(text, Kind::ALL.iter().map(|kind| kind.as_str())) {
            Some(name) => format!("did you mean `{name}`?"),
            None => kinds_help(),
        };
        findings.push(Finding::new(Code::UnknownKind, message).located(root, "/kind").help(help));
    }
    kind
}

fn kinds_help() -> String {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    format!("kinds are {}", listed(&names))
}

/// Where the resource lives; `None` after a problem was noted.
fn scope(root: &Node, kind: Kind, options: &ReadOptions, findings: &mut Vec<Finding>) -> Option<Scope> {
    let metadata = root.entry("metadata")?;
    let org = metadata.value.entry("org");
    match (kind.scope(), org) {
        (KindScope::Platform, None) => Some(Scope::Platform),
        (KindScope::Platform, Some(_)) => {
            let message = format!("{kind} is a platform resource and takes no organisation");
            let finding = Finding::new(Code::OrgRefused, message).at(org.and_then(|org| org.key_span));
            findings.push(finding.pointer("/metadata/org").help("remove the field `org`"));
            None
        }
        // A name that is not well-formed has been noted by the walk.
        (KindScope::Org, Some(org)) => org.value.text()?.parse().ok().map(Scope::Org),
        (KindScope::Org, None) => {
            if let Some(org) = &options.default_org {
                return Some(Scope::Org(org.clone()));
            }
            let message = format!("{kind} belongs to an organisation, and none is named");
            let finding = Finding::new(Code::OrgMissing, message).at(metadata.key_span);
            findings.push(
                finding.pointer("/metadata").help(
                    "add `org: <name>` under `metadata`, or give `--org` or SKEP_ORG on the command line",
                ),
            );
            None
        }
    }
}

fn labels(root: &Node, findings: &mut Vec<Finding>) {
    let Some(metadata) = root.entry("metadata") else { return };
    for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
        let Some(map) = metadata.value.entry(field) else { continue };
        let mut bytes = 0;
        for entry in map.value.entries() {
            let pointer = format!("/metadata/{field}/{}", pointer_step(&entry.key));
            let text = entry.value.text().unwrap_or_default();
            bytes += entry.key.len() + text.len();
            let key = shown(&entry.key);
            let mut note = |code, message: String, help: String, span| {
                findings.push(Finding::new(code, message).at(span).pointer(pointer.clone()).help(help));
            };
            if entry.key.starts_with(RESERVED_PREFIX) {
                note(
                    Code::ReservedPrefix,
                    format!("the {what} `{key}` uses the prefix `{RESERVED_PREFIX}`"),
                    "that prefix is Skep's own; use another, such as `example.com/`".to_owned(),
                    entry.key_span,
                );
            } else if !label_key_is_valid(&entry.key) {
                note(
                    Code::InvalidLabel,
                    format!("`{key}` is not the key of a {what}"),
                    format!(
                        "use letters and digits with `.`, `_`, `-` and `/` inside, at most {LABEL_MAX} characters"
                    ),
                    entry.key_span,
                );
            }
            if field == "labels" && !label_value_is_valid(text) {
                note(
                    Code::InvalidLabel,
                    format!("`{}` is not the value of a label", shown(text)),
                    format!(
                        "use letters and digits with `.`, `_`, `-` and `/` inside, at most {LABEL_MAX} characters; free text goes into annotations"
                    ),
                    entry.value.span,
                );
            }
        }
        let count = map.value.entries().len();
        let pointer = format!("/metadata/{field}");
        if field == "labels" && count > LABELS_MAX {
            let message = format!("{count} labels are too many");
            let finding = Finding::new(Code::InvalidLabel, message).at(map.key_span).pointer(pointer.clone());
            findings.push(finding.help(format!("use at most {LABELS_MAX}")));
        }
        if bytes > ANNOTATIONS_MAX {
            let message = format!("the {field} are {bytes} bytes long together");
            let finding = Finding::new(Code::InvalidLabel, message).at(map.key_span).pointer(pointer);
            findings.push(finding.help(format!("use at most {ANNOTATIONS_MAX} bytes")));
        }
    }
}

/// The typed spec, and what only its type can check.
fn spec(root: &Node, kind: Kind, findings: &mut Vec<Finding>) -> Option<AnySpec> {
    let spec = match AnySpec::from_json(kind, part(root, "spec")) {
        Ok(spec) => spec,
        Err(error) => {
            findings.push(unreadable(root, kind, "spec", &error));
            return None;
        }
    };
    let mut problems = Problems::default();
    spec.check(&mut problems);
    for problem in problems.into_vec() {
        let pointer = format!("/spec{}", problem.pointer);
        let finding = Finding::new(problem.code, problem.problem).help(problem.help);
        findings.push(finding.located(root, &pointer));
    }
    Some(spec)
}

/// The last step: the address, and the manifest.
fn address(root: &Node, scope: Scope, spec: AnySpec) -> Result<Manifest, Vec<Finding>> {
    let kind = spec.kind();
    let meta: ManifestMeta = serde_json::from_value(own_metadata(part(root, "metadata")))
        .map_err(|error| vec![unreadable(root, kind, "metadata", &error)])?;
    let key = ResourceKey::new(scope, kind, meta.name).map_err(|error| {
        vec![Finding::new(Code::OrgRefused, error.to_string()).located(root, "/metadata/org")]
    })?;
    Ok(Manifest { key, labels: meta.labels, annotations: meta.annotations, spec })
}

/// A part of the document as JSON; no fields when it is absent.
fn part(root: &Node, field: &str) -> Json {
    let entry = root.entry(field).map(|entry| entry.value.to_json());
    entry.unwrap_or_else(|| Json::Object(serde_json::Map::new()))
}

/// The schema was satisfied and the type is not: the schema is weaker. The parser's words may quote a value.
fn unreadable(root: &Node, kind: Kind, field: &str, error: &serde_json::Error) -> Finding {
    let reason = if schema::has_secrets(kind) { String::new() } else { format!(": {error}") };
    let finding = Finding::new(Code::WrongType, format!("`{field}` cannot be read{reason}"));
    finding.located(root, &format!("/{field}")).help(format!("see `skep explain {kind}`"))
}

/// The metadata that a user owns; what Skep maintains is shown by `skep get` and ignored here, so that its output can be
/// applied again.
fn own_metadata(metadata: Json) -> Json {
    let Json::Object(mut fields) = metadata else { return metadata };
    fields.retain(|name, _| matches!(name.as_str(), "org" | "name" | "labels" | "annotations"));
    Json::Object(fields)
}
