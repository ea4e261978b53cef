//! Rollbacks: asked for, looked at and over, and the former values of secrets that they need.

use anyhow::{Context, Result, bail, ensure};
use skep_planner::reconcile::secret::SecretFacts;
use skep_planner::{Cancelled, Plan, Release, naming};
use skep_schemas::{AnySpec, Kind, Meta, ResourceKey, Rollback, Uid};

use super::Store;

impl Store {
    /// Returns an environment to a release, or to what its manifests ask for.
    pub fn return_to(&mut self, key: &ResourceKey, to: &str) -> Result<()> {
        let environment = self.get(key).with_context(|| format!("{key} does not exist"))?;
        let AnySpec::Environment(spec) = &environment.spec else { bail!("{key} has no releases") };
        let app = key.sibling(Kind::App, spec.app.clone()).and_then(|app| self.get(&app));
        let app_generation = app.map(|app| app.meta.generation);
        let meta = &environment.meta;
        let releases = self.releases.get(&meta.uid).map_or(&[][..], Vec::as_slice);
        let newest = releases.last().context("there is no release yet")?.version.get();
        let rollback = if to == "manifests" {
            None
        } else {
            let to: u32 = to.parse()?;
            let known = |release: &Release| release.version.get() == to;
            ensure!(releases.iter().any(known), "there is no release v{to}");
            Some(Rollback {
                to,
                instead_of: meta.rollback.as_ref().map_or(newest, |standing| standing.instead_of),
                generation: meta.generation,
                app_generation,
                by: self.authors.change(self.now).by,
                since: self.now,
            })
        };
        let environment = self.resources.get_mut(key).with_context(|| format!("{key} does not exist"))?;
        environment.meta.rollback = rollback;
        Ok(())
    }

    /// Asks that the release be cancelled that is being rolled out.
    pub fn cancel(&mut self, key: &ResourceKey) -> Result<()> {
        let uid = self.get(key).with_context(|| format!("{key} does not exist"))?.meta.uid;
        let by = self.authors.change(self.now).by;
        let at = self.now;
        let releases = self.releases.entry(uid).or_default();
        let pending = releases.iter_mut().find(|release| !release.verdict.is_final());
        pending.context("no release is being rolled out")?.cancelled = Some(Cancelled { by, at });
        Ok(())
    }

    /// The numbers of the releases that the rollback of an environment names.
    pub(super) fn named_by_rollback(&self, environment: Uid) -> Vec<u32> {
        let environment = self.resources.values().find(|resource| resource.meta.uid == environment);
        let rollback = environment.and_then(|environment| environment.meta.rollback.as_ref());
        rollback.map(|rollback| vec![rollback.to, rollback.instead_of]).unwrap_or_default()
    }

    /// Ends the rollback that a plan says is over. A plan that was made before somebody changed it is refused.
    pub(super) fn end_rollback(&mut self, plan: &Plan) -> Result<()> {
        if plan.release.is_none() && !plan.ends_rollback {
            return Ok(());
        }
        let Some(environment) = self.resources.get_mut(&plan.key) else { return Ok(()) };
        let standing = environment.meta.rollback.as_ref().map(|rollback| rollback.since);
        ensure!(standing == plan.rollback, "the rollback of {} is another by now", plan.key);
        if plan.ends_rollback {
            environment.meta.rollback = None;
        }
        Ok(())
    }

    /// The former values of a secret.
    pub(crate) fn former_secret_facts(&self, secret: &Meta) -> Vec<SecretFacts> {
        let digests = self.digests.get(&secret.uid).map_or(&[][..], Vec::as_slice);
        let (current, former) =
            digests.split_last().map_or((None, &[][..]), |(last, former)| (Some(last), former));
        let Some(org) = secret.key.org() else { return Vec::new() };
        let facts = |(digest, version): (&String, u32)| SecretFacts {
            secret: secret.uid,
            version,
            object: naming::secret(org, secret.key.name(), digest),
            revision: secret.revision,
            made: None,
        };
        former.iter().zip(1..).filter(|(digest, _)| Some(*digest) != current).map(facts).collect()
    }
}
