//! Quotas: what an organisation has, against the most that its plan lets it have.
//!
//! Counted is what is asked for, not what runs: the specs of everything the organisation has, each environment with its app and its plan
//! merged as a release would merge them. So the count is known before anything is written, is the same for everybody who counts, and
//! cannot be changed by stopping containers. A refusal compares two counts, before a change and after it ([`refused`]): an organisation that
//! has too much, because its plan became smaller, may still have less.
//!
//! An environment that was returned to a former release may run more than its manifests ask for, and goes back to these when the return is over. It
//! counts with the more of both. A number of instances that no manifest says counts as somebody scaled it; what is stopped counts as it would run. A run
//! counts as an instance until it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use skep_schemas::kind::{
    AppSpec, EnvironmentSpec, NetworkPolicySpec, OrganizationSpec, PlanSpec, Quota, Resources,
};
use skep_schemas::{AnySpec, Bytes, Cpu, Kind, OrgName, ProcessName, ResourceKey, ResourceName, Scope};

use crate::formation::{self, Instances};
use crate::release::{ReleaseContent, ReleaseProcess};

/// Everything that counts: an organisation's specs, its own and the platform's plans, by key.
pub type Specs = BTreeMap<ResourceKey, AnySpec>;

/// What people asked of environments beside their manifests.
pub type Asides = BTreeMap<ResourceKey, Aside>;

/// What people asked of an environment beside its manifests, as far as it counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aside {
    /// What it runs if it was returned to a former release.
    pub returned: Option<ReleaseContent>,
    /// How many instances of processes it was scaled to. What a manifest says goes before it.
    pub scaled: BTreeMap<ProcessName, u32>,
    /// What its runs have that are not over.
    pub runs: Vec<Resources>,
}

/// The kinds of which an organisation's resources count.
pub const KINDS: [Kind; 5] = [Kind::App, Kind::Environment, Kind::Domain, Kind::Secret, Kind::NetworkPolicy];

/// Something of which an organisation may have only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// Apps.
    Apps,
    /// Environments.
    Environments,
    /// Domains.
    Domains,
    /// Secrets.
    Secrets,
    /// Volumes.
    Volumes,
    /// Instances of all processes.
    Instances,
    /// CPU of all instances, in thousandths of a core.
    Cpu,
    /// Memory of all instances, in bytes.
    Memory,
    /// Processes and threads of all instances.
    Pids,
    /// Links with other organisations, whether they are agreed on or not.
    Links,
}

impl Counted {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::Apps,
        Self::Environments,
        Self::Domains,
        Self::Secrets,
        Self::Volumes,
        Self::Instances,
        Self::Cpu,
        Self::Memory,
        Self::Pids,
        Self::Links,
    ];

    /// An amount of it, in words.
    pub fn amount(self, amount: u64) -> String {
        let cpu = || u32::try_from(amount).ok().and_then(Cpu::from_millis).map(|cpu| cpu.to_string());
        match self {
            Self::Cpu => cpu().unwrap_or_else(|| format!("{amount}m")),
            Self::Memory => {
                Bytes::from_bytes(amount).map_or_else(|| amount.to_string(), |bytes| bytes.to_string())
            }
            _ => amount.to_string(),
        }
    }

    /// How much of it a quota allows, if it says.
    pub fn limit(self, quota: &Quota) -> Option<u64> {
        match self {
            Self::Apps => quota.apps.map(u64::from),
            Self::Environments => quota.environments.map(u64::from),
            Self::Domains => quota.domains.map(u64::from),
            Self::Secrets => quota.secrets.map(u64::from),
            Self::Volumes => quota.volumes.map(u64::from),
            Self::Instances => quota.instances.map(u64::from),
            Self::Cpu => quota.cpu.map(|cpu| u64::from(cpu.millis())),
            Self::Memory => quota.memory.map(Bytes::get),
            Self::Pids => quota.pids.map(u64::from),
            Self::Links => Some(quota.links.map_or(0, u64::from)),
        }
    }
}

impl Counted {
    /// The field of a quota that limits it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Environments => "environments",
            Self::Domains => "domains",
            Self::Secrets => "secrets",
            Self::Volumes => "volumes",
            Self::Instances => "instances",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Links => "links",
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            other => other.field(),
        })
    }
}

/// What an organisation has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage(BTreeMap<Counted, u64>);

impl Usage {
    /// Counts. Of the specs those of the organisation and the platform's plans are looked at.
    pub fn of(org: &OrgName, specs: &Specs, asides: &Asides) -> Self {
        let mut usage = Self::default();
        let of_org = asides.iter().filter(|(key, _)| key.org() == Some(org));
        let runs = of_org.flat_map(|(_, aside)| &aside.runs);
        runs.for_each(|run| usage.add_instances(1, *run));
        for (key, spec) in specs.iter().filter(|(key, _)| key.org() == Some(org)) {
            match spec {
                AnySpec::App(_) => usage.add(Counted::Apps, 1),
                AnySpec::Domain(_) => usage.add(Counted::Domains, 1),
                AnySpec::Secret(_) => usage.add(Counted::Secrets, 1),
                AnySpec::NetworkPolicy(policy) => usage.add(Counted::Links, links(policy)),
                AnySpec::Environment(environment) => {
                    usage.add(Counted::Environments, 1);
                    usage.add_all(&environment_usage(org, key, environment, specs, asides.get(key)));
                }
                AnySpec::Organization(_)
                | AnySpec::Platform(_)
                | AnySpec::Plan(_)
                | AnySpec::IsolationTier(_)
                | AnySpec::Buildpack(_)
                | AnySpec::Stack(_)
                | AnySpec::Template(_)
                | AnySpec::DriftPolicy(_)
                | AnySpec::ImagePolicy(_)
                | AnySpec::RegistryCredential(_)
                | AnySpec::Notification(_) => {}
            }
        }
        usage
    }

    /// How much of something there is.
    pub fn get(&self, counted: Counted) -> u64 {
        self.0.get(&counted).copied().unwrap_or_default()
    }

    fn add(&mut self, counted: Counted, amount: u64) {
        let sum = self.0.entry(counted).or_default();
        *sum = sum.saturating_add(amount);
    }

    fn add_instances(&mut self, instances: u64, each: Resources) {
        self.add(Counted::Instances, instances);
        self.add(Counted::Cpu, instances.saturating_mul(u64::from(each.cpu.millis())));
        self.add(Counted::Memory, instances.saturating_mul(each.memory.get()));
        self.add(Counted::Pids, instances.saturating_mul(u64::from(each.pids)));
    }

    fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(counted, amount)| self.add(*counted, *amount));
    }

    /// The more of both.
    fn or_more(mut self, other: &Self) -> Self {
        for (counted, amount) in &other.0 {
            let most = self.0.entry(*counted).or_default();
            *most = (*most).max(*amount);
        }
        self
    }
}

/// What an environment's processes have, by its manifests or by the release that it was returned to.
fn environment_usage(
    org: &OrgName,
    key: &ResourceKey,
    environment: &EnvironmentSpec,
    specs: &Specs,
    aside: Option<&Aside>,
) -> Usage {
    let own = environment.plan.as_ref().and_then(|name| plan(name, specs));
    // Nothing runs under a plan that does not exist; it counts as if it had the organisation's, which it may have next.
    let Some(plan) = own.or_else(|| plan_of(org, specs).map(|(_, plan)| plan)) else {
        return Usage::default();
    };
    let app = key.sibling(Kind::App, environment.app.clone()).and_then(|key| app(&key, specs));
    let mut formation = formation::processes(app, environment, plan.instance);
    for (name, instances) in aside.into_iter().flat_map(|aside| &aside.scaled) {
        let is_free = formation::instances(app, environment, name) == Some(Instances::LeftToOthers);
        if let Some(process) = formation.get_mut(name).filter(|_| is_free) {
            process.instances = *instances;
        }
    }
    let asked = processes_usage(formation.values().map(|one| (&one.process, one.instances)));
    let Some(returned) = aside.and_then(|aside| aside.returned.as_ref()) else { return asked };
    let instances = |name| formation.get(name).map_or(1, |process| process.instances);
    asked.or_more(&processes_usage(
        returned.processes.iter().map(|(name, process)| (process, instances(name))),
    ))
}

fn processes_usage<'a>(processes: impl Iterator<Item = (&'a ReleaseProcess, u32)>) -> Usage {
    let mut usage = Usage::default();
    let mut volumes: BTreeSet<&ResourceName> = BTreeSet::new();
    for (process, instances) in processes {
        usage.add_instances(u64::from(instances), process.resources);
        volumes.extend(process.volumes.iter().map(|volume| &volume.name));
    }
    usage.add(Counted::Volumes, u64::try_from(volumes.len()).unwrap_or(u64::MAX));
    usage
}

/// The links that a policy names. Each side counts what it names itself: a link takes an address in the network of either, and who names one must
/// not have to fear that the other side's consent takes it beyond its quota.
fn links(policy: &NetworkPolicySpec) -> u64 {
    let offers: usize = policy.ingress.iter().map(|rule| rule.from.len()).sum();
    u64::try_from(policy.egress.len().saturating_add(offers)).unwrap_or(u64::MAX)
}

/// More than a quota allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub counted: Counted,
    /// How much there would be.
    pub wanted: u64,
    /// How much there may be.
    pub allowed: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, allowed) = (self.counted.amount(self.wanted), self.counted.amount(self.allowed));
        write!(f, "{wanted} {} where {allowed} may be", self.counted)
    }
}

/// What a change would take beyond the quota, and what of it was not beyond it before or not as much.
pub fn refused(quota: &Quota, before: &Usage, after: &Usage) -> Vec<Excess> {
    let beyond = |&counted: &Counted| {
        let (wanted, allowed) = (after.get(counted), counted.limit(quota)?);
        (wanted > allowed && wanted > before.get(counted)).then_some(Excess { counted, wanted, allowed })
    };
    Counted::ALL.iter().filter_map(beyond).collect()
}

/// The plan of an organisation with its name, if it has one that exists.
pub fn plan_of<'a>(org: &OrgName, specs: &'a Specs) -> Option<(&'a ResourceName, &'a PlanSpec)> {
    let organization: &OrganizationSpec = match specs.get(&ResourceKey::organization(org))? {
        AnySpec::Organization(organization) => organization,
        _ => return None,
    };
    let name = organization.plan.as_ref()?;
    Some((name, plan(name, specs)?))
}

fn plan<'a>(name: &ResourceName, specs: &'a Specs) -> Option<&'a PlanSpec> {
    let key = ResourceKey::new(Scope::Platform, Kind::Plan, name.clone()).ok()?;
    match specs.get(&key)? {
        AnySpec::Plan(plan) => Some(plan),
        _ => None,
    }
}

fn app<'a>(key: &ResourceKey, specs: &'a Specs) -> Option<&'a AppSpec> {
    match specs.get(key)? {
        AnySpec::App(app) => Some(app),
        _ => None,
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
