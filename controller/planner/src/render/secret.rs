//! The object of one value of a secret.

use skep_schemas::{ResourceKey, Uid};

use crate::naming::{self, InstanceId};
use crate::swarm::SecretSpec;

/// A Swarm secret under its content-addressed name. The value is not part of it: the executor fetches it when it carries the
/// step out.
pub fn secret_spec(instance: &InstanceId, key: &ResourceKey, uid: Uid, object: &str) -> SecretSpec {
    SecretSpec {
        name: object.to_owned(),
        labels: naming::owner_labels(instance, key, uid),
        ..SecretSpec::default()
    }
}
