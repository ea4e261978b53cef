//! The plan and the policies that an organisation and its environments are under at this moment, and as whom they may ask registries.

use skep_planner::policy::image::{self, ImageRules};
use skep_planner::reconcile::environment::{PlanChoice, Terms, TierChoice};
use skep_schemas::kind::{
    ImagePolicySpec, IsolationTierSpec, NetworkRules, OrganizationSpec, PlanSpec, RegistryCredentialSpec,
};
use skep_schemas::{AnySpec, Kind, OrgName, Resource, ResourceKey, ResourceName, Scope};
use skep_store::{Snapshot, StoreError};

use crate::desired::typed;

/// What the platform grants an organisation. The plan that counts is the organisation's: an environment that names another one does not get
/// out of it.
pub(crate) async fn terms(
    snapshot: &mut Snapshot,
    organization: Option<&Resource<OrganizationSpec>>,
) -> Result<Terms, StoreError> {
    let plan = plan_choice(snapshot, organization.and_then(|organization| organization.spec.plan.clone()));
    let plan = plan.await?;
    let tier = match &plan {
        PlanChoice::Found(plan) => tier_choice(snapshot, plan.spec.isolation_tier.clone()).await?,
        PlanChoice::None | PlanChoice::Missing(_) => TierChoice::None,
    };
    Ok(Terms { plan, tier })
}

/// The plan of that name.
pub(crate) async fn plan_choice(
    snapshot: &mut Snapshot,
    name: Option<ResourceName>,
) -> Result<PlanChoice, StoreError> {
    let Some(name) = name else { return Ok(PlanChoice::None) };
    let Ok(key) = ResourceKey::new(Scope::Platform, Kind::Plan, name.clone()) else {
        return Ok(PlanChoice::Missing(name));
    };
    let found = typed::<PlanSpec>(snapshot, &key).await?;
    Ok(found.map_or(PlanChoice::Missing(name), |plan| PlanChoice::Found(Box::new(plan))))
}

/// The isolation tier of that name.
pub(crate) async fn tier_choice(
    snapshot: &mut Snapshot,
    name: Option<ResourceName>,
) -> Result<TierChoice, StoreError> {
    let Some(name) = name else { return Ok(TierChoice::None) };
    let Ok(key) = ResourceKey::new(Scope::Platform, Kind::IsolationTier, name.clone()) else {
        return Ok(TierChoice::Missing(name));
    };
    let found = typed::<IsolationTierSpec>(snapshot, &key).await?;
    Ok(found.map_or(TierChoice::Missing(name), |tier| TierChoice::Found(Box::new(tier))))
}

/// What the images of an organisation's environments must be.
pub(crate) async fn images(
    snapshot: &mut Snapshot,
    org: &OrgName,
    terms: &Terms,
) -> Result<Vec<ImageRules>, StoreError> {
    let policies = snapshot.list_org(org, Kind::ImagePolicy).await?.into_iter();
    let policies: Vec<(ResourceName, ImagePolicySpec)> = policies
        .filter(|policy| !policy.meta.is_deleting())
        .filter_map(|policy| match policy.spec {
            AnySpec::ImagePolicy(spec) => Some((policy.meta.key.name().clone(), *spec)),
            _ => None,
        })
        .collect();
    Ok(image::rules(terms.own_plan(), policies.iter().map(|(name, spec)| (name, spec))))
}

/// As whom an organisation may ask registries, those credentials that are being deleted left out.
pub(crate) async fn registry_credentials(
    snapshot: &mut Snapshot,
    org: &OrgName,
) -> Result<Vec<Resource<RegistryCredentialSpec>>, StoreError> {
    let found = snapshot.list_org(org, Kind::RegistryCredential).await?.into_iter();
    let credentials = found.filter(|found| !found.meta.is_deleting()).filter_map(|found| {
        let Resource { meta, spec, status } = found;
        let spec = RegistryCredentialSpec::try_from(spec).ok()?;
        Some(Resource { meta, spec, status })
    });
    Ok(credentials.collect())
}

/// What the network of an organisation shall be like.
pub(crate) async fn network(
    snapshot: &mut Snapshot,
    organization: &OrganizationSpec,
) -> Result<NetworkRules, StoreError> {
    Ok(match plan_choice(snapshot, organization.plan.clone()).await? {
        PlanChoice::Found(plan) => plan.spec.network.unwrap_or_default(),
        PlanChoice::None | PlanChoice::Missing(_) => NetworkRules::default(),
    })
}
