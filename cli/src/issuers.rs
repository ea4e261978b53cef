//! The file that says who vouches for people.

use std::path::Path;

use anyhow::{Context, Result};
use skep_api::{IdentityConfig, Issuers};

use crate::dev::key;

/// The largest file: eight issuers of a dozen lines.
const FILE_MAX: u64 = 64 * 1024;

/// Reads it, and the secrets that it names.
pub(crate) fn read(path: &Path) -> Result<Issuers> {
    let at = || format!("the identity file {}", path.display());
    let length = std::fs::metadata(path).with_context(|| format!("cannot open {}", at()))?.len();
    anyhow::ensure!(length <= FILE_MAX, "{} is larger than {FILE_MAX} bytes", at());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", at()))?;
    let config: IdentityConfig = serde_saphyr::from_str(&text).map_err(|error| {
        anyhow::anyhow!(
            "{} is not as it has to be: {error}\nhelp: docs/guides/logins.md has an example",
            at()
        )
    })?;
    let secret =
        |path: &Path| key::read_private(path, "the secret file").map_err(|error| format!("{error:#}"));
    Issuers::new(config, secret).with_context(at)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read_text(text: &str, secret: &str, mode: u32) -> Result<Issuers, String> {
        let dir = tempfile::tempdir().unwrap();
        let (file, key) = (dir.path().join("identity.yaml"), dir.path().join("panel"));
        std::fs::write(&key, secret).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(&file, text.replace("SECRET", &key.display().to_string())).unwrap();
        read(&file).map_err(|error| format!("{error:#}"))
    }

    const PANEL: &str =
        "issuers: [{issuer: https://panel.test, audience: skep, algorithm: HS256, secretFile: SECRET}]";
    const SECRET: &str = "canary-canary-canary-canary-canary\n";

    #[test]
    fn a_secret_is_long_enough_read_by_its_owner_alone_and_never_shown() {
        let issuers = read_text(PANEL, SECRET, 0o600).unwrap();
        assert!(!format!("{issuers:?}").contains("canary"));
        assert!(read_text(PANEL, SECRET, 0o644).unwrap_err().contains("can be read by others"));
        let short = read_text(PANEL, "canary", 0o600).unwrap_err();
        assert!(short.contains("shorter than 32 bytes") && !short.contains("canary"), "{short}");
    }

    #[test]
    fn what_would_leave_open_what_is_believed_is_refused_at_the_start() {
        for (wrong, why) in [
            ("issuers: [{issuer: https://a, algorithm: HS256, secretFile: SECRET}]", "audience"),
            ("issuers: [{issuer: https://a, audience: skep, secretFile: SECRET}]", "algorithm"),
            ("issuers: [{issuer: https://a, audience: skep, algorithm: none, secretFile: SECRET}]", "none"),
            ("issuers: [{issuer: https://a, audience: skep, algorithm: HS256, keys: a.json}]", "secretFile"),
            ("issuers: [{issuer: https://a, audience: skep, algorithm: RS256, secretFile: SECRET}]", "keys"),
            ("issuers: [{issuer: https://a, audience: '', algorithm: RS256, keys: a.json}]", "empty"),
            (
                "issuers: [{issuer: https://a, audience: skep, algorithm: RS256, keys: 'http://a.test/keys'}]",
                "https",
            ),
            (
                "issuers: [{issuer: https://a, audience: skep, algorithm: RS256, keys: a.json, verify: false}]",
                "verify",
            ),
            (
                "issuers: [{issuer: a, audience: s, algorithm: RS256, keys: x}, {issuer: a, audience: t, algorithm: RS256, keys: y}]",
                "twice",
            ),
        ] {
            let refused = read_text(wrong, SECRET, 0o600).unwrap_err();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}
