//! Quotas: a batch that takes an organisation beyond what its plan allows is refused as a whole.
//!
//! Who counts must know that nobody else is about to add: the organisations that have a quota are locked alone, not shared, by batches
//! with anything that counts ([`limited`] says which, before anything is locked). Then everything that counts is read, the batch is laid over
//! it, and both are counted ([`check`]). A quota that is set in the same moment holds from the next batch on.

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::ReleaseContent;
use skep_planner::quota::{self, Aside, Asides, Specs, Usage};
use skep_schemas::kind::{Quota, Resources};
use skep_schemas::{AnySpec, FormationOverride, Kind, OrgName, ProcessName, ResourceKey, ResourceName};
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
            Ok((specs(&mut reader, org).await?, asides(&mut reader, org).await?))
        };
        let (specs, asides) = read.await.map_err(|fault: Fault| fault.during(Operation::Read))?;
        let key = ResourceKey::organization(org);
        let Some(AnySpec::Organization(organization)) = specs.get(&key) else {
            return Err(StoreError::NotFound { key });
        };
        let quota = quota::plan_of(org, &specs).and_then(|(_, plan)| plan.quota.clone());
        let (plan, quota) = (organization.plan.clone(), quota.unwrap_or_default());
        Ok(Standing { plan, quota, usage: Usage::of(org, &specs, &asides) })
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
    let (before, asides) = (specs(tx, org).await?, asides(tx, org).await?);
    let mut after = before.clone();
    for item in items {
        after.insert(item.manifest.key.clone(), item.manifest.spec.clone());
    }
    compare(org, (&before, &asides), (&after, &asides))
}

/// Refuses a rollback if it would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check_return(
    tx: &mut PgConnection,
    org: &OrgName,
    key: &ResourceKey,
    content: ReleaseContent,
) -> Result<(), Fault> {
    let (specs, before) = (specs(tx, org).await?, asides(tx, org).await?);
    let mut after = before.clone();
    after.entry(key.clone()).or_default().returned = Some(content);
    compare(org, (&specs, &before), (&specs, &after))
}

/// Refuses numbers of instances if they would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check_scale(
    tx: &mut PgConnection,
    org: &OrgName,
    key: &ResourceKey,
    scaled: BTreeMap<ProcessName, u32>,
) -> Result<(), Fault> {
    let (specs, before) = (specs(tx, org).await?, asides(tx, org).await?);
    let mut after = before.clone();
    after.entry(key.clone()).or_default().scaled = scaled;
    compare(org, (&specs, &before), (&specs, &after))
}

/// Refuses a run if it would take the organisation, which is locked, beyond its quota.
pub(crate) async fn check_run(
    tx: &mut PgConnection,
    org: &OrgName,
    key: &ResourceKey,
    run: Resources,
) -> Result<(), Fault> {
    let (specs, before) = (specs(tx, org).await?, asides(tx, org).await?);
    let mut after = before.clone();
    after.entry(key.clone()).or_default().runs.push(run);
    compare(org, (&specs, &before), (&specs, &after))
}

fn compare(
    org: &OrgName,
    (before, asides_before): (&Specs, &Asides),
    (after, asides): (&Specs, &Asides),
) -> Result<(), Fault> {
    let quota = quota::plan_of(org, after).and_then(|(_, plan)| plan.quota.as_ref());
    let Some(quota) = quota else { return Ok(()) };
    let before = Usage::of(org, before, asides_before);
    let excess = quota::refused(quota, &before, &Usage::of(org, after, asides));
    if excess.is_empty() {
        return Ok(());
    }
    Err(StoreError::QuotaExceeded { org: org.clone(), excess }.into())
}

/// What the organisation's environments were asked beside their manifests: what they were returned to, how they were scaled, and what runs
/// in them that is not over.
async fn asides(tx: &mut PgConnection, org: &OrgName) -> Result<Asides, Fault> {
    let rows = sqlx::query!(
        r#"SELECT r.org, r.kind, r.name, r.formation AS "formation: Json<FormationOverride>",
                  l.content AS "content?: Json<ReleaseContent>"
           FROM resource r
           LEFT JOIN release l ON l.env_uid = r.uid AND l.version = (r.rollback->>'to')::integer
           WHERE r.org = $1 AND r.kind = 'Environment' AND (r.rollback IS NOT NULL OR r.formation ? 'scale')"#,
        org.as_str()
    );
    let mut asides = Asides::new();
    for row in rows.fetch_all(&mut *tx).await? {
        let said = row.formation.map(|formation| formation.0).unwrap_or_default();
        let scaled = said.scale.into_iter().map(|(name, scaled)| (name, scaled.instances)).collect();
        let aside = Aside { returned: row.content.map(|content| content.0), scaled, runs: Vec::new() };
        asides.insert(key_of_columns(&row.org, &row.kind, &row.name)?, aside);
    }
    let runs = sqlx::query!(
        r#"SELECT r.org, r.kind, r.name, u.resources AS "resources: Json<Resources>" FROM run u JOIN resource r ON r.uid = u.env_uid
           WHERE r.org = $1 AND u.outcome IS NULL"#,
        org.as_str()
    );
    for row in runs.fetch_all(tx).await? {
        let key = key_of_columns(&row.org, &row.kind, &row.name)?;
        asides.entry(key).or_default().runs.push(row.resources.0);
    }
    Ok(asides)
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
