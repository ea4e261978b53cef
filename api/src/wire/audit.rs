//! The audit: what was done and denied, and the chain that shows whether it is still told as it was.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_store::{AuditKey, AuditSeal};

/// Was it given?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuditOutcome {
    /// It was done.
    Allowed,
    /// It was refused, and nothing was done.
    Denied,
}

impl AuditOutcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// Orders entries as they were made.
    pub id: i64,
    /// Its number in the chain; absent for entries from before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// Was it given?
    pub outcome: AuditOutcome,
    /// Who: the name of a token, a Git source, or Skep itself.
    pub actor: String,
    /// In which role, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting_as: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// With which request; the server's log has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was done, or the permission that was missing.
    pub verb: String,
    /// The organisation that it was about; absent for the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The kind of what it was about; empty where none was named.
    pub kind: String,
    /// The name of it.
    pub name: String,
    /// The resource; all zeros for what is none.
    pub uid: String,
    /// The resource's generation afterwards.
    pub generation: i64,
    /// SHA-256 of the spec before, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// SHA-256 of the spec afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// SHA-256 over all this and the link of the entry before, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl AuditView {
    /// What the link of this entry has to be after that one: the same as `audit_link` in `migrations/0011_audit_chain.sql`.
    pub fn link_after(&self, previous: &[u8], position: i64) -> Vec<u8> {
        let mut text = String::new();
        let mut part = |part: Option<&str>| {
            // With its length, so that parts cannot run into each other.
            match part {
                Some(part) => text.push_str(&format!("{}:{part},", part.len())),
                None => text.push_str("-,"),
            }
        };
        part(Some(&position.to_string()));
        part(Some(&self.at.as_microsecond().to_string()));
        part(Some(self.outcome.as_str()));
        part(Some(&self.actor));
        part(self.acting_as.as_deref());
        part(self.peer.as_deref());
        part(self.request_id.as_deref());
        part(Some(&self.verb));
        part(Some(self.org.as_deref().unwrap_or_default()));
        part(Some(&self.kind));
        part(Some(&self.name));
        part(Some(&self.uid));
        part(Some(&self.generation.to_string()));
        part(self.before.as_deref());
        part(self.after.as_deref());
        let mut digest = Context::new(&SHA256);
        digest.update(previous);
        digest.update(text.as_bytes());
        digest.finish().as_ref().to_vec()
    }
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditSearch {
    /// By this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// With this verb or permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// About this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// About this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this entry: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Entries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditList {
    /// The entries.
    pub items: Vec<AuditView>,
    /// Where to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Which part of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditChainQuery {
    /// After the entry of this number.
    #[serde(default)]
    pub after: i64,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A part of the chain, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditChainView {
    /// The installation, which seals name.
    pub instance: String,
    /// The number of the last entry.
    pub position: i64,
    /// Its link, in hexadecimal.
    pub link: String,
    /// The number of the last entry that needed not be kept and is gone.
    pub floor_position: i64,
    /// Its link.
    pub floor_link: String,
    /// Entries, the oldest first, without a gap.
    pub items: Vec<AuditView>,
    /// The seals on them.
    pub seals: Vec<AuditSealView>,
    /// The keys of all seals.
    pub keys: Vec<AuditKeyView>,
}

/// A key of seals, and the word of the one before that it follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditKeyView {
    /// The Ed25519 key, in hexadecimal.
    pub public_key: String,
    /// The number of the last entry before it came into force.
    pub after_position: i64,
    /// The key before it, in hexadecimal; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsed_by: Option<String>,
    /// Its signature over `skep.dev/audit-key/v1/INSTANCE/AFTER_POSITION/PUBLIC_KEY`, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement: Option<String>,
}

impl AuditKeyView {
    /// The key before, if it did say that this one follows.
    pub fn predecessor(&self, instance: &str) -> Option<&str> {
        let (before, endorsement) = (self.endorsed_by.as_deref()?, self.endorsement.as_deref()?);
        let message = AuditKey::message(instance, self.after_position, &hex::decode(&self.public_key).ok()?);
        let endorsement = hex::decode(endorsement).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, hex::decode(before).ok()?);
        key.verify(message.as_bytes(), &endorsement).is_ok().then_some(before)
    }
}

/// A signed place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditSealView {
    /// The number of the entry.
    pub position: i64,
    /// Its link, in hexadecimal.
    pub link: String,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The Ed25519 key, in hexadecimal.
    pub public_key: String,
    /// The signature over `skep.dev/audit-seal/v1/INSTANCE/POSITION/LINK`, in hexadecimal.
    pub signature: String,
}

impl AuditSealView {
    /// Is the signature that of the key it names, over this place in the chain of this installation?
    pub fn is_genuine(&self, instance: &str) -> bool {
        let (Ok(key), Ok(signature), Ok(link)) =
            (hex::decode(&self.public_key), hex::decode(&self.signature), hex::decode(&self.link))
        else {
            return false;
        };
        let message = AuditSeal::message(instance, self.position, &link);
        UnparsedPublicKey::new(&ED25519, key).verify(message.as_bytes(), &signature).is_ok()
    }
}
