//! The Swarm as Skep sees it: the verbs of [`SwarmApi`], and [`EngineClient`] which speaks them to a real engine.
//!
//! The planner decides what the Swarm should be and the executor carries it out; this crate is the executor's hands and
//! the observer's eyes. It holds no state about the Swarm and makes no choices: one verb is one request. What it adds
//! to the engine's HTTP API is certainty: every call is bounded in time and size, every failure is classified
//! ([`SwarmError`]) and says whether it may have taken effect, and objects are read without losing what is new
//! (`skep_planner::swarm`).

mod api;
mod auth;
mod client;
mod engine;
mod error;
mod gathered;
mod query;
mod stream;
mod verb;
mod version;

pub use api::SwarmApi;
pub use auth::RegistryAuth;
pub use client::{CertificateFiles, ClientOptions, EngineAddress, EngineClient, PlainTcp, classify};
pub use engine::{EngineInfo, ImageIdentity, ResolvedImage};
pub use error::{Call, Cause, Effect, SwarmError};
pub use gathered::Gathered;
pub use query::{By, LabelFilter, TaskFilter};
pub use stream::{Hint, HintKind, HintStream, LogLine, LogLineStream, LogQuery, LogSource, LogTarget};
pub use verb::Verb;
pub use version::{ApiVersion, NotAnApiVersion};
