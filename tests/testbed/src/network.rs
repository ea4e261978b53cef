//! The wires between nodes: one network namespace per node, and one with a bridge that joins them.
//!
//! ```text
//!   test process            hub namespace                     node namespaces
//!   skt<slot> 198.18.S.1 ── uplink ─ br0 ─┬─ v1 ── eth0 198.18.S.11   skt<slot>n1
//!                                         └─ v2 ── eth0 198.18.S.12   skt<slot>n2
//! ```
//!
//! The bridge has a namespace of its own so that no firewall rule of the machine's main namespace applies between nodes.
//! A node has no default route: it reaches its peers and the test process, and nothing else. Addresses come from
//! 198.18.0.0/15, reserved for tests of network devices, so they meet neither tenants' pools nor a real network.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};

use crate::command;
use crate::lease::Lease;

/// First host part of node addresses; .1 is the test process.
const FIRST_NODE: u8 = 10;

/// The network of one lease. It has no life of its own: the lease removes what carries its names.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    slot: u8,
}

impl Network {
    /// Makes the hub and the link from the test process to it.
    pub fn create(lease: &Lease) -> Result<Network> {
        let network = Network { prefix: lease.prefix(), slot: lease.slot() };
        let hub = network.hub();
        let link = &network.prefix;
        ip(["netns", "add", &hub])?;
        ip(["-n", &hub, "link", "set", "lo", "up"])?;
        ip(["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(["-n", &hub, "link", "set", "br0", "up"])?;
        ip(["link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", &hub])?;
        ip(["-n", &hub, "link", "set", "uplink", "master", "br0", "up"])?;
        ip(["address", "add", &format!("{}/24", network.host_address()), "dev", link])?;
        ip(["link", "set", link, "up"])?;
        Ok(network)
    }

    /// Makes the namespace of a node (counted from 1) and plugs it into the hub.
    pub fn add_node(&self, node: u8) -> Result<()> {
        let namespace = self.namespace(node);
        let hub = self.hub();
        let port = port(node);
        ip(["netns", "add", &namespace])?;
        ip(["-n", &namespace, "link", "set", "lo", "up"])?;
        ip(["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        ip(["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
        ip(["-n", &namespace, "address", "add", &format!("{}/24", self.address(node)), "dev", "eth0"])?;
        ip(["-n", &namespace, "link", "set", "eth0", "up"])
    }

    /// Pulls the node's plug.
    pub fn cut(&self, node: u8) -> Result<()> {
        ip(["-n", &self.hub(), "link", "set", &port(node), "down"])
    }

    /// Puts the node's plug back.
    pub fn heal(&self, node: u8) -> Result<()> {
        ip(["-n", &self.hub(), "link", "set", &port(node), "up"])
    }

    /// The name of a node's network namespace, which is also the name of its control group.
    pub fn namespace(&self, node: u8) -> String {
        format!("{}n{node}", self.prefix)
    }

    /// A node's address, reachable from the test process.
    pub fn address(&self, node: u8) -> IpAddr {
        self.at(FIRST_NODE.saturating_add(node))
    }

    /// The test process's own address, reachable from the nodes.
    pub fn host_address(&self) -> IpAddr {
        self.at(1)
    }

    fn at(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(198, 18, self.slot, host).into()
    }

    fn hub(&self) -> String {
        format!("{}hub", self.prefix)
    }
}

fn port(node: u8) -> String {
    format!("v{node}")
}

fn ip<const N: usize>(args: [&str; N]) -> Result<()> {
    command::run("ip", args).map(drop).context("cannot set up the network of a test")
}
