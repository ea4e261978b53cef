//! What a service becomes, while its keys are taken.

use std::collections::{BTreeMap, BTreeSet};

use skep_schemas::kind::{
    AnySpec, AppSource, AppSpec, DomainSpec, EnvironmentSpec, HealthCheck, NamedPort, ProcessSpec, Resources,
    RestartSpec, RolloutSpec, SecretMount, SecuritySpec, TlsMode, VolumeMount,
};
use skep_schemas::{
    Bytes, Cpu, Duration, EnvName, Host, ImageRef, Kind, Manifest, MountPath, ProcessName, Region,
    ResourceName,
};

use crate::{Options, Report};

/// The process that others reach by the name of the environment alone.
pub(crate) const PROCESS: &str = "web";
/// What an instance gets where only the other of the two is said: what a server gives when neither is.
const USUAL_CPU_MILLIS: u32 = 500;
const USUAL_MEMORY: u64 = 512 << 20;

/// What a service becomes.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) service: String,
    pub(crate) name: ResourceName,
    pub(crate) image: Option<ImageRef>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) working_dir: Option<MountPath>,
    pub(crate) ports: Vec<NamedPort>,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) volumes: Vec<VolumeMount>,
    pub(crate) stop_grace_period: Option<Duration>,
    pub(crate) env: BTreeMap<EnvName, String>,
    pub(crate) secrets: Vec<SecretMount>,
    /// Secrets that have to be there, and what they are.
    pub(crate) made_secrets: BTreeMap<ResourceName, String>,
    pub(crate) instances: Option<u32>,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) memory: Option<Bytes>,
    pub(crate) pids: Option<u32>,
    pub(crate) region: Option<Region>,
    pub(crate) rollout: RolloutSpec,
    pub(crate) restart: RestartSpec,
    pub(crate) security: SecuritySpec,
    pub(crate) hosts: BTreeSet<Host>,
    /// Hosts are reached without encryption.
    pub(crate) is_plain: bool,
}

impl Draft {
    pub(crate) fn new(service: &str, name: ResourceName) -> Self {
        Self {
            service: service.to_owned(),
            name,
            image: None,
            entrypoint: None,
            command: None,
            working_dir: None,
            ports: Vec::new(),
            health_check: None,
            volumes: Vec::new(),
            stop_grace_period: None,
            env: BTreeMap::new(),
            secrets: Vec::new(),
            made_secrets: BTreeMap::new(),
            instances: None,
            cpu: None,
            memory: None,
            pids: None,
            region: None,
            rollout: RolloutSpec::default(),
            restart: RestartSpec::default(),
            security: SecuritySpec::default(),
            hosts: BTreeSet::new(),
            is_plain: false,
        }
    }

    /// A field of its process in the App.
    pub(crate) fn in_process(&self, field: &str) -> String {
        format!("App {}: processes.{PROCESS}.{field}", self.name)
    }

    /// A field of the Environment.
    pub(crate) fn in_environment(&self, field: &str) -> String {
        format!("Environment {}: {field}", self.name)
    }

    fn resources(&self) -> Option<Resources> {
        if self.cpu.is_none() && self.memory.is_none() && self.pids.is_none() {
            return None;
        }
        let cpu = self.cpu.or_else(|| Cpu::from_millis(USUAL_CPU_MILLIS))?;
        let memory = self.memory.or_else(|| Bytes::from_bytes(USUAL_MEMORY))?;
        Some(Resources { cpu, memory, pids: self.pids.unwrap_or(256) })
    }

    /// Its manifests.
    pub(crate) fn finish(self, options: &Options, report: &mut Report) -> Vec<Manifest> {
        let Ok(process) = PROCESS.parse::<ProcessName>() else { return Vec::new() };
        let resources = self.resources();
        let domains = self.domains(options, report);
        let some = |list: Vec<VolumeMount>| (!list.is_empty()).then_some(list);
        let what_it_is = ProcessSpec {
            entrypoint: self.entrypoint,
            command: self.command,
            working_dir: self.working_dir,
            ports: (!self.ports.is_empty()).then_some(self.ports),
            health_check: self.health_check,
            volumes: some(self.volumes),
            stop_grace_period: self.stop_grace_period,
            ..ProcessSpec::default()
        };
        let how_much = ProcessSpec { instances: self.instances, resources, ..ProcessSpec::default() };
        let app = AppSpec {
            description: None,
            source: self.image.map(|image| AppSource { image }),
            processes: [(process.clone(), what_it_is)].into(),
        };
        let has_amount = how_much != ProcessSpec::default();
        let environment = EnvironmentSpec {
            app: self.name.clone(),
            image: None,
            plan: None,
            region: self.region,
            env: self.env,
            secrets: self.secrets,
            processes: if has_amount { [(process, how_much)].into() } else { BTreeMap::new() },
            rollout: self.rollout,
            restart: self.restart,
            security: self.security,
        };
        let mut manifests = Vec::new();
        manifests.extend(super::manifest(options, Kind::App, self.name.clone(), app.into()));
        manifests.extend(super::manifest(options, Kind::Environment, self.name, environment.into()));
        manifests.extend(domains);
        manifests
    }

    fn domains(&self, options: &Options, report: &mut Report) -> Vec<Manifest> {
        let tls = if self.is_plain { TlsMode::Off } else { TlsMode::Automatic };
        let mut found = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
            let domain = DomainSpec {
                host: host.clone(),
                environment: self.name.clone(),
                process: None,
                port: None,
                tls,
            };
            match format!("{}{suffix}", self.name).parse::<ResourceName>() {
                Ok(name) => found.extend(super::manifest(options, Kind::Domain, name, AnySpec::from(domain))),
                Err(error) => report.decide(
                    format!("services.{}", self.service),
                    format!("the Domain for {host} has no name ({}); write one by hand", error.problem),
                ),
            }
        }
        found
    }
}
