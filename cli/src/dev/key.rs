//! The file with the key that seals secret values.
//!
//! `skep serve` is given one and refuses to start without; only `skep dev` makes one, in its own data directory. The key never
//! reaches a log or an error: problems name the file, not its content.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use secrecy::{ExposeSecret, SecretString};
use skep_store::MasterKey;

/// A key file is 64 digits and a line end; whatever is much longer is another file.
const FILE_MAX: u64 = 1024;

/// The key in a file that only its owner may read.
pub(crate) fn read(path: &Path) -> Result<MasterKey> {
    let text = read_private(path, "the key file")?;
    parse(&text).with_context(|| format!("the key file {} does not hold a key", path.display()))
}

/// The text of a small file that only its owner may read.
pub(crate) fn read_private(path: &Path, what: &str) -> Result<SecretString> {
    let at = || format!("{what} {}", path.display());
    let file = File::open(path).with_context(|| format!("cannot open {}", at()))?;
    let meta = file.metadata().with_context(|| format!("cannot look at {}", at()))?;
    ensure!(meta.is_file(), "{} is not a file", at());
    let mode = meta.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{} can be read by others (mode {mode:04o})\nhelp: chmod 600 {}",
        at(),
        path.display()
    );
    let mut text = String::new();
    file.take(FILE_MAX).read_to_string(&mut text).with_context(|| format!("cannot read {}", at()))?;
    Ok(SecretString::from(text))
}

/// The key in a text.
pub(crate) fn parse(text: &SecretString) -> Result<MasterKey> {
    MasterKey::parse(text).context("help: make a key with `openssl rand -hex 32`")
}

/// The key of a data directory, made at the first call.
pub(crate) fn read_or_make(path: &Path) -> Result<MasterKey> {
    match fs::symlink_metadata(path) {
        Ok(_) => read(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(path)?;
            read(path)
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

/// Writes a new key. It appears under its name only when it is complete: a key cut short by a crash would lock every secret
/// that it sealed away.
fn make(path: &Path) -> Result<()> {
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot remove {}", part.display())),
    }
    let key = MasterKey::generate().context("cannot make a key")?.to_text();
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        writeln!(file, "{}", key.expose_secret())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = read_or_make(&path).unwrap();
        let second = read_or_make(&path).unwrap();
        assert_eq!(first.to_text().expose_secret(), second.to_text().expose_secret());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = read_or_make(&dir.path().join("other")).unwrap();
        assert_ne!(first.to_text().expose_secret(), other.to_text().expose_secret());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        read_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("mode 0640"));
        fs::write(&path, "canary").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("not 32 bytes") && !error.contains("canary"), "{error}");
    }
}
