//! The bounds of a client: times, sizes, calls at once.

use std::time::Duration;

/// Bounds of one [`super::EngineClient`]. The defaults carry their reasons; tests shorten them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// For opening a connection, TLS included. An engine in reach answers in milliseconds.
    pub connect_timeout: Duration,
    /// For one call: waiting for its turn, the request, and the whole body. Longer than the 20 s an engine gives the
    /// Swarm's managers, so that its own verdict is heard.
    pub request_timeout: Duration,
    /// For asking a registry through the engine: its name servers and the registry take their own time.
    pub registry_timeout: Duration,
    /// How long the event stream may say nothing. A silent engine and a dead connection look alike; starting anew costs
    /// one request, and the periodic reading of everything is in the same order.
    pub events_idle: Duration,
    /// How long a followed log may say nothing. Quiet programs are common; whoever follows continues with `since`.
    pub logs_idle: Duration,
    /// The largest answer held: a list of 2,000 services is 4 MB.
    pub answer_limit: usize,
    /// Calls at once. A manager that makes services gains up to 32, because their entries in its log are written together; beyond, it
    /// only answers each later.
    pub concurrent_calls: usize,
    /// Lookups at registries at once. They wait for machines far away, mostly; were they to take the turns of calls, a few
    /// registries that hang would keep everyone from the engine.
    pub concurrent_lookups: usize,
    /// Connections kept open without a call.
    pub idle_connections: usize,
    /// For how long they are. Shorter than what engines and the boxes between close silently.
    pub idle_connection_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            registry_timeout: Duration::from_secs(60),
            events_idle: Duration::from_secs(60),
            logs_idle: Duration::from_secs(300),
            answer_limit: 64 * 1024 * 1024,
            concurrent_calls: 32,
            concurrent_lookups: 32,
            idle_connections: 32,
            idle_connection_timeout: Duration::from_secs(60),
        }
    }
}
