//! The verbs of services, with their optimistic lock.

use std::collections::BTreeSet;

use skep_planner::swarm::{
    EndpointMode, JobStatus, NetworkId, PublishMode, Service, ServiceId, ServiceMode, ServiceSpec,
    UpdateState, UpdateStatus, Version, VirtualIp,
};
use skep_swarm::{By, LabelFilter, Verb};

use super::{Change, ServiceRecord, Swarm};
use crate::refusal::{Code, Refusal};

/// The most that the managers write in one entry of their log; a service that is written holds its spec twice.
const RAFT_ENTRY_LIMIT: usize = 1_500_000;

impl Swarm {
    /// Services with these labels, in the order they were made.
    pub fn list_services(&self, filter: &LabelFilter) -> Vec<Service> {
        let all = self.services.values().map(|record| &record.service);
        all.filter(|service| filter.matches(&service.spec.labels)).cloned().collect()
    }

    /// One service.
    pub fn inspect_service(&self, service: By<'_, ServiceId>) -> Option<Service> {
        let id = match service {
            By::Id(id) => id,
            By::Name(name) => self.service_names.get(name)?,
        };
        self.services.get(id).map(|record| record.service.clone())
    }

    /// The form in which the engine would store this spec, if it takes it.
    pub fn stored_form(&self, spec: &ServiceSpec) -> Result<ServiceSpec, Refusal> {
        self.accepted(spec)
    }

    /// Makes a service.
    pub fn create_service(&mut self, spec: &ServiceSpec) -> Result<ServiceId, Refusal> {
        let id = self.store_service(spec)?;
        self.count(Verb::CreateService, &spec.name);
        Ok(id)
    }

    /// Replaces the whole spec of a service.
    pub fn update_service(
        &mut self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
    ) -> Result<(), Refusal> {
        self.replace_service(id, version, spec)?;
        self.count(Verb::UpdateService, &spec.name);
        Ok(())
    }

    /// Removes a service; its tasks stop afterwards.
    pub fn remove_service(&mut self, id: &ServiceId) -> Result<(), Refusal> {
        let name = self.delete_service(id)?;
        self.count(Verb::RemoveService, &name);
        Ok(())
    }

    pub(super) fn store_service(&mut self, spec: &ServiceSpec) -> Result<ServiceId, Refusal> {
        let stored = self.accepted(spec)?;
        self.check_references(&stored)?;
        if self.service_names.contains_key(&stored.name) {
            let words =
                format!("name conflicts with an existing object: service {} already exists", stored.name);
            return Err(Refusal::rpc(Code::AlreadyExists, words));
        }
        self.check_ports(&stored, None)?;
        let id = ServiceId::new(self.new_id("svc"));
        let version = self.next_version();
        let is_job = is_job(&stored);
        let service = Service {
            id: id.clone(),
            version,
            created_at: self.now.to_string(),
            updated_at: self.now.to_string(),
            job_status: is_job
                .then(|| JobStatus { last_execution: self.now.to_string(), ..JobStatus::default() }),
            spec: stored,
            ..Service::default()
        };
        self.service_names.insert(service.spec.name.clone(), id.clone());
        self.announce_service(&service, "create", &[]);
        let record = ServiceRecord { service, spec_version: 0, previous_spec_version: 0 };
        self.services.insert(id.clone(), record);
        self.changed(Change::Service(id.clone()));
        Ok(id)
    }

    pub(super) fn replace_service(
        &mut self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
    ) -> Result<(), Refusal> {
        let stored = self.accepted(spec)?;
        let Some(record) = self.services.get(id) else { return Err(Refusal::missing("service", id)) };
        let service = &record.service;
        if stored.endpoint_spec.is_some() && stored.endpoint_spec != service.spec.endpoint_spec {
            self.check_ports(&stored, Some(id))?;
        }
        self.check_references(&stored)?;
        if kind_of(&stored) != kind_of(&service.spec) {
            return Err(Refusal::rpc(Code::Unimplemented, "service mode change is not allowed"));
        }
        if stored.name != service.spec.name {
            return Err(Refusal::rpc(Code::Unimplemented, "renaming services is not supported"));
        }
        if service.version != version {
            return Err(Refusal::out_of_sequence());
        }
        if size(&stored) + size(&service.spec) > RAFT_ENTRY_LIMIT {
            return Err(Refusal::rpc(Code::Unknown, "raft: raft message is too large and can't be sent"));
        }
        let now = self.now.to_string();
        self.write_service(id, |record| {
            let service = &mut record.service;
            if let Some(job) = &mut service.job_status {
                job.job_iteration.index += 1;
                job.last_execution = now;
            }
            service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, stored)));
            record.previous_spec_version = std::mem::replace(&mut record.spec_version, version.index);
            service.update_status = None;
        });
        Ok(())
    }

    /// Somebody asks Swarm itself to go back to the spec before.
    pub(super) fn roll_back_service(&mut self, id: &ServiceId) -> Result<(), Refusal> {
        let Some(record) = self.services.get(id) else { return Err(Refusal::missing("service", id)) };
        if record.service.previous_spec.is_none() {
            let words = format!("service {id} does not have a previous spec");
            return Err(Refusal::rpc(Code::FailedPrecondition, words));
        }
        let now = self.now.to_string();
        self.write_service(id, |record| {
            let service = &mut record.service;
            if let Some(previous) = &mut service.previous_spec {
                std::mem::swap(&mut service.spec, previous);
            }
            std::mem::swap(&mut record.spec_version, &mut record.previous_spec_version);
            service.update_status = Some(UpdateStatus {
                state: Some(UpdateState::RollbackStarted),
                started_at: now,
                message: "manually requested rollback".to_owned(),
                ..UpdateStatus::default()
            });
        });
        Ok(())
    }

    pub(super) fn delete_service(&mut self, id: &ServiceId) -> Result<String, Refusal> {
        let Some(record) = self.services.remove(id) else { return Err(Refusal::missing("service", id)) };
        let name = record.service.spec.name.clone();
        self.service_names.remove(&name);
        self.next_version();
        self.announce_service(&record.service, "remove", &[]);
        self.changed(Change::ServiceGone(Box::new(record)));
        Ok(name)
    }

    /// Writes to a service: a new version, an event that says what events say, and the managers' parts will look.
    pub(super) fn write_service(&mut self, id: &ServiceId, change: impl FnOnce(&mut ServiceRecord)) {
        let version = self.next_version();
        let now = self.now.to_string();
        let Some(record) = self.services.get_mut(id) else { return };
        let before = record.service.clone();
        change(record);
        (record.service.version, record.service.updated_at) = (version, now);
        let after = record.service.clone();
        self.announce_service(&after, "update", &differences(&before, &after));
        self.changed(Change::Service(id.clone()));
    }

    /// The addresses and ports of a service, as the managers allocate them. A service without any is written no more than once.
    pub(super) fn allocate_service(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        let service = &record.service;
        let is_virtual = service
            .spec
            .endpoint_spec
            .as_ref()
            .is_none_or(|spec| spec.mode != Some(EndpointMode::DnsRoundRobin));
        let networks: BTreeSet<NetworkId> =
            service.spec.task_template.networks.iter().map(|at| NetworkId::new(at.target.clone())).collect();
        let wanted: Vec<NetworkId> = if is_virtual { networks.into_iter().collect() } else { Vec::new() };
        let has: Vec<NetworkId> =
            service.endpoint.virtual_ips.iter().map(|ip| ip.network_id.clone()).collect();
        if service.endpoint.spec == service.spec.endpoint_spec && has == wanted {
            return;
        }
        let kept = service.endpoint.virtual_ips.clone();
        let addresses: Vec<VirtualIp> = wanted
            .into_iter()
            .filter_map(|network| {
                kept.iter().find(|ip| ip.network_id == network).cloned().or_else(|| {
                    let addr = self.allocate_address(&network)?;
                    Some(VirtualIp { network_id: network, addr, ..VirtualIp::default() })
                })
            })
            .collect();
        self.write_service(id, |record| {
            let service = &mut record.service;
            service.endpoint.spec.clone_from(&service.spec.endpoint_spec);
            service.endpoint.ports =
                service.spec.endpoint_spec.as_ref().map(|spec| spec.ports.clone()).unwrap_or_default();
            let mut chosen = FIRST_CHOSEN_PORT;
            for port in &mut service.endpoint.ports {
                if port.published_port == 0 && port.publish_mode == Some(PublishMode::Ingress) {
                    port.published_port = chosen;
                    chosen += 1;
                }
            }
            service.endpoint.virtual_ips = addresses;
        });
    }
}

/// The first port that the managers choose when none was said.
const FIRST_CHOSEN_PORT: u32 = 30_000;

/// The kind of a mode, which cannot change.
pub(super) const fn kind_of(spec: &ServiceSpec) -> u8 {
    match &spec.mode {
        None | Some(ServiceMode::Replicated(_)) => 0,
        Some(ServiceMode::Global(_)) => 1,
        Some(ServiceMode::ReplicatedJob(_)) => 2,
        Some(ServiceMode::GlobalJob(_)) => 3,
        Some(ServiceMode::Other(_)) => 4,
    }
}

/// Whether the tasks of a service run to completion.
pub(super) const fn is_job(spec: &ServiceSpec) -> bool {
    matches!(spec.mode, Some(ServiceMode::ReplicatedJob(_) | ServiceMode::GlobalJob(_)))
}

/// What an event of a change says besides the name.
fn differences(before: &Service, after: &Service) -> Vec<(&'static str, String)> {
    let image = |service: &Service| {
        service.spec.task_template.container_spec.as_ref().map_or_else(String::new, |spec| spec.image.clone())
    };
    let replicas = |service: &Service| match &service.spec.mode {
        Some(ServiceMode::Replicated(mode)) => mode.replicas.unwrap_or(1).to_string(),
        _ => String::new(),
    };
    let state = |service: &Service| {
        let state = service.update_status.as_ref().and_then(|status| status.state.as_ref());
        state.map_or_else(String::new, ToString::to_string)
    };
    let mut said = Vec::new();
    let mut say = |old: &'static str, new: &'static str, before: String, after: String| {
        if before != after {
            said.push((new, after));
            if !before.is_empty() {
                said.push((old, before));
            }
        }
    };
    say("image.old", "image.new", image(before), image(after));
    say("replicas.old", "replicas.new", replicas(before), replicas(after));
    if !state(after).is_empty() {
        say("updatestate.old", "updatestate.new", state(before), state(after));
    }
    said
}

fn size(spec: &ServiceSpec) -> usize {
    let texts = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let labels = |labels: &skep_planner::swarm::Labels| {
        labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    };
    let container = spec.task_template.container_spec.as_ref();
    labels(&spec.labels)
        + container.map_or(0, |container| {
            texts(&container.env)
                + texts(&container.args)
                + texts(&container.command)
                + labels(&container.labels)
        })
}
