//! Policies: a batch that asks for what a policy forbids is refused as a whole.
//!
//! The same rules are looked at again by the loop before anything is released (`skep_planner::policy`), so this is no boundary: it tells whoever
//! applies, at once and with the place, what would otherwise only be seen in a status. Looked at are the images that the batch's
//! environments and apps did not name before, with the policies as the batch leaves them: an image that was forbidden since may be
//! named again, or its environment could not be made smaller any more. Whether it runs is for the loop to say.

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::policy::Violation;
use skep_planner::policy::image::{ImageRules, rules, violations};
use skep_planner::quota::{self, Specs};
use skep_schemas::kind::ImagePolicySpec;
use skep_schemas::{AnySpec, ImageRef, Kind, OrgName, ResourceKey, ResourceName};
use sqlx::PgConnection;

use crate::apply::ApplyItem;
use crate::error::{Fault, StoreError};
use crate::row::SpecRow;

/// Refuses the batch if an image that is new in it is forbidden; `stored` is what a resource was before.
pub(crate) async fn check(
    tx: &mut PgConnection,
    items: &[ApplyItem],
    stored: impl Fn(&ResourceKey) -> Option<AnySpec>,
) -> Result<(), Fault> {
    let names_images = |key: &ResourceKey| matches!(key.kind(), Kind::App | Kind::Environment);
    let keys = items.iter().map(|item| &item.manifest.key).filter(|key| names_images(key));
    let orgs: BTreeSet<&OrgName> = keys.filter_map(ResourceKey::org).collect();
    if orgs.is_empty() {
        return Ok(());
    }
    let mut specs = governing(tx, &orgs).await?;
    let governs =
        |key: &ResourceKey| matches!(key.kind(), Kind::ImagePolicy | Kind::Organization | Kind::Plan);
    for item in items.iter().filter(|item| governs(&item.manifest.key)) {
        specs.insert(item.manifest.key.clone(), item.manifest.spec.clone());
    }
    let rules: BTreeMap<&OrgName, Vec<ImageRules>> =
        orgs.into_iter().map(|org| (org, rules_of(org, &specs))).collect();
    for item in items {
        let key = &item.manifest.key;
        let rules = key.org().and_then(|org| rules.get(org));
        let (Some(rules), Some(named)) = (rules, image(&item.manifest.spec)) else { continue };
        if stored(key).as_ref().and_then(image) == Some(named) {
            continue;
        }
        let mut found = violations(rules, named);
        found.retain(Violation::forbids);
        if !found.is_empty() {
            return Err(StoreError::PolicyDenied { key: key.clone(), violations: found }.into());
        }
    }
    Ok(())
}

/// The image that a manifest names. An environment without one takes its app's, which is looked at where the app is applied.
fn image(spec: &AnySpec) -> Option<&ImageRef> {
    match spec {
        AnySpec::App(app) => app.source.as_ref().map(|source| &source.image),
        AnySpec::Environment(environment) => environment.image.as_ref(),
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

/// What says which images may be: the organisations' policies, the organisations themselves, and their plans.
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
           SELECT DISTINCT p.org, p.kind, p.name, p.spec FROM resource o
           JOIN resource p ON p.org = '' AND p.kind = 'Plan' AND p.name = o.spec->>'plan'
           WHERE o.org = '' AND o.kind = 'Organization' AND o.name = ANY($1)"#,
        &names
    );
    Ok(rows.fetch_all(tx).await?.into_iter().map(SpecRow::into_spec).collect::<Result<_, _>>()?)
}
