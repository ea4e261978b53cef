//! The store against a real PostgreSQL: what it promises to those who write, to those who watch, and to the controller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod apply;
mod audit;
mod cancel;
mod compaction;
mod convergence;
mod delete;
mod drift;
mod formation;
mod history;
mod journal;
mod lease;
mod link;
mod list;
mod master_keys;
mod member;
mod migrate;
mod notification;
mod people;
mod policy;
mod print;
mod quota;
mod records;
mod registry;
mod rollback;
mod run;
mod safety;
mod scan;
mod secret;
mod secret_versions;
mod signature;
mod support;
mod tenant_role;
mod tenants;
mod token;
mod watch;
