//! What Postgres would keep: resources, releases, the inventory, versions of secrets and subnets.
//!
//! The rules are those of the store crate, without its database: a spec that did not change bumps no generation, a new release
//! supersedes the pending one. [`journal`] has what a pass writes down, [`authors`] who wrote what, [`formation`] how much is to run.

mod authors;
mod deployments;
mod formation;
mod journal;
mod rollback;
mod runs;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use skep_planner::reconcile::secret::SecretFacts;
use skep_planner::{InventoryEntry, NetworkPool, ObjectRef, OrgSubnet, Plan, Release, Run, Verdict, naming};
use skep_schemas::kind::KindSpec;
use skep_schemas::{
    AnySpec, Finalizer, FormationOverride, Generation, Kind, Manifest, Meta, OrgName, Owner, Pause,
    ProcessName, Resource, ResourceKey, ResourceName, Revision, Uid,
};
use uuid::Uuid;

use self::authors::Authors;
use crate::drift::History;

/// Desired state and the controller's memory.
#[derive(Debug, Clone)]
pub struct Store {
    pool: NetworkPool,
    resources: BTreeMap<ResourceKey, Resource>,
    releases: BTreeMap<Uid, Vec<Release>>,
    runs: BTreeMap<Uid, Vec<Run>>,
    schedules: BTreeMap<Uid, BTreeMap<ProcessName, schedules::Followed>>,
    inventory: BTreeMap<(Uid, ObjectRef), InventoryEntry>,
    digests: BTreeMap<Uid, Vec<String>>,
    subnets: BTreeMap<Uid, OrgSubnet>,
    drift: BTreeMap<Uid, History>,
    now: Timestamp,
    uids: u128,
    revision: i64,
    authors: Authors,
}

impl Store {
    /// An empty store.
    pub fn new(pool: NetworkPool) -> Self {
        Self {
            pool,
            resources: BTreeMap::new(),
            releases: BTreeMap::new(),
            runs: BTreeMap::new(),
            schedules: BTreeMap::new(),
            inventory: BTreeMap::new(),
            digests: BTreeMap::new(),
            subnets: BTreeMap::new(),
            drift: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
            uids: 0,
            revision: 0,
            authors: Authors::default(),
        }
    }

    /// The database's clock.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The time.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What was noted of drift.
    pub(crate) fn drift(&self, owner: Uid) -> Option<&History> {
        self.drift.get(&owner)
    }

    /// Notes everything that differs now from what was last converged.
    pub fn note_drift(&mut self, plan: &Plan) {
        let now = self.now;
        if !plan.drift.is_empty() || self.drift.contains_key(&plan.uid) {
            let complete = skep_planner::drift::is_complete(plan);
            self.drift.entry(plan.uid).or_default().note(&plan.drift, complete, now);
        }
    }

    /// Pauses a resource, or lets it go on.
    pub fn pause(&mut self, key: &ResourceKey, pause: Option<Pause>) -> Result<()> {
        let Some(resource) = self.resources.get_mut(key) else { bail!("{key} does not exist") };
        resource.meta.pause = pause;
        Ok(())
    }

    /// Asks to try again what was given up.
    pub fn retry(&mut self, key: &ResourceKey) -> Result<()> {
        let Some(resource) = self.resources.get_mut(key) else { bail!("{key} does not exist") };
        resource.meta.retried_at = Some(self.now);
        self.drift.entry(resource.meta.uid).or_default().retry();
        Ok(())
    }

    /// Writes manifests, those that are referred to first, as the order in which identities are given must not depend on files.
    pub fn apply(&mut self, mut manifests: Vec<Manifest>, now: Timestamp) -> Result<()> {
        manifests.sort_by(|a, b| (a.key.kind(), &a.key).cmp(&(b.key.kind(), &b.key)));
        self.revision += 1;
        manifests.into_iter().try_for_each(|manifest| {
            self.yield_to(&manifest);
            self.write(manifest, now)
        })
    }

    fn write(&mut self, manifest: Manifest, now: Timestamp) -> Result<()> {
        let Manifest { key, labels, annotations, spec } = manifest;
        let value = secret_digest(&key, &spec);
        let json = spec.to_json()?;
        let spec = AnySpec::from_json(key.kind(), json.clone())?;
        let revision = Revision::new(self.revision);
        if let Some(old) = self.resources.get_mut(&key) {
            if old.meta.is_deleting() {
                bail!("{key} is being deleted");
            }
            let digests = self.digests.entry(old.meta.uid).or_default();
            let new_value = value.filter(|value| digests.last() != Some(value));
            let changed = old.spec.to_json()? != json || new_value.is_some();
            digests.extend(new_value);
            if !changed && old.meta.labels == labels && old.meta.annotations == annotations {
                return Ok(());
            }
            let generation = old.meta.generation.get() + i64::from(changed);
            old.meta.generation = Generation::new(generation);
            (old.meta.labels, old.meta.annotations, old.meta.updated_at) = (labels, annotations, now);
            (old.meta.revision, old.spec) = (revision, spec);
            old.meta.changed = Some(self.authors.change(now));
            return Ok(());
        }
        if key.org().is_some_and(|org| !self.resources.contains_key(&ResourceKey::organization(org))) {
            bail!("{key}: its organisation does not exist");
        }
        self.uids += 1;
        let uid = Uid::from_uuid(Uuid::from_u128(self.uids));
        self.digests.insert(uid, value.into_iter().collect());
        if key.kind() == Kind::Organization {
            self.allocate(uid);
        }
        let finalizers = key.kind().has_objects().then_some(Finalizer::Swarm).into_iter().collect();
        let meta = Meta {
            key: key.clone(),
            uid,
            labels,
            annotations,
            generation: Generation::new(1),
            revision,
            finalizers,
            deletion_requested_at: None,
            managed_by: Owner::Api,
            created_at: now,
            updated_at: now,
            pause: None,
            retried_at: None,
            rollback: None,
            formation: FormationOverride::default(),
            suspension: None,
            changed: Some(self.authors.change(now)),
        };
        self.resources.insert(key, Resource { meta, spec, status: serde_json::Value::Null });
        Ok(())
    }

    /// Gives an organisation a subnet, if one is free.
    fn allocate(&mut self, org: Uid) {
        let taken: BTreeSet<OrgSubnet> = self.subnets.values().copied().collect();
        let free = self.pool.subnets().find(|subnet| !taken.contains(subnet));
        self.subnets.extend(free.map(|found| (org, found)));
    }

    /// Another pool; organisations that went without a subnet get one of it.
    pub(crate) fn set_pool(&mut self, pool: NetworkPool) {
        self.pool = pool;
        let organizations = self.resources.values().map(|found| &found.meta);
        let without = organizations
            .filter(|meta| meta.key.kind() == Kind::Organization && !self.subnets.contains_key(&meta.uid));
        for org in without.map(|meta| meta.uid).collect::<Vec<_>>() {
            self.allocate(org);
        }
    }

    /// Asks for deletion; an organisation takes everything in it along.
    pub fn delete(&mut self, key: &ResourceKey, now: Timestamp) -> Result<()> {
        if !self.resources.contains_key(key) {
            bail!("{key} does not exist");
        }
        let org: Option<OrgName> =
            if key.kind() == Kind::Organization { OrgName::try_from(key.name()).ok() } else { None };
        let named = |found: &ResourceKey| found == key || (org.is_some() && found.org() == org.as_ref());
        let marked: Vec<ResourceKey> = self.resources.keys().filter(|found| named(found)).cloned().collect();
        for key in marked {
            if let Some(resource) = self.resources.get_mut(&key) {
                if resource.meta.finalizers.is_empty() {
                    self.remove(&key);
                } else {
                    resource.meta.deletion_requested_at = Some(now);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &ResourceKey) {
        let Some(removed) = self.resources.remove(key) else { return };
        let uid = removed.meta.uid;
        self.releases.remove(&uid);
        self.schedules.remove(&uid);
        self.digests.remove(&uid);
        self.subnets.remove(&uid);
        self.inventory.retain(|(owner, _), _| *owner != uid);
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<ResourceKey> {
        self.resources.keys().cloned().collect()
    }

    /// One resource.
    pub fn get(&self, key: &ResourceKey) -> Option<&Resource> {
        self.resources.get(key)
    }

    /// One resource by its kind's own type.
    pub fn typed<S: KindSpec + TryFrom<AnySpec>>(&self, key: &ResourceKey) -> Option<Resource<S>> {
        let Resource { meta, spec, status } = self.get(key)?.clone();
        Some(Resource { meta, spec: S::try_from(spec).ok()?, status })
    }

    /// The resources that refer to one.
    pub fn referrers(&self, key: &ResourceKey) -> Vec<&Resource> {
        self.resources.values().filter(|other| other.spec.references(&other.meta.key).contains(key)).collect()
    }

    /// How many resources an organisation has, of one kind or of all.
    pub fn dependents(&self, org: &OrgName, kind: Option<Kind>) -> u64 {
        let of_kind = |key: &&ResourceKey| kind.is_none_or(|kind| key.kind() == kind);
        let count = self.resources.keys().filter(|key| key.org() == Some(org)).filter(of_kind).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The subnet of an organisation.
    pub fn subnet(&self, org: Uid) -> Option<OrgSubnet> {
        self.subnets.get(&org).copied()
    }

    /// What was made for a resource.
    pub fn inventory(&self, owner: Uid) -> Vec<InventoryEntry> {
        self.inventory.values().filter(|entry| entry.owner == owner).cloned().collect()
    }

    /// All that was made, for whoever asks whether something is left over.
    pub fn objects(&self) -> Vec<&ObjectRef> {
        self.inventory.keys().map(|(_, object)| object).collect()
    }

    /// The releases that planning looks at, newest first: the newest, the newest that succeeded, the pending one, and those that a rollback or a run names.
    pub fn releases(&self, environment: Uid) -> Vec<Release> {
        let all = self.releases.get(&environment).map_or(&[][..], Vec::as_slice);
        let newest = all.last().map(|release| release.version);
        let good =
            all.iter().rfind(|release| release.verdict == Verdict::Succeeded).map(|release| release.version);
        let named = self.named_by_rollback(environment);
        let of_runs: BTreeSet<_> = self.open_runs(environment).into_iter().map(|run| run.release).collect();
        let matters = |release: &&Release| {
            let version = Some(release.version);
            let is_named = named.contains(&release.version.get()) || of_runs.contains(&release.version);
            version == newest || version == good || is_named || release.verdict == Verdict::Pending
        };
        all.iter().rev().filter(matters).cloned().collect()
    }

    /// The current values of the secrets of an organisation, those being deleted left out.
    pub fn secret_facts(&self, org: &OrgName) -> BTreeMap<ResourceName, SecretFacts> {
        let secrets = self.resources.values().filter(|secret| {
            let key = &secret.meta.key;
            key.kind() == Kind::Secret && key.org() == Some(org) && !secret.meta.is_deleting()
        });
        let facts = secrets.filter_map(|secret| {
            let digests = self.digests.get(&secret.meta.uid)?;
            let object = naming::secret(org, secret.meta.key.name(), digests.last()?);
            let version = u32::try_from(digests.len()).unwrap_or(u32::MAX);
            Some((
                secret.meta.key.name().clone(),
                SecretFacts {
                    secret: secret.meta.uid,
                    version,
                    object,
                    revision: secret.meta.revision,
                    made: secret.meta.changed.clone(),
                },
            ))
        });
        facts.collect()
    }

    /// The objects of secrets that environments of an organisation may still run with.
    pub fn secrets_in_use(&self, org: &OrgName) -> BTreeMap<String, BTreeSet<ResourceKey>> {
        let mut users: BTreeMap<String, BTreeSet<ResourceKey>> = BTreeMap::new();
        for environment in self.resources.values().filter(|other| other.meta.key.org() == Some(org)) {
            let returned_from = environment.meta.rollback.as_ref().map(|rollback| rollback.instead_of);
            let releases = self.releases(environment.meta.uid).into_iter();
            let releases = releases.filter(|release| Some(release.version.get()) != returned_from);
            for secret in releases.flat_map(|release| release.content.secrets) {
                users.entry(secret.object).or_default().insert(environment.meta.key.clone());
            }
        }
        users
    }
}

/// The digest of a secret's value. The store's is keyed; here it only has to tell values apart.
fn secret_digest(key: &ResourceKey, spec: &AnySpec) -> Option<String> {
    let AnySpec::Secret(secret) = spec else { return None };
    let mut hash = Sha256::new();
    hash.update(key.to_string());
    hash.update(secret.value.as_ref()?.expose_secret());
    Some(hex::encode(hash.finalize()))
}
