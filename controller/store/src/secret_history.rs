//! The history of a secret without its values: which it had and who made them, which releases have them, and which objects of the Swarm
//! hold them. All of it is told from one moment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_planner::{ObjectKind, ReleaseVersion, Verdict, naming};
use skep_schemas::{Generation, Kind, OrgName, ProcessName, ResourceKey, ResourceName, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::release::{stored_version, verdict};
use crate::row::resource_query;
use crate::scoped::ScopedStore;
use crate::secret::{SecretOrigin, version_of};
use crate::snapshot::check_count;
use crate::time::Time;

/// The most values of one secret that are told: each is kept for a release that has it, or was there within the last hour.
const VERSIONS_MAX: i64 = 1000;
/// The most releases with one secret: an environment keeps some ten, and an organisation has some hundreds of environments.
const USES_MAX: usize = 10_000;

/// A secret, its values and what has them.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretHistory {
    /// The resource.
    pub uid: Uid,
    /// The generation of its spec.
    pub generation: Generation,
    /// Its values, newest first; the first is the current one.
    pub versions: Vec<SecretVersion>,
    /// The releases that have one of them, by environment, newest first.
    pub uses: Vec<SecretUse>,
    /// The objects in the Swarm, or about to be there.
    pub objects: Vec<SecretObject>,
    /// The environments whose spec names it.
    pub referrers: Vec<ResourceName>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVersion {
    /// Counts the values.
    pub version: u32,
    /// Where it came from.
    pub origin: SecretOrigin,
    /// When it was stored.
    pub created_at: Timestamp,
    /// By whom; none for one from before that was noted.
    pub made_by: Option<String>,
}

/// A release that has the secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretUse {
    /// The environment.
    pub environment: ResourceName,
    /// The release.
    pub release: ReleaseVersion,
    /// How it went.
    pub verdict: Verdict,
    /// Which value it has.
    pub version: u32,
    /// The object that holds it.
    pub object: String,
    /// The file that processes read.
    pub file: String,
    /// The processes of the release.
    pub processes: Vec<ProcessName>,
    /// Those of them whose service was last sent this release.
    pub sent: Vec<ProcessName>,
    /// May it still run, so that the object has to stay?
    pub needed: bool,
}

/// An object in the Swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretObject {
    /// Its name.
    pub name: String,
    /// The newest version with this value; none if it is not kept any more.
    pub version: Option<u32>,
}

impl ScopedStore {
    /// What there is to tell about a secret; none if there is no such secret.
    pub async fn secret_history(&self, key: &ResourceKey) -> Result<Option<SecretHistory>, StoreError> {
        self.history(key).await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn history(&self, key: &ResourceKey) -> Result<Option<SecretHistory>, Fault> {
        let Some(org) = key.org().filter(|_| key.kind() == Kind::Secret) else { return Ok(None) };
        let mut tx = self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let row = resource_query!(
            "WHERE r.org = $1 AND r.kind = 'Secret' AND r.name = $2",
            org.as_str(),
            key.name().as_str()
        );
        let Some(row) = row.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let (versions, digests) = versions(&mut tx, row.uid).await?;
        let named: BTreeMap<String, u32> = digests
            .into_iter()
            .map(|(version, digest)| (naming::secret(org, key.name(), &digest), version))
            .collect();
        let history = SecretHistory {
            uid: row.uid(),
            generation: Generation::new(row.generation),
            versions,
            uses: uses(&mut tx, org, key.name()).await?,
            objects: objects(&mut tx, row.uid, &named).await?,
            referrers: referrers(&mut tx, key).await?,
        };
        Ok(Some(history))
    }
}

/// The values, newest first, and the digest of each, oldest first.
async fn versions(
    tx: &mut PgConnection,
    uid: Uuid,
) -> Result<(Vec<SecretVersion>, Vec<(u32, String)>), Fault> {
    let rows = sqlx::query!(
        r#"SELECT version, digest, origin, restored_from, made_by, created_at AS "created_at: Time"
           FROM secret_version WHERE uid = $1 ORDER BY version DESC LIMIT $2"#,
        uid,
        VERSIONS_MAX
    );
    let (mut versions, mut digests) = (Vec::new(), Vec::new());
    for row in rows.fetch_all(tx).await? {
        let version = version_of(row.version)?;
        let origin = SecretOrigin::of_columns(&row.origin, row.restored_from).ok_or_else(|| {
            StoreError::corrupt(format!("version {version} of secret {uid}"), "unknown origin")
        })?;
        digests.push((version, hex::encode(row.digest)));
        versions.push(SecretVersion { version, origin, created_at: row.created_at.0, made_by: row.made_by });
    }
    digests.reverse();
    Ok((versions, digests))
}

/// The releases that have the secret. Those that may still run are the same as those whose objects the planner keeps
/// ([`crate::Snapshot::secret_versions_in_use`]).
async fn uses(tx: &mut PgConnection, org: &OrgName, secret: &ResourceName) -> Result<Vec<SecretUse>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT l.name, l.version, l.verdict, l.reason, (used->>'version')::integer AS "used!",
                  used->>'object' AS "object!", used->>'file' AS "file!",
                  ARRAY(SELECT process FROM jsonb_object_keys(l.content->'processes') process ORDER BY 1) AS "processes!",
                  ARRAY(SELECT i.name FROM inventory i
                        WHERE i.owner = l.uid AND i.kind = $4 AND i.sent_release = l.version) AS "services!",
                  (l.verdict = 'pending' OR l.version = l.newest OR l.version IS NOT DISTINCT FROM l.good) AS "needed!"
           FROM (
               SELECT e.uid, e.name, l.version, l.verdict, l.reason, l.content,
                      max(l.version) OVER (PARTITION BY e.uid) AS newest,
                      max(l.version) FILTER (WHERE l.verdict = 'succeeded') OVER (PARTITION BY e.uid) AS good
               FROM resource e JOIN release l ON l.env_uid = e.uid WHERE e.org = $1 AND e.kind = 'Environment'
           ) l
           CROSS JOIN LATERAL jsonb_array_elements(l.content->'secrets') used
           WHERE used->>'name' = $2
           ORDER BY l.name, l.version DESC, used->>'file' LIMIT $3"#,
        org.as_str(),
        secret.as_str(),
        i64::try_from(USES_MAX).unwrap_or(i64::MAX).saturating_add(1),
        ObjectKind::Service.as_str()
    );
    let rows = rows.fetch_all(tx).await?;
    check_count("releases with a secret", rows.len(), USES_MAX)?;
    let mut uses = Vec::with_capacity(rows.len());
    for row in rows {
        let corrupt = |why: &dyn std::fmt::Display| {
            StoreError::corrupt(format!("release {} of {org}/{}", row.version, row.name), why)
        };
        let environment: ResourceName = row.name.parse().map_err(|why| corrupt(&why))?;
        let processes: Vec<ProcessName> = row
            .processes
            .iter()
            .map(|process| process.parse())
            .collect::<Result<_, _>>()
            .map_err(|why| corrupt(&why))?;
        let is_sent =
            |process: &&ProcessName| row.services.contains(&naming::service(org, &environment, process));
        uses.push(SecretUse {
            release: stored_version(row.version)?,
            verdict: verdict(&row.verdict, row.reason.clone()).ok_or_else(|| corrupt(&"unknown verdict"))?,
            version: version_of(row.used)?,
            object: row.object.clone(),
            file: row.file.clone(),
            sent: processes.iter().filter(is_sent).cloned().collect(),
            processes,
            needed: row.needed,
            environment,
        });
    }
    Ok(uses)
}

async fn objects(
    tx: &mut PgConnection,
    uid: Uuid,
    named: &BTreeMap<String, u32>,
) -> Result<Vec<SecretObject>, Fault> {
    let names = sqlx::query_scalar!(
        "SELECT name FROM inventory WHERE owner = $1 AND kind = $2 ORDER BY name",
        uid,
        ObjectKind::Secret.as_str()
    );
    let names = names.fetch_all(tx).await?;
    Ok(names.into_iter().map(|name| SecretObject { version: named.get(&name).copied(), name }).collect())
}

async fn referrers(tx: &mut PgConnection, key: &ResourceKey) -> Result<Vec<ResourceName>, Fault> {
    let names = sqlx::query_scalar!(
        "SELECT name FROM resource WHERE refs @> ARRAY[$1::text] AND kind = 'Environment' ORDER BY name",
        key.to_string()
    );
    let names = names.fetch_all(tx).await?.into_iter();
    let read =
        |name: String| name.parse().map_err(|why| StoreError::corrupt(format!("environment {name}"), why));
    Ok(names.map(read).collect::<Result<_, _>>()?)
}
