//! Store and engine together, and the passes over them: load, look, plan, carry out, look again, say what is so.
//!
//! A pass does what the controller's does, without choices of its own: it carries out the steps of a plan in order, stops at the
//! first that does not succeed, and plans again. Faults that a case asks for happen between the journal and the effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use skep_planner::policy::reach::Reach;
use skep_planner::reconcile::environment::{
    self, EnvironmentDesired, EnvironmentInput, EnvironmentObservation,
};
use skep_planner::reconcile::network_policy::{self, NetworkPolicyDesired, NetworkPolicyObservation};
use skep_planner::reconcile::notification::{self, NotificationDesired};
use skep_planner::reconcile::organization::{self, OrganizationDesired, OrganizationObservation};
use skep_planner::reconcile::secret::{self, SecretDesired};
use skep_planner::reconcile::{Assessment, Mode, domain, passive, registry_credential};
use skep_planner::render::entry_spec;
use skep_planner::safety::{InForce, restrain};
use skep_planner::settings::{AnchorImage, EdgeSettings};
use skep_planner::swarm::Secret;
use skep_planner::{
    Architecture, Blocked, InstanceId, NetworkPool, Observed, Plan, RegistryAccess, Settings, Step, Unkept,
};
use skep_schemas::kind::{AppDetail, DomainSpec, EnvironmentSpec};
use skep_schemas::{Resource, ResourceKey};
use skep_swarm::LabelFilter;

use crate::cluster::Cluster;
use crate::outside::Outside;
use crate::store::Store;
use crate::{desired, observe};

/// How many plans one pass makes before others have their turn; the controller's number.
const ROUNDS_PER_PASS: u32 = 6;

/// Everything there is in a case.
#[derive(Debug, Clone)]
pub struct World {
    /// The operator's decisions.
    pub settings: Settings,
    /// The time.
    pub now: Timestamp,
    /// Desired state and the controller's memory.
    pub store: Store,
    /// The Swarm.
    pub engine: Cluster,
    /// What shall go wrong at the next step on an object.
    pub faults: BTreeMap<String, Fault>,
    /// The hold that is in force.
    pub hold: Option<InForce>,
    /// Registries and scanners.
    pub(crate) outside: Outside,
    unkept: Unkept,
}

/// What can go wrong with one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The object had changed in the meantime; the engine refuses.
    Conflict,
    /// The controller dies after the journal says "started" and before the call.
    CrashBefore,
    /// The controller dies after the call and before the journal says "done".
    CrashAfter,
    /// The engine has no time for it now.
    Busy,
    /// The engine calls it invalid, which another attempt would not change.
    Invalid,
}

/// One resource, loaded and observed.
enum Seen {
    Organization(Box<OrganizationDesired>, Box<OrganizationObservation>),
    Secret(Box<SecretDesired>, Observed<Vec<Secret>>),
    Environment(Box<EnvironmentDesired>, Box<EnvironmentObservation>),
    Domain(Box<Resource<DomainSpec>>, Option<Box<Resource<EnvironmentSpec>>>),
    RegistryCredential(Box<RegistryAccess>),
    NetworkPolicy(Box<NetworkPolicyDesired>, Box<NetworkPolicyObservation>),
    Notification(Box<NotificationDesired>),
    Passive(Box<Resource>),
}

/// What one pass did.
#[derive(Debug, Default)]
pub struct PassReport {
    /// The plans that did something.
    pub done: Vec<PlanReport>,
    /// Did the status say something new?
    pub said_something_new: bool,
    /// When to look again, if not only after a change.
    pub recheck: Option<Duration>,
}

/// What one plan did.
#[derive(Debug)]
pub struct PlanReport {
    /// The plan.
    pub plan: Plan,
    /// How many of its steps were carried out, or begun.
    pub steps: usize,
    /// What stopped it half-way.
    pub trouble: Option<String>,
}

impl PassReport {
    /// Did it change nothing and say nothing new?
    pub fn is_quiet(&self) -> bool {
        self.done.is_empty() && !self.said_something_new
    }
}

/// How carrying out a plan ended.
enum Carried {
    Done,
    LookAgain(usize, String),
    Died(usize, String),
    Refused { steps: usize, step: Step, why: String, retried: bool },
}

impl World {
    /// An empty store and an empty Swarm at midnight.
    pub fn new() -> Result<Self> {
        let pool = NetworkPool::new("10.128.0.0/16".parse()?, 24)?;
        let settings = Settings {
            instance: InstanceId::new("skep-1"),
            pool,
            default_resources: serde_json::from_value(serde_json::json!({"cpu": "250m", "memory": "128Mi"}))?,
            edge: EdgeSettings {
                http_entrypoint: "web".to_owned(),
                https_entrypoint: "websecure".to_owned(),
                certificate_resolver: None,
                public_http_port: 80,
                public_https_port: 443,
                drain: EdgeSettings::drain_for(skep_schemas::Duration::from_secs(5)),
                anchor: AnchorImage { image: "skep/pause:1".to_owned(), args: vec!["pause".to_owned()] },
            },
            // Cases say the same on every machine.
            architecture: Architecture::X86_64,
            // Where the examples have their images.
            reach: Reach::with(["http://127.0.0.1:5000".parse()?]),
            forward_image: Some("skep/skep:1".to_owned()),
        };
        let engine = Cluster::new();
        let now = engine.now();
        let mut store = Store::new(pool);
        store.set_clock(now);
        let faults = BTreeMap::new();
        let unkept = Unkept::default();
        Ok(Self { settings, now, store, engine, faults, hold: None, outside: Outside::default(), unkept })
    }

    /// What a survey of the Swarm puts there: the entry program. Whoever claims the Swarm does that before anything else.
    pub fn survey(&mut self) -> Result<()> {
        let entry = entry_spec(&self.settings.instance, self.settings.architecture, "c2tlcA==".to_owned());
        self.engine.swarm.create_config(&entry)?;
        Ok(())
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) -> Result<()> {
        self.engine.swarm.advance(Duration::from_secs(u64::try_from(seconds)?));
        self.read_clock();
        Ok(())
    }

    /// Lets time pass until the Swarm does something, at least a second and at most for so long.
    pub fn advance_to_next(&mut self, limit: Duration) {
        let (soon, late) = (self.now + Duration::from_secs(1), self.now + limit);
        let next = self.engine.swarm.next_due().unwrap_or(late);
        self.engine.swarm.advance_to(next.clamp(soon, late));
        self.read_clock();
    }

    /// There is one clock, the Swarm's.
    pub(crate) fn read_clock(&mut self) {
        self.now = self.engine.now();
        self.store.set_clock(self.now);
    }

    fn look(&self, key: &ResourceKey) -> Option<Seen> {
        use skep_schemas::Kind;
        let (store, engine) = (&self.store, &self.engine);
        Some(match key.kind() {
            Kind::Organization => {
                let desired = desired::organization(store, key)?;
                let observed = observe::organization(engine, &desired);
                Seen::Organization(Box::new(desired), Box::new(observed))
            }
            Kind::Secret => {
                let desired = desired::secret(store, key)?;
                let observed = observe::secret(engine, &desired);
                Seen::Secret(Box::new(desired), observed)
            }
            Kind::Environment => {
                let mut desired = desired::environment(store, key)?;
                let observed = observe::environment(engine, &self.settings, &desired);
                (desired.signatures, desired.scans) = self.outside.facts(&self.settings, &desired, &observed);
                Seen::Environment(Box::new(desired), Box::new(observed))
            }
            Kind::Domain => {
                let (domain, environment) = desired::domain(store, key)?;
                Seen::Domain(Box::new(domain), environment.map(Box::new))
            }
            Kind::RegistryCredential => {
                Seen::RegistryCredential(Box::new(desired::registry_access(store, key)?))
            }
            Kind::NetworkPolicy => {
                let desired = desired::network_policy(store, key)?;
                let observed = observe::network_policy(engine, &desired);
                Seen::NetworkPolicy(Box::new(desired), Box::new(observed))
            }
            Kind::Notification => Seen::Notification(Box::new(desired::notification(store, key)?)),
            Kind::App
            | Kind::Platform
            | Kind::Plan
            | Kind::IsolationTier
            | Kind::Buildpack
            | Kind::Stack
            | Kind::Template
            | Kind::DriftPolicy
            | Kind::ImagePolicy => Seen::Passive(Box::new(store.get(key)?.clone())),
        })
    }

    /// What would be done for a resource now.
    pub fn plan(&self, key: &ResourceKey, mode: Mode) -> Result<Plan> {
        let seen = self.look(key).with_context(|| format!("{key} does not exist"))?;
        let mut plan = self.plan_of(&seen, mode);
        self.restrain(&mut plan);
        Ok(plan)
    }

    fn restrain(&self, plan: &mut Plan) {
        if let Some(hold) = &self.hold {
            restrain(plan, hold);
        }
    }

    fn plan_of(&self, seen: &Seen, mode: Mode) -> Plan {
        let settings = &self.settings;
        match (seen, mode) {
            (Seen::Organization(desired, observed), Mode::Act) => {
                organization::plan(settings, desired, observed)
            }
            (Seen::Organization(desired, observed), Mode::Preview) => {
                organization::preview(settings, desired, observed)
            }
            (Seen::Secret(desired, observed), _) => secret::plan(settings, desired, observed),
            (Seen::Environment(desired, observed), mode) => {
                environment::plan(&EnvironmentInput { settings, mode, desired, observed, now: self.now })
            }
            (Seen::NetworkPolicy(desired, observed), mode) => {
                network_policy::plan(settings, mode, desired, observed)
            }
            (Seen::Domain(domain, _), _) => empty(&domain.meta),
            (Seen::RegistryCredential(access), _) => empty(&access.credential.meta),
            (Seen::Notification(desired), _) => empty(&desired.notification.meta),
            (Seen::Passive(resource), _) => empty(&resource.meta),
        }
    }

    fn assess(&self, seen: &Seen, plan: &Plan) -> Result<(serde_json::Value, Option<Duration>)> {
        let (settings, now) = (&self.settings, self.now);
        match seen {
            Seen::Organization(desired, observed) => json(organization::status(desired, observed, plan, now)),
            Seen::Secret(desired, _) => json(secret::status(desired, plan, now)),
            Seen::Environment(desired, observed) => {
                let input = EnvironmentInput { settings, mode: Mode::Act, desired, observed, now };
                json(environment::status(&input, plan))
            }
            Seen::NetworkPolicy(desired, observed) => {
                json(network_policy::status(desired, observed, plan, now))
            }
            Seen::Domain(domain, environment) => {
                json(domain::status(settings, domain, environment.as_deref(), now))
            }
            Seen::RegistryCredential(access) => json(registry_credential::status(access, now)),
            Seen::Notification(desired) => json(notification::status(desired, now)),
            Seen::Passive(resource) => {
                json(passive::status::<AppDetail>(&resource.meta, &resource.status, now))
            }
        }
    }

    /// One pass over a resource.
    pub fn pass(&mut self, key: &ResourceKey) -> Result<PassReport> {
        let mut report = PassReport::default();
        for _ in 0..ROUNDS_PER_PASS {
            if let Some(Seen::Environment(desired, observed)) = self.look(key) {
                self.outside.ask(&self.settings, &desired, &observed, self.now);
            }
            let Some(seen) = self.look(key) else { return Ok(report) };
            let mut plan = self.plan_of(&seen, Mode::Act);
            let retried_at = self.store.get(key).and_then(|resource| resource.meta.retried_at);
            self.unkept.hold_back(&mut plan, retried_at);
            self.restrain(&mut plan);
            self.store.note_drift(&plan);
            if plan.is_quiet() {
                self.unkept.kept(key);
                return self.settle(&seen, &plan, report);
            }
            let carried = self.carry_out(&plan)?;
            let (steps, trouble) = match &carried {
                Carried::Done => (plan.steps.len(), None),
                Carried::LookAgain(steps, why) | Carried::Died(steps, why) => (*steps, Some(why.clone())),
                Carried::Refused { steps, step, why, .. } => {
                    (*steps, Some(format!("{}: the engine refuses: {why}", step.object)))
                }
            };
            report.done.push(PlanReport { plan: plan.clone(), steps, trouble });
            match carried {
                Carried::Done => self.unkept.done(&plan, retried_at),
                Carried::LookAgain(..) => {}
                Carried::Died(..) => return Ok(report),
                Carried::Refused { step, why, retried, .. } => {
                    let object = step.object.to_string();
                    plan.blocked.push(Blocked::StepFailed { object, why, retried });
                    plan.steps.clear();
                    return self.settle(&seen, &plan, report);
                }
            }
        }
        Ok(report)
    }

    fn settle(&mut self, seen: &Seen, plan: &Plan, mut report: PassReport) -> Result<PassReport> {
        let (status, recheck) = self.assess(seen, plan)?;
        self.store.note(plan);
        report.said_something_new = self.store.write_status(&plan.key, status);
        report.recheck = recheck;
        Ok(report)
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<Carried> {
        self.store.begin(plan, self.now)?;
        for (index, step) in plan.steps.iter().enumerate() {
            let before = self.store.started(plan.uid, step);
            let fault = self.faults.remove(&step.object.name);
            match fault {
                Some(Fault::Conflict) => {
                    self.store.without_effect(plan.uid, step, before);
                    return Ok(Carried::LookAgain(index, format!("{}: conflict", step.object)));
                }
                Some(Fault::CrashBefore) => {
                    return Ok(Carried::Died(index, format!("{}: crash before the call", step.object)));
                }
                Some(Fault::Busy | Fault::Invalid) => {
                    self.store.without_effect(plan.uid, step, before);
                    let retried = fault == Some(Fault::Busy);
                    let why = if retried { "the engine is busy" } else { "the engine calls it invalid" };
                    let (step, why) = (step.clone(), why.to_owned());
                    return Ok(Carried::Refused { steps: index, step, why, retried });
                }
                Some(Fault::CrashAfter) | None => {}
            }
            match self.engine.carry_out(step) {
                Ok(_) if fault.is_some() => {
                    return Ok(Carried::Died(index + 1, format!("{}: crash after the call", step.object)));
                }
                Ok(id) => self.store.finished(plan.uid, step, id),
                Err(why) => {
                    self.store.without_effect(plan.uid, step, before);
                    return Ok(Carried::Refused { steps: index, step: step.clone(), why, retried: true });
                }
            }
        }
        self.store.conclude(plan)?;
        Ok(Carried::Done)
    }

    /// The names of all objects that the plans of all resources would touch, in the order of a run.
    pub fn plans(&self, mode: Mode) -> Result<Vec<Plan>> {
        self.store.keys().iter().map(|key| self.plan(key, mode)).collect()
    }

    /// Objects of ours in the Swarm, for whoever asks whether something is left over.
    pub fn objects(&self) -> BTreeSet<String> {
        let engine = &self.engine;
        let networks = engine.swarm.list_networks(&LabelFilter::any());
        let networks = networks.into_iter().map(|network| format!("network {}", network.name));
        let secrets = engine.swarm.list_secrets(&LabelFilter::any());
        let secrets = secrets.into_iter().map(|secret| format!("secret {}", secret.spec.name));
        let services = engine.service_names().into_iter().map(|name| format!("service {name}"));
        networks.chain(secrets).chain(services).collect()
    }
}

fn empty(meta: &skep_schemas::Meta) -> Plan {
    Plan::empty(meta.key.clone(), meta.uid, meta.generation)
}

fn json<D: serde::Serialize>(assessment: Assessment<D>) -> Result<(serde_json::Value, Option<Duration>)> {
    let status =
        serde_json::to_value(&assessment.status).map_err(|error| anyhow!("a status is JSON: {error}"))?;
    Ok((status, assessment.recheck))
}
