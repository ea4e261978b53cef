//! Stories that are played in every run, before any that is drawn: those that failed once, and those that the seeded defects are about.
//!
//! What is kept is the story and not the number that drew it: a new kind of action changes what every number draws.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::action::Story;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stories")
}

/// Every kept story, by the name of its file.
pub fn kept() -> Result<Vec<(String, Story)>> {
    let mut stories = Vec::new();
    for entry in fs::read_dir(directory()).into_iter().flatten() {
        let path = entry.context("cannot list the stories")?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let story = serde_json::from_str(&text).with_context(|| format!("{} is no story", path.display()))?;
        stories.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), story));
    }
    stories.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(stories)
}

/// Writes a story where every later run finds it, and says under which name.
pub fn keep(story: &Story) -> Result<String> {
    let text = serde_json::to_string_pretty(story)?;
    // FNV-1a: the name says nothing and does not change.
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let name = format!("failed-{hash:016x}");
    fs::create_dir_all(directory()).context("cannot make the directory of stories")?;
    fs::write(directory().join(format!("{name}.json")), text + "\n")
        .with_context(|| format!("cannot keep {name}"))?;
    Ok(name)
}
