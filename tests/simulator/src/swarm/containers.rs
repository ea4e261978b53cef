//! The containers of the asked engine: those of tasks on its node, and others that a test puts there.

use std::collections::BTreeMap;

use skep_planner::swarm::{
    AttachedNetwork, Container, ContainerHealth, ContainerId, ContainerNetworks, ContainerRun,
    ContainerState, ContainerStats, ContainerSummary, CpuStats, CpuUsage, EndpointIpam, HealthProbe,
    InterfaceStats, Labels, MemoryStats, NetworkId, TaskId,
};
use skep_swarm::{HintKind, LabelFilter};

use super::Swarm;

/// What a container has used of processors once it runs, in billionths of a second.
const USED_AT_START: u64 = 20_000_000;
/// The memory of the asked node, which is the limit of what has none.
const NODE_MEMORY: u64 = 16 << 30;

/// One container of the asked engine.
#[derive(Clone, Debug)]
pub(super) struct ContainerRecord {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) labels: Labels,
    pub(super) state: ContainerState,
    pub(super) exit_code: i64,
    pub(super) out_of_memory: bool,
    pub(super) error: String,
    pub(super) health: Option<ContainerHealth>,
    /// Its address on each network, with prefix length.
    pub(super) networks: BTreeMap<NetworkId, String>,
    /// The task it runs.
    pub(super) task: Option<TaskId>,
}

impl ContainerRecord {
    pub(super) fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }
}

impl Swarm {
    /// Containers of the asked engine with these labels, those that ended included.
    pub fn list_containers(&self, filter: &LabelFilter) -> Vec<ContainerSummary> {
        let containers = self.containers.values().filter(|record| filter.matches(&record.labels));
        containers.map(|record| self.summary(record)).collect()
    }

    fn summary(&self, record: &ContainerRecord) -> ContainerSummary {
        let name = |id: &NetworkId| {
            self.networks.get(id).map_or_else(|| id.to_string(), |record| record.network.name.clone())
        };
        let networks = record.networks.iter().map(|(id, address)| {
            let plain = address.split_once('/').map_or(address.as_str(), |(plain, _)| plain);
            let attached = AttachedNetwork {
                network_id: id.clone(),
                endpoint_id: if record.is_running() {
                    format!("endpoint-{}-{}", record.id, id)
                } else {
                    String::new()
                },
                ip_address: if record.is_running() { plain.to_owned() } else { String::new() },
                ipam_config: Some(EndpointIpam { ipv4_address: plain.to_owned(), ..EndpointIpam::default() }),
                ..AttachedNetwork::default()
            };
            (name(id), attached)
        });
        ContainerSummary {
            id: record.id.clone(),
            names: vec![format!("/{}", record.name)],
            image: record.image.clone(),
            labels: record.labels.clone(),
            state: Some(record.state.clone()),
            status: if record.is_running() {
                "Up".to_owned()
            } else {
                format!("Exited ({})", record.exit_code)
            },
            network_settings: ContainerNetworks {
                networks: networks.collect(),
                ..ContainerNetworks::default()
            },
            ..ContainerSummary::default()
        }
    }

    /// One container of the asked engine, looked at closely.
    pub fn inspect_container(&self, container: &ContainerId) -> Option<Container> {
        let record = self.containers.get(container)?;
        let state = ContainerRun {
            status: Some(record.state.clone()),
            oom_killed: record.out_of_memory,
            exit_code: record.exit_code,
            error: record.error.clone(),
            health: record.health.clone(),
            ..ContainerRun::default()
        };
        Some(Container { id: record.id.clone(), state, ..Container::default() })
    }

    /// What a container of the asked engine uses: a quarter of a core and some memory, and a little traffic on each network. Everything
    /// follows from the clock.
    pub fn container_stats(&self, container: &ContainerId) -> Option<ContainerStats> {
        let record = self.containers.get(container)?;
        if !record.is_running() {
            let read = "0001-01-01T00:00:00Z".to_owned();
            return Some(ContainerStats { read, ..ContainerStats::default() });
        }
        let task = record.task.as_ref().and_then(|task| self.tasks.get(task)).map(|record| &record.task);
        let began = task.and_then(|task| task.created_at.parse().ok()).unwrap_or_else(super::beginning);
        let ran = u64::try_from(self.now.duration_since(began).as_millis()).unwrap_or_default();
        let limits = task.and_then(|task| task.spec.resources.as_ref()?.limits.as_ref());
        let limit = limits.map(|limits| limits.memory_bytes).filter(|limit| *limit > 0);
        let traffic = InterfaceStats { rx_bytes: ran, tx_bytes: ran / 2, ..InterfaceStats::default() };
        // One to the world beside those of its networks.
        let interfaces = 0..=record.networks.len();
        Some(ContainerStats {
            read: self.now.to_string(),
            cpu_stats: CpuStats {
                cpu_usage: CpuUsage { total_usage: USED_AT_START + ran * 250_000, ..CpuUsage::default() },
                ..CpuStats::default()
            },
            memory_stats: MemoryStats {
                usage: 8 << 20,
                limit: limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(NODE_MEMORY),
                stats: [("inactive_file".to_owned(), 2 << 20)].into(),
                ..MemoryStats::default()
            },
            networks: interfaces.map(|number| (format!("eth{number}"), traffic.clone())).collect(),
            ..ContainerStats::default()
        })
    }

    /// Puts a running container on the asked engine that no task made.
    pub fn run_container(&mut self, name: &str, labels: Labels) -> ContainerId {
        let id = ContainerId::new(format!("{:0>64}", self.new_id("c")));
        self.put_container(&id, name, labels);
        id
    }

    /// The same with an id of one's own, without labels.
    pub fn run_container_as(&mut self, id: &ContainerId, name: &str) {
        self.put_container(id, name, Labels::new());
    }

    fn put_container(&mut self, id: &ContainerId, name: &str, labels: Labels) {
        let record = ContainerRecord {
            id: id.clone(),
            name: name.to_owned(),
            image: name.to_owned(),
            labels,
            state: ContainerState::Running,
            exit_code: 0,
            out_of_memory: false,
            error: String::new(),
            health: None,
            networks: BTreeMap::new(),
            task: None,
        };
        self.containers.insert(id.clone(), record);
        self.announce_container(id, "create");
        self.announce_container(id, "start");
    }

    /// Takes a container away, and with it its attachments.
    pub fn delete_container(&mut self, container: &ContainerId) {
        if let Some(record) = self.containers.get_mut(container) {
            record.state = ContainerState::Exited;
            self.announce_container(container, "die");
            self.announce_container(container, "destroy");
            let record = self.containers.remove(container);
            for network in record.into_iter().flat_map(|record| record.networks.into_keys()) {
                self.let_go_later(&network);
            }
        }
    }

    pub(super) fn announce_container(&mut self, id: &ContainerId, action: &str) {
        let Some(record) = self.containers.get(id) else { return };
        let name = record.name.clone();
        let mut said: Vec<(&str, String)> = Vec::new();
        let labels = record.labels.clone();
        said.extend(labels.iter().map(|(key, value)| (key.as_str(), value.clone())));
        said.push(("image", record.image.clone()));
        if action == "die" {
            said.push(("exitCode", record.exit_code.to_string()));
        }
        self.announce(HintKind::Container, id.as_str(), &name, action, &said);
    }

    /// What a health check says each time.
    pub(super) fn failing_health(output: &str) -> ContainerHealth {
        let probe = HealthProbe { exit_code: 1, output: output.to_owned(), ..HealthProbe::default() };
        ContainerHealth {
            status: "unhealthy".to_owned(),
            log: vec![probe.clone(), probe],
            ..ContainerHealth::default()
        }
    }
}
