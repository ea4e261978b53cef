//! A copy of the sources, to break.
//!
//! It lies in `target/` and has a directory for builds of its own, so that nothing that is broken on purpose is ever found by another
//! build. A file that is as it should be is left alone, so that only what was broken, or put right, is built again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Where the copy and its builds are.
const DIRECTORY: &str = "target/defects";

/// The copy.
pub(super) struct Copy {
    tree: PathBuf,
    build: PathBuf,
}

impl Copy {
    /// A copy of what is there now, committed or not.
    pub(super) fn fresh() -> Result<Self> {
        let directory = workspace::root()?.join(DIRECTORY);
        let copy = Self { tree: directory.join("tree"), build: directory.join("build") };
        copy.restore()?;
        Ok(copy)
    }

    /// Makes the copy equal again.
    pub(super) fn restore(&self) -> Result<()> {
        let root = workspace::root()?;
        let files = sources(&root)?;
        for file in &files {
            let (from, to) = (root.join(file), self.tree.join(file));
            let content = fs::read(&from).with_context(|| format!("cannot read {}", file.display()))?;
            if fs::read(&to).is_ok_and(|there| there == content) {
                continue;
            }
            let directory = to.parent().context("a file has a directory")?;
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
            fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))?;
        }
        for extra in files_below(&self.tree)?.difference(&files) {
            fs::remove_file(self.tree.join(extra))
                .with_context(|| format!("cannot remove {}", extra.display()))?;
        }
        Ok(())
    }

    /// Breaks it.
    pub(super) fn apply(&self, patch: &Path) -> Result<()> {
        let applied = git(&self.tree).arg("apply").arg(patch).status().context("cannot run git")?;
        ensure!(applied.success(), "{} does not apply", patch.display());
        Ok(())
    }

    /// Cargo in the copy.
    pub(super) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Result<Command> {
        let mut cargo = workspace::cargo(arguments)?;
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.build);
        Ok(cargo)
    }
}

/// Git in a directory that is no part of the repository around it.
pub(super) fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory).env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
    git
}

/// The files that are sources: tracked, or new and not ignored.
fn sources(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root).args(listed).output().context("cannot run git")?;
    ensure!(output.status.success(), "git cannot list the sources");
    let text = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let files = text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}

fn files_below(tree: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut directories = vec![tree.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry.context("cannot list the copy")?.path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(file) = path.strip_prefix(tree) {
                found.insert(file.to_owned());
            }
        }
    }
    Ok(found)
}
