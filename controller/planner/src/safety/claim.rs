//! The claim: a config in the Swarm that says which Skep instance it belongs to.
//!
//! Configs are replicated with the Swarm's own state, have unique names, and change only from the version that was read: making
//! one is an atomic claim, and of two instances that take it over at once one loses. It is written when it is made and when it
//! is confirmed, never periodically.

use crate::naming::{CLAIM, InstanceId, LABEL_INSTANCE, LABEL_ROLE, LABEL_STORE_EPOCH, ROLE_CLAIM};
use crate::swarm::{ConfigSpec, Labels};

/// What the config holds, in base64: "This Swarm is managed by Skep. See the labels.\n". People find it with `docker config ls`.
const WORDS: &str = "VGhpcyBTd2FybSBpcyBtYW5hZ2VkIGJ5IFNrZXAuIFNlZSB0aGUgbGFiZWxzLgo=";

/// Whose a Swarm is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The instance; empty when the config does not say, which is nobody we know.
    pub instance: InstanceId,
    /// The epoch of the store that confirmed the claim last.
    pub epoch: String,
}

impl Claim {
    /// As the config's labels say. A config of this name that says nothing is a claim all the same: not ours.
    pub fn read(labels: &Labels) -> Self {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        Self { instance: InstanceId::new(label(LABEL_INSTANCE)), epoch: label(LABEL_STORE_EPOCH) }
    }
}

/// The config that makes the claim.
pub fn claim_spec(claim: &Claim) -> ConfigSpec {
    let labels = [
        (LABEL_INSTANCE, claim.instance.as_str()),
        (LABEL_ROLE, ROLE_CLAIM),
        (LABEL_STORE_EPOCH, claim.epoch.as_str()),
    ];
    ConfigSpec {
        name: CLAIM.to_owned(),
        labels: labels.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect(),
        data: WORDS.to_owned(),
        templating: None,
        ..ConfigSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_reads_back_from_its_config_and_a_config_without_words_is_nobodys() {
        let claim = Claim { instance: InstanceId::new("0123456789ab"), epoch: "e1".to_owned() };
        assert_eq!(Claim::read(&claim_spec(&claim).labels), claim);
        assert_eq!(Claim::read(&Labels::new()).instance.as_str(), "");
    }
}
