//! Documents in the wrong place: right by themselves, and not for this source to write.

use std::collections::BTreeMap;
use std::fmt;

use skep_schemas::{Kind, OrgName, ResourceKey};

use super::{DocumentPlace, SyncTerms};

/// A document that this source does not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// Which.
    pub document: DocumentPlace,
    /// Why.
    pub why: Misplacement,
}

/// Why a document is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misplacement {
    /// It belongs to another organisation, or to none.
    Elsewhere {
        /// Where the source writes.
        org: OrgName,
    },
    /// The source does not write its kind.
    Kind {
        /// What it writes.
        allowed: Vec<Kind>,
    },
    /// Another document is of the same resource.
    Twice {
        /// Where that is.
        path: String,
        /// The line that it begins in.
        line: u32,
    },
}

impl Misplaced {
    /// What can be done.
    pub fn help(&self) -> String {
        match &self.why {
            Misplacement::Elsewhere { org } => {
                format!(
                    "write `org: {org}` or leave it out, or move the document to a repository of its own organisation's source"
                )
            }
            Misplacement::Kind { .. } => {
                "add the kind to `writes` of the GitSource, take the document out, or `exclude` its file"
                    .to_owned()
            }
            Misplacement::Twice { .. } => "take one of the two out".to_owned(),
        }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DocumentPlace { key, path, line } = &self.document;
        write!(f, "{path}:{line}: ")?;
        match &self.why {
            Misplacement::Elsewhere { org } => {
                write!(f, "{key} is not in the organisation `{org}`, to which alone this source writes")
            }
            Misplacement::Kind { allowed } => {
                let allowed: Vec<&str> = allowed.iter().map(|kind| kind.as_str()).collect();
                write!(f, "this source does not write {}; it writes {}", key.kind(), allowed.join(", "))
            }
            Misplacement::Twice { path, line } => write!(f, "{key} is written in {path}:{line} already"),
        }
    }
}

/// All of them, in the order of the documents.
pub(super) fn find(terms: &SyncTerms, documents: &[DocumentPlace]) -> Vec<Misplaced> {
    let mut first: BTreeMap<&ResourceKey, &DocumentPlace> = BTreeMap::new();
    let mut found = Vec::new();
    for document in documents {
        let why = if document.key.org() != Some(&terms.org) {
            Some(Misplacement::Elsewhere { org: terms.org.clone() })
        } else if !terms.kinds.contains(&document.key.kind()) {
            Some(Misplacement::Kind { allowed: terms.kinds.iter().copied().collect() })
        } else {
            first
                .get(&document.key)
                .map(|other| Misplacement::Twice { path: other.path.clone(), line: other.line })
        };
        first.entry(&document.key).or_insert(document);
        found.extend(why.map(|why| Misplaced { document: document.clone(), why }));
    }
    found
}
