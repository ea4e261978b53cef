//! Who the private database server runs as.
//!
//! Postgres refuses to run as root, and nothing that Skep starts should. When Skep itself is root, the server runs as the owner
//! of its existing data, or else as the first of the accounts that Debian makes for such purposes; when Skep is not root, the
//! server is the same user. The change is made by the kernel between fork and exec (`Command::uid`), without a helper program.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The accounts that may own the server when Skep is root, the best first.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

/// Who the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The user that Skep runs as.
    Same,
    /// Skep is root, the server is not.
    Dropped(Account),
}

impl Identity {
    /// The identity for data at this place, which need not exist yet.
    pub(crate) fn choose(data: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Same);
        }
        match fs::metadata(data) {
            Ok(meta) if meta.uid() != 0 => {
                return Ok(Self::Dropped(Account { uid: meta.uid(), gid: meta.gid() }));
            }
            Ok(_) => bail!("{} belongs to root, and Postgres does not run as root", data.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", data.display())),
        }
        let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = ACCOUNTS.iter().find_map(|name| account(&passwd, name));
        account
            .map(Self::Dropped)
            .context("there is no account to run Postgres as: neither postgres nor nobody exists")
    }

    /// Makes a command run as this user, with no groups but its own.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Dropped(Account { uid, gid }) = self {
            // std clears the supplementary groups of root before it sets the user.
            command.gid(gid).uid(uid);
        }
    }

    /// Gives a file or directory to this user.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        if let Self::Dropped(Account { uid, gid }) = self {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} to user {uid}", path.display()))?;
        }
        Ok(())
    }

    /// Checks that this user can get as far as the directory: a private data directory of root's cannot hold its data.
    pub(crate) fn check_reaches(self, dir: &Path) -> Result<()> {
        let Self::Dropped(Account { uid, .. }) = self else { return Ok(()) };
        for part in dir.ancestors() {
            let meta = fs::metadata(part).with_context(|| format!("cannot look at {}", part.display()))?;
            let open = meta.mode() & 0o001 != 0 || (meta.uid() == uid && meta.mode() & 0o100 != 0);
            ensure!(
                open,
                "Postgres runs as user {uid}, which may not enter {}\nhelp: choose another directory with --data-dir, for example /var/lib/skep",
                part.display()
            );
        }
        Ok(())
    }
}

/// The account of a name in a passwd file; never root's.
fn account(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let account = Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
    (account.uid != 0).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name_and_root_is_none() {
        let passwd =
            "root:x:0:0::/root:/bin/bash\npostgres2:x:7:7::/:/x\npostgres:x:105:113::/:/x\nbad:x:y\n";
        assert_eq!(account(passwd, "postgres"), Some(Account { uid: 105, gid: 113 }));
        for name in ["root", "bad", "nobody", "post"] {
            assert_eq!(account(passwd, name), None, "{name}");
        }
    }
}
