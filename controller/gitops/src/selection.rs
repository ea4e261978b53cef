//! Which files of a tree are taken: those below a path that fit a glob and are not excluded by another.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The most globs of one list, and the longest.
const GLOBS_MAX: usize = 64;
const GLOB_MAX: usize = 256;

/// What is taken.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The names on the way to the directory; none for the root.
    path: Vec<String>,
    include: GlobSet,
    exclude: GlobSet,
    /// What it was made of: two selections that take the same are equal.
    written: (Vec<String>, Vec<String>),
}

/// A path or a glob that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The path.
    #[error("`{path}` is no path in a repository: {why}")]
    Path {
        /// As it was written.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A glob.
    #[error("`{glob}` is no glob: {why}")]
    Glob {
        /// As it was written.
        glob: String,
        /// What is wrong.
        why: String,
    },
    /// Too many globs.
    #[error("{found} globs are too many; {GLOBS_MAX} are enough")]
    Globs {
        /// How many.
        found: usize,
    },
}

impl Selection {
    /// What lies below `path` (empty or `.` for everything), fits one of `include` and none of `exclude`. Globs are held against the path
    /// below `path`; `*` does not cross directories, `**` does.
    pub fn new(path: &str, include: &[String], exclude: &[String]) -> Result<Self, SelectionError> {
        let names = names(path)?;
        Ok(Self {
            path: names,
            include: globs(include)?,
            exclude: globs(exclude)?,
            written: (include.to_vec(), exclude.to_vec()),
        })
    }

    /// The names on the way to the directory.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }

    /// Is this file taken? The path is relative to the directory.
    pub(crate) fn takes(&self, path: &str) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.written == other.written
    }
}

impl Eq for Selection {}

fn names(path: &str) -> Result<Vec<String>, SelectionError> {
    let refused = |why| SelectionError::Path { path: path.to_owned(), why };
    if path.starts_with('/') {
        return Err(refused("it begins with `/`; it is relative to the root of the repository"));
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused("it has a backslash or a control character in it"));
    }
    let names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.iter().any(|name| name == "..") {
        return Err(refused("it leads out of a directory with `..`"));
    }
    Ok(names)
}

fn globs(written: &[String]) -> Result<GlobSet, SelectionError> {
    if written.len() > GLOBS_MAX {
        return Err(SelectionError::Globs { found: written.len() });
    }
    let mut set = GlobSetBuilder::new();
    for glob in written {
        let refused = |why: String| SelectionError::Glob { glob: glob.clone(), why };
        if glob.len() > GLOB_MAX {
            return Err(refused(format!("it is longer than {GLOB_MAX} bytes")));
        }
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(built.map_err(|error| refused(error.kind().to_string()))?);
    }
    let refused = |error: globset::Error| SelectionError::Glob {
        glob: error.glob().unwrap_or_default().to_owned(),
        why: error.kind().to_string(),
    };
    set.build().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn a_star_stays_in_its_directory_and_two_do_not() {
        let one = Selection::new("deploy", &strings(&["*.yaml"]), &[]).unwrap();
        assert!(one.takes("a.yaml") && !one.takes("b/a.yaml"));
        let all = Selection::new("", &strings(&["**/*.{yaml,yml}"]), &strings(&["**/*.test.yaml"])).unwrap();
        assert!(all.takes("a.yaml") && all.takes("b/c/a.yml"));
        assert!(!all.takes("b/a.test.yaml") && !all.takes("a.txt"));
    }

    #[test]
    fn a_path_is_relative_and_leads_nowhere_else() {
        let none: &[String] = &[];
        assert_eq!(Selection::new("./a//b/", none, none).unwrap().path(), ["a", "b"]);
        assert!(Selection::new(".", none, none).unwrap().path().is_empty());
        for wrong in ["/a", "a/../b", "..", "a\\b", "a\nb"] {
            assert!(matches!(Selection::new(wrong, none, none), Err(SelectionError::Path { .. })), "{wrong}");
        }
        for wrong in ["a{b", "[", &"x".repeat(300)] {
            let found = Selection::new("", &strings(&[wrong]), none);
            assert!(matches!(found, Err(SelectionError::Glob { .. })), "{wrong}");
        }
    }
}
