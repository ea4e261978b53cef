//! Which engine is simulated, and how long things take in it.

use std::time::Duration;

use skep_swarm::ApiVersion;

/// A release of Docker Engine whose behaviour is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// Docker Engine 20.10, API 1.41: the oldest that Skep speaks with. It drops the newer fields of a service in silence.
    V20_10,
    /// Docker Engine 26.1, API 1.45.
    V26_1,
}

impl Behaviour {
    /// Every simulated release.
    pub const ALL: [Self; 2] = [Self::V20_10, Self::V26_1];

    /// The newest API version it speaks.
    pub const fn api(self) -> ApiVersion {
        match self {
            Self::V20_10 => ApiVersion { major: 1, minor: 41 },
            Self::V26_1 => ApiVersion { major: 1, minor: 45 },
        }
    }

    /// What it says its version is.
    pub const fn engine_version(self) -> &'static str {
        match self {
            Self::V20_10 => "20.10.24+dfsg1",
            Self::V26_1 => "26.1.5+dfsg1",
        }
    }
}

/// How many heartbeats of a node may fail to come before it is called down (`defaultGracePeriodMultiplier` in `manager/dispatcher`).
pub const GRACE: u32 = 3;

/// How long the parts of a Swarm take. The defaults are of the order that was measured on one machine; no test may depend on
/// more than their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From a write until the managers' parts have seen it.
    pub reaction: Duration,
    /// From a task that waits until the scheduler has looked at it: it collects changes for so long.
    pub scheduling: Duration,
    /// From one state to the next on a node, where nothing has to be done.
    pub handing: Duration,
    /// Fetching an image that is there, and making a container.
    pub preparing: Duration,
    /// Starting a container.
    pub starting: Duration,
    /// Until a health check looks for the first time; its own interval when nothing is said here.
    pub checking: Option<Duration>,
    /// Stopping a container whose process listens to the signal.
    pub stopping: Duration,
    /// From the end of the last task on a network until its node has let go of it.
    pub letting_go: Duration,
    /// Between two signs that a node gives of itself (`swarm update --dispatcher-heartbeat`). One that is silent for [`GRACE`] of these is
    /// called down.
    pub heartbeat: Duration,
}

impl Pace {
    /// Everything takes no time; what services ask for themselves (delays, watches, grace periods) still does.
    pub const INSTANT: Self = Self {
        reaction: Duration::ZERO,
        scheduling: Duration::ZERO,
        handing: Duration::ZERO,
        preparing: Duration::ZERO,
        starting: Duration::ZERO,
        checking: Some(Duration::ZERO),
        stopping: Duration::ZERO,
        letting_go: Duration::ZERO,
        heartbeat: Duration::ZERO,
    };
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            reaction: Duration::from_millis(2),
            scheduling: Duration::from_millis(50),
            handing: Duration::from_millis(10),
            preparing: Duration::from_millis(200),
            starting: Duration::from_millis(300),
            checking: None,
            stopping: Duration::from_millis(200),
            letting_go: Duration::from_secs(3),
            heartbeat: Duration::from_secs(5),
        }
    }
}
