//! The scheduler (`manager/scheduler`): which node a task gets, and why it gets none.

use std::collections::BTreeMap;

use skep_planner::swarm::{Node, NodeAvailability, NodeId, NodeState, PublishMode, TaskId, TaskState};

use super::super::Swarm;
use super::super::agenda::Due;
use super::super::tasks::{Hold, TaskRecord};
use super::constraint;

/// The reasons for which a node is passed over, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Filter {
    Ready,
    Resources,
    Constraints,
    Platform,
    HostPort,
    MaxReplicas,
}

impl Filter {
    const ALL: [Self; 6] =
        [Self::Ready, Self::Resources, Self::Constraints, Self::Platform, Self::HostPort, Self::MaxReplicas];

    fn explain(self, nodes: usize) -> String {
        let nodes = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        match self {
            Self::Ready => format!("{nodes} not available for new tasks"),
            Self::Resources => format!("insufficient resources on {nodes}"),
            Self::Constraints => format!("scheduling constraints not satisfied on {nodes}"),
            Self::Platform => format!("unsupported platform on {nodes}"),
            Self::HostPort => format!("host-mode port already in use on {nodes}"),
            Self::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}

/// What the scheduler knows of a node.
#[derive(Clone, Debug, Default)]
struct Load {
    tasks: usize,
    of_service: usize,
    nano_cpus: i64,
    memory: i64,
    host_ports: Vec<(u32, String)>,
}

impl Swarm {
    pub(in crate::swarm) fn schedule_soon(&mut self) {
        if !std::mem::replace(&mut self.orchestrator.is_schedule_due, true) {
            self.due_in(self.pace.scheduling, Due::Schedule);
        }
    }

    pub(super) fn note_for_scheduler(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        if *record.state() == TaskState::Pending && record.task.status.err.is_empty() || record.is_over() {
            self.schedule_soon();
        }
    }

    pub(super) fn schedule(&mut self) {
        self.orchestrator.is_schedule_due = false;
        let is_pending = |record: &&TaskRecord| *record.state() == TaskState::Pending;
        let mut waiting: Vec<(bool, TaskId)> = self
            .tasks
            .values()
            .filter(is_pending)
            .filter(|record| self.held.get(&record.service_name) != Some(&Hold::Unplaced))
            .filter(|record| !self.frozen.contains_key(&record.service_name))
            .map(|record| (record.task.node_id.is_none(), record.task.id.clone()))
            .collect();
        // Tasks of global services have their node already and come first.
        waiting.sort();
        for (_, id) in waiting {
            self.place(&id);
        }
    }

    fn place(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        let loads = self.loads(record);
        let preassigned = record.task.node_id.clone();
        let candidates: Vec<&Node> = match &preassigned {
            Some(node) => self.nodes.get(node).into_iter().collect(),
            None => self.nodes.values().collect(),
        };
        let mut failed: BTreeMap<Filter, usize> = BTreeMap::new();
        let mut best: Option<(usize, usize, NodeId)> = None;
        for node in candidates {
            let load = loads.get(&node.id).cloned().unwrap_or_default();
            match first_failing(record, node, &load) {
                Some(filter) => *failed.entry(filter).or_default() += 1,
                None => {
                    let place = (load.of_service, load.tasks, node.id.clone());
                    best = Some(best.map_or(place.clone(), |best| best.min(place)));
                }
            }
        }
        match best {
            Some((_, _, node)) => {
                let message = if preassigned.is_some() {
                    "scheduler confirmed task can run on preassigned node"
                } else {
                    "scheduler assigned task to node"
                };
                if let Some(record) = self.tasks.get_mut(id) {
                    record.task.node_id = Some(node);
                }
                self.set_task_state(id, TaskState::Assigned, message, "");
            }
            None => self.no_suitable_node(id, &failed, preassigned.is_some()),
        }
    }

    fn no_suitable_node(&mut self, id: &TaskId, failed: &BTreeMap<Filter, usize>, preassigned: bool) {
        let mut reasons: Vec<(Filter, usize)> = Filter::ALL
            .into_iter()
            .filter_map(|filter| failed.get(&filter).map(|count| (filter, *count)))
            .collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let reasons: Vec<String> = reasons.into_iter().map(|(filter, count)| filter.explain(count)).collect();
        let explanation = reasons.join("; ");
        let Some(record) = self.tasks.get(id) else { return };
        let service = record.task.service_id.as_ref().and_then(|service| self.services.get(service));
        let Some(service) = service else { return };
        if !preassigned && service.spec_version > record.spec_version {
            if *record.desired() >= TaskState::Shutdown {
                let message = record.task.status.message.clone();
                self.set_task_state(id, TaskState::Shutdown, &message, "");
            }
            return;
        }
        let err = match (preassigned, explanation.is_empty()) {
            (true, _) => explanation,
            (false, true) => "no suitable node".to_owned(),
            (false, false) => format!("no suitable node ({explanation})"),
        };
        if record.task.status.err != err {
            let message = record.task.status.message.clone();
            self.set_task_state(id, TaskState::Pending, &message, &err);
        }
    }

    /// What runs where, from the view of one task.
    fn loads(&self, of: &TaskRecord) -> BTreeMap<NodeId, Load> {
        let mut loads: BTreeMap<NodeId, Load> = BTreeMap::new();
        for record in self.tasks.values() {
            let Some(node) = &record.task.node_id else { continue };
            let takes_room = *record.state() >= TaskState::Assigned && !record.is_over();
            if !takes_room {
                continue;
            }
            let load = loads.entry(node.clone()).or_default();
            if *record.desired() <= TaskState::Complete {
                load.tasks += 1;
                load.of_service += usize::from(record.task.service_id == of.task.service_id);
            }
            let (cpus, memory) = reserved(record);
            load.nano_cpus += cpus;
            load.memory += memory;
            load.host_ports.extend(host_ports(record));
        }
        loads
    }
}

fn first_failing(record: &TaskRecord, node: &Node, load: &Load) -> Option<Filter> {
    let placement = record.task.spec.placement.as_ref();
    let is_ready = node.status.state == Some(NodeState::Ready)
        && node.spec.availability == Some(NodeAvailability::Active);
    if !is_ready {
        return Some(Filter::Ready);
    }
    let (cpus, memory) = reserved(record);
    let resources = &node.description.resources;
    if cpus > 0 && cpus > resources.nano_cpus - load.nano_cpus
        || memory > 0 && memory > resources.memory_bytes - load.memory
    {
        return Some(Filter::Resources);
    }
    if !constraint::allows(placement, node) {
        return Some(Filter::Constraints);
    }
    let usual = |word: &str| match word {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let platforms = placement.map_or(&[][..], |placement| &placement.platforms);
    let own = &node.description.platform;
    let is_supported = platforms.iter().any(|platform| {
        (platform.architecture.is_empty() || usual(&platform.architecture) == usual(&own.architecture))
            && (platform.os.is_empty() || platform.os == own.os)
    });
    if !platforms.is_empty() && !is_supported {
        return Some(Filter::Platform);
    }
    if host_ports(record).iter().any(|port| load.host_ports.contains(port)) {
        return Some(Filter::HostPort);
    }
    let most = placement.map_or(0, |placement| placement.max_replicas);
    if most > 0 && u64::try_from(load.of_service).unwrap_or(u64::MAX) >= most {
        return Some(Filter::MaxReplicas);
    }
    None
}

fn reserved(record: &TaskRecord) -> (i64, i64) {
    let reserved = record.task.spec.resources.as_ref().and_then(|all| all.reservations.as_ref());
    reserved.map_or((0, 0), |reserved| (reserved.nano_cpus, reserved.memory_bytes))
}

fn host_ports(record: &TaskRecord) -> Vec<(u32, String)> {
    let ports = record.endpoint.iter().flat_map(|endpoint| &endpoint.ports);
    ports
        .filter(|port| port.publish_mode == Some(PublishMode::Host) && port.published_port != 0)
        .map(|port| {
            let protocol = port.protocol.as_ref().map_or_else(String::new, ToString::to_string);
            (port.published_port, protocol)
        })
        .collect()
}
