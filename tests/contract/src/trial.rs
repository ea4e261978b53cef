//! One run of a case: its names, its patience, its account.

use std::fmt::Display;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretSlice;
use serde_json::Value;
use skep_planner::swarm::{
    ContainerSpec, FileTarget, Ipam, IpamConfig, Nanos, NetworkAttachmentConfig, NetworkCreate, NetworkId,
    Node, NodeState, RestartPolicy, SecretId, SecretReference, SecretSpec, Service, ServiceId, ServiceMode,
    ServiceSpec, Task, TaskSpec, TaskState, UpdateState, Version,
};
use skep_swarm::{By, LabelFilter, SwarmApi, SwarmError, TaskFilter};

use crate::arena::{Act, Arena};

/// How long anything may take on the Swarm's clock, on a loaded machine too.
const SOON: Duration = Duration::from_secs(90);

/// How often a write is tried again that met another writer.
const ATTEMPTS: usize = 50;

/// The label by which a case finds its own.
pub(crate) const LABEL: &str = "contract.case";

/// One run of a case.
pub struct Trial<'a> {
    arena: &'a dyn Arena,
    number: u8,
    account: Mutex<Vec<String>>,
}

/// How much later the second is, both as Swarm wrote them down. What an engine says of its own times holds however late a busy
/// machine asks it.
pub(crate) fn between(earlier: &str, later: &str) -> Duration {
    let time = |text: &str| text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    Duration::try_from(time(later) - time(earlier)).expect("the later is later")
}

impl<'a> Trial<'a> {
    /// A run in this arena; the number tells its objects from those of other cases.
    pub fn new(arena: &'a dyn Arena, number: u8) -> Self {
        Self { arena, number, account: Mutex::new(Vec::new()) }
    }

    /// What was noted, line by line.
    pub fn account(&self) -> Vec<String> {
        self.account.lock().map(|lines| lines.clone()).unwrap_or_default()
    }

    pub(crate) fn arena(&self) -> &dyn Arena {
        self.arena
    }

    pub(crate) fn swarm(&self) -> &dyn SwarmApi {
        self.arena.swarm()
    }

    /// A name of this case's own.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("c{:03}-", self.number)
    }

    /// Notes a line. Ids, and what is this run's own, are left out.
    pub(crate) fn note(&self, line: impl Display) {
        let line = masked(&line.to_string().replace(&self.prefix(), "")).replace(&self.subnet(), "10.N.");
        if let Ok(mut account) = self.account.lock() {
            account.push(line);
        }
    }

    /// Notes what was refused, and what that means.
    pub(crate) fn note_refusal<T>(&self, of: &str, answer: Result<T, SwarmError>) {
        match answer {
            Ok(_) => panic!("{of}: was not refused"),
            Err(error) => self.note(format!("{of}: {}", meaning(&error))),
        }
    }

    /// Notes an object as JSON.
    pub(crate) fn note_json(&self, of: &str, value: &Value) {
        self.note(format!("{of}: {}", sorted(value)));
    }

    /// Looks until there is something, and fails the case when there is nothing soon.
    pub(crate) async fn until<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let end = self.arena.clock() + SOON;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(self.arena.clock() < end, "waited in vain for {what}");
            self.arena.tick().await;
        }
    }

    /// A service of one task that nothing makes again.
    pub(crate) fn once(&self, name: &str, act: Act) -> ServiceSpec {
        let mut spec = self.service(name, act, 1);
        spec.task_template.restart_policy =
            Some(RestartPolicy { condition: Some("none".into()), ..RestartPolicy::default() });
        spec
    }

    /// A service whose tasks are made again at once.
    pub(crate) fn service(&self, name: &str, act: Act, replicas: u64) -> ServiceSpec {
        let container = ContainerSpec {
            image: act.image().to_owned(),
            stop_grace_period: Some(Nanos::from_secs(2)),
            ..ContainerSpec::default()
        };
        ServiceSpec {
            name: self.name(name),
            labels: [(LABEL.to_owned(), self.prefix())].into(),
            task_template: TaskSpec {
                container_spec: Some(container),
                restart_policy: Some(RestartPolicy {
                    delay: Some(Nanos::from_millis(100)),
                    ..RestartPolicy::default()
                }),
                ..TaskSpec::default()
            },
            mode: Some(ServiceMode::replicated(replicas)),
            ..ServiceSpec::default()
        }
    }

    /// The filter that finds this case's own.
    pub(crate) fn own(&self) -> LabelFilter {
        LabelFilter::any().with(LABEL, self.prefix())
    }

    pub(crate) async fn create(&self, spec: &ServiceSpec) -> ServiceId {
        self.swarm().create_service(spec, None).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Updates a service as it is now: the managers write to services too, and that conflict is not the case's.
    pub(crate) async fn update(&self, id: &ServiceId, spec: &ServiceSpec) -> Version {
        for _ in 0..ATTEMPTS {
            let version = self.inspect(id).await.version;
            match self.swarm().update_service(id, version, spec, None).await {
                Ok(()) => return version,
                Err(SwarmError::Conflict { .. }) => self.arena.tick().await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the service does not come to rest");
    }

    pub(crate) async fn inspect(&self, id: &ServiceId) -> Service {
        let found = self.swarm().inspect_service(By::Id(id)).await.expect("an answer");
        found.expect("the service")
    }

    pub(crate) async fn tasks(&self, id: &ServiceId) -> Vec<Task> {
        let mut tasks = self.swarm().list_tasks(&TaskFilter::of_service(id.clone())).await.expect("tasks");
        tasks.sort_by_key(|task| (task.slot, task.created_at.clone()));
        tasks
    }

    /// The tasks in a state.
    pub(crate) async fn tasks_in(&self, id: &ServiceId, state: TaskState) -> Vec<Task> {
        let tasks = self.tasks(id).await.into_iter();
        tasks.filter(|task| task.status.state.as_ref() == Some(&state)).collect()
    }

    /// Waits for so many tasks that run and are wanted.
    pub(crate) async fn running(&self, id: &ServiceId, count: usize) -> Vec<Task> {
        self.until(&format!("{count} running tasks"), || async {
            let running = self.tasks_in(id, TaskState::Running).await;
            let wanted: Vec<Task> =
                running.into_iter().filter(|task| task.desired_state == Some(TaskState::Running)).collect();
            (wanted.len() == count).then_some(wanted)
        })
        .await
    }

    /// Waits for a task in this state.
    pub(crate) async fn task_in(&self, id: &ServiceId, state: TaskState) -> Task {
        self.until(&format!("a task that is {state}"), || async {
            self.tasks_in(id, state.clone()).await.into_iter().next()
        })
        .await
    }

    /// Waits for an update to come so far.
    pub(crate) async fn update_state(&self, id: &ServiceId, state: UpdateState) -> Service {
        self.until(&format!("an update that is {state}"), || async {
            let service = self.inspect(id).await;
            let found = service.update_status.as_ref().and_then(|status| status.state.clone());
            (found == Some(state.clone())).then_some(service)
        })
        .await
    }

    /// The node of this name.
    pub(crate) async fn node(&self, name: &str) -> Node {
        let nodes = self.swarm().list_nodes().await.expect("nodes");
        let found = nodes.into_iter().find(|node| node.description.hostname == name);
        found.unwrap_or_else(|| panic!("{name} is not there"))
    }

    /// Waits for a node to be called so.
    pub(crate) async fn node_is(&self, name: &str, state: NodeState) -> Node {
        self.until(&format!("{name} to be {state}"), || async {
            let node = self.node(name).await;
            (node.status.state == Some(state.clone())).then_some(node)
        })
        .await
    }

    /// Waits for so many tasks that run and are wanted, none of which is on this node.
    pub(crate) async fn running_off(&self, id: &ServiceId, node: &str, count: usize) -> Vec<Task> {
        let nodes = self.swarm().list_nodes().await.expect("nodes");
        let off = nodes.into_iter().find(|found| found.description.hostname == node).map(|node| node.id);
        self.until(&format!("{count} running tasks elsewhere"), || async {
            let running = self.running(id, count).await;
            running.iter().all(|task| task.node_id != off).then_some(running)
        })
        .await
    }

    /// Waits for the end of a task.
    pub(crate) async fn ended(&self, id: &ServiceId, task: &Task) -> Task {
        self.until("the end of a task", || async {
            let found = self.tasks(id).await.into_iter().find(|found| found.id == task.id).expect("the task");
            found.status.state.as_ref().is_some_and(TaskState::is_terminal).then_some(found)
        })
        .await
    }

    /// Waits for a task that waits, and for the reason.
    pub(crate) async fn waiting(&self, id: &ServiceId) -> Task {
        self.until("a task that waits", || async {
            let pending = self.tasks_in(id, TaskState::Pending).await;
            pending.into_iter().find(|task| !task.status.err.is_empty())
        })
        .await
    }

    pub(crate) async fn remove(&self, id: &ServiceId) {
        self.swarm().remove_service(id).await.expect("removed");
    }

    /// The beginning of this case's own subnets.
    fn subnet(&self) -> String {
        format!("10.{}.", 50 + u16::from(self.number))
    }

    /// A network of this case's own whose upper half the managers allocate from.
    pub(crate) fn network(&self, name: &str, third: u8) -> NetworkCreate {
        let subnet = self.subnet();
        let config = IpamConfig {
            subnet: format!("{subnet}{third}.0/24"),
            ip_range: format!("{subnet}{third}.128/25"),
            gateway: format!("{subnet}{third}.1"),
            ..IpamConfig::default()
        };
        NetworkCreate {
            name: self.name(name),
            driver: "overlay".to_owned(),
            attachable: true,
            labels: [(LABEL.to_owned(), self.prefix())].into(),
            ipam: Some(Ipam { driver: "default".to_owned(), config: vec![config], ..Ipam::default() }),
            ..NetworkCreate::default()
        }
    }

    /// An address on such a network.
    pub(crate) fn address(&self, third: u8, host: u8) -> std::net::Ipv4Addr {
        format!("{}{third}.{host}", self.subnet()).parse().expect("an address")
    }

    pub(crate) async fn create_network(&self, name: &str, third: u8) -> NetworkId {
        let network = self.network(name, third);
        self.swarm().create_network(&network).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes a secret of this case's own.
    pub(crate) async fn create_secret(&self, name: &str) -> SecretId {
        let spec = self.secret(name);
        let made = self.swarm().create_secret(&spec, &SecretSlice::from(b"s3cret".to_vec())).await;
        made.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn secret(&self, name: &str) -> SecretSpec {
        let labels = [(LABEL.to_owned(), self.prefix())].into();
        SecretSpec { name: self.name(name), labels, ..SecretSpec::default() }
    }

    /// A reference to a secret.
    pub(crate) fn reference(&self, id: &SecretId, name: &str) -> SecretReference {
        let file = FileTarget {
            name: "token".to_owned(),
            uid: "0".to_owned(),
            gid: "0".to_owned(),
            mode: 0o444,
            ..FileTarget::default()
        };
        SecretReference {
            file: Some(file),
            secret_id: id.clone(),
            secret_name: self.name(name),
            ..SecretReference::default()
        }
    }

    /// Removes a network as soon as it is free; every refusal until then has to say that it is in use.
    pub(crate) async fn remove_network_when_free(&self, id: &NetworkId) {
        self.until("the network to be free", || async {
            match self.swarm().remove_network(id).await {
                Ok(()) => Some(()),
                Err(SwarmError::InUse { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
    }
}

/// The same service with its tasks on a network.
pub(crate) fn on_network(mut spec: ServiceSpec, target: &str) -> ServiceSpec {
    let attachment = NetworkAttachmentConfig { target: target.to_owned(), ..Default::default() };
    spec.task_template.networks.push(attachment);
    spec
}

/// The container of a spec.
pub(crate) fn container(spec: &mut ServiceSpec) -> &mut ContainerSpec {
    spec.task_template.container_spec.get_or_insert_default()
}

/// What an error means, with the engine's words.
pub(crate) fn meaning(error: &SwarmError) -> String {
    let (kind, words) = match error {
        SwarmError::Conflict { .. } => ("conflict", ""),
        SwarmError::NameTaken { message, .. } => ("name taken", message.as_str()),
        SwarmError::NotFound { message, .. } => ("not found", message.as_str()),
        SwarmError::Invalid { message, .. } => ("invalid", message.as_str()),
        SwarmError::InUse { message, .. } => ("in use", message.as_str()),
        SwarmError::Unauthorized { message, .. } => ("unauthorized", message.as_str()),
        SwarmError::Other { message, .. } => ("other", message.as_str()),
        SwarmError::NoManager { message, .. } => ("no manager", message.as_str()),
        _ => ("unreachable", ""),
    };
    format!("{kind} (effect {:?}): {words}", error.effect())
}

/// Leaves ids out of a text: words of 25 or 64 small letters and digits.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            word.push(c);
            continue;
        }
        let is_id = matches!(word.len(), 25 | 64) && word.chars().any(|c| c.is_ascii_digit());
        out.push_str(if is_id { "<id>" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// JSON with members in order, so that equal values are equal text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<(&String, &Value)> = members.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            Value::Object(pairs.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}
