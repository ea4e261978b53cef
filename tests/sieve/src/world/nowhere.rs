//! The names of hosts, in a world outside of which there is nothing.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use skep_outbound::Resolve;

/// Names of hosts lead nowhere: there is nothing outside of a world.
pub(super) struct Nowhere;

#[async_trait]
impl Resolve for Nowhere {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other(format!("{host} is not of this world")))
    }
}
