//! Those whose signatures a policy believes: a key, or an identity that an issuer vouches for.
//!
//! In a manifest each is a field, and exactly one of them is there; in the types each is a variant, so that whoever judges a signature never meets
//! a signer that is neither or both. The fields are called as in sigstore's own policies (`keyless.identities[]`).

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::scalar::{OidcIssuer, PublicKey, Subject, SubjectPattern};

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signer {
    /// Whoever has the private key to this public one.
    Key(PublicKey),
    /// Whoever an issuer says somebody is, by a certificate of sigstore (`cosign sign` without a key).
    Identity(Identity),
}

/// Somebody whom an issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IdentityFields", into = "IdentityFields")]
pub struct Identity {
    /// Who vouches.
    pub issuer: OidcIssuer,
    /// For whom.
    pub subject: Subjects,
}

/// Whom a policy means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subjects {
    /// One.
    Exact(Subject),
    /// All that a pattern matches.
    Pattern(SubjectPattern),
}

impl Identity {
    /// Does it mean whom a certificate names?
    pub fn is(&self, issuer: &str, subject: &str) -> bool {
        let is_subject = match &self.subject {
            Subjects::Exact(one) => one.as_str() == subject,
            Subjects::Pattern(pattern) => pattern.matches(subject),
        };
        self.issuer.as_str() == issuer && is_subject
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the key that ends in {}", key.ending()),
            Self::Identity(Identity { issuer, subject }) => match subject {
                Subjects::Exact(subject) => write!(f, "{subject} of {issuer}"),
                Subjects::Pattern(pattern) => write!(f, "{pattern} of {issuer}"),
            },
        }
    }
}

/// An identity as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdentityFields {
    issuer: OidcIssuer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_pattern: Option<SubjectPattern>,
}

impl TryFrom<IdentityFields> for Identity {
    type Error = &'static str;

    fn try_from(fields: IdentityFields) -> Result<Self, Self::Error> {
        let subject = match (fields.subject, fields.subject_pattern) {
            (Some(subject), None) => Subjects::Exact(subject),
            (None, Some(pattern)) => Subjects::Pattern(pattern),
            (None, None) | (Some(_), Some(_)) => return Err("exactly one of `subject` and `subjectPattern`"),
        };
        Ok(Self { issuer: fields.issuer, subject })
    }
}

impl From<Identity> for IdentityFields {
    fn from(identity: Identity) -> Self {
        let (subject, subject_pattern) = match identity.subject {
            Subjects::Exact(subject) => (Some(subject), None),
            Subjects::Pattern(pattern) => (None, Some(pattern)),
        };
        Self { issuer: identity.issuer, subject, subject_pattern }
    }
}

impl JsonSchema for Signer {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut key = PublicKey::json_schema(generator);
        key.insert(
            "description".to_owned(),
            "The public key of whoever signs: the content of `cosign.pub`.".into(),
        );
        json_schema!({
            "type": "object",
            "description": "Somebody whose signature counts: a key or an identity.",
            "properties": { "key": key, "identity": generator.subschema_for::<Identity>() },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}

impl JsonSchema for Identity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Identity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Who signs without a key of his own, as his certificate says: cosign's --certificate-oidc-issuer and --certificate-identity.",
            "properties": {
                "issuer": OidcIssuer::json_schema(generator),
                "subject": Subject::json_schema(generator),
                "subjectPattern": SubjectPattern::json_schema(generator),
            },
            "required": ["issuer"],
            "additionalProperties": false,
            "minProperties": 2,
            "maxProperties": 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORKFLOW: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1";
    const ISSUER: &str = "https://token.actions.githubusercontent.com";

    #[test]
    fn a_signer_is_a_key_or_an_identity_and_reads_back_as_it_was_written() {
        for written in [
            json!({"identity": {"issuer": ISSUER, "subject": WORKFLOW}}),
            json!({"identity": {"issuer": ISSUER, "subjectPattern": "https://github.com/acme/*"}}),
        ] {
            let signer: Signer = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&signer).unwrap(), written);
        }
        for wrong in [
            json!({}),
            json!({"key": "x", "identity": {"issuer": ISSUER, "subject": WORKFLOW}}),
            json!({"identity": {"issuer": ISSUER}}),
            json!({"identity": {"subject": WORKFLOW}}),
            json!({"identity": {"issuer": ISSUER, "subject": WORKFLOW, "subjectPattern": "https://github.com/*"}}),
        ] {
            assert!(serde_json::from_value::<Signer>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identity_means_its_issuer_and_its_subject_and_nobody_else() {
        let identity = |subject: serde_json::Value| -> Identity {
            let mut fields = json!({"issuer": ISSUER});
            fields.as_object_mut().unwrap().extend(subject.as_object().unwrap().clone());
            serde_json::from_value(fields).unwrap()
        };
        let exact = identity(json!({"subject": WORKFLOW}));
        let pattern = identity(json!({"subjectPattern": "https://github.com/acme/*@refs/tags/*"}));
        for identity in [&exact, &pattern] {
            assert!(identity.is(ISSUER, WORKFLOW));
            assert!(!identity.is("https://accounts.google.com", WORKFLOW));
            assert!(!identity.is(&format!("{ISSUER}/"), WORKFLOW));
            assert!(!identity.is(ISSUER, &WORKFLOW.replace("acme", "evil")));
        }
        assert!(!exact.is(ISSUER, &WORKFLOW.replace("v1", "v2")));
        assert!(pattern.is(ISSUER, &WORKFLOW.replace("v1", "v2")));
    }
}
