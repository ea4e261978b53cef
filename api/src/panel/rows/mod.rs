//! The rows, by subject.

mod addon;
mod admin_catalog;
mod admin_nodes;
mod admin_platform;
mod app;
mod application;
mod catalog;
mod cluster;
mod container;
mod domain;
mod environment;
mod policy;
mod volume;

use super::row::Row;

/// All of them, in the order of the documentation.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    [
        app::ROWS,
        application::ROWS,
        environment::ROWS,
        domain::ROWS,
        addon::ROWS,
        catalog::ROWS,
        container::ROWS,
        volume::ROWS,
        policy::ROWS,
        cluster::ROWS,
        admin_nodes::ROWS,
        admin_platform::ROWS,
        admin_catalog::ROWS,
    ]
    .into_iter()
    .flatten()
}
