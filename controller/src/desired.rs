//! Loading what the store knows about one resource and everything it depends on, from one snapshot.
//!
//! The same functions serve the reconcile loop (over a read-only snapshot) and previews (over the open transaction in which the
//! manifests were applied and which is never committed), so a preview plans from exactly what a run would.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_planner::RegistryAccess;
use skep_planner::naming;
use skep_planner::policy::scan::ScanFacts;
use skep_planner::policy::signature::SignatureFacts;
use skep_planner::reconcile::environment::EnvironmentDesired;
use skep_planner::reconcile::network_policy::NetworkPolicyDesired;
use skep_planner::reconcile::notification::NotificationDesired;
use skep_planner::reconcile::organization::OrganizationDesired;
use skep_planner::reconcile::secret::{SecretDesired, SecretFacts};
use skep_schemas::kind::{AppSpec, DomainSpec, EnvironmentSpec, KindSpec, OrganizationSpec, SecretSpec};
use skep_schemas::{AnySpec, Generation, Kind, Meta, OrgName, Resource, ResourceKey, ResourceName};
use skep_store::{Snapshot, StoreError};

use crate::{links, policies, stance};

/// How many of an environment's newest releases a pass looks at, apart from those that are pending or good.
pub(crate) const RELEASES_SEEN: u32 = 1;

/// What the store knows about one resource, ready to be planned.
pub(crate) enum Desired {
    /// An organisation.
    Organization(Box<OrganizationDesired>),
    /// A secret.
    Secret(Box<SecretDesired>),
    /// An environment.
    Environment(Box<EnvironmentDesired>),
    /// A domain, and the environment that serves it.
    Domain(Box<Resource<DomainSpec>>, Option<Box<Resource<EnvironmentSpec>>>),
    /// A credential for a registry.
    RegistryCredential(Box<RegistryAccess>),
    /// A network policy.
    NetworkPolicy(Box<NetworkPolicyDesired>),
    /// A notification.
    Notification(Box<NotificationDesired>),
    /// A kind without objects of its own.
    Passive(Box<Resource>),
}

impl Desired {
    /// The generation of the resource's spec.
    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Organization(desired) => desired.organization.meta.generation,
            Self::Secret(desired) => desired.secret.meta.generation,
            Self::Environment(desired) => desired.environment.meta.generation,
            Self::Domain(domain, _) => domain.meta.generation,
            Self::RegistryCredential(access) => access.credential.meta.generation,
            Self::NetworkPolicy(desired) => desired.policy.meta.generation,
            Self::Notification(desired) => desired.notification.meta.generation,
            Self::Passive(resource) => resource.meta.generation,
        }
    }
}

/// Loads what a pass over `key` at that time needs; `None` when the resource does not exist.
pub(crate) async fn load(
    snapshot: &mut Snapshot,
    key: &ResourceKey,
    now: Timestamp,
) -> Result<Option<Desired>, StoreError> {
    let Some(resource) = snapshot.get(key).await? else { return Ok(None) };
    let Resource { meta, spec, status } = resource;
    Ok(Some(match spec {
        AnySpec::Organization(spec) => Desired::Organization(Box::new(
            organization(snapshot, Resource { meta, spec: *spec, status }, now).await?,
        )),
        AnySpec::Secret(spec) => {
            Desired::Secret(Box::new(secret(snapshot, Resource { meta, spec: *spec, status }, now).await?))
        }
        AnySpec::Environment(spec) => {
            let environment = Resource { meta, spec: *spec, status };
            Desired::Environment(Box::new(environment_desired(snapshot, environment, now).await?))
        }
        AnySpec::Domain(spec) => {
            let environment = match key.sibling(Kind::Environment, spec.environment.clone()) {
                Some(environment) => typed::<EnvironmentSpec>(snapshot, &environment).await?,
                None => None,
            };
            Desired::Domain(Box::new(Resource { meta, spec: *spec, status }), environment.map(Box::new))
        }
        AnySpec::RegistryCredential(spec) => {
            let Some(org) = key.org().cloned() else { return Err(StoreError::NotFound { key: key.clone() }) };
            let password = secret_facts(snapshot, &org).await?.remove(&spec.password.secret);
            let credential = Resource { meta, spec: *spec, status };
            Desired::RegistryCredential(Box::new(RegistryAccess { credential, password, stored: true }))
        }
        AnySpec::NetworkPolicy(spec) => {
            let policy = Resource { meta, spec: *spec, status };
            Desired::NetworkPolicy(Box::new(links::network_policy(snapshot, policy, now).await?))
        }
        AnySpec::Notification(spec) => {
            let Some(org) = key.org().cloned() else { return Err(StoreError::NotFound { key: key.clone() }) };
            let mut secrets = secret_facts(snapshot, &org).await?;
            let secret = spec.target().and_then(|target| secrets.remove(target.secret()));
            let standing = snapshot.notification_standing(meta.uid).await?;
            let notification = Resource { meta, spec: *spec, status };
            Desired::Notification(Box::new(NotificationDesired { notification, secret, standing }))
        }
        spec @ (AnySpec::App(_)
        | AnySpec::Platform(_)
        | AnySpec::Plan(_)
        | AnySpec::IsolationTier(_)
        | AnySpec::Buildpack(_)
        | AnySpec::Stack(_)
        | AnySpec::Template(_)
        | AnySpec::DriftPolicy(_)
        | AnySpec::ImagePolicy(_)) => Desired::Passive(Box::new(Resource { meta, spec, status })),
    }))
}

/// A resource by its kind's own type.
pub(crate) async fn typed<S: KindSpec + TryFrom<AnySpec>>(
    snapshot: &mut Snapshot,
    key: &ResourceKey,
) -> Result<Option<Resource<S>>, StoreError> {
    let found = snapshot.get(key).await?;
    Ok(found.and_then(|Resource { meta, spec, status }| {
        Some(Resource { meta, spec: S::try_from(spec).ok()?, status })
    }))
}

async fn organization(
    snapshot: &mut Snapshot,
    organization: Resource<OrganizationSpec>,
    now: Timestamp,
) -> Result<OrganizationDesired, StoreError> {
    let uid = organization.meta.uid;
    // The key of an Organization is made from an organisation name only (checked when it was applied).
    let org = org_name(&organization)?;
    let stance = stance::of(snapshot, &organization.meta, &[], now).await?;
    let dependents = snapshot.dependents(&org).await?;
    Ok(OrganizationDesired {
        stance,
        subnet: snapshot.subnet(uid).await?,
        dependents: dependents.all,
        environments: dependents.environments,
        network: policies::network(snapshot, &organization.spec).await?,
        inventory: snapshot.inventory(uid).await?,
        org,
        organization,
    })
}

fn org_name(organization: &Resource<OrganizationSpec>) -> Result<OrgName, StoreError> {
    let key = &organization.meta.key;
    OrgName::try_from(key.name()).map_err(|_| StoreError::NotFound { key: key.clone() })
}

async fn secret(
    snapshot: &mut Snapshot,
    secret: Resource<SecretSpec>,
    now: Timestamp,
) -> Result<SecretDesired, StoreError> {
    let key = secret.meta.key.clone();
    let Some(org) = key.org().cloned() else { return Err(StoreError::NotFound { key }) };
    let current = secret_facts(snapshot, &org).await?.remove(key.name());
    let former = former_values(snapshot, &org, &secret.meta, current.as_ref()).await?;
    let referrers = snapshot.referrers(&key).await?;
    let organization = snapshot.get(&ResourceKey::organization(&org)).await?;
    let within = [organization.as_ref().map(|organization| &organization.meta)];
    let stance = stance::of(snapshot, &secret.meta, &within, now).await?;
    Ok(SecretDesired {
        stance,
        current,
        former,
        in_use: snapshot.secret_versions_in_use(&org).await?,
        referrers: referrers.iter().map(|referrer| referrer.meta.key.to_string()).collect(),
        inventory: snapshot.inventory(secret.meta.uid).await?,
        secret,
    })
}

/// The former values of a secret that are still kept, each once: as the newest version that has it.
async fn former_values(
    snapshot: &mut Snapshot,
    org: &OrgName,
    secret: &Meta,
    current: Option<&SecretFacts>,
) -> Result<Vec<SecretFacts>, StoreError> {
    let mut former: Vec<SecretFacts> = Vec::new();
    for (version, digest) in snapshot.secret_kept(secret.uid).await? {
        let object = naming::secret(org, secret.key.name(), &digest);
        if !former.iter().chain(current).any(|known| known.object == object) {
            let revision = secret.revision;
            former.push(SecretFacts { secret: secret.uid, version, object, revision, made: None });
        }
    }
    Ok(former)
}

/// The current value of each secret of an organisation, by name; those being deleted left out.
async fn secret_facts(
    snapshot: &mut Snapshot,
    org: &OrgName,
) -> Result<BTreeMap<ResourceName, SecretFacts>, StoreError> {
    let current = snapshot.secret_current(org).await?;
    let facts = current.into_iter().filter(|(_, current)| !current.deleting).map(|(name, current)| {
        let object = naming::secret(org, &name, &current.digest);
        (
            name,
            SecretFacts {
                secret: current.uid,
                version: current.version,
                object,
                revision: current.revision,
                made: current.made,
            },
        )
    });
    Ok(facts.collect())
}

async fn environment_desired(
    snapshot: &mut Snapshot,
    environment: Resource<EnvironmentSpec>,
    now: Timestamp,
) -> Result<EnvironmentDesired, StoreError> {
    let key = environment.meta.key.clone();
    let Some(org) = key.org().cloned() else { return Err(StoreError::NotFound { key }) };
    let organization = typed::<OrganizationSpec>(snapshot, &ResourceKey::organization(&org)).await?;
    let app = match key.sibling(Kind::App, environment.spec.app.clone()) {
        Some(app) => typed::<AppSpec>(snapshot, &app).await?,
        None => None,
    };
    let terms = policies::terms(snapshot, organization.as_ref()).await?;
    let plan = match environment.spec.plan.clone() {
        Some(name) => policies::plan_choice(snapshot, Some(name)).await?,
        None => terms.plan.clone(),
    };
    let credentials = policies::registry_credentials(snapshot, &org).await?;
    let images = policies::images(snapshot, &org, &terms).await?;
    let signs = images.iter().any(|rules| rules.spec.scan.as_ref().is_some_and(|scan| scan.secret.is_some()));
    let needs_none = environment.spec.secrets.is_empty() && environment.meta.rollback.is_none();
    let secrets = if needs_none && credentials.is_empty() && !signs {
        BTreeMap::new()
    } else {
        secret_facts(snapshot, &org).await?
    };
    let within =
        [app.as_ref().map(|app| &app.meta), organization.as_ref().map(|organization| &organization.meta)];
    let stance = stance::of(snapshot, &environment.meta, &within, now).await?;
    let registries = credentials.into_iter().map(|credential| {
        let password = secrets.get(&credential.spec.password.secret).cloned();
        RegistryAccess { credential, password, stored: true }
    });
    Ok(EnvironmentDesired {
        terms,
        images,
        signatures: SignatureFacts::default(),
        scans: ScanFacts::default(),
        registries: registries.collect(),
        stance,
        domains: domains(snapshot, &key).await?,
        releases: snapshot.releases(environment.meta.uid, RELEASES_SEEN).await?,
        runs: snapshot.open_runs(environment.meta.uid).await?,
        schedules: snapshot.schedule_marks(environment.meta.uid).await?,
        inventory: snapshot.inventory(environment.meta.uid).await?,
        environment,
        org,
        organization,
        app,
        plan,
        secrets,
    })
}

/// The domains that are routed to an environment, in order of name.
async fn domains(
    snapshot: &mut Snapshot,
    environment: &ResourceKey,
) -> Result<Vec<Resource<DomainSpec>>, StoreError> {
    let mut domains = Vec::new();
    for referrer in snapshot.referrers(environment).await? {
        let Resource { meta, spec, status } = referrer;
        if let AnySpec::Domain(spec) = spec
            && !meta.is_deleting()
        {
            domains.push(Resource { meta, spec: *spec, status });
        }
    }
    domains.sort_by(|a, b| a.meta.key.cmp(&b.meta.key));
    Ok(domains)
}
