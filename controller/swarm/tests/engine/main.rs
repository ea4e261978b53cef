//! The client against real engines: each property holds on the oldest supported engine and on a newer one.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod configs;
mod connections;
mod gathered;
mod images;
mod networks;
mod proxy;
mod quorum;
mod reading;
mod refusals;
mod registries;
mod services;
mod setup;
mod streams;
mod tls;
