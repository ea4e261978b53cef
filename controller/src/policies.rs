//! The policies that an organisation and its environments are under at this moment, and as whom they may ask registries.

use skep_planner::policy::image::{self, ImageRules};
use skep_schemas::kind::{ImagePolicySpec, NetworkRules, OrganizationSpec, PlanSpec, RegistryCredentialSpec};
use skep_schemas::{AnySpec, Kind, OrgName, Resource, ResourceKey, ResourceName, Scope};
use skep_store::{Snapshot, StoreError};

use crate::desired::typed;

/// What the images of an organisation's environments must be. The plan that counts is the organisation's: an environment that names another
/// one does not get out of it.
pub(crate) async fn images(
    snapshot: &mut Snapshot,
    org: &OrgName,
    organization: Option<&Resource<OrganizationSpec>>,
) -> Result<Vec<ImageRules>, StoreError> {
    let plan = match organization {
        Some(organization) => plan(snapshot, &organization.spec).await?,
        None => None,
    };
    let policies = snapshot.list_org(org, Kind::ImagePolicy).await?.into_iter();
    let policies: Vec<(ResourceName, ImagePolicySpec)> = policies
        .filter(|policy| !policy.meta.is_deleting())
        .filter_map(|policy| match policy.spec {
            AnySpec::ImagePolicy(spec) => Some((policy.meta.key.name().clone(), *spec)),
            _ => None,
        })
        .collect();
    Ok(image::rules(
        plan.as_ref().map(|plan| (plan.meta.key.name(), &plan.spec)),
        policies.iter().map(|(name, spec)| (name, spec)),
    ))
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
    let plan = plan(snapshot, organization).await?;
    Ok(plan.and_then(|plan| plan.spec.network).unwrap_or_default())
}

async fn plan(
    snapshot: &mut Snapshot,
    organization: &OrganizationSpec,
) -> Result<Option<Resource<PlanSpec>>, StoreError> {
    let name = organization.plan.clone();
    match name.and_then(|name| ResourceKey::new(Scope::Platform, Kind::Plan, name).ok()) {
        Some(key) => typed::<PlanSpec>(snapshot, &key).await,
        None => Ok(None),
    }
}
