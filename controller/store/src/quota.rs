//! Quotas: a batch that takes an organisation beyond what its plan allows is refused as a whole.
//!
//! Who counts must know that nobody else is about to add: the organisations that have a quota are locked alone, not shared, by batches
//! with anything that counts ([`limited`] says which, before anything is locked). Then everything that counts is read, the batch is laid over
//! it, and both are counted ([`check`]). A quota that is set in the same moment holds from the next batch on.

use std::collections::BTreeSet;

use skep_planner::ReleaseContent;
use skep_planner::quota::{self, Returned, Specs, Usage};
use skep_schemas::kind::{Quota, Resources};
use skep_schemas::{AnySpec, Kind, OrgName, ResourceKey, ResourceName};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::apply::ApplyItem;
use crate::error::{Fault, Operation, StoreError};
use crate::row::{SpecRow, key_of_columns};
use crate::scoped::ScopedStore;

/// What an organisation has and may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its plan, if it has one.
    pub plan: Option<ResourceName>,
    /// What the plan allows; nothing is limited where there is none.
    pub quota: Quota,
    /// What there is.
    pub usage: Usage,
}

impl ScopedStore {
    /// What an organisation has and may have.
    pub async fn standing(&self, org: &OrgName) -> Result<Standing, StoreError> {
        let read = async {
            let mut reader = self.reader().await?;
            let specs = specs(&mut reader, org).await?;
            Ok((specs, returned(&mut reader, org).await?, runs(&mut reader, org).await?))
        };
        let (specs, returned, runs) = read.await.map_err(|fault: Fault| fault.during(Operation::Read))?;
        let key = ResourceKey::organization(org);
        let Some(AnySpec::Organization(organization)) = specs.get(&key) else {
            return Err(StoreError::NotFound { key });
        };
        let quota = quota::plan_of(org, &specs).and_then(|(_, plan)| plan.quota.clone());
        let (plan, quota) = (organization.plan.clone(), quota.unwrap_or_default());
        Ok(Standing { plan, quota, usage: Usage::of(org, &specs, &returned, &runs) })
    }
}

/// The organisations in which the batch may add something that a quota limits.
pub(crate) async fn limited(tx: &mut PgConnection, items: &[ApplyItem]) -> Result<BTreeSet<OrgName>, Fault> {
    let keys = || items.iter().map(|item| &item.manifest.key);
    let touched: BTreeSet<OrgName> = keys()
        .filter(|key| quota::KINDS.contains(&key.kind()))
        .filter_map(|key| key.org().cloned())
        .collect();
    // The batch may bring the quota along.
    if touched.is_empty() || keys().any(|key| matches!(key.kind(), Kind::Organization | Kind::Plan)) {
        return Ok(touched);
    }
    with_quota(tx, touched).await
}

/// Those of the organisations whose plan has a quota.
async fn with_quota(tx: &mut PgConnection, orgs: BTreeSet<OrgName>) -> Result<BTreeSet<OrgName>, Fault> {
    let names: Vec<String> = orgs.iter().map(|org| org.as_str().to_owned()).collect();
    let with_quota = sqlx::query_scalar!(
        "SELECT o.name FROM resource o
         JOIN resource p ON p.org = '' AND p.kind = 'Plan' AND p.name = o.spec->>'plan'
         WHERE o.org = '' AND o.kind = 'Organization' AND o.name = ANY($1) AND p.spec ? 'quota'",
        &names
    );
    let with_quota: BTreeSet<String> = with_quota.fetch_all(tx).await?.into_iter().collect();
    Ok(orgs.into_iter().filter(|org| with_quota.contains(org.as_str())).collect())
}

/// Does the organisation's plan have a quota?
pub(crate) async fn is_limited(tx: &mut PgConnection, org: &OrgName) -> Result<bool, Fault> {
    Ok(!with_quota(tx, BTreeSet::from([org.clone()])).await?.is_empty())
}

/// Refuses the batch if it would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check(tx: &mut PgConnection, org: &OrgName, items: &[ApplyItem]) -> Result<(), Fault> {
    let (before, returned) = (specs(tx, org).await?, returned(tx, org).await?);
    let runs = runs(tx, org).await?;
    let mut after = before.clone();
    for item in items {
        after.insert(item.manifest.key.clone(), item.manifest.spec.clone());
    }
    compare(
        org,
        &after,
        &Usage::of(org, &before, &returned, &runs),
        &Usage::of(org, &after, &returned, &runs),
    )
}

/// Refuses a rollback if it would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check_return(
    tx: &mut PgConnection,
    org: &OrgName,
    key: &ResourceKey,
    content: ReleaseContent,
) -> Result<(), Fault> {
    let (specs, before) = (specs(tx, org).await?, returned(tx, org).await?);
    let runs = runs(tx, org).await?;
    let mut after = before.clone();
    after.insert(key.clone(), content);
    compare(org, &specs, &Usage::of(org, &specs, &before, &runs), &Usage::of(org, &specs, &after, &runs))
}

/// Refuses a run if it would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check_run(tx: &mut PgConnection, org: &OrgName, run: Resources) -> Result<(), Fault> {
    let (specs, returned) = (specs(tx, org).await?, returned(tx, org).await?);
    let mut runs = runs(tx, org).await?;
    let before = Usage::of(org, &specs, &returned, &runs);
    runs.push(run);
    compare(org, &specs, &before, &Usage::of(org, &specs, &returned, &runs))
}

fn compare(org: &OrgName, specs: &Specs, before: &Usage, after: &Usage) -> Result<(), Fault> {
    let quota = quota::plan_of(org, specs).and_then(|(_, plan)| plan.quota.as_ref());
    let Some(quota) = quota else { return Ok(()) };
    let excess = quota::refused(quota, before, after);
    if excess.is_empty() {
        return Ok(());
    }
    Err(StoreError::QuotaExceeded { org: org.clone(), excess }.into())
}

/// What the organisation's runs have that are not over.
async fn runs(tx: &mut PgConnection, org: &OrgName) -> Result<Vec<Resources>, Fault> {
    let rows = sqlx::query_scalar!(
        r#"SELECT u.resources AS "resources: Json<Resources>" FROM run u JOIN resource r ON r.uid = u.env_uid
           WHERE r.org = $1 AND u.outcome IS NULL"#,
        org.as_str()
    );
    Ok(rows.fetch_all(tx).await?.into_iter().map(|resources| resources.0).collect())
}

/// What the organisation's environments run that were returned to a former release.
async fn returned(tx: &mut PgConnection, org: &OrgName) -> Result<Returned, Fault> {
    let rows = sqlx::query!(
        r#"SELECT r.org, r.kind, r.name, l.content AS "content: Json<ReleaseContent>" FROM resource r
           JOIN release l ON l.env_uid = r.uid AND l.version = (r.rollback->>'to')::integer
           WHERE r.org = $1 AND r.kind = 'Environment' AND r.rollback IS NOT NULL"#,
        org.as_str()
    );
    let rows = rows.fetch_all(tx).await?.into_iter();
    Ok(rows
        .map(|row| Ok((key_of_columns(&row.org, &row.kind, &row.name)?, row.content.0)))
        .collect::<Result<_, StoreError>>()?)
}

/// What counts: an organisation's own, and the catalogue.
async fn specs(tx: &mut PgConnection, org: &OrgName) -> Result<Specs, Fault> {
    let kinds = quota::KINDS.map(|kind| kind.as_str().to_owned());
    let rows = sqlx::query_as!(
        SpecRow,
        "SELECT org, kind, name, spec FROM resource
         WHERE org = $1 AND kind = ANY($2) OR org = '' AND (kind = 'Plan' OR kind = 'Organization' AND name = $1)",
        org.as_str(),
        &kinds
    );
    Ok(rows.fetch_all(tx).await?.into_iter().map(SpecRow::into_spec).collect::<Result<_, _>>()?)
}
