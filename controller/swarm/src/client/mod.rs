//! [`EngineClient`]: the verbs, spoken to a real engine.
//!
//! Inputs: an [`EngineAddress`] and [`ClientOptions`]. Each verb is one request over a pool of connections that stay
//! open (a new one for each call would be a full TLS handshake each). The API version is the lower of ours and the
//! engine's and is part of every path, so an engine that is newer than us behaves as one we know.
//!
//! Reading is in our own types (`skep_planner::swarm`); bollard reads the event stream, where its types are safe.

mod address;
mod classify;
mod connect;
mod events;
mod http;
mod idle;
mod image;
mod info;
mod logs;
mod options;
mod pool;
mod request;
mod secret;
mod tls;
mod verbs;

use std::fmt;
use std::sync::Arc;

pub use address::{CertificateFiles, EngineAddress, PlainTcp};
pub use classify::classify;
pub use options::ClientOptions;

use address::Endpoint;
use connect::Connector;
use http::Http;

use crate::error::SwarmError;

/// A client of one engine; clones share its connections.
#[derive(Clone)]
pub struct EngineClient {
    address: EngineAddress,
    http: Arc<Http>,
}

impl EngineClient {
    /// A client of the engine at this address. Certificates are read now, so that a wrong one is an error here and not
    /// at the first call; the engine itself is not asked for anything yet.
    pub async fn new(address: EngineAddress, options: ClientOptions) -> Result<Self, SwarmError> {
        if let Endpoint::Tls { certificates, .. } = &address.0 {
            tls::client_config(certificates).await?;
        }
        let connector = Connector::new(address.0.clone(), options.connect_timeout);
        Ok(Self { address, http: Http::new(connector, options) })
    }

    /// Where the engine is.
    pub fn address(&self) -> &EngineAddress {
        &self.address
    }
}

impl fmt::Debug for EngineClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineClient").field("address", &self.address).finish_non_exhaustive()
    }
}
