//! What places in a repository are told by: the id of a commit, and a path.

use super::names::excerpt;
use super::{ScalarError, text_scalar};

/// Longest path in a repository. File systems take four times as much; a place is told in one line.
const PATH_MAX: usize = 1024;

text_scalar! {
    /// The whole id of a commit, or of a state of a directory: SHA-1 or SHA-256, in lower-case hexadecimal digits.
    CommitId, "commit-id", "Whole id of a commit: 40 or 64 lower-case hexadecimal digits.",
    "^([0-9a-f]{40}|[0-9a-f]{64})$", commit_id
}

text_scalar! {
    /// A path in a repository, from its root, without `.` and `..` parts.
    RepositoryPath, "repository-path", "Path in a repository, from its root: without a slash at its ends, and without `.` and `..` parts.",
    "^[^/].*$", repository_path
}

impl CommitId {
    /// The first digits, by which people tell commits apart.
    pub fn short(&self) -> &str {
        self.as_str().get(..12).unwrap_or(self.as_str())
    }
}

fn commit_id(text: &str) -> Result<(), ScalarError> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits && matches!(text.len(), 40 | 64) {
        return Ok(());
    }
    let help = "write all 40 or 64 digits, in lower case, as `git rev-parse` tells them";
    Err(ScalarError::new(format!("`{}` is not the id of a commit", excerpt(text)), help))
}

fn repository_path(text: &str) -> Result<(), ScalarError> {
    let parts = !text.split('/').any(|part| matches!(part, "" | "." | ".."));
    if parts && text.len() <= PATH_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let help = format!("write a path such as `deploy/shop.yaml`, of at most {PATH_MAX} bytes");
    Err(ScalarError::new(format!("`{}` is not a path in a repository", excerpt(text)), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_named_by_its_whole_id() {
        for length in [40, 64] {
            let id: CommitId = "0a".repeat(length / 2).parse().unwrap();
            assert_eq!(id.short(), "0a0a0a0a0a0a");
        }
        for text in ["", "main", &"0A".repeat(20), &"0a".repeat(21), &"é".repeat(20)] {
            assert!(text.parse::<CommitId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_stays_in_the_repository() {
        for text in ["shop.yaml", "deploy/a b/shop.yaml", ".skep/..shop", "größe.yaml"] {
            assert!(text.parse::<RepositoryPath>().is_ok(), "{text}");
        }
        for text in ["", "/etc/passwd", "../shop", "a/../../b", "a//b", "a/", "./a", "a\nb", "a\u{1b}[2J"] {
            assert!(text.parse::<RepositoryPath>().is_err(), "{text:?}");
        }
        assert!("a".repeat(1025).parse::<RepositoryPath>().is_err());
    }
}
