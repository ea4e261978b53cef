//! The golden language of the planner.
//!
//! A case is a text file that reads like documentation: prose, commands, and below each command what it says. The commands
//! run the real planner, the one that `skep diff` and the reconcile loop use, over a world that is held in memory:
//!
//! ```text
//! manifests ─> store  (generations, releases, inventory: what Postgres would keep)
//!                 │
//!              planner ─> steps ─> engine (what Swarm would keep after each step took effect)
//!                 └───────────────────┘
//! ```
//!
//! The world has no behaviour of its own beyond what research on real engines established: it normalises specs as they do,
//! swaps the specs on a rollback, refuses what they refuse, and starts tasks at once unless the case says otherwise. It needs
//! neither Docker nor Postgres, so thousands of rounds take a moment, and what a change to the planner does to people is
//! reviewed as a difference of text.
//!
//! `cases/README.md` lists the commands. `SKEP_BLESS=1 cargo nextest run -p skep-scenarios` rewrites what the commands say.

pub mod engine;
pub mod script;
pub mod stage;
pub mod store;
pub mod world;

mod command;
mod desired;
mod drift;
mod observe;
mod operator;
mod show;
mod surroundings;
