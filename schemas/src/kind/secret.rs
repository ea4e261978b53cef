//! Secret: a value that is written and never read back.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;

/// Random values that are easier to guess than this are refused: 2^64 tries are out of reach for whoever asks a server.
const GENERATED_BITS_MIN: u32 = 64;

/// The longest random value, in characters. None has to be longer; keys of 512 bits have 128 hexadecimal digits.
pub const GENERATED_MAX: u32 = 1024;

/// The longest value: Swarm refuses 512,000 bytes and more (swarmkit `validateSecretSpec`; tried on 20.10.24).
pub const SECRET_VALUE_MAX: usize = 511_999;

/// A value that processes read as a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSpec {
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The value. Write-only: no answer ever contains it. Absent: the stored value stays.
    #[serde(default, skip_serializing)]
    pub value: Option<SecretValue>,
    /// Make the value at random instead, once; another one only when this changes or somebody rotates the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateSpec>,
}

/// How a random value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerateSpec {
    /// How many characters it has.
    #[serde(default = "usual_length")]
    #[schemars(range(min = 11, max = 1024))]
    pub length: u32,
    /// Which characters it is made of.
    #[serde(default)]
    pub alphabet: Alphabet,
}

const fn usual_length() -> u32 {
    32
}

impl Default for GenerateSpec {
    fn default() -> Self {
        Self { length: usual_length(), alphabet: Alphabet::default() }
    }
}

/// The characters of random values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// Letters and digits, which need quoting nowhere.
    #[default]
    Alphanumeric,
    /// Hexadecimal digits in lower case.
    Hex,
    /// Letters, digits, `-` and `_`: six bits each.
    Base64url,
    /// Decimal digits.
    Digits,
}

impl Alphabet {
    /// Its characters, all of them ASCII and each there once.
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Alphanumeric => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::Hex => b"0123456789abcdef",
            Self::Base64url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            Self::Digits => b"0123456789",
        }
    }

    /// The fewest characters of a value that nobody guesses.
    const fn length_min(self) -> u32 {
        let bits = self.characters().len().ilog2();
        GENERATED_BITS_MIN.div_ceil(bits)
    }
}

/// The value of a secret. It has no `Serialize`, shows itself as `[REDACTED]`, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretValue(SecretString);

impl SecretValue {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }
}

impl ExposeSecret<str> for SecretValue {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Equality of manifests is asked for in tests and in-memory comparisons only; stored values are compared by keyed digest.
impl PartialEq for SecretValue {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for SecretValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true, "x-skep-secret": true })
    }
}

/// What is so about a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretDetail {
    /// Counts the values that it has had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The name of the current value's object in the Swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

impl KindSpec for SecretSpec {
    const KIND: Kind = Kind::Secret;
    type Detail = SecretDetail;

    fn check(&self, problems: &mut Problems) {
        if let Some(value) = &self.value {
            check_value(value, problems);
        }
        if let Some(generate) = &self.generate {
            check_generate("/generate", *generate, problems);
        }
        if self.value.is_some() && self.generate.is_some() {
            problems.push(
                "/generate",
                "the secret has a value and asks for a random one",
                "keep `value` or `generate`, not both",
            );
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }

    fn to_json_with_secret_values(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut json = serde_json::to_value(self)?;
        if let (Some(fields), Some(value)) = (json.as_object_mut(), &self.value) {
            fields.insert("value".to_owned(), value.expose_secret().into());
        }
        Ok(json)
    }
}

fn check_value(value: &SecretValue, problems: &mut Problems) {
    let length = value.expose_secret().len();
    if length == 0 {
        problems.push(
            "/value",
            "the value is empty",
            "write a value, or leave the field out to keep the stored one",
        );
    }
    if length > SECRET_VALUE_MAX {
        problems.push(
            "/value",
            format!("the value is {length} bytes long"),
            format!("Swarm stores at most {SECRET_VALUE_MAX} bytes"),
        );
    }
}

/// Checks how a random value is to look; `pointer` is where that stands.
pub(super) fn check_generate(pointer: &str, generate: GenerateSpec, problems: &mut Problems) {
    let GenerateSpec { length, alphabet } = generate;
    let least = alphabet.length_min();
    if !(least..=GENERATED_MAX).contains(&length) {
        problems.push(
            format!("{pointer}/length"),
            format!("a random value of {length} such characters is none that is made"),
            format!("use {least}, which nobody guesses, to {GENERATED_MAX}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::AnySpec;

    #[test]
    fn a_value_appears_neither_in_json_nor_in_debug_output() {
        let spec: SecretSpec = serde_json::from_str(r#"{"value": "canary-4711"}"#).unwrap();
        let json = AnySpec::from(spec.clone()).to_json().unwrap().to_string();
        assert_eq!(json, "{}");
        assert!(!format!("{spec:?}").contains("canary"));
        assert_eq!(spec.value.unwrap().expose_secret(), "canary-4711");
    }

    #[test]
    fn a_random_value_is_long_enough_that_nobody_guesses_it() {
        let found = |json: &str| {
            let spec: SecretSpec = serde_json::from_str(json).unwrap();
            let mut problems = Problems::default();
            spec.check(&mut problems);
            problems.into_vec().into_iter().map(|problem| problem.pointer).collect::<Vec<_>>()
        };
        for right in [
            r#"{"generate": {}}"#,
            r#"{"generate": {"length": 16, "alphabet": "hex"}}"#,
            r#"{"generate": {"length": 11, "alphabet": "base64url"}}"#,
        ] {
            assert!(found(right).is_empty(), "{right}");
        }
        for wrong in [
            r#"{"generate": {"length": 15, "alphabet": "hex"}}"#,
            r#"{"generate": {"length": 12, "alphabet": "digits"}}"#,
            r#"{"generate": {"length": 1025}}"#,
        ] {
            assert_eq!(found(wrong), ["/generate/length"], "{wrong}");
        }
        assert_eq!(found(r#"{"value": "x", "generate": {}}"#), ["/generate"]);
    }

    #[test]
    fn every_alphabet_has_each_character_once_and_nothing_but_ascii() {
        for alphabet in [Alphabet::Alphanumeric, Alphabet::Hex, Alphabet::Base64url, Alphabet::Digits] {
            let characters = alphabet.characters();
            let different: std::collections::BTreeSet<_> = characters.iter().collect();
            assert!(different.len() == characters.len() && characters.is_ascii(), "{alphabet:?}");
        }
    }
}
