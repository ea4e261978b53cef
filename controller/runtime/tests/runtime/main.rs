//! The runtime from outside: controllers and background tasks on paused time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod background_tasks;
mod controller;
mod fairness;
mod log_fields;
mod support;
