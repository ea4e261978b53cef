//! Opening a credential for a registry, at the moment of the call that needs it.

use secrecy::{ExposeSecret, SecretString};
use skep_planner::PullCredential;
use skep_store::{Store, StoreError};
use skep_swarm::RegistryAuth;

/// What the engine is told, with the password opened.
pub async fn registry_auth(store: &Store, credential: &PullCredential) -> Result<RegistryAuth, StoreError> {
    let PullCredential { registry, username, secret, version, .. } = credential;
    let value = store.open_secret(*secret, *version).await?;
    Ok(RegistryAuth {
        server: registry.to_string(),
        username: username.clone(),
        password: SecretString::from(without_line_end(value.expose_secret())),
    })
}

/// Passwords come out of programs and editors with a line end that is none of theirs.
fn without_line_end(value: &str) -> &str {
    let line = value.strip_suffix('\n').unwrap_or(value);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_behind_a_password_does_not_count() {
        for value in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(without_line_end(value), "hunter2");
        }
        assert_eq!(without_line_end("hunter2\n\n"), "hunter2\n");
    }
}
