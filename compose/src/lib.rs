//! The door from Compose and the way back: files of Docker Compose become Skep's manifests, and every key of them is accounted for; environments become
//! such a file again ([`export`]).
//!
//! ```text
//! files ─> read (YAML, anchors) ─> interpolate (${VAR:-default}) ─> canonical (one form for each key)
//!       ─> merge (several files, include, extends) ─> profiles ─> services ─> manifests + Report
//! ```
//!
//! A service of Compose is an App and an Environment here, because each has an image of its own; the process that others reach is called `web`.
//! What a key becomes is said in the [`Report`]: done and where it went, to be decided and what, or refused and why. Keys are *taken* out of a
//! service by whoever knows them ([`keys::Keys`]), and what is left at the end is told as well, so that a key cannot be dropped by being forgotten.
//!
//! Nothing here reads a file or a variable by itself: both are given, so that what is imported does not depend on whose machine it is. Values of
//! secrets are never put into a manifest: it is a file that people commit.

mod canonical;
mod export;
mod interpolate;
mod keys;
mod merge;
mod project;
mod read;
mod report;
mod service;
mod top_level;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use skep_schemas::{Host, ImageRef, Manifest, OrgName, ResourceName};

pub use self::export::{Export, Exported, export};
pub use self::report::{Entry, Outcome, Report};

/// What is not in the files.
#[derive(Debug, Clone)]
pub struct Options {
    /// The organisation of the manifests.
    pub org: OrgName,
    /// The project, which names of resources begin with. The files' own `name` when absent.
    pub project: Option<String>,
    /// The name of the directory of the first file: the project's where nobody says another.
    pub directory: Option<String>,
    /// The profiles that are asked for.
    pub profiles: BTreeSet<String>,
    /// Variables for `${…}`.
    pub variables: BTreeMap<String, String>,
    /// Images in place of those of the files, by service: of what is built, for instance.
    pub images: BTreeMap<String, ImageRef>,
    /// Hosts at which services are to be reached.
    pub hosts: BTreeMap<String, Host>,
    /// Names in place of those that would be made, by service.
    pub names: BTreeMap<String, ResourceName>,
}

impl Options {
    /// Nothing but what is in the files, for this organisation.
    pub fn new(org: OrgName) -> Self {
        Self {
            org,
            project: None,
            directory: None,
            profiles: BTreeSet::new(),
            variables: BTreeMap::new(),
            images: BTreeMap::new(),
            hosts: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }
}

/// What became of the files.
#[derive(Debug, Clone)]
pub struct Import {
    /// The project.
    pub project: String,
    /// The manifests, what is referred to first.
    pub manifests: Vec<Manifest>,
    /// What became of every key.
    pub report: Report,
}

/// Why files cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no YAML.
    #[error("{}: {problem}", path.display())]
    Yaml {
        /// Which.
        path: PathBuf,
        /// What is wrong, with its place.
        problem: String,
    },
    /// Something in a file is not as Compose has it.
    #[error("{}: {pointer}: {problem}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where.
        pointer: String,
        /// What is wrong.
        problem: String,
    },
    /// Something that the files say together cannot be.
    #[error("{pointer}: {problem}")]
    Project {
        /// Where.
        pointer: String,
        /// What is wrong.
        problem: String,
    },
}

/// Imports files, the later over the earlier. `read` reads those that they name.
pub fn import(
    files: &[PathBuf],
    options: &Options,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Import, ComposeError> {
    let project = project::load(files, options, read)?;
    service::import(project, options, read)
}
