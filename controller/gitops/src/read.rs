//! From files to documents: the reader of `skep apply`, with the path in the repository as the file's name.
//!
//! One problem anywhere means that nothing is returned, and says where it is. A file that is no manifest is such a problem: silence is how
//! manifests get lost. No document at all is none here; whoever decides what is removed decides about that too.

use skep_schemas::codes::Code;
use skep_schemas::diagnostic::Diagnostic;
use skep_schemas::manifest::{Batch, ReadOptions};
use skep_schemas::resource::Manifest;

use crate::gather::Files;
use crate::limits::{Bound, Limits};

/// The most problems that are told.
const TOLD_MAX: usize = 20;

/// One manifest and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The manifest.
    pub manifest: Manifest,
    /// The path of its file, from the root of the repository.
    pub path: String,
    /// The line that it begins on, from 1.
    pub line: u32,
}

/// Why there are no documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There are too many.
    #[error("{found} documents are more than {limit}; {}", Bound::Documents.help())]
    TooMany {
        /// How many.
        found: usize,
        /// How many are allowed.
        limit: u64,
    },
    /// Problems in them.
    #[error("{}", told(.problems, *.count))]
    Problems {
        /// The first of them, in the order of the files.
        problems: Vec<Diagnostic>,
        /// How many there are.
        count: usize,
    },
}

/// All documents of all files, or what is wrong with them.
pub fn read(files: &Files, options: ReadOptions, limits: &Limits) -> Result<Vec<Document>, Unread> {
    if files.files.is_empty() {
        return Ok(Vec::new());
    }
    let mut batch = Batch::new(options);
    for file in &files.files {
        match std::str::from_utf8(&file.bytes) {
            Ok(text) => batch.add_yaml(&file.path, text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => batch.add_unreadable(&file.path, "it is no text in UTF-8"),
        }
    }
    let manifests = match batch.finish() {
        Ok(manifests) => manifests,
        Err(problems) if problems.as_slice().iter().all(|one| one.code == Code::NothingToRead) => Vec::new(),
        Err(problems) => {
            let count = problems.count();
            let problems = problems.into_vec().into_iter().take(TOLD_MAX).collect();
            return Err(Unread::Problems { problems, count });
        }
    };
    if u64::try_from(manifests.len()).is_ok_and(|found| found > limits.documents) {
        return Err(Unread::TooMany { found: manifests.len(), limit: limits.documents });
    }
    let document = |read: skep_schemas::manifest::SourcedManifest| Document {
        manifest: read.manifest,
        path: read.source,
        line: read.line.unwrap_or(1),
    };
    Ok(manifests.into_iter().map(document).collect())
}

/// Problems as lines of `path:line:column: message (code)`.
fn told(problems: &[Diagnostic], count: usize) -> String {
    let mut lines: Vec<String> = problems.iter().map(place).collect();
    if count > problems.len() {
        lines.push(format!("and {} more", count - problems.len()));
    }
    lines.join("\n")
}

fn place(problem: &Diagnostic) -> String {
    let mut at = problem.source.clone().unwrap_or_default();
    for number in [problem.line, problem.column].into_iter().flatten() {
        at.push_str(&format!(":{number}"));
    }
    format!("{at}: {} ({})", problem.message, problem.code)
}
