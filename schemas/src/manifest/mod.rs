//! The strict reader: text to checked manifests, or every problem in it.
//!
//! The way of a document: text → tree with places ([`yaml`], [`json`]) → check against the kind's JSON Schema ([`walk`]) →
//! typed spec and the checks that a schema cannot express ([`envelope`]) → [`Manifest`]. Problems of all documents of all
//! sources are collected and reported together; one problem anywhere means that nothing is returned.
//!
//! Guarantees: no input makes it panic, run long or use much memory (the limits below); a line that may hold a secret value
//! is never part of a report ([`redact`]); nothing here does input or output.

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::Manifest;
use crate::scalar::OrgName;

mod batch;
mod core_schema;
mod envelope;
mod finding;
mod json;
mod node;
mod redact;
pub(crate) mod suggest;
mod walk;
mod write;
mod yaml;

pub use batch::Batch;

use finding::Finding;
use node::Node;
use redact::Hidden;

/// The longest manifest: twice the longest secret value, far more than any other spec may hold.
pub const MANIFEST_MAX: usize = 1 << 20;
/// The longest text of one source: some thousand usual manifests; it is held in memory as a whole.
pub const TEXT_MAX: usize = 16 << 20;
/// The most documents of one text: each is an object in one database transaction.
pub const DOCUMENTS_MAX: usize = 1000;
/// The deepest nesting: the deepest kind needs a dozen, and checks that recurse must not exhaust the stack.
pub const DEPTH_MAX: usize = 64;
/// The most values of one YAML document (or JSON body), with aliases unfolded: 1 MiB of `- x` lines has twice as many, the
/// largest sensible manifest a hundredth, and it keeps the memory for a tree at some megabytes.
pub const NODES_MAX: usize = 100_000;

/// How to read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The organisation of manifests that name none.
    pub default_org: Option<OrgName>,
}

/// A manifest and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcedManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// The name of its source.
    pub source: String,
    /// The line that it begins on; `None` for JSON.
    pub line: Option<u32>,
}

/// Reads all manifests of a YAML text.
pub fn read_str(
    source: &str,
    text: &str,
    options: &ReadOptions,
) -> Result<Vec<SourcedManifest>, Diagnostics> {
    let (manifests, diagnostics) = read_yaml(source, text, options);
    unique(manifests, diagnostics)
}

/// Reads all manifests of a JSON text: one, a list of them, or a `List` as `skep get -o json` writes it.
pub fn read_json(
    source: &str,
    text: &str,
    options: &ReadOptions,
) -> Result<Vec<SourcedManifest>, Diagnostics> {
    let (manifests, diagnostics) = read_body(source, text, options);
    unique(manifests, diagnostics)
}

fn unique(
    manifests: Vec<SourcedManifest>,
    mut diagnostics: Diagnostics,
) -> Result<Vec<SourcedManifest>, Diagnostics> {
    diagnostics.append(batch::duplicates(&manifests));
    diagnostics.sort(&[]);
    diagnostics.or_ok(manifests)
}

fn read_yaml(source: &str, text: &str, options: &ReadOptions) -> (Vec<SourcedManifest>, Diagnostics) {
    let lines: Vec<&str> = text.lines().collect();
    let read = yaml::read(text);
    let hidden = Hidden::of(&read, &lines);
    let mut findings = read.findings;
    let mut manifests = Vec::new();
    for document in &read.documents {
        // A problem within the tree has been noted already; such a document is checked, but not returned.
        for (item, _) in items(&document.root) {
            match envelope::read(item, options) {
                Ok(manifest) => {
                    let line = item.span.map_or(document.line, |span| span.line);
                    manifests.push(SourcedManifest { manifest, source: source.to_owned(), line: Some(line) });
                }
                Err(problems) => findings.extend(problems),
            }
        }
    }
    findings.sort_by_key(|finding| finding.span.map_or((0, 0), |span| (span.line, span.column)));
    let reported = findings.into_iter().map(|finding| finding.report(source, &lines, &hidden));
    (manifests, reported.collect())
}

fn read_body(source: &str, text: &str, options: &ReadOptions) -> (Vec<SourcedManifest>, Diagnostics) {
    let root = match json::read(text) {
        Ok(root) => root,
        Err(finding) => return (Vec::new(), finding.report(source, &[], &Hidden::default()).into()),
    };
    let items = items(&root);
    if items.len() > DOCUMENTS_MAX {
        let message = format!("{} manifests are too many, the limit is {DOCUMENTS_MAX}", items.len());
        let diagnostic = Diagnostic::new(Code::TooComplex, message).with_source(source);
        return (Vec::new(), diagnostic.with_help("send fewer manifests at a time").into());
    }
    let mut manifests = Vec::new();
    let mut diagnostics = Diagnostics::default();
    for (item, pointer) in items {
        match envelope::read(item, options) {
            Ok(manifest) => {
                manifests.push(SourcedManifest { manifest, source: source.to_owned(), line: None })
            }
            Err(problems) => {
                for problem in problems {
                    let within = format!("{pointer}{}", problem.pointer.as_deref().unwrap_or_default());
                    let problem = Finding { pointer: Some(within), ..problem };
                    diagnostics.push(problem.report(source, &[], &Hidden::default()));
                }
            }
        }
    }
    (manifests, diagnostics)
}

/// The manifests of a document with their JSON pointers: itself, or the items of a list.
fn items(root: &Node) -> Vec<(&Node, String)> {
    let listed = |items: &'_ [Node], at: &str| -> Vec<String> {
        (0..items.len()).map(|i| format!("{at}/{i}")).collect()
    };
    match &root.value {
        node::Value::List(items) => items.iter().zip(listed(items, "")).collect(),
        _ => match root.entry("items").map(|entry| &entry.value.value) {
            Some(node::Value::List(items)) if is_list(root) => {
                items.iter().zip(listed(items, "/items")).collect()
            }
            _ => vec![(root, String::new())],
        },
    }
}

fn is_list(root: &Node) -> bool {
    root.entry("kind").and_then(|kind| kind.value.text()).is_none_or(|kind| kind == "List")
}
