//! What the platform's operator decides, as far as planning depends on it.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use skep_schemas::Duration;
use skep_schemas::kind::Resources;

use crate::naming::InstanceId;
use crate::policy::reach::Reach;

/// The operator's decisions. Fixed for the life of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which Skep this is.
    pub instance: InstanceId,
    /// Where organisations' subnets come from.
    pub pool: NetworkPool,
    /// What one instance gets when neither its process nor a plan says.
    pub default_resources: Resources,
    /// How the proxy at the edge is set up.
    pub edge: EdgeSettings,
    /// What the entry program was built for.
    pub architecture: Architecture,
    /// Which hosts may be asked that tenants name.
    pub reach: Reach,
    /// The image with the program that carries links between organisations; without one there are none.
    pub forward_image: Option<String>,
}

/// What a node's processor is, in the words that engines use for their nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Of Intel and AMD.
    X86_64,
    /// Of ARM.
    Aarch64,
}

impl Architecture {
    /// What this program runs on.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };
}

impl EdgeSettings {
    /// What comes on top of the time between two looks: Traefik takes up changes every two seconds at most (`providersThrottleDuration`), and looking
    /// takes a moment.
    const TAKES_UP: Duration = Duration::from_secs(3);

    /// How long to drain for an edge that looks at the Swarm so often. One that is told at once, or by somebody else, needs none.
    pub fn drain_for(refresh: Duration) -> Option<Duration> {
        (refresh.millis() > 0).then(|| refresh.plus(Self::TAKES_UP))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// How the proxy at the edge is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSettings {
    /// The entry point for plain HTTP.
    pub http_entrypoint: String,
    /// The entry point for HTTPS.
    pub https_entrypoint: String,
    /// The resolver that obtains certificates; without one, domains with automatic TLS are served over plain HTTP, and say so.
    pub certificate_resolver: Option<String>,
    /// A port that is not the scheme's own, for the URLs that are shown.
    pub public_http_port: u16,
    /// Likewise for HTTPS.
    pub public_https_port: u16,
    /// For how long the edge may go on sending requests to a task that was asked to stop: whoever is asked hears of it so much later. Nothing is
    /// drained without one. Another one restarts every process that has ports.
    pub drain: Option<Duration>,
    /// The image and arguments of the task that keeps an organisation's network present on an edge node. It only has to wait.
    pub anchor: AnchorImage,
}

/// A container that waits until it is told to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorImage {
    /// The image.
    pub image: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// The addresses from which each organisation's network gets its own subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPool {
    range: Ipv4Net,
    subnet_prefix: u8,
}

/// A pool that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The subnets would be larger than the pool or smaller than an organisation needs.
    #[error("subnets of /{prefix} do not fit the pool {range}: use a prefix from {} to 26", range.prefix_len())]
    Prefix {
        /// The pool.
        range: Ipv4Net,
        /// The prefix that was asked for.
        prefix: u8,
    },
}

impl NetworkPool {
    /// The smallest subnet: 31 addresses for edges and 31 for tasks.
    const PREFIX_MAX: u8 = 26;

    /// Subnets of one size from a range.
    pub fn new(range: Ipv4Net, subnet_prefix: u8) -> Result<Self, PoolError> {
        if subnet_prefix < range.prefix_len() || subnet_prefix > Self::PREFIX_MAX {
            return Err(PoolError::Prefix { range, prefix: subnet_prefix });
        }
        Ok(Self { range: range.trunc(), subnet_prefix })
    }

    /// All its subnets, in order.
    pub fn subnets(&self) -> impl Iterator<Item = OrgSubnet> + use<> {
        // `subnets` fails only for a prefix shorter than the range's, which `new` refused.
        self.range.subnets(self.subnet_prefix).into_iter().flatten().map(OrgSubnet)
    }

    /// How many organisations it can serve.
    pub fn capacity(&self) -> u64 {
        1_u64 << (self.subnet_prefix - self.range.prefix_len())
    }
}

/// The subnet of one organisation's network.
///
/// The Swarm manager gives task addresses from the upper half only; the lower half is Skep's to give to edge tasks, because the
/// manager does not know about addresses that are connected behind its back (research: address clash, moby#32172).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrgSubnet(Ipv4Net);

impl OrgSubnet {
    /// From its stored form.
    pub const fn new(subnet: Ipv4Net) -> Self {
        Self(subnet)
    }

    /// The whole subnet.
    pub const fn net(&self) -> Ipv4Net {
        self.0
    }

    /// The half that the manager allocates task addresses from.
    pub fn task_range(&self) -> Ipv4Net {
        let half = self.0.prefix_len().saturating_add(1);
        self.0.subnets(half).ok().and_then(|mut halves| halves.nth(1)).unwrap_or(self.0)
    }

    /// The addresses for edge tasks, in order: the lower half without the network address and the customary gateway.
    pub fn edge_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let upper = self.task_range().network();
        self.0.hosts().skip(1).take_while(move |address| *address < upper)
    }
}

impl fmt::Display for OrgSubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_addresses_and_the_managers_range_never_overlap() {
        let subnet = OrgSubnet::new("10.128.4.0/26".parse().unwrap());
        assert_eq!(subnet.task_range(), "10.128.4.32/27".parse().unwrap());
        let edges: Vec<_> = subnet.edge_addresses().collect();
        assert_eq!(edges.first(), Some(&"10.128.4.2".parse().unwrap()));
        assert_eq!(edges.last(), Some(&"10.128.4.31".parse().unwrap()));
        assert!(edges.iter().all(|address| !subnet.task_range().contains(address)));
    }

    #[test]
    fn a_pool_has_as_many_subnets_as_it_says() {
        let pool = NetworkPool::new("10.128.0.0/20".parse().unwrap(), 24).unwrap();
        assert_eq!((pool.capacity(), pool.subnets().count()), (16, 16));
        assert!(NetworkPool::new("10.128.0.0/20".parse().unwrap(), 27).is_err());
        assert!(NetworkPool::new("10.128.0.0/20".parse().unwrap(), 16).is_err());
    }
}
