//! What several plans need from one moment, read at once.
//!
//! Planning an environment reads a dozen places. For many environments these are the same statements with other keys, so a snapshot
//! that is told beforehand which environments will be asked about reads each place once, for all of them. What was read ahead is what
//! would be read now: both are of the snapshot's moment.

use std::collections::{BTreeSet, HashMap};

use jiff::SignedDuration;
use skep_planner::{InventoryEntry, Release, Run, ScheduleMark};
use skep_schemas::kind::KindSpec;
use skep_schemas::{AnySpec, Kind, OrgName, Resource, ResourceKey, Scope};
use sqlx::types::Uuid;

use crate::drift::{self, DriftHistory};
use crate::error::{Fault, Operation, StoreError};
use crate::row::{ResourceRow, org_column, resource_query};
use crate::snapshot::{REFERRERS_MAX, Snapshot, check_count};
use crate::{inventory, release, run, schedule};

/// The kinds that say something about all environments of their organisation.
pub(crate) const POLICIES: [Kind; 3] = [Kind::DriftPolicy, Kind::ImagePolicy, Kind::RegistryCredential];

/// What was read ahead.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) resources: HashMap<ResourceKey, Option<Resource>>,
    pub(crate) policies: HashMap<OrgName, Vec<Resource>>,
    pub(crate) referrers: HashMap<ResourceKey, Vec<Resource>>,
    /// With how many of the newest.
    pub(crate) releases: HashMap<(Uuid, u32), Vec<Release>>,
    /// Those that are not over.
    pub(crate) runs: HashMap<Uuid, Vec<Run>>,
    pub(crate) schedules: HashMap<Uuid, Vec<ScheduleMark>>,
    pub(crate) inventory: HashMap<Uuid, Vec<InventoryEntry>>,
    /// Within which window.
    pub(crate) drift: HashMap<(Uuid, SignedDuration), DriftHistory>,
}

impl Snapshot {
    /// Reads what planning these environments needs: themselves and what they refer to, their domains, their organisations' policies,
    /// their releases (the newest `keep`), what they own, and the drift within `window`.
    pub async fn read_ahead(
        &mut self,
        environments: &[ResourceKey],
        keep: u32,
        window: SignedDuration,
    ) -> Result<(), StoreError> {
        let read = self.try_read_ahead(environments, keep, window).await;
        read.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_read_ahead(
        &mut self,
        environments: &[ResourceKey],
        keep: u32,
        window: SignedDuration,
    ) -> Result<(), Fault> {
        let orgs: BTreeSet<&OrgName> = environments.iter().filter_map(ResourceKey::org).collect();
        let mut keys: Vec<ResourceKey> = environments.to_vec();
        keys.extend(orgs.iter().map(|org| ResourceKey::organization(org)));
        self.read_resources(&keys).await?;
        let found = || environments.iter().filter_map(|key| self.ahead.resources.get(key)?.as_ref());
        let further: BTreeSet<ResourceKey> =
            found().flat_map(|environment| self.referred(environment)).collect();
        let owners: Vec<(Uuid, f64)> = found()
            .map(|environment| (environment.meta.uid.uuid(), drift::since(environment.meta.retried_at)))
            .collect();
        let further: Vec<ResourceKey> = further.into_iter().collect();
        self.read_resources(&further).await?;
        let tiers = self.tiers(&further);
        self.read_resources(&tiers).await?;
        self.read_policies(&orgs).await?;
        self.read_referrers(environments).await?;
        let uids: Vec<Uuid> = owners.iter().map(|(uid, _)| *uid).collect();
        let releases = release::of_environments(self.connection(), &uids, keep).await?;
        let runs = run::of_environments(self.connection(), &uids).await?;
        let schedules = schedule::of_environments(self.connection(), &uids).await?;
        let inventory = inventory::of_owners(self.connection(), &uids).await?;
        let drift = drift::of_owners(self.connection(), &owners, window).await?;
        self.ahead.releases.extend(releases.into_iter().map(|(uid, releases)| ((uid, keep), releases)));
        self.ahead.runs.extend(runs);
        self.ahead.schedules.extend(schedules);
        self.ahead.inventory.extend(inventory);
        self.ahead.drift.extend(drift.into_iter().map(|(uid, history)| ((uid, window), history)));
        Ok(())
    }

    /// What an environment names that a plan of it reads: its app, its plan, and its organisation's.
    fn referred(&self, environment: &Resource) -> Vec<ResourceKey> {
        let AnySpec::Environment(spec) = &environment.spec else { return Vec::new() };
        let key = &environment.meta.key;
        let org = key.org().map(ResourceKey::organization);
        let org = org.and_then(|org| self.ahead.resources.get(&org)?.as_ref());
        let inherited = match org.map(|org| &org.spec) {
            Some(AnySpec::Organization(spec)) => spec.plan.clone(),
            _ => None,
        };
        let plans = spec.plan.clone().into_iter().chain(inherited);
        let plans = plans.filter_map(|name| ResourceKey::new(Scope::Platform, Kind::Plan, name).ok());
        key.sibling(Kind::App, spec.app.clone()).into_iter().chain(plans).collect()
    }

    /// The isolation tiers that the plans among these resources name.
    fn tiers(&self, read: &[ResourceKey]) -> Vec<ResourceKey> {
        let plans = read.iter().filter_map(|key| self.ahead.resources.get(key)?.as_ref());
        let named = plans.flat_map(|plan| match &plan.spec {
            AnySpec::Plan(spec) => spec.references(&plan.meta.key),
            _ => Vec::new(),
        });
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn read_resources(&mut self, keys: &[ResourceKey]) -> Result<(), Fault> {
        if keys.is_empty() {
            return Ok(());
        }
        let orgs: Vec<String> = keys.iter().map(|key| org_column(key.scope()).to_owned()).collect();
        let kinds: Vec<String> = keys.iter().map(|key| key.kind().as_str().to_owned()).collect();
        let names: Vec<String> = keys.iter().map(|key| key.name().as_str().to_owned()).collect();
        let rows = resource_query!(
            "WHERE (r.org, r.kind, r.name) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))",
            &orgs,
            &kinds,
            &names
        );
        let rows = rows.fetch_all(self.connection()).await?;
        self.ahead.resources.extend(keys.iter().map(|key| (key.clone(), None)));
        for row in rows {
            let resource = row.into_resource()?;
            self.ahead.resources.insert(resource.meta.key.clone(), Some(resource));
        }
        Ok(())
    }

    async fn read_policies(&mut self, orgs: &BTreeSet<&OrgName>) -> Result<(), Fault> {
        let names: Vec<String> = orgs.iter().map(|org| org.as_str().to_owned()).collect();
        let rows = resource_query!(
            "WHERE r.org = ANY($1) AND r.kind = ANY($2) ORDER BY r.org, r.name",
            &names,
            &POLICIES.map(|kind| kind.as_str().to_owned())
        );
        let rows = rows.fetch_all(self.connection()).await?;
        self.ahead.policies.extend(orgs.iter().map(|org| ((*org).clone(), Vec::new())));
        for policy in rows.into_iter().map(ResourceRow::into_resource) {
            let policy = policy?;
            let Some(org) = policy.meta.key.org().cloned() else { continue };
            self.ahead.policies.entry(org).or_default().push(policy);
        }
        Ok(())
    }

    async fn read_referrers(&mut self, keys: &[ResourceKey]) -> Result<(), Fault> {
        let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let rows = resource_query!("WHERE r.refs && $1 ORDER BY r.org, r.kind, r.name", &texts)
            .fetch_all(self.connection())
            .await?;
        let mut found: HashMap<&str, (&ResourceKey, Vec<Resource>)> =
            texts.iter().zip(keys).map(|(text, key)| (text.as_str(), (key, Vec::new()))).collect();
        for row in rows {
            let refs = row.refs.clone();
            let resource = row.into_resource()?;
            for text in refs.iter().collect::<BTreeSet<_>>() {
                if let Some((_, referrers)) = found.get_mut(text.as_str()) {
                    referrers.push(resource.clone());
                }
            }
        }
        for (_, (key, referrers)) in found {
            check_count("resources that refer to one", referrers.len(), REFERRERS_MAX)?;
            self.ahead.referrers.insert(key.clone(), referrers);
        }
        Ok(())
    }
}
