//! One resource with all that is known about it: what was loaded, what was observed, and the planner's two answers.
//!
//! This is where the kinds come together, once, by exhaustive match: a new kind that lives in the Swarm does not compile until it
//! has a place here.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use skep_planner::binding::BoundObject;
use skep_planner::reconcile::environment::{
    self, EnvironmentDesired, EnvironmentInput, EnvironmentObservation, ImageFailure,
};
use skep_planner::reconcile::network_policy::{self, NetworkPolicyDesired, NetworkPolicyObservation};
use skep_planner::reconcile::notification::{self, NotificationDesired};
use skep_planner::reconcile::organization::{self, OrganizationDesired, OrganizationObservation};
use skep_planner::reconcile::secret::{self, SecretDesired};
use skep_planner::reconcile::{Assessment, Mode, domain, passive, registry_credential};
use skep_planner::swarm::{Network, Secret, Service};
use skep_planner::{InventoryEntry, ObjectKind, Observed, Plan, RegistryAccess, Settings, Stance, naming};
use skep_schemas::kind::{AppDetail, DomainSpec, EnvironmentSpec};
use skep_schemas::{ConditionKind, Generation, Meta, Resource};

use crate::desired::Desired;
use crate::metrics::Readiness;
use crate::observe::Observer;
use crate::unchanged::Sight;

/// One resource, loaded and observed.
pub(crate) enum Seen {
    /// An organisation.
    Organization(Box<OrganizationDesired>, Box<OrganizationObservation>),
    /// A secret.
    Secret(Box<SecretDesired>, Observed<Vec<Secret>>),
    /// An environment.
    Environment(Box<EnvironmentDesired>, Box<EnvironmentObservation>),
    /// A domain, and the environment that serves it.
    Domain(Box<Resource<DomainSpec>>, Option<Box<Resource<EnvironmentSpec>>>),
    /// A credential for a registry.
    RegistryCredential(Box<RegistryAccess>),
    /// A network policy.
    NetworkPolicy(Box<NetworkPolicyDesired>, Box<NetworkPolicyObservation>),
    /// A notification.
    Notification(Box<NotificationDesired>),
    /// A kind without objects of its own.
    Passive(Box<Resource>),
}

/// A status, ready to be written.
pub(crate) struct Assessed {
    /// The generation that it speaks of.
    pub(crate) generation: Generation,
    /// Does it say that the resource is ready?
    pub(crate) ready: Readiness,
    /// The status.
    pub(crate) json: serde_json::Value,
    /// When to look again, if not only after a change.
    pub(crate) recheck: Option<Duration>,
}

impl Assessed {
    /// Adds what only the loop knows: which pass says it, and as of when it speaks if not of now.
    pub(crate) fn stamp(&mut self, pass: Option<&str>, last_observed: Option<Timestamp>) {
        let Some(status) = self.json.as_object_mut() else { return };
        if let Some(at) = last_observed {
            status.insert("lastObserved".to_owned(), at.to_string().into());
        }
        if let Some(pass) = pass {
            status.insert("reconcileId".to_owned(), pass.into());
        }
    }
}

impl Seen {
    /// Looks at everything that planning this resource in that mode needs to see.
    pub(crate) async fn look(observer: &Observer, settings: &Settings, mode: Mode, desired: Desired) -> Self {
        match desired {
            Desired::Organization(desired) => {
                let observed = observer.organization(&desired).await;
                Self::Organization(desired, Box::new(observed))
            }
            Desired::Secret(desired) => {
                let observed = observer.secret(&desired).await;
                Self::Secret(desired, observed)
            }
            Desired::Environment(mut desired) => {
                let observed = observer.environment(settings, &desired).await;
                (desired.signatures, desired.scans) = futures::join!(
                    observer.signatures(settings, &desired, &observed),
                    observer.scans(settings, mode, &desired, &observed),
                );
                Self::Environment(desired, Box::new(observed))
            }
            Desired::Domain(domain, environment) => Self::Domain(domain, environment),
            Desired::RegistryCredential(access) => Self::RegistryCredential(access),
            Desired::Notification(desired) => Self::Notification(desired),
            Desired::NetworkPolicy(desired) => {
                let observed = observer.network_policy(&desired).await;
                Self::NetworkPolicy(desired, Box::new(observed))
            }
            Desired::Passive(resource) => Self::Passive(resource),
        }
    }

    /// From now on as if the inventory had this entry.
    pub(crate) fn assume(&mut self, entry: InventoryEntry) {
        let inventory = match self {
            Self::Organization(desired, _) => &mut desired.inventory,
            Self::Secret(desired, _) => &mut desired.inventory,
            Self::Environment(desired, _) => &mut desired.inventory,
            Self::NetworkPolicy(desired, _) => &mut desired.inventory,
            // Nothing of these is in the Swarm.
            Self::Domain(..) | Self::RegistryCredential(_) | Self::Notification(_) | Self::Passive(_) => {
                return;
            }
        };
        inventory.retain(|known| known.object != entry.object);
        inventory.push(entry);
    }

    /// The resource's bookkeeping.
    pub(crate) fn meta(&self) -> &Meta {
        match self {
            Self::Organization(desired, _) => &desired.organization.meta,
            Self::Secret(desired, _) => &desired.secret.meta,
            Self::Environment(desired, _) => &desired.environment.meta,
            Self::NetworkPolicy(desired, _) => &desired.policy.meta,
            Self::Domain(domain, _) => &domain.meta,
            Self::RegistryCredential(access) => &access.credential.meta,
            Self::Notification(desired) => &desired.notification.meta,
            Self::Passive(resource) => &resource.meta,
        }
    }

    /// How Skep stands to drift of it; none for a kind without objects.
    pub(crate) fn stance(&self) -> Option<&Stance> {
        match self {
            Self::Organization(desired, _) => Some(&desired.stance),
            Self::Secret(desired, _) => Some(&desired.stance),
            Self::Environment(desired, _) => Some(&desired.stance),
            Self::NetworkPolicy(desired, _) => Some(&desired.stance),
            Self::Domain(..) | Self::RegistryCredential(_) | Self::Notification(_) | Self::Passive(_) => None,
        }
    }

    /// The objects of the Swarm that planning it looked at; those that could not be read are left out, and stand in the plan.
    pub(crate) fn bound_objects(&self) -> Vec<BoundObject> {
        let service = |name: &str, observed: &Observed<Service>| {
            let found = |service: &Service| (service.id.to_string(), service.version.index);
            bound(ObjectKind::Service, name, &observed.as_ref().map(found))
        };
        let network = |name: &str, observed: &Observed<Network>| match observed {
            Observed::Present(network) => {
                Some(BoundObject::new(ObjectKind::Network, name, Some((network.id.as_str(), None))))
            }
            Observed::Absent => Some(BoundObject::new(ObjectKind::Network, name, None)),
            Observed::Unknown { .. } => None,
        };
        match self {
            Self::Organization(desired, observed) => {
                let (org, anchor) = (&desired.org, naming::anchor(&desired.org));
                let found =
                    [network(&naming::network(org), &observed.network), service(&anchor, &observed.anchor)];
                found.into_iter().flatten().collect()
            }
            Self::Secret(desired, observed) => {
                let Observed::Present(secrets) = observed else { return Vec::new() };
                let of = |name: &str| {
                    let found = secrets.iter().find(|secret| secret.spec.name == name);
                    let found = found.map(|secret| (secret.id.as_str(), Some(secret.version.index)));
                    BoundObject::new(ObjectKind::Secret, name, found)
                };
                desired.object_names().into_iter().map(of).collect()
            }
            Self::Environment(desired, observed) => {
                let services = observed.services.iter().filter_map(|(name, found)| service(name, found));
                services.chain(network(&naming::network(&desired.org), &observed.network)).collect()
            }
            Self::NetworkPolicy(_, observed) => {
                let services = observed.services.iter().filter_map(|(name, found)| service(name, found));
                services
                    .chain(observed.networks.iter().filter_map(|(name, found)| network(name, found)))
                    .collect()
            }
            Self::Domain(..) | Self::RegistryCredential(_) | Self::Notification(_) | Self::Passive(_) => {
                Vec::new()
            }
        }
    }

    /// When a pause of it ends by itself.
    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        self.stance().and_then(|stance| stance.pause.as_ref()).and_then(|(_, pause)| pause.until)
    }

    /// What was seen in the Swarm, by versions, if nothing was looked at that has none. Drift that stands is judged by when it began.
    pub(crate) fn sight(&self) -> Option<Sight> {
        match self {
            Self::Environment(desired, observed) if !desired.stance.standing => Sight::of(observed),
            Self::Environment(..)
            | Self::Organization(..)
            | Self::Secret(..)
            | Self::NetworkPolicy(..)
            | Self::Domain(..)
            | Self::RegistryCredential(_)
            | Self::Notification(_)
            | Self::Passive(_) => None,
        }
    }

    /// Why the image could not be looked up, if nobody answered. Others' machines are asked again with growing pauses.
    pub(crate) fn image_unanswered(&self) -> Option<&str> {
        match self {
            Self::Environment(_, observed) => match &observed.image {
                Some(Err(ImageFailure::NoAnswer { why })) => Some(why),
                Some(Ok(_) | Err(ImageFailure::Refused { .. } | ImageFailure::Denied { .. })) | None => None,
            },
            Self::Organization(..)
            | Self::Secret(..)
            | Self::NetworkPolicy(..)
            | Self::Domain(..)
            | Self::RegistryCredential(_)
            | Self::Notification(_)
            | Self::Passive(_) => None,
        }
    }

    /// The status that is recorded now.
    pub(crate) fn recorded_status(&self) -> &serde_json::Value {
        match self {
            Self::Organization(desired, _) => &desired.organization.status,
            Self::Secret(desired, _) => &desired.secret.status,
            Self::Environment(desired, _) => &desired.environment.status,
            Self::NetworkPolicy(desired, _) => &desired.policy.status,
            Self::Domain(domain, _) => &domain.status,
            Self::RegistryCredential(access) => &access.credential.status,
            Self::Notification(desired) => &desired.notification.status,
            Self::Passive(resource) => &resource.status,
        }
    }

    /// What to do.
    pub(crate) fn plan(&self, settings: &Settings, mode: Mode, now: Timestamp) -> Plan {
        match self {
            Self::Organization(desired, observed) => match mode {
                Mode::Act => organization::plan(settings, desired, observed),
                Mode::Preview => organization::preview(settings, desired, observed),
            },
            Self::Secret(desired, observed) => secret::plan(settings, desired, observed),
            Self::NetworkPolicy(desired, observed) => network_policy::plan(settings, mode, desired, observed),
            Self::Environment(desired, observed) => {
                environment::plan(&EnvironmentInput { settings, mode, desired, observed, now })
            }
            Self::Domain(..) | Self::RegistryCredential(_) | Self::Notification(_) | Self::Passive(_) => {
                let meta = self.meta();
                Plan::empty(meta.key.clone(), meta.uid, meta.generation)
            }
        }
    }

    /// What to say, given that plan.
    pub(crate) fn assess(
        &self,
        settings: &Settings,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Assessed, serde_json::Error> {
        match self {
            Self::Organization(desired, observed) => {
                encode(organization::status(desired, observed, plan, now))
            }
            Self::Secret(desired, _) => encode(secret::status(desired, plan, now)),
            Self::NetworkPolicy(desired, observed) => {
                encode(network_policy::status(desired, observed, plan, now))
            }
            Self::Environment(desired, observed) => {
                let input = EnvironmentInput { settings, mode: Mode::Act, desired, observed, now };
                encode(environment::status(&input, plan))
            }
            Self::Domain(domain, environment) => {
                encode(domain::status(settings, domain, environment.as_deref(), now))
            }
            Self::RegistryCredential(access) => encode(registry_credential::status(access, now)),
            Self::Notification(desired) => encode(notification::status(desired, now)),
            Self::Passive(resource) => {
                encode(passive::status::<AppDetail>(&resource.meta, &resource.status, now))
            }
        }
    }
}

fn bound(kind: ObjectKind, name: &str, observed: &Observed<(String, u64)>) -> Option<BoundObject> {
    match observed {
        Observed::Present((id, version)) => Some(BoundObject::new(kind, name, Some((id, Some(*version))))),
        Observed::Absent => Some(BoundObject::new(kind, name, None)),
        Observed::Unknown { .. } => None,
    }
}

fn encode<D: Serialize>(assessment: Assessment<D>) -> Result<Assessed, serde_json::Error> {
    let ready = assessment.status.conditions.iter().find(|condition| condition.kind == ConditionKind::Ready);
    Ok(Assessed {
        ready: ready.map_or(Readiness::Unknown, |ready| ready.status.into()),
        generation: assessment.status.observed_generation,
        json: serde_json::to_value(&assessment.status)?,
        recheck: assessment.recheck,
    })
}
