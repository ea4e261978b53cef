//! Credentials for a registry, handed through the engine with the one call that needs them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use secrecy::{ExposeSecret, SecretString};

/// Credentials for one registry. The engine keeps them with the service for its nodes, and never tells them.
#[derive(Clone, Debug)]
pub struct RegistryAuth {
    /// The registry, as in image references.
    pub server: String,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: SecretString,
}

impl RegistryAuth {
    /// Nobody: what is known of credentials for the service is forgotten, where no header at all would leave it as it is.
    pub fn nobody() -> Self {
        Self { server: String::new(), username: String::new(), password: SecretString::default() }
    }

    /// The value of the header that carries them; itself a secret.
    pub(crate) fn header(&self) -> SecretString {
        let json = if self.username.is_empty() {
            serde_json::json!({})
        } else {
            serde_json::json!({
                "username": self.username,
                "password": self.password.expose_secret(),
                "serveraddress": self.server,
            })
        };
        SecretString::from(URL_SAFE.encode(json.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_without_a_name() {
        assert_eq!(RegistryAuth::nobody().header().expose_secret(), "e30=");
    }

    #[test]
    fn a_password_is_not_in_the_debug_form() {
        let auth = RegistryAuth {
            server: "registry.example".to_owned(),
            username: "robot".to_owned(),
            password: SecretString::from("hunter2"),
        };
        assert!(!format!("{auth:?}{:?}", auth.header()).contains("hunter2"));
        let json = URL_SAFE.decode(auth.header().expose_secret()).expect("base64");
        assert!(String::from_utf8(json).expect("text").contains("hunter2"));
    }
}
