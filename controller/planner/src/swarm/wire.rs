//! How the engine's JSON maps to Rust: the two macros that declare every object, and the few scalar types they share.
//!
//! `wire_struct!` gives each struct the same reading and writing rules, so that no field can forget one: unknown fields
//! go to `extra`, null reads as empty, empty is not written. `wire_enum!` gives each enum an `Other` variant.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// Fields an object carried that its type does not know.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Labels and other string maps; ordered, so that rendering is deterministic.
pub type Labels = BTreeMap<String, String>;

/// The optimistic lock of a Swarm object: an update names the version it was computed from.
///
/// The index is Swarm's log position. It moves by other writers too (the orchestrator records progress), and jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The log index of the object's last change.
    #[serde(rename = "Index", default)]
    pub index: u64,
}

/// A duration as the engine writes it: nanoseconds in a signed integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub i64);

impl Nanos {
    /// So many seconds; an absurd number saturates rather than wraps.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// So many milliseconds; an absurd number saturates rather than wraps.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds.saturating_mul(1_000_000))
    }

    /// The same span as a standard duration; a negative one, which the engine does not use, is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_duration())
    }
}

/// A share between 0 and 1, in the precision the engine keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ratio(f32);

/// Every value equals itself: JSON has no NaN, and [`Ratio::new`] takes none.
impl Eq for Ratio {}

impl Ratio {
    /// The share, brought between 0 and 1.
    pub fn new(share: f32) -> Self {
        Self(if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) })
    }

    /// The share as a number.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// Reads null as the type's empty value: the engine writes `null` for an empty list or map in places.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether a field is empty, and so not written: the engine would drop it anyway, and a comparison must not see it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What can drop the fields that its type does not know, at every depth.
///
/// A newer engine may add fields anywhere. They are read, kept and shown, and they must not be compared: we never send them, so
/// a difference in them could not be mended.
pub trait Known {
    /// Drops every unknown field.
    fn drop_unknown(&mut self);
}

impl<T: Known> Known for Option<T> {
    fn drop_unknown(&mut self) {
        self.iter_mut().for_each(T::drop_unknown);
    }
}

impl<T: Known> Known for Vec<T> {
    fn drop_unknown(&mut self) {
        self.iter_mut().for_each(T::drop_unknown);
    }
}

impl<T: Known> Known for Box<T> {
    fn drop_unknown(&mut self) {
        self.as_mut().drop_unknown();
    }
}

impl<K, T: Known> Known for BTreeMap<K, T> {
    fn drop_unknown(&mut self) {
        self.values_mut().for_each(T::drop_unknown);
    }
}

/// Declares types that have no fields, and so no unknown ones.
macro_rules! known_values {
    ($($type:ty),* $(,)?) => {
        $(
            impl $crate::swarm::wire::Known for $type {
                fn drop_unknown(&mut self) {}
            }
        )*
    };
}
pub(crate) use known_values;

// `Extra` as the type of a field is an object that is passed through as it is.
known_values!(bool, i64, u32, u64, String, Extra, Version, Nanos, Ratio);

/// Declares an object of the engine's API. A leading `@id T = "ID";` is a field that must be there; all others may be
/// missing, null or empty alike. Unknown fields are kept in `extra`.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( @id $id_type:ty = $id_wire:literal; )?
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $wire:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $(
                /// The engine's identity of this object; reading one without it fails.
                #[serde(rename = $id_wire)]
                pub id: $id_type,
            )?
            $(
                $(#[$field_meta])*
                #[serde(
                    rename = $wire,
                    default,
                    deserialize_with = "crate::swarm::wire::null_as_default",
                    skip_serializing_if = "crate::swarm::wire::is_default"
                )]
                pub $field: $type,
            )*
            /// Fields this type does not know, kept so that they can be shown.
            #[serde(flatten)]
            pub extra: crate::swarm::wire::Extra,
        }

        impl crate::swarm::wire::Known for $name {
            fn drop_unknown(&mut self) {
                self.extra.clear();
                $( crate::swarm::wire::Known::drop_unknown(&mut self.$field); )*
            }
        }
    };
}

/// Declares an enum of the engine's API by its words. A word it does not know becomes `Other`, never an error: one
/// unknown value must not make a whole list unreadable.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $wire:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )*
            /// A word this version does not know, kept as it was.
            Other(String),
        }

        crate::swarm::wire::known_values!($name);

        impl $name {
            /// The engine's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $wire, )*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $wire => Self::$variant, )*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(word.as_str()))
            }
        }
    };
}
