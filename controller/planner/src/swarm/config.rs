//! Configs: small files that the Swarm keeps. Skep keeps one, to say whose the Swarm is (see [`crate::safety`]).

use super::id::ConfigId;
use super::wire::{Extra, Labels, Version};

wire_struct! {
    /// A config as the engine answers it.
    pub struct Config {
        @id ConfigId = "ID";
        /// The object's version.
        version: Version = "Version",
        /// When it was created, RFC 3339.
        created_at: String = "CreatedAt",
        /// When it last changed, RFC 3339.
        updated_at: String = "UpdatedAt",
        /// What it is.
        spec: ConfigSpec = "Spec",
    }
}

wire_struct! {
    /// What a config is. Only labels can change; an update has to repeat the rest.
    pub struct ConfigSpec {
        /// Unique in the Swarm: 1 to 64 of `a-zA-Z0-9-_.`.
        name: String = "Name",
        /// Its labels.
        labels: Labels = "Labels",
        /// Its content, in base64. The engine refuses an empty one.
        data: String = "Data",
        /// How the content is expanded.
        templating: Option<Extra> = "Templating",
    }
}
