//! Secret: a value that is written and never read back.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;

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
        let Some(value) = &self.value else { return };
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
}
