//! `.skep/`: what an installation leaves in the workspace for people, for the next `up` and for `down`.
//!
//! ```text
//! .skep/lock           held by the supervisor while the installation lives; its process id
//! .skep/stop           asks the supervisor to end
//! .skep/log            what the supervisor did
//! .skep/server.log     the server's log
//! .skep/config.yaml    the context for the skep command, with the token
//! .skep/running.json   where everything is; written last, when everything runs
//! ```
//!
//! The engine's files and the database are not here but in the testbed's directory: the database server must be able to
//! reach its files as another user, and sockets need short paths, and a workspace promises neither.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::workspace;

/// Another place for the directory: tests use it to leave a developer's installation alone.
const PLACE: &str = "SKEP_UP_DIR";

/// The directory.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    dir: PathBuf,
}

/// Where the parts of a running installation are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// The loopback port that leads to the edge.
    pub(crate) edge_port: u16,
    /// The API's address.
    pub(crate) server: String,
    /// The engine's address, as `DOCKER_HOST` takes it.
    pub(crate) docker_host: String,
    /// The directory of the engine and the database.
    pub(crate) parts: PathBuf,
}

impl Home {
    /// Of this workspace.
    pub(crate) fn find() -> Result<Home> {
        let dir = match std::env::var_os(PLACE) {
            Some(dir) => std::path::absolute(dir).context("the directory has no absolute path")?,
            None => workspace::root()?.join(".skep"),
        };
        Ok(Home { dir })
    }

    /// Makes the directory; the token is in it, so nobody else may look.
    pub(crate) fn create(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.with_context(|| format!("cannot create {}", self.dir.display()))
    }

    /// Removes the directory.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.dir.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where the directory is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file or directory in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes the directory for this process, if no other has it. The kernel lets go of it when the process ends.
    pub(crate) fn take(&self) -> Result<Option<File>> {
        let Some(mut lock) = self.free_lock()? else { return Ok(None) };
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .context("cannot write the lock")?;
        Ok(Some(lock))
    }

    /// Whether a supervisor has the directory.
    pub(crate) fn is_taken(&self) -> Result<bool> {
        Ok(self.dir.exists() && self.free_lock()?.is_none())
    }

    /// The process that has the directory: to be believed only while it is taken.
    pub(crate) fn supervisor(&self) -> Option<u32> {
        fs::read_to_string(self.at("lock")).ok()?.trim().parse().ok()
    }

    fn free_lock(&self) -> Result<Option<File>> {
        let path = self.at("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Asks the supervisor to end.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        fs::write(self.at("stop"), "").context("cannot ask the supervisor to end")
    }

    /// Whether the supervisor is to end. A directory that somebody removed by hand means the same.
    pub(crate) fn must_stop(&self) -> bool {
        self.at("stop").exists() || !self.at("lock").exists()
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.at(name);
        let part = self.at(&format!("{name}.part"));
        let write = || -> std::io::Result<()> {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(content.as_bytes())?;
            fs::rename(&part, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Says that everything runs, and where.
    pub(crate) fn announce(&self, running: &Running) -> Result<()> {
        self.write("running.json", &running.to_json().to_string())
    }

    /// What runs, once everything does.
    pub(crate) fn running(&self) -> Option<Running> {
        let text = fs::read(self.at("running.json")).ok()?;
        Running::from_json(&serde_json::from_slice(&text).ok()?)
    }
}

impl Running {
    fn to_json(&self) -> Value {
        json!({
            "edgePort": self.edge_port,
            "server": self.server,
            "dockerHost": self.docker_host,
            "parts": self.parts,
        })
    }

    fn from_json(value: &Value) -> Option<Running> {
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Running {
            edge_port: value.get("edgePort")?.as_u64()?.try_into().ok()?,
            server: text("server")?,
            docker_host: text("dockerHost")?,
            parts: text("parts")?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_everything_is_reads_back_as_it_was_written() {
        let running = Running {
            edge_port: 8080,
            server: "http://127.0.0.1:7700".to_owned(),
            docker_host: "unix:///x/docker.sock".to_owned(),
            parts: "/x".into(),
        };
        assert_eq!(Running::from_json(&running.to_json()), Some(running));
        assert_eq!(Running::from_json(&json!({"edgePort": 70_000})), None);
    }
}
