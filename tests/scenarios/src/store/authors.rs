//! Who writes, and whose changes made which releases.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::NewRelease;
use skep_schemas::{Changed, ResourceKey, Uid};

use super::Store;

/// Who writes now, and who wrote what became releases.
#[derive(Debug, Clone)]
pub(super) struct Authors {
    now: String,
    makers: BTreeMap<Uid, Vec<String>>,
}

impl Default for Authors {
    fn default() -> Self {
        Self { now: "ann".to_owned(), makers: BTreeMap::new() }
    }
}

impl Authors {
    /// A change that is made now.
    pub(super) fn change(&self, at: Timestamp) -> Changed {
        Changed { by: self.now.clone(), at }
    }

    /// Notes whose change made a release.
    pub(super) fn made(&mut self, environment: Uid, release: &NewRelease) {
        let by = release.made_by.as_deref().unwrap_or("nobody who is known");
        let told = format!("{} by {by}: {}", release.version, release.why);
        self.makers.entry(environment).or_default().push(told);
    }
}

impl Store {
    /// Writes in that name from now on.
    pub fn write_as(&mut self, name: &str) {
        name.clone_into(&mut self.authors.now);
    }

    /// Whose changes made the releases of an environment.
    pub fn makers(&self, environment: &ResourceKey) -> Result<String> {
        let environment = self.get(environment).with_context(|| format!("{environment} does not exist"))?;
        let makers = self.authors.makers.get(&environment.meta.uid);
        Ok(makers.into_iter().flatten().map(|told| format!("{told}\n")).collect())
    }
}
