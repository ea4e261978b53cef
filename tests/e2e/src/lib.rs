//! An installation of Skep as a user has it, for tests: an engine in Swarm mode, Traefik from `manifests/`, a database, `skep
//! serve`, and the `skep` command.
//!
//! Everything is real and is driven from outside only: through the command line, the engine's own client and HTTP requests to the
//! edge. The tests are in `tests/`.

pub mod api;
pub mod binary;
pub mod cli;
pub mod cosign;
pub mod deaf;
pub mod engine_view;
pub mod installation;
pub mod manifests;
pub mod meddler;
pub mod rollout;
pub mod scanner;
pub mod server;
pub mod traffic;

pub use cli::{Answer, Cli};
pub use installation::{Installation, Options};
pub use server::Server;
