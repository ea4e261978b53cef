//! The file that says whom sigstore's signatures are verified by.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use skep_controller::TrustedRoot;

/// The largest file: sigstore's own has seven kilobytes, and GitHub's thirty.
const FILE_MAX: u64 = 1 << 20;

/// Reads it.
pub(crate) fn read(path: &Path) -> Result<TrustedRoot> {
    let at = || format!("the trusted root {}", path.display());
    let length = std::fs::metadata(path).with_context(|| format!("cannot open {}", at()))?.len();
    anyhow::ensure!(length <= FILE_MAX, "{} is larger than {FILE_MAX} bytes", at());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", at()))?;
    TrustedRoot::parse(&text).map_err(|error| {
        let error = anyhow!(error);
        anyhow!(
            "{} cannot be used: {error:#}\nhelp: docs/guides/signed-images.md says where it comes from",
            at()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_trusts_nobody_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trusted_root.json");
        for (text, why) in [
            ("", "is not a trusted root"),
            ("{}", "is not a trusted root"),
            (
                r#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
                "names no authority",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", read(&file).unwrap_err());
            assert!(error.contains(why) && error.contains("trusted_root.json"), "{error}");
            assert!(error.contains("signed-images.md"), "{error}");
        }
        assert!(format!("{:#}", read(dir.path()).unwrap_err()).contains("cannot read"));
    }
}
