//! Files of manifests that a command writes for people: read as `skep apply` will before they are written, and never over what is there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use skep_schemas::Manifest;
use skep_schemas::manifest::{Batch, ReadOptions, SourcedManifest};

use crate::output::yaml;

/// The manifests as text, behind a comment that says where they come from. The comment is one line.
pub(super) fn text(comment: &str, manifests: &[Manifest]) -> Result<String> {
    let mut text = format!("# {comment}\n");
    for (place, manifest) in manifests.iter().enumerate() {
        if place > 0 {
            text.push_str("---\n");
        }
        text.push_str(&yaml(&manifest.to_json_with_secret_values()?)?);
    }
    Ok(text)
}

/// What is written is read as `skep apply` will.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<SourcedManifest>> {
    let mut batch = Batch::new(ReadOptions::default());
    batch.add_yaml(&file.display().to_string(), text);
    Ok(batch.finish()?)
}

/// Writes a file that is not there yet.
pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let mut opened = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already\nhelp: name another file with -f, or remove it", file.display())
        }
        opened => opened.with_context(|| format!("{} cannot be written", file.display()))?,
    };
    opened.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("skep.yaml");
        write(&file, "first").unwrap();
        let refused = write(&file, "second").unwrap_err();
        assert!(refused.to_string().contains("is there already"), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "first");
    }
}
