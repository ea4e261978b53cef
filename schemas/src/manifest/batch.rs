//! Several sources read as one: files, directories and standard input of one `skep apply`.
//!
//! Whoever reads files gives their texts to a [`Batch`]; the batch reports the problems of all of them in one go, and refuses
//! a resource that is written in two places.

use std::collections::BTreeMap;

use super::{ReadOptions, SourcedManifest, read_body, read_yaml};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::ResourceKey;

/// The most manifests of one batch: it is one database transaction, and one plan.
const BATCH_MAX: usize = 5000;

/// Collects sources and reads them.
#[derive(Debug, Default)]
pub struct Batch {
    options: ReadOptions,
    sources: Vec<String>,
    manifests: Vec<SourcedManifest>,
    diagnostics: Diagnostics,
}

impl Batch {
    /// An empty batch.
    pub fn new(options: ReadOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Adds a YAML text; JSON is YAML too, and gets line numbers this way.
    pub fn add_yaml(&mut self, source: &str, text: &str) {
        let read = read_yaml(source, text, &self.options);
        self.add(source, read);
    }

    /// Adds a JSON text whose problems are reported by JSON pointer.
    pub fn add_json(&mut self, source: &str, text: &str) {
        let read = read_body(source, text, &self.options);
        self.add(source, read);
    }

    /// Adds a source that could not be read, and why.
    pub fn add_unreadable(&mut self, source: &str, why: &str) {
        let diagnostic = Diagnostic::new(Code::Unreadable, format!("cannot read {source}: {why}"));
        self.add(source, (Vec::new(), diagnostic.with_source(source).into()));
    }

    fn add(&mut self, source: &str, (manifests, diagnostics): (Vec<SourcedManifest>, Diagnostics)) {
        self.sources.push(source.to_owned());
        self.diagnostics.append(diagnostics);
        let room = BATCH_MAX.saturating_sub(self.manifests.len());
        if manifests.len() > room {
            let message = format!("more than {BATCH_MAX} manifests in one batch");
            let diagnostic = Diagnostic::new(Code::TooComplex, message).with_source(source);
            self.diagnostics.push(diagnostic.with_help("apply them in several batches"));
        }
        self.manifests.extend(manifests.into_iter().take(room));
    }

    /// All manifests in the order they were added, or every problem in them.
    pub fn finish(mut self) -> Result<Vec<SourcedManifest>, Diagnostics> {
        self.diagnostics.append(duplicates(&self.manifests));
        if self.manifests.is_empty() && self.diagnostics.is_empty() {
            let diagnostic = Diagnostic::new(Code::NothingToRead, "no manifest was found");
            let help = "name a file with manifests, a directory of `.yaml` files, or `-` for standard input";
            self.diagnostics.push(match self.sources.first() {
                Some(source) => diagnostic.with_source(source).with_help(help),
                None => diagnostic.with_help(help),
            });
        }
        self.diagnostics.sort(&self.sources);
        self.diagnostics.or_ok(self.manifests)
    }
}

/// One problem for every resource that was written before.
pub(super) fn duplicates(manifests: &[SourcedManifest]) -> Diagnostics {
    let place = |manifest: &SourcedManifest| match manifest.line {
        Some(line) => format!("{}:{line}", manifest.source),
        None => manifest.source.clone(),
    };
    let mut seen: BTreeMap<&ResourceKey, &SourcedManifest> = BTreeMap::new();
    let mut diagnostics = Diagnostics::default();
    for sourced in manifests {
        let Some(first) = seen.get(&sourced.manifest.key) else {
            seen.insert(&sourced.manifest.key, sourced);
            continue;
        };
        let message = format!("{} is written twice", sourced.manifest.key);
        diagnostics.push(Diagnostic {
            line: sourced.line,
            column: sourced.line.map(|_| 1),
            source: Some(sourced.source.clone()),
            help: Some(format!("the first is at {}; remove one of them", place(first))),
            ..Diagnostic::new(Code::DuplicateResource, message)
        });
    }
    diagnostics
}
