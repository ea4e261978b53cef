//! Further servers over an installation's database and engine.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use skep_testbed::{Process, http};

use crate::cli::Cli;

/// How long a server may take to say who it is.
const START: Duration = Duration::from_secs(30);

/// A server that shares the work with others.
pub struct Server {
    /// The process.
    pub process: Process,
    /// The command, pointed at it.
    pub cli: Cli,
    member: String,
}

impl Server {
    pub(crate) fn new(mut process: Process, cli: Cli) -> Result<Self> {
        let member = member(&mut process)?;
        Ok(Self { process, cli, member })
    }

    /// The name under which it holds leases.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// What it says that it works on.
    pub fn works_on(&self) -> Result<String> {
        let address = self.cli.server().strip_prefix("http://").context("the server has an address")?;
        let (host, port) = address.rsplit_once(':').context("the address has a port")?;
        let answer = http::get(host.parse()?, port.parse()?, host, "/readyz")?;
        let readiness: Value = serde_json::from_str(&answer.body)?;
        let components = readiness["components"].as_array().context("it has components")?;
        let controller = components.iter().find(|component| component["name"] == "controller");
        Ok(controller.context("one is the controller")?["detail"].as_str().unwrap_or_default().to_owned())
    }
}

/// The name under which a server holds leases, from its log.
pub fn member(process: &mut Process) -> Result<String> {
    let line =
        process.wait_for_line(START, |line| line.contains("holds shards") && line.contains("member="))?;
    let (_, rest) = line.split_once("member=").context("the line names it")?;
    let name = rest.split([' ', '\u{1b}']).next().unwrap_or_default();
    Ok(name.trim_matches('"').to_owned())
}
