//! Environment: one service per process, and the releases that they run.
//!
//! A pass goes through four questions, each a module:
//!
//! 1. [`target`]: which release should run? The newest, unless it failed; a new one if what the manifests say differs from it, or what
//!    a [`rollback`] returned to. [`references`] says what stands for those in variables.
//! 2. [`verdict`]: is it known by now how the newest release went? A failed one is not applied again (invariant I11): the target
//!    becomes the last good release, which is what Swarm has returned to by itself.
//! 3. [`services`]: what must be done so that every process runs the target?
//!    [`instances`] says how many of each, and who asked for that; [`trial`] what of it waits while a roll-out is under way.
//! 4. [`status`]: what is there to say? [`timeline`] notes what of a roll-out took how long.
//!
//! Beside that, [`schedules`] says what it is time for, and [`runs`] sees to what runs once.

mod ground;
mod instances;
mod last_lines;
mod phase;
mod references;
mod rollback;
mod routing;
mod runs;
mod scans;
mod schedules;
mod services;
mod signatures;
mod status;
mod target;
mod terms;
mod timeline;
mod trial;
mod verdict;

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_schemas::kind::{
    AppSpec, DomainSpec, Enforcement, EnvironmentSpec, OrganizationSpec, PlanSpec, SecretMount, SecuritySpec,
};
use skep_schemas::{ImageRef, OrgName, Resource, ResourceName, Revision};

pub use last_lines::lines_to_hear;
pub use runs::{runs_to_hear, runs_to_observe};
pub use scans::scans_to_ask;
pub use signatures::{SignaturesToCheck, signatures_to_check};
pub use status::status;
pub use terms::{Terms, TierChoice};

use super::Mode;
use super::secret::SecretFacts;
use crate::blocked::Blocked;
use crate::constraint::Constraints;
use crate::drift::Stance;
use crate::health::ContainerVerdict;
use crate::image_start::ImageStart;
use crate::inventory::{InventoryEntry, ObjectKind};
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::policy::Violation;
use crate::policy::image::{ImageRules, violations};
use crate::policy::scan::{self, ScanFacts};
use crate::policy::signature::{self, SignatureFacts};
use crate::pull::{self, PullAs, RegistryAccess};
use crate::release::{Release, ReleaseContent, ReleaseImage, ReleaseVersion, ResolvedImage};
use crate::render::{self, EngineFeatures};
use crate::run::{LastLines, Run, RunNumber, RunOutput};
use crate::schedule::ScheduleMark;
use crate::settings::Settings;
use crate::swarm::{Config, ContainerId, Network, Node, SecretId, Service, ServiceId, Task};

/// What the store knows about an environment and all that it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentDesired {
    /// The resource.
    pub environment: Resource<EnvironmentSpec>,
    /// Its organisation.
    pub org: OrgName,
    /// The Organization resource.
    pub organization: Option<Resource<OrganizationSpec>>,
    /// Its app.
    pub app: Option<Resource<AppSpec>>,
    /// Its plan, its own or its organisation's.
    pub plan: PlanChoice,
    /// What the platform grants its organisation.
    pub terms: Terms,
    /// What its images must be: the rules of its organisation's plan, and its organisation's policies.
    pub images: Vec<ImageRules>,
    /// What is known of the signatures of its images, as far as the rules ask for any.
    pub signatures: SignatureFacts,
    /// What is known of what scanners say of its images, as far as the rules ask for any.
    pub scans: ScanFacts,
    /// The credentials of its organisation for registries.
    pub registries: Vec<RegistryAccess>,
    /// The current values of the organisation's secrets, those that it names among them.
    pub secrets: BTreeMap<ResourceName, SecretFacts>,
    /// The domains that are routed to it, those being deleted left out.
    pub domains: Vec<Resource<DomainSpec>>,
    /// Its releases that matter, newest first: the newest, the newest that succeeded, all that are pending, and those that a rollback names.
    pub releases: Vec<Release>,
    /// Its runs that are not over, and the release phase of a release that is pending. The releases that they have are among its releases.
    pub runs: Vec<Run>,
    /// How far its schedules were followed.
    pub schedules: Vec<ScheduleMark>,
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
    /// How Skep stands to drift of it.
    pub stance: Stance,
}

impl EnvironmentDesired {
    /// What of an image, and of what its containers may do, the policies do not allow.
    fn violations(&self, image: &ImageRef, security: &SecuritySpec) -> Vec<Violation> {
        let profile = self.terms.isolation().map(|isolation| isolation.violations(security));
        violations(&self.images, image).into_iter().chain(profile.into_iter().flatten()).collect()
    }

    /// What of a release the policies do not allow.
    fn violations_of(&self, content: &ReleaseContent) -> Vec<Violation> {
        let mut found = self.violations(&content.image.reference, &content.security);
        found.extend(self.signed(&content.image).violations);
        found.extend(scan::violations(&self.images, &content.image, &self.scans));
        found
    }

    /// Would an image make the engine ask a host inside that the operator does not allow? What was released already is not asked for again.
    fn asked_inside(&self, settings: &Settings, image: &ImageRef) -> Option<Violation> {
        if self.released_image(image).is_some() {
            return None;
        }
        let registry = image.registry();
        let why = settings.reach.names_inside(&registry)?;
        Some(Violation {
            policy: "the platform".to_owned(),
            why: format!(
                "image {image}: its registry {registry} {why}, and is not among those of the servers' --outbound-allow"
            ),
            enforcement: Enforcement::Block,
        })
    }

    /// What an image was resolved to when it was last released, by the newest release or by the one that a rollback returned from: a tag that
    /// is not changed is not asked for again.
    fn released_image(&self, reference: &ImageRef) -> Option<&ReleaseImage> {
        let known = self.releases.first().into_iter().chain(rollback::instead_of(self));
        known.map(|release| &release.content.image).find(|image| image.reference == *reference)
    }

    /// Is an image signed as it has to be?
    fn signed(&self, image: &ReleaseImage) -> signature::Verdict {
        signature::verdict(&self.images, image, &self.signatures)
    }

    /// Where a release may run. Its region is its own; how its organisation is kept apart is as the platform says now, so no return to a
    /// former release leads out of it. `Err` when that cannot be told.
    fn constraints(&self, content: &ReleaseContent) -> Result<Constraints, Blocked> {
        let isolation = self.terms.isolation()?;
        Ok(Constraints::new(content.region.as_ref(), isolation.constraints(&self.org)))
    }

    /// As whom an image is asked for.
    pub fn pull_as(&self, image: &ImageRef) -> Result<PullAs, Blocked> {
        pull::pull_as(&self.registries, image)
    }

    /// Does a policy stop whatever runs this?
    fn is_stopped(&self, content: &ReleaseContent) -> bool {
        self.violations_of(content).iter().any(Violation::stops)
    }

    /// Whose change a release comes from that is made now: of those who wrote what makes up its content, and who returned the environment to a
    /// former release, the one who did so last.
    fn author(&self, content: &ReleaseContent, rollback_to: Option<ReleaseVersion>) -> Option<String> {
        let plan = match &self.plan {
            PlanChoice::Found(plan) => Some(&plan.meta),
            PlanChoice::None | PlanChoice::Missing(_) => None,
        };
        let organization = self.organization.as_ref().map(|organization| &organization.meta);
        let app = self.app.as_ref().map(|app| &app.meta);
        let metas = [Some(&self.environment.meta), organization, app, plan].into_iter().flatten();
        let metas = metas.chain(references::domains(self, &content.references).map(|domain| &domain.meta));
        let named = self.environment.spec.secrets.iter().filter_map(|mount| self.secrets.get(&mount.name));
        // What the manifests say is no part of a return.
        let metas = metas.filter(|_| rollback_to.is_none());
        let written = metas.filter_map(|meta| meta.changed.as_ref());
        let written = written.chain(named.filter_map(|secret| secret.made.as_ref()));
        let written = written.map(|changed| (changed.at, &changed.by));
        let rollback = self.environment.meta.rollback.as_ref().filter(|_| rollback_to.is_some());
        let returned = rollback.map(|rollback| (rollback.since, &rollback.by));
        written.chain(returned).max_by_key(|(at, _)| *at).map(|(_, by)| by.clone())
    }

    /// The newest transaction among those that wrote the environment and what it depends on.
    pub fn revision(&self) -> Revision {
        let named = self.environment.spec.secrets.iter().filter_map(|mount| self.secrets.get(&mount.name));
        let plan = match &self.plan {
            PlanChoice::Found(plan) => Some(plan.meta.revision),
            PlanChoice::None | PlanChoice::Missing(_) => None,
        };
        [self.environment.meta.revision]
            .into_iter()
            .chain(self.organization.iter().map(|organization| organization.meta.revision))
            .chain(self.app.iter().map(|app| app.meta.revision))
            .chain(plan)
            .chain(self.terms.revision())
            .chain(named.map(|secret| secret.revision))
            .chain(self.registries.iter().map(RegistryAccess::revision))
            .chain(self.domains.iter().map(|domain| domain.meta.revision))
            .max()
            .unwrap_or(self.environment.meta.revision)
    }
}

/// The plan that an environment is under.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanChoice {
    /// None is named; the platform's default resources apply.
    None,
    /// One is named and does not exist.
    Missing(ResourceName),
    /// This one.
    Found(Box<Resource<PlanSpec>>),
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentObservation {
    /// What the engine can enforce.
    pub engine: Observed<EngineFeatures>,
    /// The organisation's network.
    pub network: Observed<Network>,
    /// The secret objects that the target needs, by name.
    pub secrets: BTreeMap<String, Observed<SecretId>>,
    /// The config of [`entry_to_observe`].
    pub entry: Observed<Config>,
    /// The services of [`services_to_observe`], by name.
    pub services: BTreeMap<String, Observed<Service>>,
    /// The services of [`runs_to_observe`], by name.
    pub runs: BTreeMap<String, Observed<Service>>,
    /// What those runs printed that [`runs_to_hear`] names, or why it cannot be told.
    pub outputs: BTreeMap<RunNumber, Result<RunOutput, String>>,
    /// What the instance of [`lines_to_hear`] printed last.
    pub last_lines: Option<LastLines>,
    /// The tasks of all these services, history included.
    pub tasks: BTreeMap<ServiceId, Vec<Task>>,
    /// What is known about containers of failed tasks.
    pub containers: BTreeMap<ContainerId, ContainerVerdict>,
    /// The nodes of the cluster.
    pub nodes: Observed<Vec<Node>>,
    /// What the image of [`image_to_resolve`] stands for, or why it cannot be told.
    pub image: Option<Result<ResolvedImage, ImageFailure>>,
    /// What that image starts by itself, if it could be read.
    pub image_start: Option<ImageStart>,
}

/// Why it cannot be told what an image stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFailure {
    /// The registry or the engine was asked, and says no: it will say so again until someone changes something.
    Refused {
        /// Their words.
        why: String,
    },
    /// The registry was asked, and does not tell whoever it was asked as.
    Denied {
        /// Its words.
        why: String,
    },
    /// Nobody answered.
    NoAnswer {
        /// What happened.
        why: String,
    },
}

/// Everything that planning an environment depends on.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentInput<'a> {
    /// The operator's decisions.
    pub settings: &'a Settings,
    /// To be carried out, or only shown.
    pub mode: Mode,
    /// What the store knows.
    pub desired: &'a EnvironmentDesired,
    /// What the engine says.
    pub observed: &'a EnvironmentObservation,
    /// The time.
    pub now: Timestamp,
}

/// The services that have to be looked at: those that any known release or the formation names, and those that were made.
pub fn services_to_observe(settings: &Settings, desired: &EnvironmentDesired) -> Vec<String> {
    let environment = desired.environment.meta.key.name();
    let from_releases = desired.releases.iter().flat_map(|release| release.content.processes.keys());
    let from_formation =
        target::formation(settings, desired).map(|formation| formation.processes).unwrap_or_default();
    let mut names: Vec<String> = from_releases
        .chain(from_formation.keys())
        .map(|process| naming::service(&desired.org, environment, process))
        .chain(
            desired
                .inventory
                .iter()
                .filter(|e| e.object.kind == ObjectKind::Service)
                .map(|e| e.object.name.clone()),
        )
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The secret objects that have to be looked at: current values, and those that known releases refer to.
pub fn secrets_to_observe(desired: &EnvironmentDesired) -> Vec<String> {
    let from_releases =
        desired.releases.iter().flat_map(|release| release.content.secrets.iter().map(|s| s.object.clone()));
    let current = desired
        .environment
        .spec
        .secrets
        .iter()
        .filter_map(|mount| secret_facts(desired, mount))
        .map(|f| f.object.clone());
    let mut names: Vec<String> = from_releases.chain(current).collect();
    names.sort();
    names.dedup();
    names
}

/// The config that has to be looked at, if any known release, or what the manifests ask for, starts by the entry program: because of secrets
/// as variables, or because it is drained. Whether an image that is yet to be looked up can be drained is not known before.
pub fn entry_to_observe(settings: &Settings, desired: &EnvironmentDesired) -> Option<String> {
    let asked = desired.environment.spec.secrets.iter().any(|mount| mount.env.is_some());
    let released =
        || desired.releases.iter().any(|release| render::has_entry(&settings.edge, &release.content));
    let looked_up = || settings.edge.drain.is_some() && image_to_resolve(settings, desired).is_some();
    (asked || released() || looked_up()).then(|| naming::entry(settings.architecture))
}

/// The image that has to be resolved before planning: one that the newest release does not have yet. An unchanged reference keeps
/// the digest that it was resolved to, so that a moved tag never rolls out by itself.
pub fn image_to_resolve(settings: &Settings, desired: &EnvironmentDesired) -> Option<ImageRef> {
    if desired.environment.meta.is_deleting() || rollback::untouched(desired).is_some() {
        return None;
    }
    let image = target::formation(settings, desired).ok()?.image;
    // Nobody is made to ask a registry that a policy forbids.
    let security = &desired.environment.spec.security;
    if desired.violations(&image, security).iter().any(Violation::forbids) {
        return None;
    }
    // Nor is the engine, which stands inside, made to ask what is inside.
    if desired.asked_inside(settings, &image).is_some() {
        return None;
    }
    // Nor is one asked as somebody whose password is missing.
    if desired.pull_as(&image).is_err() {
        return None;
    }
    desired.released_image(&image).is_none().then_some(image)
}

fn secret_facts<'a>(desired: &'a EnvironmentDesired, mount: &SecretMount) -> Option<&'a SecretFacts> {
    desired.secrets.get(&mount.name)
}

/// What to do for an environment.
pub fn plan(input: &EnvironmentInput<'_>) -> Plan {
    let meta = &input.desired.environment.meta;
    let mut plan = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    if meta.is_deleting() {
        services::remove_all(input, &mut plan);
    } else {
        let target = target::target(input, &mut plan);
        last_lines::keep(input, &mut plan);
        if let Some(target) = target {
            services::converge(input, &target, &mut plan);
        }
        schedules::decide(input, &mut plan);
        runs::converge(input, &mut plan);
    }
    input.desired.stance.hold(&mut plan);
    timeline::note(input, &mut plan);
    plan
}
