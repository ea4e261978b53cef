//! `docs/proof.md`: sections between markers are results, everything else is written by hand.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace;

/// Where it is.
pub(super) const PATH: &str = "docs/proof.md";

/// The page.
pub(super) struct Page(String);

impl Page {
    pub(super) fn read() -> Result<Self> {
        Ok(Self(fs::read_to_string(path()?).with_context(|| format!("cannot read {PATH}"))?))
    }

    /// The page with another section in place of the one that has this name.
    pub(super) fn with(self, name: &str, section: &str) -> Result<Self> {
        let (open, close) = (format!("<!-- campaign: {name} -->"), format!("<!-- /campaign: {name} -->"));
        let (before, rest) = self.0.split_once(&open).with_context(|| format!("{PATH} has no {open}"))?;
        let (_, after) = rest.split_once(&close).with_context(|| format!("{PATH} has no {close}"))?;
        Ok(Self(format!("{before}{open}\n\n{}\n\n{close}{after}", section.trim())))
    }

    pub(super) fn write(&self) -> Result<()> {
        fs::write(path()?, &self.0).with_context(|| format!("cannot write {PATH}"))
    }
}

fn path() -> Result<PathBuf> {
    Ok(workspace::root()?.join(PATH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Part;

    #[test]
    fn a_section_is_replaced_and_what_is_written_by_hand_stays() -> Result<()> {
        let page = Page("# Proof\n<!-- campaign: a -->old<!-- /campaign: a -->\nby hand\n".to_owned());
        let page = page.with("a", "new\n")?;
        assert_eq!(page.0, "# Proof\n<!-- campaign: a -->\n\nnew\n\n<!-- /campaign: a -->\nby hand\n");
        assert!(page.with("b", "").is_err());
        Ok(())
    }

    #[test]
    fn every_part_has_its_section() -> Result<()> {
        for part in Part::all() {
            Page::read()?.with(part.name(), "")?;
        }
        Ok(())
    }
}
