//! The core: objects, clock and agenda.

mod agenda;
mod check;
mod configs;
mod containers;
mod count;
mod edge;
mod events;
mod form;
mod hands;
mod images;
mod logs;
mod networks;
mod nodes;
mod orchestrator;
mod secrets;
mod services;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skep_planner::swarm::{
    Config, ConfigId, ContainerId, Network, NetworkId, Node, NodeId, Secret, SecretId, Service, ServiceId,
    TaskId, Version,
};

use self::agenda::{Agenda, Due};
use self::containers::ContainerRecord;
pub use self::count::Mutation;
use self::events::EventRing;
pub use self::images::ImageAnswer;
use self::images::Images;
use self::orchestrator::Orchestrator;
use self::tasks::TaskRecord;
use crate::behaviour::{Behaviour, Pace};

/// How long [`Swarm::settle`] goes on: tasks that fail and are made again never come to rest.
const SETTLED_BY_THEN: Duration = Duration::from_secs(15 * 60);

/// The node whose engine is asked, and on whose containers it can tell.
pub(crate) const ASKED_NODE: &str = "node-1";

/// A Swarm of one engine release, at one moment.
#[derive(Clone, Debug)]
pub struct Swarm {
    behaviour: Behaviour,
    pace: Pace,
    now: Timestamp,
    /// The managers' log position; each write to an object is one further.
    index: u64,
    ids: u64,
    /// How many subnets the managers have chosen.
    pools: u32,
    agenda: Agenda,
    services: BTreeMap<ServiceId, ServiceRecord>,
    service_names: BTreeMap<String, ServiceId>,
    tasks: BTreeMap<TaskId, TaskRecord>,
    tasks_of: BTreeMap<ServiceId, BTreeSet<TaskId>>,
    networks: BTreeMap<NetworkId, NetworkRecord>,
    secrets: BTreeMap<SecretId, Secret>,
    secret_names: BTreeMap<String, SecretId>,
    configs: BTreeMap<ConfigId, Config>,
    nodes: BTreeMap<NodeId, Node>,
    containers: BTreeMap<ContainerId, ContainerRecord>,
    images: Images,
    orchestrator: Orchestrator,
    events: EventRing,
    mutations: Vec<Mutation>,
    /// Services whose tasks do not get on, and up to where they come.
    held: BTreeMap<String, tasks::Hold>,
    /// Services for which time stands still, with what is to happen to them afterwards.
    frozen: BTreeMap<String, Frozen>,
    /// What has changed since the managers' parts last looked.
    changes: VecDeque<Change>,
    /// Networks of which the asked node keeps a rest that nobody can delete, with their names.
    remnants: BTreeMap<NetworkId, String>,
}

/// A service with what the managers know of it and do not tell.
#[derive(Clone, Debug)]
struct ServiceRecord {
    service: Service,
    /// Which spec this is: two tasks of one number run the same.
    spec_version: u64,
    previous_spec_version: u64,
}

/// A network with what the managers know of it.
#[derive(Clone, Debug)]
struct NetworkRecord {
    network: Network,
    /// The next address of its range.
    next_address: u32,
    /// Whether the asked node has it.
    is_local: bool,
}

/// What waits until a service's time goes on.
#[derive(Clone, Debug, Default)]
struct Frozen {
    changes: Vec<Change>,
    due: Vec<Due>,
}

/// Something changed that the managers' parts act on.
#[derive(Clone, Debug)]
enum Change {
    Service(ServiceId),
    ServiceGone(Box<ServiceRecord>),
    TaskMade(TaskId),
    Task(TaskId),
    TaskGone(Box<TaskRecord>),
    Network(NetworkId),
    Node(NodeId),
    NodeGone(NodeId),
}

impl Swarm {
    /// A Swarm of one manager, `node-1`, with 8 processors and 16 GiB, and nothing on it.
    pub fn new(behaviour: Behaviour) -> Self {
        let mut swarm = Self {
            behaviour,
            pace: Pace::default(),
            now: beginning(),
            index: 10,
            ids: 0,
            pools: 0,
            agenda: Agenda::default(),
            services: BTreeMap::new(),
            service_names: BTreeMap::new(),
            tasks: BTreeMap::new(),
            tasks_of: BTreeMap::new(),
            networks: BTreeMap::new(),
            secrets: BTreeMap::new(),
            secret_names: BTreeMap::new(),
            configs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            containers: BTreeMap::new(),
            images: Images::default(),
            orchestrator: Orchestrator::default(),
            events: EventRing::default(),
            mutations: Vec::new(),
            held: BTreeMap::new(),
            frozen: BTreeMap::new(),
            changes: VecDeque::new(),
            remnants: BTreeMap::new(),
        };
        swarm.set_node(ASKED_NODE, |_| {});
        // The node is long there: nobody has to react to it.
        swarm.changes.clear();
        swarm.agenda = Agenda::default();
        swarm
    }

    /// Which engine it is.
    pub const fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// The engine is another release from now on; what is stored stays as it is.
    pub const fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    /// Which cluster it is.
    pub const fn cluster_id(&self) -> &'static str {
        "clu0000000000000000000001"
    }

    /// How long things take.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Lets things take other times from now on.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The Swarm's clock.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// When something is due next, if anything is.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// Lets time pass, and happen what is due in it.
    pub fn advance(&mut self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let end = self.now.saturating_add(by).unwrap_or(Timestamp::MAX);
        self.advance_to(end);
    }

    /// Lets time pass until then; a moment that is past changes nothing.
    pub fn advance_to(&mut self, end: Timestamp) {
        while let Some((at, due)) = self.agenda.take_until(end) {
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until nothing is due, and says whether it came to that: tasks that fail and are made again never rest, so
    /// that it gives up after a quarter of an hour on its own clock.
    pub fn settle(&mut self) -> bool {
        let end = after(self.now, SETTLED_BY_THEN);
        while let Some(at) = self.agenda.next() {
            if at > end {
                return false;
            }
            self.advance_to(at);
        }
        true
    }

    /// Lets time pass until this holds, at most for so long; says whether it does.
    pub fn advance_until(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = after(self.now, limit);
        loop {
            if holds(self) {
                return true;
            }
            match self.agenda.next() {
                Some(at) if at <= end => self.advance_to(at),
                _ => {
                    self.advance_to(end);
                    return holds(self);
                }
            }
        }
    }

    /// The next position in the managers' log.
    const fn next_version(&mut self) -> Version {
        self.index += 1;
        Version { index: self.index }
    }

    /// A new identity: 25 characters as a real one, the kind first so that it can be read.
    fn new_id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}{:0>width$}", self.ids, width = 25_usize.saturating_sub(kind.len()))
    }

    /// Puts something on the agenda.
    fn due_in(&mut self, delay: Duration, due: Due) {
        self.agenda.put(after(self.now, delay), due);
    }

    /// Tells the managers' parts of a change; they look at it a moment later.
    fn changed(&mut self, change: Change) {
        if self.changes.is_empty() {
            self.due_in(self.pace.reaction, Due::React);
        }
        self.changes.push_back(change);
    }
}

/// Every simulated Swarm begins at this moment (2026-01-01), so that runs can be compared.
const START: SignedDuration = SignedDuration::from_secs(1_767_225_600);

fn beginning() -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(START).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A moment so long after another.
fn after(moment: Timestamp, delay: Duration) -> Timestamp {
    let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
    moment.saturating_add(delay).unwrap_or(Timestamp::MAX)
}
