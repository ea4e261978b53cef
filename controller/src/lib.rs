//! The controller: planner, swarm, store, executor and runtime, wired into the reconcile loop.
//!
//! ```text
//! wake ──key──> runtime ──> reconciler: desired (store) + observe (swarm) ─> planner ─> executor ─> status
//!                           safety: surveys of the Swarm, and the guard that every plan passes before the executor
//!                           control_plane: previews by the same functions, logs and health, for the API
//! lead:  several such processes share the organisations among them
//! serve: all of it in one process
//! local: the same without workers and timers, driven step by step
//! ```

mod adopt;
mod assembly;
mod bound;
mod checkup;
mod clock;
mod config;
mod consider;
mod control_plane;
mod desired;
mod drift;
mod error;
mod events;
mod housekeeping;
mod inquiry;
mod lead;
mod left_images;
mod links;
mod load;
pub mod local;
mod logs;
mod lookup;
pub mod metrics;
mod notify;
mod observe;
mod policies;
mod preview;
mod reconciler;
mod regions;
mod safety;
mod scan;
pub mod serve;
mod sightings;
mod signature;
mod stance;
mod tasks;
mod unchanged;
mod usage;
mod wake;

pub use config::{ConfigError, ServeConfig, settings};
pub use logs::{LokiUrl, LokiUrlError};
pub use safety::SafetySettings;
pub use signature::{TrustedRoot, TrustedRootError};
