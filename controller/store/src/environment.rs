//! The row of an environment, held by whoever asks something of it beside its manifests: a rollback, numbers of instances, a run.

use skep_schemas::{Kind, OrgName, ResourceKey};
use sqlx::PgConnection;

use crate::error::{Fault, StoreError};
use crate::row::{ResourceRow, resource_query};

/// The organisation of an environment's key, which is locked first. No other resource is there for those who ask.
pub(crate) fn org_of(key: &ResourceKey) -> Result<&OrgName, StoreError> {
    let org = key.org().filter(|_| key.kind() == Kind::Environment);
    org.ok_or_else(|| StoreError::NotFound { key: key.clone() })
}

/// Locks the row of an environment that stays.
pub(crate) async fn locked(tx: &mut PgConnection, key: &ResourceKey) -> Result<ResourceRow, Fault> {
    let row = resource_query!(
        "WHERE r.org = $1 AND r.kind = 'Environment' AND r.name = $2 FOR NO KEY UPDATE OF r",
        key.org().map(OrgName::as_str),
        key.name().as_str()
    );
    let row = row.fetch_optional(tx).await?.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
    if row.is_deleting() {
        return Err(StoreError::Deleting { key: key.clone() }.into());
    }
    Ok(row)
}
