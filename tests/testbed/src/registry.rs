//! A registry on every node's 127.0.0.1:5000, all over one storage.
//!
//! Engines trust a registry on their own loopback without TLS, and each node has a loopback of its own. Sharing the
//! storage lets one name (`127.0.0.1:5000/…`) mean the same image everywhere, with a real digest.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

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
    let config = dir.join("registry.json");
    // JSON is YAML. No cache of blob descriptions: another node's registry may write to the same storage.
    let text = serde_json::json!({
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": storage}, "delete": {"enabled": true}},
        "http": {"addr": format!("0.0.0.0:{PORT}")},
    });
    fs::write(&config, text.to_string()).with_context(|| format!("cannot write {}", config.display()))?;
    let command = machine.command("docker-registry", [Path::new("serve"), &config]);
    machine.serve(command, &dir.join("registry.log"))?;
    wait_until("a registry to answer", START, || {
        let answer = http::get(address, PORT, HOST, "/v2/")?;
        ready(answer.status == 200, "it does not answer")
    })
}
