//! The scalar newtypes that specs are made of.
//!
//! A scalar is read from one YAML or JSON scalar, checked once, and carried as a type from then on. Each has a parser with
//! a message written for the person who typed the value, a JSON Schema with the pattern an editor can check, and a name
//! under which the manifest reader finds the parser again ([`parser`]), so that one reading reports every bad value in a
//! file instead of the first.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Visitor};

mod email;
mod git;
mod hook_url;
mod identity;
mod image;
mod names;
mod net;
mod pattern;
mod pointer;
mod public_key;
mod quantity;
mod recurrence;

pub use email::EmailAddress;
pub use git::{CommitId, RepositoryPath};
pub use hook_url::HookUrl;
pub use identity::{OidcIssuer, Subject, SubjectPattern};
pub use image::{ImageDigest, ImageRef};
pub(crate) use names::excerpt;
pub use names::{EnvName, FileName, MountPath, OrgName, ProcessName, Region, ResourceName};
pub use net::{Host, Port};
pub use pattern::{ImagePattern, Registry};
pub use pointer::FieldPointer;
pub use public_key::{KeyAlgorithm, PublicKey};
pub use quantity::{Bytes, Cpu, Duration};
pub use recurrence::{CronExpression, TimeZoneName};

/// The JSON Schema extension that names the scalar type of a field (`"x-skep-scalar": "cpu"`).
pub const SCHEMA_KEY: &str = "x-skep-scalar";

/// Why a text is not a value of a scalar type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ScalarError {
    /// What is wrong, in words that include the offending text where it is short enough to help.
    pub problem: String,
    /// What to write instead.
    pub help: String,
}

impl ScalarError {
    pub(crate) fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

/// A type read from one scalar of text.
pub trait Scalar: Sized + fmt::Display {
    /// The name under which [`parser`] knows it; also in the JSON Schema under [`SCHEMA_KEY`].
    const NAME: &'static str;
    /// One sentence for `skep explain` and the JSON Schema.
    const DESCRIPTION: &'static str;
    /// A regular expression that editors can check; never stricter than [`Scalar::parse`].
    const PATTERN: &'static str;
    /// May it also be written as a plain number, such as `cpu: 2`?
    const NUMBERS: bool = false;

    /// Checks and builds the value.
    fn parse(text: &str) -> Result<Self, ScalarError>;
}

/// A check that a text is a value of some scalar type.
pub type Check = fn(&str) -> Result<(), ScalarError>;

fn check<S: Scalar>(text: &str) -> Result<(), ScalarError> {
    S::parse(text).map(drop)
}

macro_rules! parsers {
    ($($ty:ty),* $(,)?) => {
        /// The check for the scalar type that a JSON Schema names under [`SCHEMA_KEY`]; `None` for an unknown name.
        pub fn parser(name: &str) -> Option<Check> {
            match name {
                $(<$ty as Scalar>::NAME => Some(check::<$ty>),)*
                _ => None,
            }
        }

        /// The name of the scalar type that has this pattern: how the type of a map's keys is found again.
        pub(crate) fn name_of_pattern(pattern: &str) -> Option<&'static str> {
            let types = [$((<$ty as Scalar>::PATTERN, <$ty as Scalar>::NAME),)*];
            types.into_iter().find(|(of, _)| *of == pattern).map(|(_, name)| name)
        }
    };
}

parsers!(
    OrgName,
    ResourceName,
    ProcessName,
    Region,
    EnvName,
    FileName,
    MountPath,
    Host,
    Cpu,
    Bytes,
    Duration,
    ImageRef,
    ImageDigest,
    ImagePattern,
    Registry,
    FieldPointer,
    EmailAddress,
    PublicKey,
    HookUrl,
    OidcIssuer,
    Subject,
    SubjectPattern,
    CronExpression,
    TimeZoneName,
    CommitId,
    RepositoryPath,
);

/// Reads a scalar from text, or from a number if the type allows it.
pub(crate) fn deserialize<'de, S: Scalar, D: Deserializer<'de>>(deserializer: D) -> Result<S, D::Error> {
    struct Text<S>(PhantomData<S>);

    impl<S: Scalar> Text<S> {
        fn number<E: serde::de::Error>(number: impl fmt::Display) -> Result<S, E> {
            if !S::NUMBERS {
                return Err(E::custom(format_args!("expected text, found the number {number}")));
            }
            S::parse(&number.to_string()).map_err(E::custom)
        }
    }

    impl<S: Scalar> Visitor<'_> for Text<S> {
        type Value = S;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(S::DESCRIPTION)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<S, E> {
            S::parse(text).map_err(E::custom)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<S, E> {
            Self::number(number)
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<S, E> {
            Self::number(number)
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<S, E> {
            Self::number(number)
        }
    }

    if S::NUMBERS {
        deserializer.deserialize_any(Text(PhantomData))
    } else {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// Gives a [`Scalar`] its serde, `FromStr` and JSON Schema implementations, all through `Scalar::parse`.
macro_rules! scalar_impls {
    ($ty:ty) => {
        impl std::str::FromStr for $ty {
            type Err = $crate::scalar::ScalarError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$ty as $crate::scalar::Scalar>::parse(text)
            }
        }

        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::scalar::deserialize(deserializer)
            }
        }

        impl schemars::JsonSchema for $ty {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($ty).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let numbers = <$ty as $crate::scalar::Scalar>::NUMBERS;
                schemars::json_schema!({
                    "type": if numbers { serde_json::json!(["string", "number"]) } else { "string".into() },
                    "pattern": <$ty as $crate::scalar::Scalar>::PATTERN,
                    "description": <$ty as $crate::scalar::Scalar>::DESCRIPTION,
                    $crate::scalar::SCHEMA_KEY: <$ty as $crate::scalar::Scalar>::NAME,
                })
            }
        }
    };
}
pub(crate) use scalar_impls;

/// Declares a scalar that keeps its text as it was written.
macro_rules! text_scalar {
    ($(#[$doc:meta])* $ty:ident, $name:literal, $description:literal, $pattern:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $ty(String);

        impl $ty {
            /// The text of the value.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $ty {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $ty {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl $crate::scalar::Scalar for $ty {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = $description;
            const PATTERN: &'static str = $pattern;

            fn parse(text: &str) -> Result<Self, $crate::scalar::ScalarError> {
                let check: fn(&str) -> Result<(), $crate::scalar::ScalarError> = $parse;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        $crate::scalar::scalar_impls!($ty);
    };
}
pub(crate) use text_scalar;
