//! Feature gates at the one door of all writes: a batch in which something new needs a feature that is switched off is refused as a whole.
//!
//! What needs what, and who switches, is decided in [`skep_planner::policy::gate`]. Refused is what begins while a feature is switched off before the batch and
//! stays so with it: whoever switches it on may use it in the same batch, and a state that is put back as a whole into an empty database, switches
//! and all, is no beginning. A switch that somebody else turns in the same moment holds from the next batch on, as a quota does.

use std::collections::BTreeSet;

use skep_planner::policy::gate;
use skep_planner::quota::Specs;
use skep_schemas::{AnySpec, Feature, Kind, OrgName, ResourceKey, ResourceName};
use sqlx::PgConnection;

use crate::apply::ApplyItem;
use crate::error::{Fault, Operation, StoreError};
use crate::row::SpecRow;
use crate::scoped::ScopedStore;

/// A feature, and who has switched it off for an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The feature.
    pub feature: Feature,
    /// The resource that says so; none if it is switched on.
    pub closed_by: Option<ResourceKey>,
}

impl ScopedStore {
    /// The features that an organisation has, and those that it has not.
    pub async fn features(&self, org: &OrgName) -> Result<Vec<Gate>, StoreError> {
        let orgs = BTreeSet::from([org]);
        let read = async { governing(&mut *self.reader().await?, &orgs, &[]).await };
        let specs = read.await.map_err(|fault: Fault| fault.during(Operation::Read))?;
        let key = ResourceKey::organization(org);
        if !specs.contains_key(&key) {
            return Err(StoreError::NotFound { key });
        }
        let gate = |feature| Gate { feature, closed_by: gate::closed_by(feature, org, &specs) };
        Ok(Feature::ALL.map(gate).to_vec())
    }
}

/// Refuses the batch if something that is new in it needs a feature that is switched off; `stored` is what a resource was before.
pub(crate) async fn check(
    tx: &mut PgConnection,
    items: &[ApplyItem],
    stored: impl Fn(&ResourceKey) -> Option<AnySpec>,
) -> Result<(), Fault> {
    let is_looked_at = |key: &ResourceKey| matches!(key.kind(), Kind::App | Kind::Environment | Kind::Domain);
    let looked_at: Vec<&ApplyItem> = items.iter().filter(|item| is_looked_at(&item.manifest.key)).collect();
    let orgs: BTreeSet<&OrgName> = looked_at.iter().filter_map(|item| item.manifest.key.org()).collect();
    if orgs.is_empty() {
        return Ok(());
    }
    let before = governing(tx, &orgs, &apps_of(&looked_at, &stored)).await?;
    let mut after = before.clone();
    let governs = |key: &ResourceKey| matches!(key.kind(), Kind::Platform | Kind::Organization | Kind::App);
    for item in items.iter().filter(|item| governs(&item.manifest.key)) {
        after.insert(item.manifest.key.clone(), item.manifest.spec.clone());
    }
    for item in looked_at {
        let key = &item.manifest.key;
        let Some(org) = key.org() else { continue };
        let app = |name: &ResourceName| match after.get(&key.sibling(Kind::App, name.clone())?)? {
            AnySpec::App(app) => Some(app.source.is_some()),
            _ => None,
        };
        let Some(feature) = gate::needs(stored(key).as_ref(), &item.manifest.spec, app) else { continue };
        if gate::closed_by(feature, org, &after).is_some() {
            refuse(key, feature, org, &before)?;
        }
    }
    Ok(())
}

/// Refuses what needs a feature in an organisation that has it not.
pub(crate) async fn check_one(
    tx: &mut PgConnection,
    key: &ResourceKey,
    feature: Feature,
) -> Result<(), Fault> {
    let Some(org) = key.org() else { return Ok(()) };
    let specs = governing(tx, &BTreeSet::from([org]), &[]).await?;
    Ok(refuse(key, feature, org, &specs)?)
}

fn refuse(key: &ResourceKey, feature: Feature, org: &OrgName, specs: &Specs) -> Result<(), StoreError> {
    match gate::closed_by(feature, org, specs) {
        Some(by) => Err(StoreError::FeatureClosed { key: key.clone(), feature, by }),
        None => Ok(()),
    }
}

/// The apps whose images the batch's environments have, or had.
fn apps_of(items: &[&ApplyItem], stored: impl Fn(&ResourceKey) -> Option<AnySpec>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for item in items {
        let before = stored(&item.manifest.key);
        for spec in [Some(&item.manifest.spec), before.as_ref()].into_iter().flatten() {
            if let AnySpec::Environment(environment) = spec {
                names.insert(environment.app.to_string());
            }
        }
    }
    names.into_iter().collect()
}

/// The switches for organisations, and those of their apps.
async fn governing(
    tx: &mut PgConnection,
    orgs: &BTreeSet<&OrgName>,
    apps: &[String],
) -> Result<Specs, Fault> {
    let names: Vec<String> = orgs.iter().map(|org| org.as_str().to_owned()).collect();
    let rows = sqlx::query_as!(
        SpecRow,
        "SELECT org, kind, name, spec FROM resource
         WHERE org = '' AND (kind = 'Platform' OR kind = 'Organization' AND name = ANY($1))
            OR org = ANY($1) AND kind = 'App' AND name = ANY($2)",
        &names,
        apps
    );
    Ok(rows.fetch_all(tx).await?.into_iter().map(SpecRow::into_spec).collect::<Result<_, _>>()?)
}
