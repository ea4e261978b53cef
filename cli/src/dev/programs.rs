//! Finds the installed Postgres server programs.
//!
//! Debian keeps each major version apart (`/usr/lib/postgresql/15/bin`); elsewhere they are in `PATH`. A cluster can only be
//! run by the major version that made it, so existing data decides, and otherwise the newest version.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Where Debian keeps one directory for each major version.
const VERSIONED: &str = "/usr/lib/postgresql";
/// How to get them.
const HELP: &str =
    "help: install the server (Debian: apt-get install postgresql), or name a database with --database-url";

/// The directory of `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// The programs for data at this place, which need not exist yet.
    pub(crate) fn find(data: &Path) -> Result<Self> {
        let made_by = match fs::read_to_string(data.join("PG_VERSION")) {
            Ok(version) => Some(version.trim().to_owned()),
            Err(_) => None,
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let in_path: Vec<PathBuf> = env::split_paths(&path).collect();
        Self::find_in(Path::new(VERSIONED), &in_path, made_by.as_deref())
    }

    fn find_in(versioned: &Path, in_path: &[PathBuf], made_by: Option<&str>) -> Result<Self> {
        let complete = |bin: &Path| ["initdb", "postgres"].iter().all(|name| bin.join(name).is_file());
        if let Some(version) = made_by {
            let bin = versioned.join(version).join("bin");
            if complete(&bin) {
                return Ok(Self { bin });
            }
        } else {
            let entries = fs::read_dir(versioned).into_iter().flatten().flatten();
            let mut versions: Vec<u32> =
                entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
            versions.sort_unstable();
            let bins = versions.iter().rev().map(|version| versioned.join(version.to_string()).join("bin"));
            if let Some(bin) = bins.into_iter().find(|bin| complete(bin)) {
                return Ok(Self { bin });
            }
        }
        match (in_path.iter().find(|bin| complete(bin)), made_by) {
            // A wrong version in PATH refuses the data itself, and says so in its log.
            (Some(bin), _) => Ok(Self { bin: bin.clone() }),
            (None, Some(version)) => {
                bail!(
                    "the data was made by Postgres {version}, and its server programs are not installed\n{HELP}"
                )
            }
            (None, None) => bail!("no Postgres server programs are installed\n{HELP}"),
        }
    }

    /// The path of one of them.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.bin.join(name);
        path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, version: &str) -> PathBuf {
        let bin = root.join(version).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in ["initdb", "postgres"] {
            fs::write(bin.join(name), "").unwrap();
        }
        bin
    }

    #[test]
    fn the_newest_version_makes_new_data_and_the_same_version_runs_old_data() {
        let root = tempfile::tempdir().unwrap();
        let (nine, ten) = (install(root.path(), "9"), install(root.path(), "10"));
        fs::create_dir_all(root.path().join("11/bin")).unwrap();
        assert_eq!(Programs::find_in(root.path(), &[], None).unwrap().bin, ten);
        assert_eq!(Programs::find_in(root.path(), &[], Some("9")).unwrap().bin, nine);
        let error = Programs::find_in(root.path(), &[], Some("12")).unwrap_err().to_string();
        assert!(error.contains("Postgres 12"), "{error}");
    }

    #[test]
    fn path_is_the_last_resort() {
        let root = tempfile::tempdir().unwrap();
        let bin = install(root.path(), "x");
        let nowhere = root.path().join("nowhere");
        assert_eq!(Programs::find_in(&nowhere, std::slice::from_ref(&bin), None).unwrap().bin, bin);
        assert!(Programs::find_in(&nowhere, &[], None).is_err());
    }
}
