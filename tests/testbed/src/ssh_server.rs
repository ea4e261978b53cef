//! An SSH server: Debian's `sshd` with a configuration, a host key and a list of keys of its own, in the foreground on a loopback port.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Process, command, wait_until};

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(20);
/// Where `sshd` wants an empty directory for the process that talks to strangers.
const EMPTY: &str = "/run/sshd";

/// A running server; gone when dropped.
pub struct SshServer {
    process: Process,
    dir: TempDir,
    address: SocketAddr,
}

/// A pair of keys.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The private one, as OpenSSH writes it.
    pub private: String,
    /// The public one: its type and the key.
    pub public: String,
}

impl KeyPair {
    /// Makes a pair of this type (`ed25519`, `ecdsa`, `rsa`), with a passphrase or, if it is empty, without.
    pub fn generate(kind: &str, passphrase: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("key");
        let mut keygen =
            command::command("ssh-keygen", ["-q", "-t", kind, "-N", passphrase, "-C", "tests", "-f"]);
        keygen.arg(&path);
        command::stdout(keygen)?;
        let public = fs::read_to_string(path.with_extension("pub"))?;
        let mut words = public.split_whitespace();
        let public = format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(Self { private: fs::read_to_string(&path)?, public })
    }
}

impl SshServer {
    /// Starts one with a host key of this type. Who logs in is root, with one of the keys; Git may say which protocol it speaks if `protocol` is set.
    pub fn start(kind: &str, keys: &[&KeyPair], protocol: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let host = KeyPair::generate(kind, "")?;
        let key = dir.path().join("host");
        fs::write(&key, &host.private)?;
        fs::write(dir.path().join("host.pub"), &host.public)?;
        command::run("chmod", [Path::new("600"), &key])?;
        fs::create_dir_all(EMPTY).with_context(|| format!("cannot create {EMPTY}"))?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let environment = if protocol { "AcceptEnv GIT_PROTOCOL\n" } else { "" };
        let config = format!(
            "ListenAddress {address}\nHostKey {key}\nAuthorizedKeysFile {keys}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n{environment}",
            key = key.display(),
            keys = dir.path().join("keys").display(),
        );
        let file = dir.path().join("sshd_config");
        fs::write(&file, config)?;
        let mut sshd = command::command("/usr/sbin/sshd", ["-D", "-e", "-f"]);
        sshd.arg(&file);
        let process = Process::start(sshd)?;
        let server = Self { process, dir, address };
        server.admit(keys)?;
        wait_until("sshd to listen", START, || {
            TcpStream::connect(address).map(drop).with_context(|| server.process.logs())
        })?;
        Ok(server)
    }

    /// Who is let in from now on.
    pub fn admit(&self, keys: &[&KeyPair]) -> Result<()> {
        let lines: String = keys.iter().map(|key| format!("restrict {}\n", key.public)).collect();
        Ok(fs::write(self.dir.path().join("keys"), lines)?)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a repository on this machine.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://root@{}{}", self.address, path.display())
    }

    /// The line by which it is known.
    pub fn known(&self) -> Result<String> {
        let public = fs::read_to_string(self.dir.path().join("host.pub"))?;
        Ok(format!("[{}]:{} {}\n", self.address.ip(), self.address.port(), public.trim()))
    }

    /// What it wrote.
    pub fn logs(&self) -> String {
        self.process.logs()
    }
}
