//! A deterministic Swarm held in memory.
//!
//! [`Swarm`] is the core: the objects, a clock of its own, and an agenda of what is due when. A verb changes objects at once and
//! puts on the agenda what the managers and nodes of a real Swarm would do about it; [`Swarm::advance`] lets that happen. Nothing
//! happens by itself, nothing is random, and equal calls give equal Swarms, ids included: a run that failed fails again.
//! [`SimSwarm`] is a handle to one, with the verbs that Skep knows a Swarm by ([`skep_swarm::SwarmApi`]).
//!
//! How it behaves follows moby's and swarmkit's source, and is held to it: the contract suite (`tests/contract`) runs the same
//! cases against this and against real engines, and what engines were recorded to store is replayed here. A difference is a bug
//! of the simulator. `docs/simulator.md` tells what it got wrong first, and what it does not try to be.

mod api;
mod behaviour;
mod program;
mod refusal;
mod swarm;

pub use api::SimSwarm;
pub use behaviour::{Behaviour, GRACE, Pace};
pub use program::Program;
pub use refusal::Refusal;
pub use swarm::{ImageAnswer, Mutation, Swarm};
