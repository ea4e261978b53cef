//! The golden language of the planner.
//!
//! A case is a text file that reads like documentation: prose, commands, and below each command what it says. The commands
//! run the real planner, the one that `skep diff` and the reconcile loop use, over a world that is held in memory:
//!
//! ```text
//! manifests ─> store  (generations, releases, inventory: what Postgres would keep)
//!                 │
//!              planner ─> steps ─> the simulator (what Swarm keeps, and what becomes of tasks)
//!                 └───────────────────┘
//! ```
//!
//! The Swarm is the simulator (`tests/simulator`), which is held to real engines. Its tasks start at once here unless the case says
//! otherwise. A case needs neither Docker nor Postgres, so thousands of rounds take a moment, and what a change to the planner does
//! to people is reviewed as a difference of text.
//!
//! `cases/README.md` lists the commands. `SKEP_BLESS=1 cargo nextest run -p skep-scenarios` rewrites what the commands say.

pub mod cluster;
pub mod dice;
pub mod script;
pub mod stage;
pub mod store;
pub mod world;

pub use command::remove_at;

mod command;
mod desired;
mod drift;
mod observe;
mod operator;
mod outside;
mod show;
mod surroundings;
