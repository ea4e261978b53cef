//! What the world of the model of leases is like: the lease's row, the object, the members, and what is on its way between them.

/// What the world is like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The generation that is wanted.
    pub wanted: u8,
    /// The lease's row.
    pub lease: Lease,
    /// Does the inventory have an entry for the object?
    pub intent: bool,
    /// Of which generation the status speaks; none at first.
    pub status: u8,
    /// The objects in the Swarm that were made for the resource.
    pub objects: Vec<Object>,
    /// The controllers.
    pub members: Vec<Member>,
    /// What was sent and has not arrived. Sorted: it can arrive in any order.
    pub wire: Vec<Message>,
    /// How many things may still go wrong.
    pub faults: u8,
    /// What has happened, for the properties only.
    pub past: Past,
}

/// The lease's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What writes are checked against.
    pub epoch: u8,
    /// How often it has changed hands. Nobody can see that; it tells whether a write is late.
    pub tenure: u8,
    /// Who holds it.
    pub holder: Option<usize>,
}

/// An object in the Swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Its version index.
    pub version: u8,
    /// The generation that it was made from.
    pub generation: u8,
}

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    /// Does it run?
    pub life: Life,
    /// What it writes under, if it believes that it holds the lease.
    pub fence: Option<Fence>,
    /// Is its term over, by its own clock?
    pub over: bool,
    /// Where its pass is.
    pub pass: Pass,
}

/// Does a controller run?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// It does.
    Running,
    /// It was stopped, and its clock goes on.
    Stopped,
    /// Its machine sleeps, and its clock does too.
    Suspended,
}

/// The right to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence {
    /// What is checked.
    pub epoch: u8,
    /// What is meant.
    pub tenure: u8,
}

/// Where a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// None runs.
    Idle,
    /// It knows which generation is wanted.
    Loaded(u8),
    /// It knows what is there, too.
    Observed(u8, Option<Object>),
    /// It waits for the answer to this.
    Waiting(Request),
    /// The plan is recorded, and what it does comes next.
    Recorded(Effect),
    /// The object is as this generation wants it.
    Done(u8),
}

/// What a plan does in the Swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Makes the object.
    Create {
        /// As this generation wants it.
        generation: u8,
    },
    /// Changes it.
    Update {
        /// The version that was read.
        read: u8,
        /// As this generation wants it.
        generation: u8,
    },
}

impl Effect {
    pub(super) const fn generation(self) -> u8 {
        match self {
            Self::Create { generation } | Self::Update { generation, .. } => generation,
        }
    }
}

/// Something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// By whom.
    pub from: usize,
    /// What it asks for.
    pub request: Request,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Of Postgres: record this plan and its intent.
    Record(Fence, Effect),
    /// Of the Swarm: do it.
    Call(Effect),
    /// Of Postgres: the status speaks of this generation.
    Report(Fence, u8),
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Past {
    /// How often each generation took effect in the Swarm.
    pub effects: Vec<u8>,
    /// A write to Postgres under a lease that had moved on took effect.
    pub late_write: bool,
    /// Such a write was refused.
    pub late_refused: bool,
    /// An older generation replaced a newer one in the Swarm.
    pub went_back: bool,
    /// A status of an older generation replaced one of a newer.
    pub status_went_back: bool,
    /// An object was made that the inventory did not know of.
    pub unintended: bool,
    /// The Swarm refused a write that something else had overtaken.
    pub overtaken: bool,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Somebody changes the manifest.
    Apply,
    /// The lease runs out.
    Lapse,
    /// A member takes the lease.
    Take(usize),
    /// A member notices that it does not hold the lease any more.
    GiveUp(usize),
    /// A pass begins.
    Load(usize),
    /// It looks at the Swarm.
    Observe(usize),
    /// It plans, and asks to record the plan.
    Plan(usize),
    /// It asks the Swarm.
    Call(usize),
    /// It asks to record that it is done.
    Report(usize),
    /// A message arrives, and so does its answer.
    Deliver(usize),
    /// A message arrives, and its answer does not.
    DeliverUnheard(usize),
    /// A message is lost.
    Lose(usize),
    /// A member is stopped.
    Stop(usize),
    /// A member's machine goes to sleep.
    Suspend(usize),
    /// A member goes on.
    Resume(usize),
    /// A member dies and starts anew.
    Crash(usize),
}

impl State {
    /// Is everything as it is wanted, and recorded so?
    pub fn is_converged(&self) -> bool {
        let wanted = |object: &Object| object.generation == self.wanted;
        self.objects.len() == 1
            && self.objects.iter().all(wanted)
            && self.status == self.wanted
            && self.intent
    }

    /// The members that run and believe that they hold the lease.
    pub fn believers(&self) -> usize {
        self.members.iter().filter(|member| member.may_work()).count()
    }

    pub(super) fn send(&mut self, from: usize, request: Request) {
        self.wire.push(Message { from, request });
        self.wire.sort_unstable();
        self.members[from].pass = Pass::Waiting(request);
    }

    /// Notes a write to Postgres that was let through.
    pub(super) fn written_under(&mut self, fence: Fence) {
        self.past.late_write |= fence.tenure != self.lease.tenure;
    }
}

impl Member {
    pub(super) const NEW: Self = Self { life: Life::Running, fence: None, over: false, pass: Pass::Idle };

    pub(super) fn may_work(&self) -> bool {
        self.life == Life::Running && self.fence.is_some() && !self.over
    }
}
