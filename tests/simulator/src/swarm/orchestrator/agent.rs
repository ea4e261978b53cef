//! The nodes' side of tasks (`agent/exec`, and the executor of the engine): what a node does with a task that it is given, and how
//! long that takes.

use std::collections::BTreeMap;
use std::time::Duration;

use skep_planner::swarm::{
    ContainerId, ContainerState, ContainerStatus, Healthcheck, NetworkId, NodeId, TaskId, TaskState,
};
use skep_swarm::LogSource;

use super::super::agenda::Due;
use super::super::containers::ContainerRecord;
use super::super::tasks::{Hold, TaskRecord};
use super::super::{ASKED_NODE, Swarm};
use crate::program::{Health, Program, Pull, Start};

/// The grace period of a service that says none.
const GRACE: Duration = Duration::from_secs(10);

/// The interval of a health check that says none, and of its timeout.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many failures in a row mean unhealthy when it is not said.
const RETRIES: u32 = 3;

/// The interval of the health checks that images bring along here, and their retries.
const IMAGE_INTERVAL: Duration = Duration::from_secs(1);
const IMAGE_RETRIES: u32 = 2;

/// The retries of an image that knows that it takes a while.
const PATIENT_RETRIES: u32 = 60;

/// What a node does next with a task.
enum Step {
    To(TaskState, &'static str),
    End(TaskState, Ending),
}

/// How a task ends.
struct Ending {
    message: &'static str,
    err: String,
    code: i64,
    out_of_memory: bool,
}

impl Ending {
    fn refused(message: &'static str, err: String) -> Self {
        Self { message, err, code: 0, out_of_memory: false }
    }
}

impl Swarm {
    /// A node looks at a task that is its own, when anything about it has changed that it acts on.
    pub(super) fn agent_look(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        let Some(node) = &record.task.node_id else { return };
        if *record.state() < TaskState::Assigned || self.orchestrator.is_silent(node).is_some() {
            return;
        }
        let now = (record.state().clone(), record.desired().clone());
        if record.looked_at.as_ref() == Some(&now) {
            return;
        }
        let next = self.next_step(record);
        let Some(record) = self.tasks.get_mut(id) else { return };
        record.looked_at = Some(now);
        record.step += 1;
        let step = record.step;
        if let Some((delay, _)) = next {
            self.due_in(delay, Due::TaskStep(id.clone(), step));
        }
    }

    /// A node is heard again: it goes on with what it has, and with what it was told meanwhile.
    pub(in crate::swarm) fn agents_resume(&mut self, node: &NodeId) {
        for task in self.tasks_on(node) {
            self.look_again(&task);
        }
    }

    /// Lets the node of a task look at it though nothing has changed.
    pub(in crate::swarm) fn look_again(&mut self, id: &TaskId) {
        if let Some(record) = self.tasks.get_mut(id) {
            record.looked_at = None;
        }
        self.agent_look(id);
    }

    /// A node has done what it was doing with a task.
    pub(super) fn agent_step(&mut self, id: &TaskId, step: u64) {
        let Some(record) = self.tasks.get(id).filter(|record| record.step == step) else { return };
        let is_silent = record.task.node_id.as_ref().and_then(|node| self.orchestrator.is_silent(node));
        if is_silent.is_some() {
            return;
        }
        match self.next_step(record).map(|(_, step)| step) {
            Some(Step::To(state, message)) => self.take_step(id, state, message),
            Some(Step::End(state, ending)) => self.end_task(id, state, &ending),
            None => {}
        }
    }

    /// What the node of a task does next, and how long that takes.
    fn next_step(&self, record: &TaskRecord) -> Option<(Duration, Step)> {
        let hold = self.held.get(&record.service_name);
        if hold == Some(&Hold::Everything) {
            return None;
        }
        let program = self.program(image(record));
        if *record.desired() >= TaskState::Shutdown {
            if record.is_over() || hold == Some(&Hold::Stopping) {
                return None;
            }
            return Some((self.time_to_stop(record, &program), Step::To(TaskState::Shutdown, "shutdown")));
        }
        let to = |delay, state, message| Some((delay, Step::To(state, message)));
        match record.state() {
            TaskState::Assigned => to(self.pace.handing, TaskState::Accepted, "accepted"),
            TaskState::Accepted => to(self.pace.handing, TaskState::Preparing, "preparing"),
            TaskState::Preparing if hold == Some(&Hold::Preparing) => None,
            TaskState::Preparing => match program.pull {
                Pull::Works => to(self.pace.preparing, TaskState::Ready, "prepared"),
                Pull::Never => None,
                Pull::Missing => {
                    let ending = Ending::refused("preparing", format!("No such image: {}", image(record)));
                    Some((self.pace.preparing, Step::End(TaskState::Rejected, ending)))
                }
            },
            TaskState::Ready if *record.desired() > TaskState::Ready => {
                to(self.pace.handing, TaskState::Starting, "starting")
            }
            TaskState::Starting => Some(self.start(record, &program)),
            TaskState::Running => self.end(&program),
            _ => None,
        }
    }

    fn time_to_stop(&self, record: &TaskRecord, program: &Program) -> Duration {
        if *record.state() < TaskState::Starting {
            return self.pace.handing;
        }
        let spec = record.task.spec.container_spec.as_ref();
        let grace = spec.and_then(|spec| spec.stop_grace_period).map_or(GRACE, |grace| grace.to_duration());
        program.stop.unwrap_or(self.pace.stopping).min(grace.max(self.pace.handing))
    }

    /// A container that is started: it runs when it is healthy, if anybody asks for its health.
    fn start(&self, record: &TaskRecord, program: &Program) -> (Duration, Step) {
        let starting = self.pace.starting;
        if let Start::Fails(error) = &program.start {
            let err = format!("starting container failed: {error}");
            return (starting, Step::End(TaskState::Failed, Ending::refused("starting", err)));
        }
        let runs = Step::To(TaskState::Running, "started");
        let Some(check) = Check::of(record, program) else { return (starting, runs) };
        let first = self.pace.checking.unwrap_or(check.interval);
        let healthy = match &program.health {
            Health::Good => Some(first),
            Health::After(after) => Some((*after).max(first)),
            Health::Bad(_) => None,
        };
        let unhealthy = check.unhealthy_after();
        // A process that ends before the verdict makes the verdict.
        let verdict = healthy.filter(|healthy| *healthy <= unhealthy || check.covers(*healthy));
        let until = verdict.unwrap_or(unhealthy);
        if let Some(end) = program.end.as_ref().filter(|end| end.after < until) {
            let state = if end.code == 0 { TaskState::Complete } else { TaskState::Failed };
            return (starting + end.after, Step::End(state, exit("starting", end.code, end.out_of_memory)));
        }
        match verdict {
            Some(healthy) => (starting + healthy, runs),
            None => (starting + unhealthy, self.unhealthy(record, program)),
        }
    }

    /// A container that is not healthy is asked to stop, and how it ends then is how its task ends: one that stops well is complete.
    fn unhealthy(&self, record: &TaskRecord, program: &Program) -> Step {
        let spec = record.task.spec.container_spec.as_ref();
        let grace = spec.and_then(|spec| spec.stop_grace_period).map_or(GRACE, |grace| grace.to_duration());
        let is_killed = program.stop.unwrap_or(self.pace.stopping) > grace;
        let code = if is_killed { 137 } else { program.stop_code };
        if code == 0 {
            return Step::End(TaskState::Complete, Ending::refused("finished", String::new()));
        }
        let err = format!("task: non-zero exit ({code}): dockerexec: unhealthy container");
        Step::End(TaskState::Failed, Ending { message: "starting", err, code, out_of_memory: false })
    }

    fn end(&self, program: &Program) -> Option<(Duration, Step)> {
        let end = program.end.as_ref()?;
        let step = if end.code == 0 {
            Step::End(TaskState::Complete, Ending::refused("finished", String::new()))
        } else {
            Step::End(TaskState::Failed, exit("started", end.code, end.out_of_memory))
        };
        Some((end.after, step))
    }

    fn take_step(&mut self, id: &TaskId, state: TaskState, message: &str) {
        match state {
            TaskState::Ready => self.make_container(id),
            TaskState::Starting => self.start_container(id),
            TaskState::Shutdown => self.stop_container(id, 0, false, None),
            _ => {}
        }
        self.tell_of_container(id, &state);
        self.set_task_state(id, state, message, "");
    }

    /// A node tells of the container of each task that has come so far, and where there is none, it tells of that as one that is empty.
    fn tell_of_container(&mut self, id: &TaskId, state: &TaskState) {
        if *state >= TaskState::Starting
            && let Some(record) = self.tasks.get_mut(id)
        {
            record.task.status.container_status.get_or_insert_default();
        }
    }

    fn end_task(&mut self, id: &TaskId, state: TaskState, ending: &Ending) {
        let health = self.tasks.get(id).and_then(|record| match &self.program(image(record)).health {
            Health::Bad(output) if *record.state() == TaskState::Starting => Some(output.clone()),
            _ => None,
        });
        self.stop_container(id, ending.code, ending.out_of_memory, health.as_deref());
        self.tell_of_container(id, &state);
        self.set_task_state(id, state, ending.message, &ending.err);
    }

    /// A task ends as if its process had ended by itself, or had been killed.
    pub(in crate::swarm) fn exit_task(&mut self, id: &TaskId, code: i64) {
        let is_running = self
            .tasks
            .get(id)
            .is_some_and(|record| matches!(record.state(), TaskState::Starting | TaskState::Running));
        if is_running {
            let state = if code == 0 { TaskState::Complete } else { TaskState::Failed };
            let message = if code == 0 { "finished" } else { "started" };
            self.end_task(id, state, &exit(message, code, false));
        }
    }

    fn make_container(&mut self, id: &TaskId) {
        let container = ContainerId::new(format!("{:0>64}", self.new_id("c")));
        let Some(record) = self.tasks.get_mut(id) else { return };
        record.container = Some(container.clone());
        let task = &record.task;
        if task.node_id.as_ref().map(NodeId::as_str) != Some(ASKED_NODE) {
            return;
        }
        let place = if task.slot == 0 {
            task.node_id.as_ref().map_or_else(String::new, ToString::to_string)
        } else {
            task.slot.to_string()
        };
        let name = format!("{}.{place}.{}", record.service_name, task.id);
        let mut labels = BTreeMap::new();
        let spec = task.spec.container_spec.as_ref();
        labels.extend(spec.into_iter().flat_map(|spec| spec.labels.clone()));
        let service = task.service_id.as_ref().map_or_else(String::new, ToString::to_string);
        for (key, value) in [
            ("com.docker.swarm.node.id", ASKED_NODE.to_owned()),
            ("com.docker.swarm.service.id", service),
            ("com.docker.swarm.service.name", record.service_name.clone()),
            ("com.docker.swarm.task", String::new()),
            ("com.docker.swarm.task.id", task.id.to_string()),
            ("com.docker.swarm.task.name", name.clone()),
        ] {
            labels.insert(key.to_owned(), value);
        }
        let networks: BTreeMap<NetworkId, String> = task
            .networks_attachments
            .iter()
            .filter_map(|at| Some((at.network.id.clone(), at.addresses.first()?.clone())))
            .collect();
        let made = ContainerRecord {
            id: container.clone(),
            name,
            image: image(record).to_owned(),
            labels,
            state: ContainerState::Created,
            exit_code: 0,
            out_of_memory: false,
            error: String::new(),
            health: None,
            networks: networks.clone(),
            task: Some(task.id.clone()),
        };
        let image = made.image.clone();
        self.containers.insert(container.clone(), made);
        self.has_image(&image);
        for network in networks.keys() {
            if let Some(found) = self.networks.get_mut(network) {
                found.is_local = true;
            }
        }
        self.announce_container(&container, "create");
    }

    fn start_container(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get_mut(id) else { return };
        let Some(container) = record.container.clone() else { return };
        record.task.status.container_status = Some(ContainerStatus {
            container_id: container.clone(),
            pid: 1000 + i64::try_from(record.step).unwrap_or(0),
            ..ContainerStatus::default()
        });
        let lines = self.tasks.get(id).map(|record| self.program(image(record)).lines).unwrap_or_default();
        if let Some(found) = self.containers.get_mut(&container) {
            found.state = ContainerState::Running;
            self.announce_container(&container, "start");
        }
        for line in lines {
            self.write_line(id, LogSource::Stdout, &line);
        }
    }

    fn stop_container(&mut self, id: &TaskId, code: i64, out_of_memory: bool, unhealthy: Option<&str>) {
        let Some(record) = self.tasks.get_mut(id) else { return };
        if let Some(status) = &mut record.task.status.container_status {
            (status.exit_code, status.pid) = (code, 0);
        }
        let Some(container) = record.container.clone() else { return };
        let networks: Vec<NetworkId> = match self.containers.get_mut(&container) {
            Some(found) => {
                found.state = ContainerState::Exited;
                (found.exit_code, found.out_of_memory) = (code, out_of_memory);
                found.health = unhealthy.map(Self::failing_health);
                found.networks.keys().cloned().collect()
            }
            None => return,
        };
        if out_of_memory {
            self.announce_container(&container, "oom");
        }
        self.announce_container(&container, "die");
        for network in networks {
            self.let_go_later(&network);
        }
    }

    /// A task that is forgotten takes its container with it.
    pub(super) fn container_gone(&mut self, record: &TaskRecord) {
        let Some(container) = &record.container else { return };
        if self.containers.contains_key(container) {
            self.announce_container(container, "destroy");
            let gone = self.containers.remove(container);
            for network in gone.into_iter().flat_map(|gone| gone.networks.into_keys()) {
                self.let_go_later(&network);
            }
        }
    }
}

fn image(record: &TaskRecord) -> &str {
    record.task.spec.container_spec.as_ref().map_or("", |spec| spec.image.as_str())
}

fn exit(message: &'static str, code: i64, out_of_memory: bool) -> Ending {
    let err = if code == 0 { String::new() } else { format!("task: non-zero exit ({code})") };
    Ending { message, err, code, out_of_memory }
}

/// How the health of a container is asked for.
struct Check {
    interval: Duration,
    start_period: Duration,
    retries: u32,
}

impl Check {
    /// The check of the service, or the image's own: an image of which it was said how healthy it is has one.
    fn of(record: &TaskRecord, program: &Program) -> Option<Self> {
        let spec = record.task.spec.container_spec.as_ref().and_then(|spec| spec.healthcheck.as_ref());
        let is_off = spec.is_some_and(|check| check.test.first().is_some_and(|word| word == "NONE"));
        if is_off {
            return None;
        }
        let of_image = (program.health != Health::Good).then_some(Self {
            interval: IMAGE_INTERVAL,
            start_period: Duration::ZERO,
            retries: if matches!(program.health, Health::After(_)) { PATIENT_RETRIES } else { IMAGE_RETRIES },
        });
        match spec {
            Some(spec) if !spec.test.is_empty() || of_image.is_some() => Some(Self::asked(spec)),
            _ => of_image,
        }
    }

    fn asked(spec: &Healthcheck) -> Self {
        let interval = spec.interval.to_duration();
        Self {
            interval: if interval.is_zero() { INTERVAL } else { interval },
            start_period: spec.start_period.to_duration(),
            retries: u32::try_from(spec.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES),
        }
    }

    /// Failures count from the end of the start period on.
    fn unhealthy_after(&self) -> Duration {
        self.start_period + self.interval * self.retries
    }

    /// Whether a container that gets healthy so late is still given the time.
    fn covers(&self, healthy: Duration) -> bool {
        healthy <= self.unhealthy_after()
    }
}
