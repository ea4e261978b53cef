//! Rendering: from intent to the engine's objects.
//!
//! One renderer builds a spec for creation *and* for every update, always whole (Portainer CVE-2026-44849 came from two builders
//! that disagreed). Tenants write intent; labels, networks, mounts and options are written here and nowhere else.

mod anchor;
mod entry;
mod forward;
mod network;
mod routing;
mod run;
mod secret;
mod service;

pub use anchor::anchor_spec;
pub(crate) use entry::listens_on;
pub use entry::{entry_spec, has_entry, is_entry_of};
pub use forward::{FORWARD_PROGRAM, ForwardInput, forward_spec};
pub use network::{ENCRYPTED, network_spec};
pub use routing::{Route, RouteTls, route_labels, url};
pub use run::run_spec;
pub use secret::secret_spec;
pub(crate) use service::monitor;
pub use service::{EngineFeatures, ServiceInput, service_spec};
