//! Remotes: where files come from. Each is looked at, and answers whether anything is new, and if so with the files that are selected.

use std::fmt;

use async_trait::async_trait;

use crate::error::FetchError;
use crate::gather::Files;
use crate::limits::Limits;
use crate::selection::Selection;

mod directory;
mod https;
mod repository;
mod ssh;
mod wire;

pub use directory::Directory;
pub use repository::{Credentials, Repository};

/// Where files come from.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Looks what is there now. Within [`Limits::within`] there is an answer.
    async fn look(&self, ask: &Ask<'_>) -> Result<Look, FetchError>;
}

/// What is asked of a remote.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What to look at. Means nothing to a directory.
    pub reference: &'a Reference,
    /// Which files are wanted.
    pub selection: &'a Selection,
    /// What was synced last *with this selection*; if it still is what is there, nothing is fetched. Whoever changes the selection leaves it
    /// out once, or the files that the new one takes are never seen.
    pub synced: Option<&'a Commit>,
    /// What it may cost.
    pub limits: &'a Limits,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The same as was synced last.
    Unchanged,
    /// Something else.
    Fetched(Fetched),
}

/// Files, and what they are a state of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The state's name.
    pub commit: Commit,
    /// How it follows from what was synced last.
    pub history: History,
    /// What was selected.
    pub files: Files,
}

/// How a commit follows from the one that was synced last.
///
/// A fetch brings one commit. That the last one is its parent can be read from it. If it is not, Git's own negotiation is asked: the commits that
/// are the new one's and not the last one's, at most [`DEEPEST`](crate::remote::DEEPEST) deep. They lead to the last one, or to what it
/// descends from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Nothing was synced before.
    First,
    /// It has the last one among its ancestors.
    Descends,
    /// It has not: somebody rewrote the branch, or named another one.
    Rewritten,
    /// It is too far away, or the server does not tell. Whoever removes resources treats it like a rewritten one.
    Unknown,
    /// It is a directory, which has no history.
    Unversioned,
}

/// The deepest history that is asked for.
pub const DEEPEST: usize = 256;

/// The name of a state: a commit's id, or the digest of a directory's selected files. Lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(String);

impl Commit {
    /// A commit's id (40 digits), or the digest of a directory's files (64).
    pub fn new(text: &str) -> Result<Self, ReferenceError> {
        let text = text.to_ascii_lowercase();
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits && matches!(text.len(), 40 | 64) {
            return Ok(Self(text));
        }
        Err(ReferenceError { text, why: "a commit is written with all its 40 hexadecimal digits" })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of a repository is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The tip of a branch.
    Branch(RefName),
    /// What a tag names.
    Tag(RefName),
    /// This commit, whatever else there is.
    Commit(Commit),
}

/// The name of a branch or tag, such as Git itself takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefName(String);

/// A name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name of a branch, tag or commit: {why}")]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

impl Reference {
    /// A branch.
    pub fn branch(name: &str) -> Result<Self, ReferenceError> {
        RefName::new(name).map(Self::Branch)
    }

    /// A tag.
    pub fn tag(name: &str) -> Result<Self, ReferenceError> {
        RefName::new(name).map(Self::Tag)
    }

    /// A commit.
    pub fn commit(id: &str) -> Result<Self, ReferenceError> {
        match Commit::new(id) {
            Ok(commit) if commit.as_str().len() == 40 => Ok(Self::Commit(commit)),
            Ok(Commit(text)) => {
                Err(ReferenceError { text, why: "a commit is written with all its 40 hexadecimal digits" })
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch {}", name.0),
            Self::Tag(name) => write!(f, "tag {}", name.0),
            Self::Commit(commit) => write!(f, "commit {commit}"),
        }
    }
}

impl RefName {
    fn new(name: &str) -> Result<Self, ReferenceError> {
        let refused = |why| Err(ReferenceError { text: name.to_owned(), why });
        if name.is_empty() || name.len() > 200 {
            return refused("it has 1 to 200 bytes");
        }
        let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
        if name.contains(odd) || name.contains("..") || name.contains("@{") || name.contains("//") {
            return refused("it has something in it that Git does not allow in names");
        }
        let ends = name.starts_with(['-', '/', '.']) || name.ends_with(['/', '.']) || name.ends_with(".lock");
        if ends || name.contains("/.") {
            return refused("it begins or ends with something that Git does not allow there");
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_git_takes() {
        for right in ["main", "feature/a-b", "v1.2.3", "ümlaut", "a@b"] {
            assert!(Reference::branch(right).is_ok(), "{right}");
        }
        for wrong in
            ["", "a b", "a..b", "-x", "a\nb", "a:b", "a.lock", "/a", "a/", ".a", "a/.b", "a@{1}", "x*"]
        {
            assert!(Reference::tag(wrong).is_err(), "{wrong}");
        }
        let id = "A".repeat(40);
        assert_eq!(Reference::commit(&id).unwrap().to_string(), format!("commit {}", "a".repeat(40)));
        for wrong in ["abc", &"a".repeat(64), &"g".repeat(40)] {
            assert!(Reference::commit(wrong).is_err(), "{wrong}");
        }
    }
}
