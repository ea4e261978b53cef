//! The planner: desired and observed in, a plan out. Pure and deterministic (invariant I1).
//!
//! ```text
//! desired  (schemas)   ─┐
//! observed (swarm, observed) ─┼─> reconcile::{organization, secret, environment} ─> plan::Plan + status
//! inventory, releases  ─┘         using render, normalize, diff and health
//! ```
//!
//! There is no clock, no randomness and no I/O in this crate: the time is an input, names are derived, maps are ordered. The same
//! input gives the same plan, byte for byte, which is why `skep diff`, `skep plan` and the reconcile loop can share it.

pub mod binding;
pub mod blocked;
pub mod checkup;
pub mod constraint;
pub mod deployment;
pub mod diff;
pub mod drift;
pub mod formation;
pub mod health;
pub mod image_start;
pub mod inventory;
pub mod naming;
pub mod normalize;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod pull;
pub mod quota;
pub mod reconcile;
pub mod region;
pub mod release;
pub mod render;
pub mod run;
pub mod safety;
pub mod schedule;
pub mod settings;
pub mod step;
pub mod swarm;
pub mod sync;
pub mod unkept;
pub mod usage;
pub mod view;

pub use blocked::Blocked;
pub use drift::{Drift, DriftClass, Response, Stance};
pub use image_start::ImageStart;
pub use inventory::{InventoryEntry, ObjectKind, ObjectRef};
pub use naming::InstanceId;
pub use observed::Observed;
pub use plan::{Learned, NewRelease, Noted, Plan, VerdictChange};
pub use pull::{PullAs, PullCredential, RegistryAccess};
pub use release::{
    Cancelled, Release, ReleaseContent, ReleaseImage, ReleaseProcess, ReleaseSecret, ReleaseVersion,
    ResolvedImage, Verdict,
};
pub use run::{
    LastLines, NewRun, RUNS_OPEN_MAX, Run, RunChange, RunEnd, RunNews, RunNumber, RunOutput, RunPurpose,
};
pub use schedule::{Missed, ScheduleChange, ScheduleDecision, ScheduleMark};
pub use settings::{Architecture, NetworkPool, OrgSubnet, Settings};
pub use step::{Cost, FieldChange, Op, Step};
pub use unkept::Unkept;
