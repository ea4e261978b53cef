//! Locking what a batch touches, in the order that everyone keeps.

use std::collections::{BTreeMap, BTreeSet};

use skep_schemas::{AnySpec, Kind, OrgName, ResourceKey, Uid};
use sqlx::PgConnection;

use super::ApplyItem;
use crate::error::{Fault, StoreError};
use crate::master_keys::MasterKeys;
use crate::row::{ResourceRow, org_column, resource_query};
use crate::secret;

/// The locked rows of a batch.
pub(super) struct Locked {
    /// The rows that exist, by key.
    rows: BTreeMap<ResourceKey, ResourceRow>,
    /// The organisations that exist, or were made by the batch itself.
    orgs: BTreeMap<OrgName, Uid>,
}

impl Locked {
    /// Locks the organisations by name, those that are written or counted alone, then the existing rows by key.
    pub(super) async fn take(
        tx: &mut PgConnection,
        items: &[ApplyItem],
        counted: &BTreeSet<OrgName>,
        master_keys: &MasterKeys,
    ) -> Result<Self, Fault> {
        let written: BTreeSet<OrgName> =
            items.iter().filter_map(|item| organization(&item.manifest.key)).collect();
        let inside = items.iter().filter_map(|item| item.manifest.key.org().cloned());
        let all: BTreeSet<OrgName> = inside.chain(written.iter().cloned()).collect();
        let mut orgs = BTreeMap::new();
        for org in all {
            if let Some(uid) = lock_org(tx, &org, written.contains(&org) || counted.contains(&org)).await? {
                // Before any row of the batch, because another batch may be making the same key.
                secret::ensure_key(tx, master_keys, uid).await?;
                orgs.insert(org, uid);
            }
        }
        let keys: Vec<&ResourceKey> = items.iter().map(|item| &item.manifest.key).collect();
        Ok(Self { rows: lock_rows(tx, &keys).await?, orgs })
    }

    /// The stored row of a key, if there is one.
    pub(super) fn take_row(&mut self, key: &ResourceKey) -> Option<ResourceRow> {
        self.rows.remove(key)
    }

    /// The stored spec of a key, if there is one that this version can read.
    pub(super) fn spec(&self, key: &ResourceKey) -> Option<AnySpec> {
        AnySpec::from_json(key.kind(), self.rows.get(key)?.spec.clone()).ok()
    }

    /// The uid of a key's organisation, which must exist.
    pub(super) fn org_uid(&self, org: &OrgName) -> Result<Uid, StoreError> {
        self.orgs.get(org).copied().ok_or_else(|| StoreError::OrgMissing { org: org.clone() })
    }

    /// Notes a resource that the batch created, in case it is the organisation of later ones.
    pub(super) fn created(&mut self, key: &ResourceKey, uid: Uid) {
        if let Some(org) = organization(key) {
            self.orgs.insert(org, uid);
        }
    }
}

/// The organisation that a key is the resource of.
fn organization(key: &ResourceKey) -> Option<OrgName> {
    (key.kind() == Kind::Organization).then(|| OrgName::try_from(key.name()).ok()).flatten()
}

/// Holds an organisation in place: shared by those who write inside it, alone for who writes it or counts what it has. Its deletion waits
/// for both.
pub(crate) async fn lock_org(
    tx: &mut PgConnection,
    org: &OrgName,
    alone: bool,
) -> Result<Option<Uid>, Fault> {
    let row = if alone {
        sqlx::query!(
            r#"SELECT uid, deletion_requested_at IS NOT NULL AS "deleting!" FROM resource
               WHERE org = '' AND kind = 'Organization' AND name = $1 FOR NO KEY UPDATE"#,
            org.as_str()
        )
        .fetch_optional(tx)
        .await?
        .map(|row| (row.uid, row.deleting))
    } else {
        sqlx::query!(
            r#"SELECT uid, deletion_requested_at IS NOT NULL AS "deleting!" FROM resource
               WHERE org = '' AND kind = 'Organization' AND name = $1 FOR SHARE"#,
            org.as_str()
        )
        .fetch_optional(tx)
        .await?
        .map(|row| (row.uid, row.deleting))
    };
    match row {
        Some((_, true)) => Err(StoreError::Deleting { key: ResourceKey::organization(org) }.into()),
        Some((uid, false)) => Ok(Some(Uid::from_uuid(uid))),
        None => Ok(None),
    }
}

async fn lock_rows(
    tx: &mut PgConnection,
    keys: &[&ResourceKey],
) -> Result<BTreeMap<ResourceKey, ResourceRow>, Fault> {
    let orgs: Vec<_> = keys.iter().map(|key| org_column(key.scope()).to_owned()).collect();
    let kinds: Vec<_> = keys.iter().map(|key| key.kind().as_str().to_owned()).collect();
    let names: Vec<_> = keys.iter().map(|key| key.name().as_str().to_owned()).collect();
    let rows = resource_query!(
        "WHERE (r.org, r.kind, r.name) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
         ORDER BY r.org, r.kind, r.name FOR NO KEY UPDATE OF r",
        &orgs,
        &kinds,
        &names
    )
    .fetch_all(tx)
    .await?;
    let mut by_key = BTreeMap::new();
    for row in rows {
        by_key.insert(row.key()?, row);
    }
    Ok(by_key)
}
