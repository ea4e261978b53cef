//! Secrets, without their values: those go straight from the store to the engine and are never planned with.

use super::id::SecretId;
use super::wire::{Extra, Labels, Version};

wire_struct! {
    /// A secret as the engine answers it. The engine never tells the value.
    pub struct Secret {
        @id SecretId = "ID";
        /// The object's version.
        version: Version = "Version",
        /// When it was created, RFC 3339.
        created_at: String = "CreatedAt",
        /// When it last changed, RFC 3339.
        updated_at: String = "UpdatedAt",
        /// What it is.
        spec: SecretSpec = "Spec",
    }
}

wire_struct! {
    /// What a secret is. Only labels can change.
    pub struct SecretSpec {
        /// Unique in the Swarm: 1 to 64 of `a-zA-Z0-9-_.`.
        name: String = "Name",
        /// Its labels.
        labels: Labels = "Labels",
        /// Where an outside value comes from.
        driver: Option<Extra> = "Driver",
        /// How the value is expanded.
        templating: Option<Extra> = "Templating",
    }
}
