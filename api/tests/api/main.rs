//! The API against a real database, called as a service or over real connections. Only the controller is stood in for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod audit;
mod batch;
mod browser;
mod config;
mod deployment;
mod doctor;
mod drift;
mod formation;
mod intervention;
mod keyed;
mod metrics;
mod notification;
mod operation;
mod owner;
mod panel;
mod panel_changes;
mod panel_served;
mod panel_tenant;
mod people;
mod problem;
mod rates;
mod region;
mod resource;
mod run;
mod safety;
mod secret;
mod served;
mod support;
mod tenancy;
mod vouched;
mod watch;
mod web_login;
