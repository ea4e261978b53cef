//! One consistent view of everything, for the planner.
//!
//! A snapshot is a read-only transaction at REPEATABLE READ: whatever is read from it belongs to one moment, and to one
//! [`Cursor`]. Hold it for one plan; it ends when it is dropped. It locks nothing and delays nobody, unless it is a rehearsal
//! ([`ScopedStore::rehearse`]): then it shows what the store would be, and holds what was rehearsed until it ends.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use skep_planner::{InventoryEntry, OrgSubnet, Release, ReleaseVersion};
use skep_schemas::{Host, Kind, OrgName, Resource, ResourceKey, ResourceName, Revision, Uid};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::ahead::{Ahead, POLICIES};
use crate::drift::{self, DriftHistory};
use crate::error::{Fault, Operation, StoreError};
use crate::release::RecordedRelease;
use crate::row::{ResourceRow, key_of_columns, org_column, resource_query};
use crate::scoped::ScopedStore;
use crate::secret::{self, SecretCurrent};
use crate::store::Store;
use crate::watch::Cursor;
use crate::{inventory, release, subnet};

/// The most resources of one kind that an organisation may have before its plans are refused: plans read all of them.
const ORG_KIND_MAX: usize = 5000;
/// The most resources that may refer to one.
pub(crate) const REFERRERS_MAX: usize = 5000;
/// The largest page of keys.
const KEYS_MAX: u32 = 5000;

/// The most keys that are woken after one page of changes, as many as a queue takes; a resync finds the others.
const REFERRING_MAX: u32 = 100_000;

/// One moment of the store.
#[derive(Debug)]
pub struct Snapshot {
    tx: Transaction<'static, Postgres>,
    cursor: Cursor,
    pub(crate) ahead: Ahead,
}

/// A host that routes to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainClaim {
    /// The host.
    pub host: Host,
    /// The Domain's uid.
    pub uid: Uid,
    /// The Domain's name.
    pub name: ResourceName,
}

/// How much an organisation still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependents {
    /// All its resources.
    pub all: u64,
    /// Its environments.
    pub environments: u64,
}

/// A resource by its key, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its key.
    pub key: ResourceKey,
    /// Its identity.
    pub uid: Uid,
}

impl ScopedStore {
    /// Opens a view of this moment.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.open_snapshot().await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn open_snapshot(&self) -> Result<Snapshot, Fault> {
        let tx = self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Snapshot::of(tx).await
    }
}

impl Store {
    /// The keys of all resources whose spec refers to one of these, at most a hundred thousand: whom to wake after changes.
    pub async fn referring(&self, to: &[ResourceKey]) -> Result<Vec<ResourceKey>, StoreError> {
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            "SELECT org, kind, name FROM resource WHERE refs && $1 LIMIT $2",
            &to,
            i64::from(REFERRING_MAX)
        );
        let rows = rows.fetch_all(self.pool()).await.map_err(read)?;
        rows.iter().map(|row| key_of_columns(&row.org, &row.kind, &row.name)).collect()
    }

    /// The Secrets that environments have under a rollback: their manifests need not name these any more.
    pub async fn secrets_returned_to(
        &self,
        environments: &[ResourceKey],
    ) -> Result<Vec<ResourceKey>, StoreError> {
        let orgs: Vec<String> = environments.iter().map(|key| org_column(key.scope()).to_owned()).collect();
        let names: Vec<String> = environments.iter().map(|key| key.name().as_str().to_owned()).collect();
        let rows = sqlx::query!(
            r#"SELECT DISTINCT r.org, used->>'name' AS "name!" FROM resource r
               JOIN release l ON l.env_uid = r.uid AND l.version = (r.rollback->>'to')::integer,
                    jsonb_array_elements(l.content->'secrets') used
               WHERE r.kind = 'Environment' AND r.rollback IS NOT NULL
                 AND (r.org, r.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))"#,
            &orgs,
            &names
        );
        let rows = rows.fetch_all(self.pool()).await.map_err(read)?;
        rows.iter().map(|row| key_of_columns(&row.org, Kind::Secret.as_str(), &row.name)).collect()
    }
}

impl Snapshot {
    /// The view from inside a transaction at REPEATABLE READ.
    pub(crate) async fn of(mut tx: Transaction<'static, Postgres>) -> Result<Self, Fault> {
        let cursor = Cursor::now(&mut tx).await?;
        Ok(Self { tx, cursor, ahead: Ahead::default() })
    }

    /// Ends it now rather than when it is dropped, with everything that was only rehearsed.
    pub async fn discard(self) -> Result<(), StoreError> {
        self.tx.rollback().await.map_err(read)
    }

    /// The moment: changes after it are not in the snapshot, changes before it are.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The last transaction that the snapshot contains.
    pub const fn revision(&self) -> Revision {
        self.cursor.revision()
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// One resource.
    pub async fn get(&mut self, key: &ResourceKey) -> Result<Option<Resource>, StoreError> {
        if let Some(known) = self.ahead.resources.get(key) {
            return Ok(known.clone());
        }
        let row = resource_query!(
            "WHERE r.org = $1 AND r.kind = $2 AND r.name = $3",
            org_column(key.scope()),
            key.kind().as_str(),
            key.name().as_str()
        );
        let row = row.fetch_optional(&mut *self.tx).await.map_err(read)?;
        row.map(ResourceRow::into_resource).transpose()
    }

    /// All resources of a kind in an organisation, by name.
    pub async fn list_org(&mut self, org: &OrgName, kind: Kind) -> Result<Vec<Resource>, StoreError> {
        if let Some(known) = self.ahead.policies.get(org).filter(|_| POLICIES.contains(&kind)) {
            return Ok(known.iter().filter(|policy| policy.meta.key.kind() == kind).cloned().collect());
        }
        let rows = resource_query!(
            "WHERE r.org = $1 AND r.kind = $2 ORDER BY r.name LIMIT $3",
            org.as_str(),
            kind.as_str(),
            one_more_than(ORG_KIND_MAX)
        );
        let rows = rows.fetch_all(&mut *self.tx).await.map_err(read)?;
        resources(rows, "resources of a kind in an organisation", ORG_KIND_MAX)
    }

    /// How many resources an organisation still has.
    pub async fn dependents(&mut self, org: &OrgName) -> Result<Dependents, StoreError> {
        let counts = sqlx::query!(
            r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE kind = $2) AS "environments!" FROM resource WHERE org = $1"#,
            org.as_str(),
            Kind::Environment.as_str()
        );
        let counts = counts.fetch_one(&mut *self.tx).await.map_err(read)?;
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Dependents { all: number(counts.all), environments: number(counts.environments) })
    }

    /// All resources whose spec refers to this one, by key.
    pub async fn referrers(&mut self, key: &ResourceKey) -> Result<Vec<Resource>, StoreError> {
        if let Some(known) = self.ahead.referrers.get(key) {
            return Ok(known.clone());
        }
        let rows = resource_query!(
            "WHERE r.refs @> ARRAY[$1::text] ORDER BY r.org, r.kind, r.name LIMIT $2",
            key.to_string(),
            one_more_than(REFERRERS_MAX)
        );
        let rows = rows.fetch_all(&mut *self.tx).await.map_err(read)?;
        resources(rows, "resources that refer to one", REFERRERS_MAX)
    }

    /// A page of all keys of a kind, in the order of lists: what a controller looks at after a start. An empty page is the end.
    pub async fn keys(
        &mut self,
        kind: Kind,
        after: Option<&ResourceKey>,
    ) -> Result<Vec<KeyEntry>, StoreError> {
        let rows = sqlx::query!(
            "SELECT uid, org, kind, name FROM resource
             WHERE kind = $1 AND ($2::text IS NULL OR (org, name) > ($2, $3)) ORDER BY org, name LIMIT $4",
            kind.as_str(),
            after.map(|key| org_column(key.scope())),
            after.map(|key| key.name().as_str()),
            i64::from(KEYS_MAX)
        );
        let rows = rows.fetch_all(&mut *self.tx).await.map_err(read)?;
        let entry = |org: &str, kind: &str, name: &str, uid| {
            key_of_columns(org, kind, name).map(|key| KeyEntry { key, uid: Uid::from_uuid(uid) })
        };
        rows.iter().map(|row| entry(&row.org, &row.kind, &row.name, row.uid)).collect()
    }

    /// The releases of an environment, newest first: the newest `keep`, the newest that succeeded, the pending one, and those that a rollback
    /// names.
    pub async fn releases(&mut self, env: Uid, keep: u32) -> Result<Vec<Release>, StoreError> {
        if let Some(known) = self.ahead.releases.get(&(env.uuid(), keep)) {
            return Ok(known.clone());
        }
        let mut found = release::of_environments(&mut self.tx, &[env.uuid()], keep)
            .await
            .map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&env.uuid()).unwrap_or_default())
    }

    /// Releases of an environment, newest first: at most `limit` of those before one, or of all.
    pub async fn release_history(
        &mut self,
        env: Uid,
        before: Option<ReleaseVersion>,
        limit: u32,
    ) -> Result<Vec<RecordedRelease>, StoreError> {
        let found = release::history(&mut self.tx, env.uuid(), before, limit).await;
        found.map_err(|fault| fault.during(Operation::Read))
    }

    /// One release of an environment.
    pub async fn release(
        &mut self,
        env: Uid,
        version: ReleaseVersion,
    ) -> Result<Option<RecordedRelease>, StoreError> {
        let newer = self.release_history(env, Some(version.next()), 1).await?;
        Ok(newer.into_iter().find(|found| found.release.version == version))
    }

    /// The newest value of every secret of an organisation, by name, without the values.
    pub async fn secret_current(
        &mut self,
        org: &OrgName,
    ) -> Result<BTreeMap<ResourceName, SecretCurrent>, StoreError> {
        secret::current(&mut self.tx, org).await.map_err(|fault| fault.during(Operation::Read))
    }

    /// The values of a secret that are kept: version and digest, newest first.
    pub async fn secret_kept(&mut self, secret: Uid) -> Result<Vec<(u32, String)>, StoreError> {
        secret::kept(&mut self.tx, secret).await.map_err(|fault| fault.during(Operation::Read))
    }

    /// The names of the Swarm secrets that an organisation's environments may still run with, each with these environments: those
    /// of the newest release, of the newest that succeeded, of the pending one, and of the one that a rollback returns to. They must stay until a
    /// roll-out is final.
    pub async fn secret_versions_in_use(
        &mut self,
        org: &OrgName,
    ) -> Result<BTreeMap<String, BTreeSet<ResourceKey>>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT DISTINCT used->>'object' AS "object!", r.org, r.kind, r.name
               FROM resource r JOIN release l ON l.env_uid = r.uid, jsonb_array_elements(l.content->'secrets') used
               WHERE r.org = $1 AND r.kind = 'Environment' AND (
                   l.verdict = 'pending'
                   OR l.version = (r.rollback->>'to')::integer
                   OR l.version IN (SELECT release FROM run WHERE env_uid = r.uid AND outcome IS NULL)
                   OR l.version = (SELECT max(version) FROM release WHERE env_uid = r.uid)
                   OR l.version = (SELECT max(version) FROM release WHERE env_uid = r.uid AND verdict = 'succeeded'))"#,
            org.as_str()
        );
        let mut users: BTreeMap<String, BTreeSet<ResourceKey>> = BTreeMap::new();
        for row in rows.fetch_all(&mut *self.tx).await.map_err(read)? {
            users.entry(row.object).or_default().insert(key_of_columns(&row.org, &row.kind, &row.name)?);
        }
        Ok(users)
    }

    /// What a resource owns in the Swarm, or was about to.
    pub async fn inventory(&mut self, owner: Uid) -> Result<Vec<InventoryEntry>, StoreError> {
        if let Some(known) = self.ahead.inventory.get(&owner.uuid()) {
            return Ok(known.clone());
        }
        let mut found = inventory::of_owners(&mut self.tx, &[owner.uuid()])
            .await
            .map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&owner.uuid()).unwrap_or_default())
    }

    /// What was noted of somebody else's changes to the objects of a resource: what stands, and what was corrected within `window`
    /// and after the last wish to try again.
    pub async fn drift_of(
        &mut self,
        owner: Uid,
        window: SignedDuration,
        retried_at: Option<Timestamp>,
    ) -> Result<DriftHistory, StoreError> {
        if let Some(known) = self.ahead.drift.get(&(owner.uuid(), window)) {
            return Ok(known.clone());
        }
        let owners = [(owner.uuid(), drift::since(retried_at))];
        let found = drift::of_owners(&mut self.tx, &owners, window).await;
        let mut found = found.map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&owner.uuid()).unwrap_or_default())
    }

    /// The subnet of an organisation's network, if it has one.
    pub async fn subnet(&mut self, org_uid: Uid) -> Result<Option<OrgSubnet>, StoreError> {
        subnet::of_org(&mut self.tx, org_uid).await.map_err(|fault| fault.during(Operation::Read))
    }

    /// The hosts that Domains claim for an environment, by host.
    pub async fn domain_claims_of(&mut self, env: &ResourceKey) -> Result<Vec<DomainClaim>, StoreError> {
        let rows = sqlx::query!(
            "SELECT c.host, r.uid, r.name FROM resource r JOIN domain_claim c ON c.uid = r.uid
             WHERE r.refs @> ARRAY[$1::text] AND r.kind = 'Domain' ORDER BY c.host LIMIT $2",
            env.to_string(),
            one_more_than(REFERRERS_MAX)
        );
        let rows = rows.fetch_all(&mut *self.tx).await.map_err(read)?;
        check_count("domains of an environment", rows.len(), REFERRERS_MAX)?;
        let mut claims = Vec::with_capacity(rows.len());
        for row in rows {
            let corrupt = |why| StoreError::corrupt(format!("claim of domain {}", row.uid), why);
            claims.push(DomainClaim {
                host: row.host.parse().map_err(corrupt)?,
                uid: Uid::from_uuid(row.uid),
                name: row.name.parse().map_err(corrupt)?,
            });
        }
        Ok(claims)
    }
}

fn resources(rows: Vec<ResourceRow>, what: &'static str, limit: usize) -> Result<Vec<Resource>, StoreError> {
    check_count(what, rows.len(), limit)?;
    rows.into_iter().map(ResourceRow::into_resource).collect()
}

/// A plan from half of what there is would remove the other half, so too many is an error and never a cut.
pub(crate) const fn check_count(what: &'static str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found > limit { Err(StoreError::TooMany { what, found, limit }) } else { Ok(()) }
}

fn one_more_than(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn read(source: sqlx::Error) -> StoreError {
    Fault::from(source).during(Operation::Read)
}
