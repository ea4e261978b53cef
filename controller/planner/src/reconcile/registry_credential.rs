//! RegistryCredential: used with the calls that look images up and make services, so it has no object of its own. What there is to say is
//! whether it can be used; what a registry answers is said by the environments whose images are asked for.

use jiff::Timestamp;
use skep_schemas::kind::{RegistryCredentialDetail, Status};

use super::Assessment;
use super::conditions::Conditions;
use crate::pull::RegistryAccess;

/// What to say about a credential.
pub fn status(access: &RegistryAccess, now: Timestamp) -> Assessment<RegistryCredentialDetail> {
    let credential = &access.credential;
    let mut conditions = Conditions::new(&credential.status, credential.meta.generation, now);
    match access.usable() {
        Ok(usable) => conditions.ready(format!(
            "images of {} are pulled as {}, with version {} of Secret/{}",
            usable.registry, usable.username, usable.version, credential.spec.password.secret
        )),
        Err(blocked) => conditions.stalled(blocked.reason(), blocked.to_string()),
    }
    let detail = RegistryCredentialDetail {
        secret_version: access.password.as_ref().map(|password| password.version),
    };
    let status = Status::new(credential.meta.generation, access.revision(), conditions.into_vec(), detail);
    // Its Secret wakes it.
    Assessment { status, recheck: None }
}
