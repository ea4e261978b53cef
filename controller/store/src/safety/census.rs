//! The census: all that the database knows of the Swarm, for a survey to compare with.

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::safety::{Consent, Owner};
use skep_planner::{ObjectKind, ObjectRef, ReleaseVersion};
use skep_schemas::{ProcessName, Uid};
use sqlx::types::Uuid;

use super::hold;
use super::orphan::{self, Orphan};
use crate::error::{Fault, Operation, StoreError};
use crate::release::stored_version;
use crate::row::key_of_columns;
use crate::snapshot::Snapshot;
use crate::store::Store;

/// The most objects of one installation. A survey of half of them would take the other half for orphans, so more is an error.
const OBJECTS_MAX: usize = 200_000;

/// What the database knows of the Swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Which history of the database this is; another one after a restore or a failover.
    pub epoch: String,
    /// Every object in the inventory.
    pub inventory: BTreeSet<ObjectRef>,
    /// The newest release of each environment.
    pub releases: BTreeMap<Uid, ReleaseVersion>,
    /// Known orphans.
    pub orphans: Vec<Orphan>,
    /// What someone has confirmed.
    pub consents: Vec<Consent>,
}

impl Store {
    /// Which history of the database this is.
    pub async fn epoch(&self) -> Result<String, StoreError> {
        let epoch = sqlx::query_scalar!("SELECT epoch FROM cluster_rev").fetch_one(self.pool()).await;
        let epoch = epoch.map_err(|error| Fault::from(error).during(Operation::Safety))?;
        Ok(epoch.simple().to_string())
    }
}

impl Snapshot {
    /// All that the database knows of the Swarm. Look at the Swarm first: whatever was there then had its intent recorded.
    pub async fn census(&mut self) -> Result<Census, StoreError> {
        self.take_census().await.map_err(|fault| fault.during(Operation::Safety))
    }

    async fn take_census(&mut self) -> Result<Census, Fault> {
        let tx = self.connection();
        let epoch = sqlx::query_scalar!("SELECT epoch FROM cluster_rev").fetch_one(&mut *tx).await?;
        let objects = sqlx::query!("SELECT kind, name FROM inventory WHERE kind <> 'edge-attachment'");
        let objects = objects.fetch_all(&mut *tx).await?;
        if objects.len() > OBJECTS_MAX {
            let (found, limit) = (objects.len(), OBJECTS_MAX);
            return Err(StoreError::TooMany { what: "objects in the inventory", found, limit }.into());
        }
        let mut inventory = BTreeSet::new();
        for row in objects {
            let kind = ObjectKind::from_word(&row.kind)
                .ok_or_else(|| StoreError::corrupt(format!("inventory of {}", row.name), "unknown kind"))?;
            inventory.insert(ObjectRef::new(kind, row.name));
        }
        let newest =
            sqlx::query!(r#"SELECT env_uid, max(version) AS "version!" FROM release GROUP BY env_uid"#);
        let mut releases = BTreeMap::new();
        for row in newest.fetch_all(&mut *tx).await? {
            releases.insert(Uid::from_uuid(row.env_uid), stored_version(row.version)?);
        }
        let orphans = orphan::all(&mut *tx).await?;
        let consents = hold::in_force(&mut *tx).await?.into_iter().filter(|hold| hold.confirmed.is_some());
        let consents = consents
            .map(|hold| Consent { reason: hold.finding.reason, subject: hold.finding.subject })
            .collect();
        Ok(Census { epoch: epoch.simple().to_string(), inventory, releases, orphans, consents })
    }

    /// The resources with these uids that exist, with the processes that their releases may run.
    pub async fn owners(&mut self, uids: &[Uid]) -> Result<BTreeMap<Uid, Owner>, StoreError> {
        self.find_owners(uids).await.map_err(|fault| fault.during(Operation::Safety))
    }

    async fn find_owners(&mut self, uids: &[Uid]) -> Result<BTreeMap<Uid, Owner>, Fault> {
        let uids: Vec<Uuid> = uids.iter().map(|uid| uid.uuid()).collect();
        let rows = sqlx::query!(
            r#"SELECT r.uid, r.org, r.kind, r.name, ARRAY(
                   SELECT DISTINCT jsonb_object_keys(l.content->'processes') FROM release l
                   WHERE l.env_uid = r.uid AND (
                       l.verdict = 'pending'
                       OR l.version = (SELECT max(version) FROM release WHERE env_uid = r.uid)
                       OR l.version = (SELECT max(version) FROM release WHERE env_uid = r.uid AND verdict = 'succeeded'))
               ) AS "processes!"
               FROM resource r WHERE r.uid = ANY($1)"#,
            &uids
        );
        let mut owners = BTreeMap::new();
        for row in rows.fetch_all(self.connection()).await? {
            let corrupt =
                |why: skep_schemas::ScalarError| StoreError::corrupt(format!("releases of {}", row.uid), why);
            let processes: Result<BTreeSet<ProcessName>, _> =
                row.processes.iter().map(|process| process.parse()).collect();
            let key = key_of_columns(&row.org, &row.kind, &row.name)?;
            owners.insert(Uid::from_uuid(row.uid), Owner { key, processes: processes.map_err(corrupt)? });
        }
        Ok(owners)
    }
}
