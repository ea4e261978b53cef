//! Every way in which a call can go wrong, at every call of every workflow, against the real loop.
//!
//! ```text
//! database   Postgres in which time stands still until it is told to go on, put back to a kept state in milliseconds
//! faulty     the simulated Swarm with one call that goes wrong      proxy   Postgres with one statement that does
//! world      both, the processes that connect them, one time, one thread, one seed
//! workflow   what is asked for, from which state                    workflows   all of them
//! picture    what a run has come to                                 matrix      workflows x faults, judged by the run without
//! company    passes that write at the same time, and one statement of theirs that goes wrong
//! ```
//!
//! A run that fails is named by its workflow, fault and seed, and does the same again.

mod call;
pub mod campaign;
mod clock;
pub mod company;
mod conflict;
mod database;
mod fault;
mod faulty;
pub mod machine;
mod matrix;
mod names;
mod picture;
mod process;
mod proxy;
mod request;
mod schedule;
mod workflow;
pub mod workflows;
mod world;

pub use database::Database;
pub use fault::{At, Fault, Kind};
pub use faulty::Made;
pub use matrix::{Bench, Failure, Run};
pub use picture::Picture;
pub use workflow::{Act, Base, Workflow};
pub use world::{ORPHAN_GRACE, World};
