//! Where a case runs.

use std::time::Duration;

use async_trait::async_trait;
use skep_simulator::Behaviour;
use skep_swarm::SwarmApi;

/// How the containers of an image behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// They run, and stop when asked.
    Runs,
    /// The same, under another name.
    RunsToo,
    /// They end at once with status 3.
    Exits,
    /// They end at once with status 0.
    Ends,
    /// They run for a second and end with status 4.
    Stumbles,
    /// They are never healthy, and say so; the image brings the health check along.
    Unhealthy,
    /// The same, and they do not listen when they are asked to stop.
    UnhealthyAndStubborn,
    /// They are not healthy for as long as any case lasts.
    HealthyNever,
    /// They are healthy some seconds after their start.
    HealthyLate,
    /// What they are to run is not there.
    CannotStart,
    /// No node has the image.
    Missing,
    /// They do not listen when they are asked to stop.
    Stubborn,
    /// They write a line and run.
    Writes,
}

impl Act {
    /// All that have an image.
    pub const ALL: [Self; 12] = [
        Self::Runs,
        Self::RunsToo,
        Self::Exits,
        Self::Ends,
        Self::Stumbles,
        Self::Unhealthy,
        Self::UnhealthyAndStubborn,
        Self::HealthyNever,
        Self::HealthyLate,
        Self::CannotStart,
        Self::Stubborn,
        Self::Writes,
    ];

    /// The reference of the image. Its registry refuses at once, so that no node waits for it.
    pub const fn image(self) -> &'static str {
        match self {
            Self::Runs => "127.0.0.1:5999/act:runs",
            Self::RunsToo => "127.0.0.1:5999/act:runs-too",
            Self::Exits => "127.0.0.1:5999/act:exits",
            Self::Ends => "127.0.0.1:5999/act:ends",
            Self::Stumbles => "127.0.0.1:5999/act:stumbles",
            Self::Unhealthy => "127.0.0.1:5999/act:unhealthy",
            Self::UnhealthyAndStubborn => "127.0.0.1:5999/act:unhealthy-stubborn",
            Self::HealthyNever => "127.0.0.1:5999/act:healthy-never",
            Self::HealthyLate => "127.0.0.1:5999/act:healthy-late",
            Self::CannotStart => "127.0.0.1:5999/act:cannot-start",
            Self::Missing => "127.0.0.1:5999/act:missing",
            Self::Stubborn => "127.0.0.1:5999/act:stubborn",
            Self::Writes => "127.0.0.1:5999/act:writes",
        }
    }
}

/// The manager whose engine is asked. The others, if there are any, are workers and called `node-2`, `node-3` and so on.
pub(crate) const MANAGER: &str = "node-1";

/// How many nodes the Swarm has in which nodes are lost: what is lost runs elsewhere, and there is more than one elsewhere.
pub(crate) const CLUSTER: u8 = 3;

/// How often nodes of such a Swarm show that they are there. Three times this is how long one is missed before it is called down: long
/// enough that a node on a busy machine is not, and short beside the five seconds that are usual.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(4);

/// A Swarm, and what a case does with it beside the verbs.
#[async_trait]
pub trait Arena: Send + Sync {
    /// The Swarm.
    fn swarm(&self) -> &dyn SwarmApi;

    /// Which release it is, or is taken for.
    fn behaviour(&self) -> Behaviour;

    /// Lets time pass on the Swarm's clock.
    async fn rest(&self, time: Duration);

    /// Lets so little time pass that nothing is missed.
    async fn tick(&self);

    /// The Swarm's clock, in time since some moment.
    fn clock(&self) -> Duration;

    /// Sets a label of a node, or takes it off.
    async fn label_node(&self, node: &str, label: &str, value: Option<&str>);

    /// Says whether a node takes tasks: `active`, `pause` or `drain`.
    async fn set_availability(&self, node: &str, availability: &str);

    /// Cuts a node's network. What runs on it runs on, and nobody hears of it.
    async fn cut_off_node(&self, node: &str);

    /// Takes the power from a node, and with it everything that runs there.
    async fn switch_off_node(&self, node: &str);

    /// Gives a node back what was taken from it. It takes a while to be heard again.
    async fn bring_back_node(&self, node: &str);

    /// Removes a node from the Swarm for good.
    async fn remove_node(&self, node: &str);
}
