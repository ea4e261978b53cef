//! Asking hosts that tenants name, without being led to what is inside.
//!
//! [`Outbound`] sends one request and reads one answer. Guarantees, for every request and every redirect of it:
//!
//! - A name is looked up once; all addresses that come back are looked at, and one that is not of the Internet (or allowed by the
//!   operator) refuses the whole name ([`skep_planner::policy::reach`]). The connection is made to exactly an address that was looked at, so an
//!   answer that changes afterwards changes nothing. TLS checks the certificate against the name.
//! - `https` alone, unless the operator allows a host without TLS. No proxy of the environment is used: it would be asked in place of the host.
//! - Redirects are followed only if the caller says so, each guarded afresh; to another origin go no credentials.
//! - An answer has an end: a deadline over everything, a limit on headers and on the body. Where it is read piece by piece
//!   ([`Outbound::stream`]), or is not HTTP ([`Outbound::dial`]), those two are the caller's.
//!
//! [`registry`] reads what a registry keeps, and [`webhook`] sends signed messages, over the same guard.

mod connect;
mod error;
mod outbound;
pub mod registry;
mod stream;
pub mod webhook;

pub use connect::{Resolve, SystemResolver};
pub use error::OutboundError;
pub use outbound::{Answer, Limits, Outbound};
pub use skep_planner::policy::reach::{Allowed, Reach};
pub use stream::Streamed;

/// No client for HTTPS can be made of what the machine has.
pub use rustls::Error as OutboundSetupError;
