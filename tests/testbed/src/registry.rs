//! A registry on every node's 127.0.0.1:5000, all over one storage.
//!
//! Engines trust a registry on their own loopback without TLS, and each node has a loopback of its own. Sharing the
//! storage lets one name (`127.0.0.1:5000/…`) mean the same image everywhere, with a real digest.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http;
use crate::machine::Machine;
use crate::wait::{ready, wait_until};

/// The registry's name in image references.
pub const HOST: &str = "127.0.0.1:5000";

/// The registry's port.
pub const PORT: u16 = 5000;

/// How long the registry may take to answer.
const START: Duration = Duration::from_secs(30);

/// Starts the registry on `machine`, with its files in `dir` and the images in `storage`. It ends with the machine.
pub(crate) fn start(machine: &mut Machine, dir: &Path, storage: &Path, address: IpAddr) -> Result<()> {
    fs::create_dir_all(storage).with_context(|| format!("cannot create {}", storage.display()))?;
    serve(machine, &dir.join("registry"), &config(storage, PORT))?;
    wait_until("a registry to answer", START, || {
        let answer = http::get(address, PORT, HOST, "/v2/")?;
        ready(answer.status == 200, "it does not answer")
    })
}

/// What every registry is told.
fn config(storage: &Path, port: u16) -> Value {
    // No cache of blob descriptions: another node's registry may write to the same storage.
    json!({
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": storage}, "delete": {"enabled": true}},
        "http": {"addr": format!("0.0.0.0:{port}")},
    })
}

/// Starts a registry with its files under names that begin so.
fn serve(machine: &mut Machine, files: &Path, config: &Value) -> Result<()> {
    // JSON is YAML.
    let path = files.with_extension("json");
    fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    let command = machine.command("docker-registry", [Path::new("serve"), &path]);
    machine.serve(command, &files.with_extension("log"))
}

/// A registry over the same images that gives them to whoever has the password, and to nobody else.
pub mod locked {
    use super::{
        Context, IpAddr, Machine, Path, Result, START, config, fs, http, json, ready, serve, wait_until,
    };

    /// Its name in image references.
    pub const HOST: &str = "127.0.0.1:5001";
    /// Whom it lets in.
    pub const USERNAME: &str = "robot";
    /// The password of that user.
    pub const PASSWORD: &str = "canary-of-a-registry";

    const PORT: u16 = 5001;
    /// The password as `htpasswd -B` writes it, at the least cost.
    const HTPASSWD: &str = "robot:$2b$05$abcdefghijklmnopqrstuuAZ4x/ucq4jjBHUYFiH/Ft0sRnGRCJwq\n";

    /// Starts it on `machine`. It ends with the machine.
    pub(crate) fn start(machine: &mut Machine, dir: &Path, storage: &Path, address: IpAddr) -> Result<()> {
        let users = dir.join("registry.htpasswd");
        fs::write(&users, HTPASSWD).with_context(|| format!("cannot write {}", users.display()))?;
        let mut config = config(storage, PORT);
        config["auth"] = json!({"htpasswd": {"realm": "tests", "path": users}});
        serve(machine, &dir.join("registry-locked"), &config)?;
        wait_until("a registry to ask who it is", START, || {
            let answer = http::get(address, PORT, HOST, "/v2/")?;
            ready(answer.status == 401, "it does not answer")
        })
    }
}
