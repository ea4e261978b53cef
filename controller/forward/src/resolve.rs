//! Where the target is now: looked up anew for every connection, and only in its own network.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use ipnet::Ipv4Net;

/// An engine that does not answer in this time is busy or gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A process on another network, by its name.
pub(crate) struct Target {
    resolver: TokioResolver,
    name: String,
    within: Ipv4Net,
    port: u16,
}

impl Target {
    /// A process of that name on that network. Nothing is asked yet.
    pub(crate) fn new(
        resolver: SocketAddr,
        name: String,
        within: Ipv4Net,
        port: u16,
    ) -> Result<Self, NetError> {
        let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        (udp.port, tcp.port) = (resolver.port(), resolver.port());
        let server = NameServerConfig::new(resolver.ip(), true, vec![udp, tcp]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut options = ResolverOpts::default();
        options.timeout = ANSWER_WITHIN;
        options.attempts = 1;
        // Instances come and go, and what is remembered would be taken for what is there.
        options.cache_size = 0;
        options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self { resolver: resolver.with_options(options).build()?, name, within, port })
    }

    /// The addresses of its instances, in the order in which the engine tells them; an error says why there are none.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let mut name =
            Name::from_ascii(&self.name).map_err(|why| format!("{} is no name: {why}", self.name))?;
        name.set_fqdn(true);
        let found = self.resolver.ipv4_lookup(name).await.map_err(|why| format!("{}: {why}", self.name))?;
        let addresses: Vec<Ipv4Addr> = found
            .answers()
            .iter()
            .filter_map(|record| match record.data {
                RData::A(address) => Some(address.0),
                _ => None,
            })
            .collect();
        let there = |address: &&Ipv4Addr| self.within.contains(*address);
        let inside: Vec<SocketAddr> =
            addresses.iter().filter(there).map(|address| SocketAddr::from((*address, self.port))).collect();
        match (inside.is_empty(), addresses.is_empty()) {
            (false, _) => Ok(inside),
            (true, true) => Err(format!("{} has no instance", self.name)),
            (true, false) => Err(format!("{} is not on the network {}", self.name, self.within)),
        }
    }
}
