//! What `skep dev` sets up for itself: a directory with a private Postgres and a key.
//!
//! Input is one directory. Everything lives below it, so removing the directory removes every trace:
//!
//! ```text
//! <data-dir>/lock             held while a `skep dev` uses the directory
//! <data-dir>/key              the key that seals secret values, mode 0600
//! <data-dir>/postgres/data    the cluster
//! <data-dir>/postgres/run     its socket, mode 0700
//! <data-dir>/postgres/log     what the server said
//! ```

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub(crate) mod identity;
pub(crate) mod key;
pub(crate) mod postgres;
mod programs;

/// A data directory that no other `skep dev` uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    // The kernel lets go of the lock when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot tell where {} is", path.display()))?;
        // Traversable, because the database server runs as another user when Skep runs as root; what must stay private
        // below it has a mode of its own.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot set the mode of {}", path.display()))?;
        let file = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .with_context(|| format!("cannot open {}", file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another `skep dev` uses {}", path.display()),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", file.display()))
            }
        }
    }

    /// Where it is, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::take(dir.path()).unwrap();
        assert!(DataDir::take(dir.path()).unwrap_err().to_string().starts_with("another `skep dev` uses"));
        drop(first);
        assert!(DataDir::take(dir.path()).is_ok());
    }
}
