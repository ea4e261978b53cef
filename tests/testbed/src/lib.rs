//! Real parts for tests: Docker engines in Swarm mode, clusters of several nodes, images and registries, PostgreSQL
//! servers and processes under test. Each starts by itself, several run at once in parallel test processes, and each
//! is gone when its value is dropped.
//!
//! How that holds together:
//!
//! - A [`Machine`](machine::Machine) is a set of namespaces with an init process. Everything an engine or a database starts lives in its
//!   process namespace and its private mounts, so ending the init ends all of it, containers and mounts included. The
//!   init reads from a pipe held by the test process: a test that is killed takes its machines with it.
//! - A [`Lease`](lease::Lease) is a locked slot number from which every name is derived: directories, network namespaces, links,
//!   control groups, addresses. Two test processes never share a slot.
//! - What a killed test still leaves behind (namespaces, directories) is removed by [`sweep`], which every start
//!   calls: a slot whose lock is free belongs to nobody.
//!
//! Everything the testbed makes carries a name that starts with `skt`, and nothing else is ever touched. It needs
//! root, and the Debian packages that [`install::packages`] puts in place.

pub mod browser;
pub mod built;
pub mod cluster;
pub mod command;
pub mod edge;
pub mod engine;
pub mod events;
pub mod forwarder;
pub mod git_server;
pub mod http;
pub mod identity_provider;
pub mod image;
pub mod install;
pub mod lease;
pub mod machine;
pub mod network;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod registry;
pub mod sigstore;
pub mod ssh_server;
pub mod tls;
pub mod wait;

pub use browser::Browser;
pub use cluster::{Cluster, ClusterOptions, Engine, Node};
pub use engine::{EngineOptions, EngineVersion};
pub use events::Events;
pub use forwarder::Forwarder;
pub use git_server::GitServer;
pub use image::{Image, Recipe};
pub use lease::{sweep, tidy};
pub use postgres::{Postgres, PostgresOptions};
pub use process::Process;
pub use prometheus::Prometheus;
pub use ssh_server::SshServer;
pub use wait::wait_until;
