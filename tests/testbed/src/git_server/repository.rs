//! What is in the repositories of a server, written with Git's plumbing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// A bare repository on this machine.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Makes an empty one, whose branch is `main`.
    pub fn create(path: &Path) -> Result<Self> {
        let made = Self { path: path.to_owned() };
        command::stdout(
            plain("git").args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(path).take(),
        )?;
        made.git(["config", "uploadpack.allowAnySHA1InWant", "true"])?;
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// May clients say that they want no large files?
    pub fn allow_filter(&self, allow: bool) -> Result<()> {
        self.git(["config", "uploadpack.allowFilter", if allow { "true" } else { "false" }]).map(drop)
    }

    /// Runs a command of Git in it; what it wrote, without the end of the line.
    pub fn git<const N: usize>(&self, args: [&str; N]) -> Result<String> {
        let written = command::stdout(self.command().args(args).take())?;
        Ok(written.trim_end().to_owned())
    }

    /// Runs a command of Git with some input.
    pub fn feed<const N: usize>(&self, args: [&str; N], input: &[u8]) -> Result<String> {
        let written = command::feed(self.command().args(args).take(), input)?;
        Ok(written.trim_end().to_owned())
    }

    /// Commits exactly these files to a branch, on top of what is there.
    pub fn commit(&self, branch: &str, files: &[(&str, &[u8])]) -> Result<String> {
        let tip = format!("refs/heads/{branch}");
        let before = self.git(["rev-parse", "--verify", "--quiet", &tip]).ok();
        self.import(&tip, before.as_deref(), files)
    }

    /// Replaces a branch by a commit of these files that has no parent, as a forced push does.
    pub fn rewrite(&self, branch: &str, files: &[(&str, &[u8])]) -> Result<String> {
        self.import(&format!("refs/heads/{branch}"), None, files)
    }

    fn import(&self, tip: &str, before: Option<&str>, files: &[(&str, &[u8])]) -> Result<String> {
        let mut stream =
            format!("commit {tip}\ncommitter T <t@example> 1700000000 +0000\ndata 1\n.\n").into_bytes();
        if let Some(before) = before {
            stream.extend_from_slice(format!("from {before}\n").as_bytes());
        }
        stream.extend_from_slice(b"deleteall\n");
        for (path, bytes) in files {
            stream.extend_from_slice(format!("M 100644 inline {path}\ndata {}\n", bytes.len()).as_bytes());
            stream.extend_from_slice(bytes);
            stream.push(b'\n');
        }
        stream.extend_from_slice(b"done\n");
        self.feed(["fast-import", "--quiet", "--force", "--done"], &stream)?;
        self.git(["rev-parse", tip])
    }

    /// Commits a tree of these entries, each as `git mktree` reads it or worse, to a branch. Nothing of them is checked.
    pub fn commit_tree(&self, branch: &str, entries: &[(&str, &[u8], &str)]) -> Result<String> {
        let tree = self.tree(entries)?;
        let commit = self.feed(["commit-tree", "-m", ".", &tree], b"")?;
        self.git(["update-ref", &format!("refs/heads/{branch}"), &commit])?;
        Ok(commit)
    }

    /// Writes a tree of (mode, name, id), in this order.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> Result<String> {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            for at in (0..id.len()).step_by(2) {
                let digits = id.get(at..at + 2).context("an id has an even number of digits")?;
                bytes.push(u8::from_str_radix(digits, 16)?);
            }
        }
        self.feed(["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &bytes)
    }

    /// Writes a blob.
    pub fn blob(&self, bytes: &[u8]) -> Result<String> {
        self.feed(["hash-object", "-w", "--stdin"], bytes)
    }

    fn command(&self) -> Plain {
        let mut command = plain("git");
        command.arg("--git-dir").arg(&self.path);
        command
    }
}

/// A command of Git that nothing of this machine's configuration reaches.
pub(super) struct Plain(Command);

pub(super) fn plain(program: &str) -> Plain {
    let mut command = command::command(program, [""; 0]);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "T").env(format!("GIT_{who}_EMAIL"), "t@example");
        command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
    }
    Plain(command)
}

impl Plain {
    pub(super) fn arg(&mut self, arg: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    pub(super) fn args<const N: usize>(&mut self, args: [&str; N]) -> &mut Self {
        self.0.args(args);
        self
    }

    pub(super) fn take(&mut self) -> Command {
        std::mem::replace(&mut self.0, Command::new("git"))
    }
}
