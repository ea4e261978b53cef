//! Slots: who may use which names, and what to remove when the owner is gone.
//!
//! A slot is a small number. Directory, network namespaces, links, control groups and addresses are derived from it,
//! so whoever holds the slot's lock may use (and remove) all of them without asking anyone else. The lock is a file
//! lock: the kernel releases it when the owner ends, however it ends.
//!
//! Guarantees: two live owners never share a slot; a slot is handed out clean; [`sweep`] removes only what belongs to
//! slots that nobody holds.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::wait::{ready, wait_until};

/// Slots on one machine. Each may hold a cluster; addresses give every slot a /24 of 198.18.0.0/16.
const SLOTS: u8 = 250;

/// How long the processes and mounts of an ended owner may take to disappear.
const REMOVAL: Duration = Duration::from_secs(20);

/// Where everything lives. One fixed place per user and machine: a run can only sweep what it can find.
pub fn root() -> PathBuf {
    PathBuf::from(format!("/var/tmp/skt-{}", rustix::process::geteuid().as_raw()))
}

/// A slot held by this process. Dropping it removes everything that was made under it.
#[derive(Debug)]
pub struct Lease {
    slot: u8,
    // Held for its lock alone.
    _lock: File,
}

impl Lease {
    /// Takes a free slot, removing first whatever dead owners left behind.
    pub fn take() -> Result<Lease> {
        ensure!(rustix::process::geteuid().is_root(), "the testbed needs root for namespaces and mounts");
        sweep()?;
        for slot in 0..SLOTS {
            if let Some(lock) = lock(slot)? {
                remove(slot)?;
                let dir = directory(slot);
                // Readable for all: the database server in here runs as another user.
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(dir.join("machines"))
                    .with_context(|| format!("cannot create {}", dir.display()))?;
                return Ok(Lease { slot, _lock: lock });
            }
        }
        bail!("all {SLOTS} slots of the testbed are in use")
    }

    /// The slot's number.
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// The slot's directory, removed with the lease.
    pub fn dir(&self) -> PathBuf {
        directory(self.slot)
    }

    /// The prefix of every name in this slot.
    pub fn prefix(&self) -> String {
        prefix(self.slot)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A failure here leaves something for the next sweep; a panic while dropping would hide the test's own.
        if let Err(error) = remove(self.slot) {
            eprintln!("testbed: slot {} could not be removed: {error:#}", self.slot);
        }
    }
}

/// Removes what dead owners left behind. Slots in use are not touched.
pub fn sweep() -> Result<()> {
    crate::process::sweep(&root())?;
    let locks = match fs::read_dir(root().join("locks")) {
        Ok(locks) => locks,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("cannot list the testbed's slots"),
    };
    for entry in locks {
        let name = entry.context("cannot list the testbed's slots")?.file_name();
        let Some(slot) = name.to_str().and_then(|name| name.parse::<u8>().ok()) else { continue };
        // The lock is kept until the removal is complete: nobody may take the slot meanwhile.
        if let Some(_lock) = lock(slot)? {
            remove(slot)?;
        }
    }
    Ok(())
}

/// Removes what dead owners left behind, and then what else the testbed made here for itself, as far as it is not in use:
/// after the last owner nothing is left but the template that databases are copied from, if there was one.
pub fn tidy() -> Result<()> {
    sweep()?;
    let locks = root().join("locks");
    for slot in 0..SLOTS {
        if locks.join(slot.to_string()).exists()
            && let Some(_lock) = lock(slot)?
        {
            fs::remove_file(locks.join(slot.to_string())).context("cannot remove a lock")?;
        }
    }
    // Only empty directories go: whatever another process keeps here stays.
    for dir in [locks, root()] {
        if let Err(error) = fs::remove_dir(&dir)
            && ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&error.kind())
        {
            return Err(error).with_context(|| format!("cannot remove {}", dir.display()));
        }
    }
    Ok(())
}

fn prefix(slot: u8) -> String {
    format!("skt{slot}")
}

fn directory(slot: u8) -> PathBuf {
    root().join(slot.to_string())
}

/// The slot's lock, or `None` if a live process holds it.
fn lock(slot: u8) -> Result<Option<File>> {
    let locks = root().join("locks");
    let path = locks.join(slot.to_string());
    loop {
        fs::create_dir_all(&locks).with_context(|| format!("cannot create {}", locks.display()))?;
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            // The directory was tidied away just now.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened.with_context(|| format!("cannot open {}", path.display()))?,
        };
        match file.try_lock() {
            // Tidied away between the opening and the lock: the file at this path is another one, and so is its lock.
            Ok(()) if !is_at(&file, &path)? => {}
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

fn is_at(file: &File, path: &Path) -> Result<bool> {
    let open = file.metadata().context("an open file has metadata")?;
    Ok(fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (open.dev(), open.ino())))
}

/// Removes all that carries the slot's names. The caller holds the slot's lock.
fn remove(slot: u8) -> Result<()> {
    let namespaces = namespaces_of(slot)?;
    end_processes(slot, &namespaces)?;
    for name in &namespaces {
        command::run("ip", ["netns", "delete", name])?;
    }
    // The link goes with its namespace, but only once the kernel gets round to it; the next owner needs it gone now.
    if Path::new("/sys/class/net").join(prefix(slot)).exists() {
        let gone = command::run("ip", ["link", "delete", &prefix(slot)]);
        ensure!(
            gone.is_ok() || !Path::new("/sys/class/net").join(prefix(slot)).exists(),
            "the link {} cannot be deleted",
            prefix(slot)
        );
    }
    remove_control_groups(slot)?;
    let dir = directory(slot);
    wait_until("the slot's directory to be removable", REMOVAL, || match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    })
}

/// Network namespaces of a slot: `skt<slot>hub` and `skt<slot>n<node>`.
fn namespaces_of(slot: u8) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let name =
            entry.context("cannot list network namespaces")?.file_name().to_string_lossy().into_owned();
        if is_named_after(&name, slot) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether `name` is the slot's: `skt1n2` belongs to slot 1 and not to slot 12.
fn is_named_after(name: &str, slot: u8) -> bool {
    name.strip_prefix(&prefix(slot)).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Ends the machines of a slot: those on record, and whatever else lives in its network namespaces.
fn end_processes(slot: u8, namespaces: &[String]) -> Result<()> {
    let nets: Vec<(u64, u64)> = namespaces
        .iter()
        .filter_map(|name| fs::metadata(Path::new("/run/netns").join(name)).ok())
        .map(|meta| (meta.dev(), meta.ino()))
        .collect();
    let machines = directory(slot).join("machines");
    wait_until("the slot's processes to end", REMOVAL, || {
        let mut alive = 0;
        for pid in crate::process::recorded(&machines)?.into_iter().chain(members(&nets)) {
            crate::process::kill(pid, crate::process::Signal::KILL);
            alive += 1;
        }
        ready(alive == 0, "processes are still ending")
    })
}

/// Processes in one of the network namespaces.
fn members(nets: &[(u64, u64)]) -> Vec<u32> {
    if nets.is_empty() {
        return Vec::new();
    }
    crate::process::all()
        .into_iter()
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|meta| nets.contains(&(meta.dev(), meta.ino())))
        })
        .collect()
}

/// Control groups of a slot, in every hierarchy (version 1) or in the only one (version 2).
fn remove_control_groups(slot: u8) -> Result<()> {
    let base = Path::new("/sys/fs/cgroup");
    let mut parents = vec![base.to_path_buf()];
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        // Links (cpu,cpuacct) lead to hierarchies that are listed under their own names as well.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            parents.push(entry.path());
        }
    }
    for parent in parents {
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            if is_named_after(&entry.file_name().to_string_lossy(), slot) {
                wait_until("control groups to be removable", REMOVAL, || remove_group(&entry.path()))?;
            }
        }
    }
    Ok(())
}

/// Removes a control group and those below it; the kernel refuses while a process is left inside.
fn remove_group(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path())?;
        }
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_slot_are_not_taken_for_those_of_a_longer_number() {
        assert!(is_named_after("skt1n2", 1));
        assert!(is_named_after("skt1hub", 1));
        assert!(is_named_after("skt1", 1));
        assert!(!is_named_after("skt12n1", 1));
        assert!(!is_named_after("sk1n1", 1));
    }
}
