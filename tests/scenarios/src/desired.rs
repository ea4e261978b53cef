//! From the store to what the planner wants to know about one resource.

use skep_planner::RegistryAccess;
use skep_planner::policy;
use skep_planner::reconcile::environment::{EnvironmentDesired, PlanChoice};
use skep_planner::reconcile::organization::OrganizationDesired;
use skep_planner::reconcile::secret::SecretDesired;
use skep_schemas::kind::{
    AppSpec, DomainSpec, EnvironmentSpec, ImagePolicySpec, OrganizationSpec, PlanSpec,
    RegistryCredentialSpec, SecretSpec,
};
use skep_schemas::{Kind, OrgName, Resource, ResourceKey, Scope};

use crate::drift::stance;
use crate::store::Store;

pub(crate) fn organization(store: &Store, key: &ResourceKey) -> Option<OrganizationDesired> {
    let organization: Resource<OrganizationSpec> = store.typed(key)?;
    let org = OrgName::try_from(key.name()).ok()?;
    let uid = organization.meta.uid;
    Some(OrganizationDesired {
        stance: stance(store, key, None),
        subnet: store.subnet(uid),
        dependents: store.dependents(&org, None),
        environments: store.dependents(&org, Some(Kind::Environment)),
        network: plan_of(store, &organization.spec).and_then(|plan| plan.spec.network).unwrap_or_default(),
        inventory: store.inventory(uid),
        org,
        organization,
    })
}

fn plan_of(store: &Store, organization: &OrganizationSpec) -> Option<Resource<PlanSpec>> {
    let key = ResourceKey::new(Scope::Platform, Kind::Plan, organization.plan.clone()?).ok()?;
    store.typed(&key)
}

pub(crate) fn secret(store: &Store, key: &ResourceKey) -> Option<SecretDesired> {
    let secret: Resource<SecretSpec> = store.typed(key)?;
    let org = key.org()?;
    Some(SecretDesired {
        stance: stance(store, key, None),
        current: store.secret_facts(org).get(key.name()).cloned(),
        in_use: store.secrets_in_use(org),
        referrers: store.referrers(key).iter().map(|referrer| referrer.meta.key.to_string()).collect(),
        inventory: store.inventory(secret.meta.uid),
        secret,
    })
}

pub(crate) fn environment(store: &Store, key: &ResourceKey) -> Option<EnvironmentDesired> {
    let environment: Resource<EnvironmentSpec> = store.typed(key)?;
    let org = key.org()?.clone();
    let organization: Option<Resource<OrganizationSpec>> = store.typed(&ResourceKey::organization(&org));
    let inherited = organization.as_ref().and_then(|organization| organization.spec.plan.clone());
    let plan = match environment.spec.plan.clone().or(inherited) {
        None => PlanChoice::None,
        Some(name) => {
            let key = ResourceKey::new(Scope::Platform, Kind::Plan, name.clone()).ok()?;
            let found = store.typed::<PlanSpec>(&key);
            found.map_or(PlanChoice::Missing(name), |plan| PlanChoice::Found(Box::new(plan)))
        }
    };
    let app = key.sibling(Kind::App, environment.spec.app.clone());
    let referrers = store.referrers(key).into_iter().map(|referrer| referrer.meta.key.clone());
    let domains = referrers.filter(|referrer| referrer.kind() == Kind::Domain);
    let plan_of_org = organization.as_ref().and_then(|organization| plan_of(store, &organization.spec));
    let of_org = |key: &ResourceKey| key.kind() == Kind::ImagePolicy && key.org() == Some(&org);
    let policies = store.keys().into_iter().filter(of_org);
    let policies: Vec<Resource<ImagePolicySpec>> = policies.filter_map(|key| store.typed(&key)).collect();
    let images = policy::image::rules(
        plan_of_org.as_ref().map(|plan| (plan.meta.key.name(), &plan.spec)),
        policies.iter().map(|policy| (policy.meta.key.name(), &policy.spec)),
    );
    let of_org = |key: &ResourceKey| key.kind() == Kind::RegistryCredential && key.org() == Some(&org);
    let credentials = store.keys().into_iter().filter(of_org);
    Some(EnvironmentDesired {
        images,
        registries: credentials.filter_map(|key| registry_access(store, &key)).collect(),
        stance: stance(store, key, app.as_ref()),
        app: app.and_then(|app| store.typed::<AppSpec>(&app)),
        plan,
        secrets: store.secret_facts(&org),
        domains: domains.filter_map(|domain| store.typed(&domain)).collect(),
        releases: store.releases(environment.meta.uid),
        inventory: store.inventory(environment.meta.uid),
        environment,
        org,
        organization,
    })
}

pub(crate) fn registry_access(store: &Store, key: &ResourceKey) -> Option<RegistryAccess> {
    let credential: Resource<RegistryCredentialSpec> = store.typed(key)?;
    let password = store.secret_facts(key.org()?).remove(&credential.spec.password.secret);
    Some(RegistryAccess { credential, password, stored: true })
}

pub(crate) fn domain(
    store: &Store,
    key: &ResourceKey,
) -> Option<(Resource<DomainSpec>, Option<Resource<EnvironmentSpec>>)> {
    let domain: Resource<DomainSpec> = store.typed(key)?;
    let environment = key.sibling(Kind::Environment, domain.spec.environment.clone());
    Some((domain, environment.and_then(|environment| store.typed(&environment))))
}
