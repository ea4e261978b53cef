//! Identities the engine gives to its objects. One type per kind, so that a network's id cannot remove a service.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! wire_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        crate::swarm::wire::known_values!($name);

        impl $name {
            /// Takes the engine's word for it; ids are opaque.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as the engine writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether there is no id: the engine writes an empty string where nothing is referred to.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }
    };
}

wire_id!(
    /// A Swarm service.
    ServiceId
);
wire_id!(
    /// One run of one slot of a service.
    TaskId
);
wire_id!(
    /// A network, of the Swarm or of one engine.
    NetworkId
);
wire_id!(
    /// A Swarm secret.
    SecretId
);
wire_id!(
    /// A Swarm config.
    ConfigId
);
wire_id!(
    /// A member of the Swarm.
    NodeId
);
wire_id!(
    /// A container of one engine.
    ContainerId
);
