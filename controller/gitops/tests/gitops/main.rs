//! Repositories and directories as they are: a real Git server, a real SSH server, a real disk.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod directory;
mod documents;
mod https;
mod limits;
mod ssh;
mod support;
mod trees;
