//! The simulator as an arena. Waiting jumps to the next moment at which something is due.

use std::time::Duration;

use async_trait::async_trait;
use skep_planner::swarm::NodeAvailability;
use skep_simulator::{Behaviour, Pace, Program, SimSwarm, Swarm};
use skep_swarm::SwarmApi;

use crate::arena::{Act, Arena, HEARTBEAT, MANAGER};

/// How far the clock goes on when nothing is due.
const IDLE: Duration = Duration::from_millis(100);

/// A fresh simulated Swarm.
pub struct SimArena(SimSwarm);

impl SimArena {
    /// One that behaves like this release, with so many nodes.
    pub fn new(behaviour: Behaviour, nodes: u8) -> Self {
        let mut swarm = Swarm::new(behaviour);
        for number in 2..=nodes {
            swarm.set_node(&format!("node-{number}"), |_| {});
        }
        if nodes > 1 {
            swarm.set_pace(Pace { heartbeat: HEARTBEAT, ..*swarm.pace() });
        }
        for act in Act::ALL {
            swarm.set_program(act.image(), program(act));
        }
        swarm.set_program(Act::Missing.image(), Program::missing());
        // An engine that is asked is long done with starting.
        swarm.settle();
        Self(SimSwarm::new(swarm))
    }
}

fn program(act: Act) -> Program {
    match act {
        Act::Runs | Act::RunsToo => Program::runs(),
        Act::Exits => Program::exits(3),
        Act::Ends => Program::exits(0),
        Act::Stumbles => Program::exits_after(Duration::from_secs(1), 4),
        Act::Unhealthy => Program::unhealthy("this one is never healthy\n").stops_with(0),
        Act::UnhealthyAndStubborn => {
            Program::unhealthy("this one is never healthy\n").stops_after(Duration::from_secs(3600))
        }
        Act::HealthyNever => Program::healthy_after(Duration::from_secs(30)),
        Act::HealthyLate => Program::healthy_after(Duration::from_secs(3)),
        Act::CannotStart => Program::cannot_start(
            "exec: \"/bin/nonesuch\": stat /bin/nonesuch: no such file or directory: unknown",
        ),
        Act::Missing => Program::missing(),
        Act::Stubborn => Program::runs().stops_after(Duration::from_secs(3600)),
        Act::Writes => Program::runs().writes("hello from the task"),
    }
}

#[async_trait]
impl Arena for SimArena {
    fn swarm(&self) -> &dyn SwarmApi {
        &self.0
    }

    fn behaviour(&self) -> Behaviour {
        self.0.with(|swarm| swarm.behaviour())
    }

    async fn rest(&self, time: Duration) {
        self.0.with(|swarm| swarm.advance(time));
    }

    async fn tick(&self) {
        self.0.with(|swarm| match swarm.next_due() {
            Some(at) => swarm.advance_to(at),
            None => swarm.advance(IDLE),
        });
    }

    fn clock(&self) -> Duration {
        let now = self.0.with(|swarm| swarm.now());
        Duration::from_millis(u64::try_from(now.as_millisecond()).unwrap_or(0))
    }

    async fn label_node(&self, node: &str, label: &str, value: Option<&str>) {
        self.0.with(|swarm| {
            swarm.set_node(node, |node| {
                match value {
                    Some(value) => node.spec.labels.insert(label.to_owned(), value.to_owned()),
                    None => node.spec.labels.remove(label),
                };
            });
        });
    }

    async fn set_availability(&self, node: &str, availability: &str) {
        self.0.with(|swarm| swarm.set_availability(node, NodeAvailability::from(availability)));
    }

    async fn cut_off_node(&self, node: &str) {
        assert_ne!(node, MANAGER, "nobody would answer");
        self.0.with(|swarm| swarm.lose_node(node));
    }

    async fn switch_off_node(&self, node: &str) {
        assert_ne!(node, MANAGER, "nobody would answer");
        self.0.with(|swarm| swarm.switch_off_node(node));
    }

    async fn bring_back_node(&self, node: &str) {
        self.0.with(|swarm| swarm.restore_node(node));
    }

    async fn remove_node(&self, node: &str) {
        self.0.with(|swarm| swarm.remove_node(node));
    }
}
