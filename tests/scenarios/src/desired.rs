//! From the store to what the planner wants to know about one resource.

use skep_planner::RegistryAccess;
use skep_planner::policy::{self, scan::ScanFacts, signature::SignatureFacts};
use skep_planner::reconcile::environment::{EnvironmentDesired, PlanChoice, Terms, TierChoice};
use skep_planner::reconcile::network_policy::{AgreedLink, NetworkPolicyDesired};
use skep_planner::reconcile::notification::{NotificationDesired, NotificationStanding};
use skep_planner::reconcile::organization::OrganizationDesired;
use skep_planner::reconcile::secret::SecretDesired;
use skep_schemas::kind::{
    AppSpec, DomainSpec, EnvironmentSpec, ImagePolicySpec, IsolationTierSpec, LinkTarget, NetworkPolicySpec,
    NotificationSpec, OrganizationSpec, PlanSpec, RegistryCredentialSpec, SecretSpec,
};
use skep_schemas::{Kind, OrgName, Resource, ResourceKey, ResourceName, Scope};

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
        network: terms(store, Some(&organization))
            .own_plan()
            .and_then(|(_, plan)| plan.network)
            .unwrap_or_default(),
        inventory: store.inventory(uid),
        org,
        organization,
    })
}

pub(crate) fn secret(store: &Store, key: &ResourceKey) -> Option<SecretDesired> {
    let secret: Resource<SecretSpec> = store.typed(key)?;
    let org = key.org()?;
    Some(SecretDesired {
        stance: stance(store, key, None),
        current: store.secret_facts(org).get(key.name()).cloned(),
        former: store.former_secret_facts(&secret.meta),
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
    let terms = terms(store, organization.as_ref());
    let plan = match environment.spec.plan.clone() {
        Some(name) => plan_choice(store, Some(name)),
        None => terms.plan.clone(),
    };
    let app = key.sibling(Kind::App, environment.spec.app.clone());
    let referrers = store.referrers(key).into_iter().map(|referrer| referrer.meta.key.clone());
    let domains = referrers.filter(|referrer| referrer.kind() == Kind::Domain);
    let of_org = |key: &ResourceKey| key.kind() == Kind::ImagePolicy && key.org() == Some(&org);
    let policies = store.keys().into_iter().filter(of_org);
    let policies: Vec<Resource<ImagePolicySpec>> = policies.filter_map(|key| store.typed(&key)).collect();
    let images = policy::image::rules(
        terms.own_plan(),
        policies.iter().map(|policy| (policy.meta.key.name(), &policy.spec)),
    );
    let of_org = |key: &ResourceKey| key.kind() == Kind::RegistryCredential && key.org() == Some(&org);
    let credentials = store.keys().into_iter().filter(of_org);
    Some(EnvironmentDesired {
        terms,
        images,
        signatures: SignatureFacts::default(),
        scans: ScanFacts::default(),
        registries: credentials.filter_map(|key| registry_access(store, &key)).collect(),
        stance: stance(store, key, app.as_ref()),
        app: app.and_then(|app| store.typed::<AppSpec>(&app)),
        plan,
        secrets: store.secret_facts(&org),
        domains: domains.filter_map(|domain| store.typed(&domain)).collect(),
        releases: store.releases(environment.meta.uid),
        runs: store.open_runs(environment.meta.uid),
        schedules: store.schedule_marks(environment.meta.uid),
        inventory: store.inventory(environment.meta.uid),
        environment,
        org,
        organization,
    })
}

/// The rules of `links_of` in `migrations/0024_links.sql`, without its database.
pub(crate) fn network_policy(store: &Store, key: &ResourceKey) -> Option<NetworkPolicyDesired> {
    let policy: Resource<NetworkPolicySpec> = store.typed(key)?;
    let org = key.org()?.clone();
    let organization: Option<Resource<OrganizationSpec>> = store.typed(&ResourceKey::organization(&org));
    let others = policies(store);
    let is_agreed = |user: &OrgName, to: &LinkTarget, offers: &[Resource<NetworkPolicySpec>]| {
        let named = offers.iter().filter(|other| other.meta.key.org() == Some(&to.organization));
        let rules = named.flat_map(|other| &other.spec.ingress).filter(|rule| {
            (&rule.environment, &rule.process, rule.port) == (&to.environment, &to.process, to.port)
        });
        let offered = rules.flat_map(|rule| &rule.from).any(|peer| peer.organization == *user);
        let leads =
            ResourceKey::new(Scope::Org(to.organization.clone()), Kind::Environment, to.environment.clone());
        let leads = leads.ok().and_then(|key| store.get(&key).map(|found| !found.meta.is_deleting()));
        offered
            && *user != to.organization
            && leads == Some(true)
            && has_environment(store, user)
            && takes_links(store, user)
            && takes_links(store, &to.organization)
    };
    let agreed = policy.spec.egress.iter().filter(|rule| is_agreed(&org, &rule.to, &others));
    let agreed = agreed.filter_map(|rule| {
        let provider: Resource<OrganizationSpec> =
            store.typed(&ResourceKey::organization(&rule.to.organization))?;
        let network = provider.status.pointer("/network/id").and_then(serde_json::Value::as_str);
        let link = AgreedLink {
            provider: provider.meta.uid,
            network: network.map(str::to_owned),
            subnet: store.subnet(provider.meta.uid),
            isolation: terms(store, Some(&provider)).isolation().ok()?,
        };
        Some((rule.alias.clone(), link))
    });
    let used = others.iter().filter_map(|other| Some((other.meta.key.org()?, other)));
    let used = used.flat_map(|(user, other)| other.spec.egress.iter().map(move |rule| (user, &rule.to)));
    let used = used.filter(|(user, to)| to.organization == org && is_agreed(user, to, &others));
    let named = policy.spec.ingress.iter().map(|rule| rule.environment.clone());
    let missing = named.filter(|name| {
        key.sibling(Kind::Environment, name.clone()).is_none_or(|key| store.get(&key).is_none())
    });
    Some(NetworkPolicyDesired {
        allowed: takes_links(store, &org),
        agreed: agreed.collect(),
        used: used.map(|(user, to)| LinkTarget { organization: user.clone(), ..to.clone() }).collect(),
        missing: missing.collect(),
        stance: stance(store, key, None),
        subnet: organization.as_ref().and_then(|organization| store.subnet(organization.meta.uid)),
        inventory: store.inventory(policy.meta.uid),
        org,
        organization,
        policy,
    })
}

/// The network policies of everybody, those being deleted left out.
fn policies(store: &Store) -> Vec<Resource<NetworkPolicySpec>> {
    let keys = store.keys().into_iter().filter(|key| key.kind() == Kind::NetworkPolicy);
    let policies = keys.filter_map(|key| store.typed::<NetworkPolicySpec>(&key));
    policies.filter(|policy| !policy.meta.is_deleting()).collect()
}

fn has_environment(store: &Store, org: &OrgName) -> bool {
    let of_org = |key: &ResourceKey| key.kind() == Kind::Environment && key.org() == Some(org);
    let environments = store.keys().into_iter().filter(of_org);
    environments.filter_map(|key| store.get(&key)).any(|found| !found.meta.is_deleting())
}

fn takes_links(store: &Store, org: &OrgName) -> bool {
    let organization: Option<Resource<OrganizationSpec>> = store.typed(&ResourceKey::organization(org));
    let organization = organization.filter(|organization| !organization.meta.is_deleting());
    organization.is_some_and(|organization| terms(store, Some(&organization)).takes_links())
}

pub(crate) fn registry_access(store: &Store, key: &ResourceKey) -> Option<RegistryAccess> {
    let credential: Resource<RegistryCredentialSpec> = store.typed(key)?;
    let password = store.secret_facts(key.org()?).remove(&credential.spec.password.secret);
    Some(RegistryAccess { credential, password, stored: true })
}

pub(crate) fn notification(store: &Store, key: &ResourceKey) -> Option<NotificationDesired> {
    let notification: Resource<NotificationSpec> = store.typed(key)?;
    let target = notification.spec.target()?;
    let secret = store.secret_facts(key.org()?).remove(target.secret());
    Some(NotificationDesired { secret, standing: NotificationStanding::default(), notification })
}

fn terms(store: &Store, organization: Option<&Resource<OrganizationSpec>>) -> Terms {
    let plan = plan_choice(store, organization.and_then(|organization| organization.spec.plan.clone()));
    let named = match &plan {
        PlanChoice::Found(plan) => plan.spec.isolation_tier.clone(),
        PlanChoice::None | PlanChoice::Missing(_) => None,
    };
    let tier = match named {
        None => TierChoice::None,
        Some(name) => {
            let key = ResourceKey::new(Scope::Platform, Kind::IsolationTier, name.clone()).ok();
            let found = key.and_then(|key| store.typed::<IsolationTierSpec>(&key));
            found.map_or(TierChoice::Missing(name), |tier| TierChoice::Found(Box::new(tier)))
        }
    };
    Terms { plan, tier }
}

fn plan_choice(store: &Store, name: Option<ResourceName>) -> PlanChoice {
    let Some(name) = name else { return PlanChoice::None };
    let key = ResourceKey::new(Scope::Platform, Kind::Plan, name.clone()).ok();
    let found = key.and_then(|key| store.typed::<PlanSpec>(&key));
    found.map_or(PlanChoice::Missing(name), |plan| PlanChoice::Found(Box::new(plan)))
}

pub(crate) fn domain(
    store: &Store,
    key: &ResourceKey,
) -> Option<(Resource<DomainSpec>, Option<Resource<EnvironmentSpec>>)> {
    let domain: Resource<DomainSpec> = store.typed(key)?;
    let environment = key.sibling(Kind::Environment, domain.spec.environment.clone());
    Some((domain, environment.and_then(|environment| store.typed(&environment))))
}
