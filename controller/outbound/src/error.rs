//! Why there is no answer.

use std::net::IpAddr;
use std::time::Duration;

/// Why there is no answer. None of these says anything of what would have been answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address is none that is asked.
    #[error("{url} is not asked: {why}")]
    Address {
        /// The address.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// It leads inside.
    #[error(
        "{host} is not asked: it is at {address}, which is not an address of the Internet; whoever runs the platform can allow it with --outbound-allow"
    )]
    Inside {
        /// The host that was named.
        host: String,
        /// Where it leads.
        address: IpAddr,
    },
    /// Its name is not known.
    #[error("{host} cannot be found: {why}")]
    Unknown {
        /// The host that was named.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// It cannot be talked to.
    #[error("{host} does not answer: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// It sends elsewhere, more often than is followed or to what is no address.
    #[error("{host} sends elsewhere, and that is not followed: {why}")]
    Redirect {
        /// The host.
        host: String,
        /// Why not.
        why: &'static str,
    },
    /// Its answer is too long.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// Its answer takes too long.
    #[error("{host} did not answer within {} s", .within.as_secs_f32())]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        within: Duration,
    },
}

impl OutboundError {
    /// Was it refused here, so that asking again is of no use while nobody changes anything?
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Inside { .. } | Self::Redirect { .. })
    }
}
