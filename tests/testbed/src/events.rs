//! What an engine did, by its own word: its event stream, recorded.
//!
//! The proof that something caused no write is that the stream stayed empty. Silence proves nothing while events may
//! still be on their way, so [`Events::so_far`] writes something itself (a secret of its own, removed again) and waits
//! until the stream shows it: whatever the swarm was told before has then been heard.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Node;
use crate::command;
use crate::process::Process;
use crate::wait::wait_until;

/// How long an event may take to arrive: it is measured in milliseconds.
const ARRIVAL: Duration = Duration::from_secs(20);

/// How the secrets are called that mark a point in the stream.
const MARK: &str = "skt-mark-";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it happened to: `service`, `network`, `secret`, `container`, …
    pub kind: String,
    /// What happened: `create`, `update`, `remove`, …
    pub action: String,
    /// The object's name, where it has one, or its id.
    pub name: String,
    /// The whole event.
    pub value: Value,
}

impl Event {
    /// Whether it tells of a write to the swarm's desired state. One write may tell of itself more than once (a service
    /// update also tells of its progress). Nodes are left out: they report updates of their own accord.
    pub fn is_write(&self) -> bool {
        let swarm = self.value.get("scope").and_then(Value::as_str) == Some("swarm");
        swarm && ["service", "network", "secret", "config"].contains(&self.kind.as_str())
    }

    fn parse(line: &str) -> Option<Event> {
        let value: Value = serde_json::from_str(line).ok()?;
        let actor = value.get("Actor")?;
        let name =
            actor.get("Attributes").and_then(|attributes| attributes.get("name")).or(actor.get("ID"))?;
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let (kind, action, name) = (text("Type")?, text("Action")?, name.as_str()?.to_owned());
        Some(Event { kind, action, name, value })
    }
}

/// The recorded stream of one manager. Recording ends when it is dropped.
#[derive(Debug)]
pub struct Events<'a> {
    node: &'a Node,
    stream: Process,
}

impl<'a> Events<'a> {
    /// Records from now on.
    pub fn record(node: &'a Node) -> Result<Events<'a>> {
        let events = Events { node, stream: Process::start(stream(node)?)? };
        // Fails here and not in an assertion if the engine has no events to give.
        events.mark()?;
        Ok(events)
    }

    /// Everything since recording began.
    pub fn so_far(&self) -> Result<Vec<Event>> {
        let until = self.mark()?;
        let logs = self.stream.logs();
        let events: Vec<Event> = logs.lines().filter_map(Event::parse).collect();
        let end = events.iter().position(|event| event.name == until).unwrap_or(events.len());
        Ok(events.into_iter().take(end).filter(|event| !event.name.starts_with(MARK)).collect())
    }

    /// Makes an event of our own and waits for it.
    fn mark(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{MARK}{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut create = self.node.client();
        create.args(["secret", "create", &name, "-"]);
        command::feed(create, b"mark")?;
        self.node.docker_ok(&["secret", "rm", &name])?;
        let removal = |event: &Event| event.name == name && event.action == "remove";
        wait_until("an event of our own", ARRIVAL, || {
            let seen = self.stream.logs().lines().filter_map(Event::parse).any(|event| removal(&event));
            seen.then_some(()).context("it has not come yet")
        })?;
        Ok(name)
    }
}

/// The command that follows the stream, from this moment even if it takes a while to start.
fn stream(node: &Node) -> Result<Command> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is set")?;
    let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let mut docker = node.client();
    docker.args(["events", "--format", "{{json .}}", "--since", &since]);
    Ok(docker)
}
