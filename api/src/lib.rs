//! The HTTP API: routes, admission, problem+json, watch streams and OpenAPI.

pub mod wire;
