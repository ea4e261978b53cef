//! The `skep` command, run as a user runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use skep_testbed::Process;

/// The command, pointed at one server.
#[derive(Debug, Clone)]
pub struct Cli {
    binary: PathBuf,
    server: String,
    token: String,
    home: PathBuf,
}

/// What a command answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// The same, if it succeeded.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.code == 0, "skep ended with {}\n{}{}", self.code, self.out, self.err);
        Ok(self)
    }

    /// Standard output as JSON, if it succeeded.
    pub fn json(self) -> Result<serde_json::Value> {
        let answer = self.ok()?;
        serde_json::from_str(&answer.out).with_context(|| format!("not JSON: {}", answer.out))
    }
}

impl Cli {
    /// The command against a server. Nothing of the caller's own configuration is read.
    pub fn new(binary: PathBuf, server: String, token: String, home: &Path) -> Self {
        Self { binary, server, token, home: home.to_owned() }
    }

    /// The same command with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Where the server is.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The command, not started.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .env_remove("SKEP_ORG")
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("SKEP_SERVER", &self.server)
            .env("SKEP_TOKEN", &self.token)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Answer> {
        answer(self.command(args))
    }

    /// The same with this on standard input.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Result<Answer> {
        let path = self.file("input", input)?;
        let mut command = self.command(args);
        command.stdin(std::fs::File::open(path)?);
        answer(command)
    }

    /// Starts it and leaves it running.
    pub fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Process> {
        Process::start(self.command(args))
    }

    /// Writes manifests to a file, to be named in commands.
    pub fn file(&self, name: &str, manifests: &str) -> Result<String> {
        let path = self.home.join(name);
        std::fs::write(&path, manifests)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Applies manifests given as text, with further arguments.
    pub fn apply(&self, manifests: &str, args: &[&str]) -> Result<Answer> {
        let file = self.file("apply.yaml", manifests)?;
        let mut all = vec!["apply", "-f", file.as_str()];
        all.extend_from_slice(args);
        self.run(&all)
    }

    /// Applies manifests given as text and waits until all is ready.
    pub fn apply_and_wait(&self, manifests: &str) -> Result<Answer> {
        self.apply(manifests, &["--wait", "--timeout", "5m"])
    }

    /// What an apply of these manifests would do.
    pub fn diff(&self, manifests: &str) -> Result<Answer> {
        let file = self.file("diff.yaml", manifests)?;
        self.run(&["diff", "-f", &file])
    }

    /// A resource as JSON.
    pub fn get(&self, org: &str, kind: &str, name: &str) -> Result<serde_json::Value> {
        self.run(&["get", kind, name, "--org", org, "-o", "json"])?.json()
    }
}

fn answer(mut command: Command) -> Result<Answer> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    Ok(Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
