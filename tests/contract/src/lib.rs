//! What a Swarm does, as cases that are written once and run twice: on the simulator, on a clock that jumps, and on real engines.
//!
//! A case works through [`skep_swarm::SwarmApi`] alone, in an [`Arena`] that knows how images behave, how nodes are changed and how
//! time passes. It asserts what it is about, and keeps an account of what it was told: the words of refusals, stored specs, the
//! course of a roll-out. Run on an engine, a case is run on the simulator of the same release too, and both accounts have to be
//! equal to the letter. A difference is a bug of the simulator: it is mended there, and told in `docs/simulator.md`.

#![expect(clippy::expect_used, clippy::panic, reason = "a case fails by panicking")]

mod arena;
mod cases;
mod engine;
mod meeting;
mod run;
mod simulated;
mod trial;

pub use arena::{Act, Arena};
pub use cases::{Case, alone, in_step, together};
pub use engine::EngineArena;
pub use run::{Company, Outcome, on_engine, on_simulator};
pub use simulated::SimArena;
pub use trial::Trial;
