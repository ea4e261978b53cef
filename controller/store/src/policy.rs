//! Policies: a batch that asks for what a policy forbids is refused as a whole.
//!
//! The same rules are looked at again by the loop before anything is released (`skep_planner::policy`), so this is no boundary: it tells whoever
//! applies, at once and with the place, what would otherwise only be seen in a status. Looked at is what the batch's environments and apps
//! did not ask for before (images, plans, what containers may do), with the policies as the batch leaves them: what was forbidden since may be
//! asked for again, or its environment could not be made smaller any more. Whether it runs is for the loop to say.

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::policy::image::{ImageRules, rules, violations};
use skep_planner::policy::isolation::Isolation;
use skep_planner::policy::{self, Violation};
use skep_planner::quota::{self, Specs};
use skep_schemas::kind::{ImagePolicySpec, IsolationTierSpec, PlanSpec};
use skep_schemas::{AnySpec, ImageRef, Kind, OrgName, ResourceKey, ResourceName, Scope};
use sqlx::PgConnection;

use crate::apply::ApplyItem;
use crate::error::{Fault, StoreError};
use crate::row::SpecRow;

/// Refuses the batch if something that is new in it is forbidden; `stored` is what a resource was before.
pub(crate) async fn check(
    tx: &mut PgConnection,
    items: &[ApplyItem],
    stored: impl Fn(&ResourceKey) -> Option<AnySpec>,
) -> Result<(), Fault> {
    let is_looked_at = |key: &ResourceKey| matches!(key.kind(), Kind::App | Kind::Environment);
    let keys = items.iter().map(|item| &item.manifest.key).filter(|key| is_looked_at(key));
    let orgs: BTreeSet<&OrgName> = keys.filter_map(ResourceKey::org).collect();
    if orgs.is_empty() {
        return Ok(());
    }
    let mut specs = governing(tx, &orgs).await?;
    let governs = |key: &ResourceKey| {
        matches!(key.kind(), Kind::ImagePolicy | Kind::Organization | Kind::Plan | Kind::IsolationTier)
    };
    for item in items.iter().filter(|item| governs(&item.manifest.key)) {
        specs.insert(item.manifest.key.clone(), item.manifest.spec.clone());
    }
    let rules: BTreeMap<&OrgName, Rules<'_>> =
        orgs.into_iter().map(|org| (org, Rules::of(org, &specs))).collect();
    for item in items {
        let key = &item.manifest.key;
        let Some(rules) = key.org().and_then(|org| rules.get(org)) else { continue };
        let mut found = rules.violations(stored(key).as_ref(), &item.manifest.spec);
        found.retain(Violation::forbids);
        if !found.is_empty() {
            return Err(StoreError::PolicyDenied { key: key.clone(), violations: found }.into());
        }
    }
    Ok(())
}

/// What an organisation is under.
struct Rules<'a> {
    images: Vec<ImageRules>,
    plan: Option<(&'a ResourceName, &'a PlanSpec)>,
    /// None when the plan names a tier that does not exist: the loop says so.
    isolation: Option<Isolation>,
}

impl<'a> Rules<'a> {
    fn of(org: &OrgName, specs: &'a Specs) -> Self {
        let plan = quota::plan_of(org, specs);
        let isolation = match plan.and_then(|(_, plan)| plan.isolation_tier.as_ref()) {
            None => Some(Isolation::standard()),
            Some(name) => tier(name, specs).map(|tier| Isolation::by(name.as_str(), tier)),
        };
        Self { images: rules_of(org, specs), plan, isolation }
    }

    /// What a manifest asks for that is not allowed, and that the resource did not ask for before.
    fn violations(&self, before: Option<&AnySpec>, after: &AnySpec) -> Vec<Violation> {
        let mut found = Vec::new();
        if let Some(named) = image(after).filter(|named| before.and_then(image) != Some(*named)) {
            found.extend(violations(&self.images, named));
        }
        let AnySpec::Environment(after) = after else { return found };
        let before = match before {
            Some(AnySpec::Environment(before)) => Some(before),
            _ => None,
        };
        if before.is_none_or(|before| before.plan != after.plan) {
            found.extend(policy::plan::violation(self.plan, after.plan.as_ref()));
        }
        if before.is_none_or(|before| before.security != after.security) {
            found.extend(self.isolation.iter().flat_map(|isolation| isolation.violations(&after.security)));
        }
        found
    }
}

/// The image that a manifest names. An environment without one takes its app's, which is looked at where the app is applied.
fn image(spec: &AnySpec) -> Option<&ImageRef> {
    match spec {
        AnySpec::App(app) => app.source.as_ref().map(|source| &source.image),
        AnySpec::Environment(environment) => environment.image.as_ref(),
        _ => None,
    }
}

fn tier<'a>(name: &ResourceName, specs: &'a Specs) -> Option<&'a IsolationTierSpec> {
    let key = ResourceKey::new(Scope::Platform, Kind::IsolationTier, name.clone()).ok()?;
    match specs.get(&key)? {
        AnySpec::IsolationTier(tier) => Some(tier),
        _ => None,
    }
}

fn rules_of(org: &OrgName, specs: &Specs) -> Vec<ImageRules> {
    let policies = specs.iter().filter(|(key, _)| key.org() == Some(org));
    let policies: Vec<(&ResourceName, &ImagePolicySpec)> = policies
        .filter_map(|(key, spec)| match spec {
            AnySpec::ImagePolicy(spec) => Some((key.name(), &**spec)),
            _ => None,
        })
        .collect();
    rules(quota::plan_of(org, specs), policies)
}

/// What says what may be: the organisations' policies, the organisations themselves, and the catalogue.
async fn governing(tx: &mut PgConnection, orgs: &BTreeSet<&OrgName>) -> Result<Specs, Fault> {
    let names: Vec<String> = orgs.iter().map(|org| org.as_str().to_owned()).collect();
    let rows = sqlx::query_as!(
        SpecRow,
        r#"SELECT org AS "org!", kind AS "kind!", name AS "name!", spec AS "spec!" FROM resource
           WHERE org = ANY($1) AND kind = 'ImagePolicy' AND deletion_requested_at IS NULL
           UNION ALL
           SELECT o.org, o.kind, o.name, o.spec FROM resource o
           WHERE o.org = '' AND o.kind = 'Organization' AND o.name = ANY($1)
           UNION ALL
           SELECT c.org, c.kind, c.name, c.spec FROM resource c
           WHERE c.org = '' AND c.kind IN ('Plan', 'IsolationTier')"#,
        &names
    );
    Ok(rows.fetch_all(tx).await?.into_iter().map(SpecRow::into_spec).collect::<Result<_, _>>()?)
}
