//! Leases, epochs and late writes.
//!
//! Several members share one resource: an object in the Swarm that shall exist once and be as the newest generation says. Any of them
//! can be stopped, suspended or killed at any point, and whatever one has sent can arrive at any later time, or never, or without
//! its answer. The lease decides who works; this model asks what holds when it has decided wrongly.
//!
//! | action | in the product |
//! |---|---|
//! | [`Action::Apply`] | `ScopedStore::apply` raises the generation |
//! | [`Action::Take`] | `Member::take`: the lease is free, its epoch rises |
//! | [`Action::Lapse`] | `lease.expires_at` passes by the database's clock; the holder's `Term` was over 1.5 s before, if its clock ran |
//! | [`Action::GiveUp`] | `Membership::give_up` and `Membership::renewed`: a term that is over, a lease that has moved on |
//! | [`Action::Load`], [`Action::Observe`] | `desired.rs`, `observe.rs`: what is wanted, then what is there |
//! | [`Action::Plan`] | the planner, and `Store::begin_plan` + `Store::step_started` on their way |
//! | [`Action::Call`] | `Executor::call` on its way: `create_service` by name, `update_service` by version |
//! | [`Action::Report`] | `Store::step_finished` and `Store::write_status` on their way |
//! | [`Action::Deliver`] | the request arrives, is answered, and the answer arrives |
//! | [`Action::DeliverUnheard`] | it arrives, and the answer is lost: `Effect::Unknown` |
//! | [`Action::Lose`] | it never arrives |
//! | [`Action::Stop`] | SIGSTOP: nothing runs, CLOCK_MONOTONIC does |
//! | [`Action::Suspend`] | the whole machine sleeps: its clock stands still, and its term seems to last |
//! | [`Action::Resume`], [`Action::Crash`] | it goes on, or starts anew and knows nothing |
//!
//! Requests that were sent are in nobody's hands: they are delivered whatever has become of the sender. That is stronger than what
//! a connection can do, and it is why the proof does not rest on clocks. Two writes to Postgres under one fence do not overtake each
//! other: the first holds the row until its COMMIT is done or it is rolled back, and the second waits for the row.

mod state;

use stateright::{Model, Property};

pub use state::{Action, Effect, Fence, Lease, Life, Member, Message, Object, Pass, Past, Request, State};

/// A rule that the product keeps, and that a model can be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A change of hands raises the epoch (`lease::take`).
    Epoch,
    /// A write to Postgres checks the epoch that it is made under (`Fence::check`).
    Fence,
    /// A plan is only recorded for the generation that is wanted now (`journal::check_current`).
    Generation,
    /// The Swarm refuses an update of another version than the one that was read (I4).
    Version,
    /// The Swarm refuses a second object of a name, and names are deterministic (I4).
    Name,
    /// The inventory knows of an object before it can exist (I3).
    Intent,
    /// No step is taken when the term is over by the process' own clock (`Term::hold`).
    Term,
}

/// A model of so many members.
#[derive(Debug, Clone)]
pub struct Leases {
    /// How many controllers.
    pub members: usize,
    /// How often the manifest is applied.
    pub generations: u8,
    /// How many things go wrong.
    pub faults: u8,
    /// Which rules are not kept.
    pub without: &'static [Guard],
}

/// How something that was asked for went.
enum Answer {
    Granted,
    Refused,
}

impl Leases {
    fn keeps(&self, guard: Guard) -> bool {
        !self.without.contains(&guard)
    }

    fn passes(&self, state: &State, id: usize, actions: &mut Vec<Action>) {
        let member = &state.members[id];
        let may_work = member.fence.is_some() && !(member.over && self.keeps(Guard::Term));
        if !may_work {
            return;
        }
        match member.pass {
            Pass::Idle if !state.is_converged() => actions.push(Action::Load(id)),
            Pass::Loaded(_) => actions.push(Action::Observe(id)),
            Pass::Observed(..) => actions.push(Action::Plan(id)),
            Pass::Recorded(_) => actions.push(Action::Call(id)),
            Pass::Done(_) => actions.push(Action::Report(id)),
            Pass::Idle | Pass::Waiting(_) => {}
        }
    }

    fn take(&self, state: &mut State, id: usize) {
        let lease = &mut state.lease;
        lease.tenure += 1;
        if self.keeps(Guard::Epoch) {
            lease.epoch += 1;
        }
        lease.holder = Some(id);
        let fence = Fence { epoch: lease.epoch, tenure: lease.tenure };
        state.members[id] = Member { fence: Some(fence), ..Member::NEW };
    }

    /// What a pass has planned goes on its way.
    fn plan(&self, state: &mut State, id: usize) {
        let Member { fence: Some(fence), pass: Pass::Observed(wanted, found), .. } = state.members[id] else {
            return;
        };
        let effect = match found {
            Some(object) if object.generation == wanted && state.intent => {
                state.members[id].pass = Pass::Done(wanted);
                return;
            }
            Some(object) => Effect::Update { read: object.version, generation: wanted },
            None => Effect::Create { generation: wanted },
        };
        if self.keeps(Guard::Intent) {
            state.send(id, Request::Record(fence, effect));
        } else {
            state.send(id, Request::Call(effect));
        }
    }

    /// What a message does where it arrives, and how the sender goes on if it hears of it.
    fn arrive(&self, state: &mut State, message: Message) -> Pass {
        match message.request {
            Request::Record(fence, effect) => match self.record(state, fence, effect) {
                Answer::Granted if self.keeps(Guard::Intent) => Pass::Recorded(effect),
                Answer::Granted => Pass::Done(effect.generation()),
                Answer::Refused => Pass::Idle,
            },
            Request::Call(effect) => match self.call(state, effect) {
                Answer::Granted => Pass::Done(effect.generation()),
                Answer::Refused => Pass::Idle,
            },
            Request::Report(fence, generation) => {
                if self.admits(state, fence) {
                    state.written_under(fence);
                    state.past.status_went_back |= generation < state.status;
                    state.status = generation;
                    // Without intents in time they are written with the result.
                    state.intent = true;
                }
                Pass::Idle
            }
        }
    }

    fn admits(&self, state: &mut State, fence: Fence) -> bool {
        let admitted = !self.keeps(Guard::Fence) || fence.epoch == state.lease.epoch;
        state.past.late_refused |= !admitted;
        admitted
    }

    fn record(&self, state: &mut State, fence: Fence, effect: Effect) -> Answer {
        let stale = self.keeps(Guard::Generation) && effect.generation() != state.wanted;
        if !self.admits(state, fence) || stale {
            return Answer::Refused;
        }
        state.written_under(fence);
        state.intent = true;
        Answer::Granted
    }

    fn call(&self, state: &mut State, effect: Effect) -> Answer {
        match (effect, state.objects.first_mut()) {
            (Effect::Create { .. }, Some(_)) if self.keeps(Guard::Name) => {
                state.past.overtaken = true;
                return Answer::Refused;
            }
            (Effect::Create { generation }, _) => {
                state.objects.push(Object { version: 1, generation });
                state.past.unintended |= !state.intent;
            }
            (Effect::Update { .. }, None) => return Answer::Refused,
            (Effect::Update { read, .. }, Some(object))
                if self.keeps(Guard::Version) && object.version != read =>
            {
                state.past.overtaken = true;
                return Answer::Refused;
            }
            (Effect::Update { generation, .. }, Some(object)) => {
                state.past.went_back |= generation < object.generation;
                *object = Object { version: object.version + 1, generation };
            }
        }
        state.past.effects[usize::from(effect.generation())] += 1;
        Answer::Granted
    }

    /// A message leaves the wire; does it arrive, and is its answer heard?
    fn leave(&self, state: &mut State, index: usize, arrives: bool, heard: bool) {
        let message = state.wire.remove(index);
        let next = if arrives { self.arrive(state, message) } else { Pass::Idle };
        let member = &mut state.members[message.from];
        // Who has crashed meanwhile waits for nothing, or for something else.
        if member.pass == Pass::Waiting(message.request) {
            member.pass = if heard { next } else { Pass::Idle };
        }
    }

    fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Apply => state.wanted += 1,
            Action::Lapse => {
                if let Some(holder) = state.lease.holder.take() {
                    let member = &mut state.members[holder];
                    member.over |= member.life != Life::Suspended;
                }
            }
            Action::Take(id) => self.take(state, id),
            Action::GiveUp(id) => state.members[id] = Member::NEW,
            Action::Load(id) => state.members[id].pass = Pass::Loaded(state.wanted),
            Action::Observe(id) => {
                if let Pass::Loaded(wanted) = state.members[id].pass {
                    state.members[id].pass = Pass::Observed(wanted, state.objects.first().copied());
                }
            }
            Action::Plan(id) => self.plan(state, id),
            Action::Call(id) => {
                if let Pass::Recorded(effect) = state.members[id].pass {
                    state.send(id, Request::Call(effect));
                }
            }
            Action::Report(id) => {
                if let Member { fence: Some(fence), pass: Pass::Done(generation), .. } = state.members[id] {
                    state.send(id, Request::Report(fence, generation));
                }
            }
            Action::Deliver(index) => self.leave(state, index, true, true),
            Action::DeliverUnheard(index) => self.leave(state, index, true, false),
            Action::Lose(index) => self.leave(state, index, false, false),
            Action::Stop(id) => state.members[id].life = Life::Stopped,
            Action::Suspend(id) => state.members[id].life = Life::Suspended,
            Action::Resume(id) => state.members[id].life = Life::Running,
            Action::Crash(id) => state.members[id] = Member::NEW,
        }
        let is_fault = matches!(
            action,
            Action::DeliverUnheard(_)
                | Action::Lose(_)
                | Action::Stop(_)
                | Action::Suspend(_)
                | Action::Crash(_)
        );
        state.faults -= u8::from(is_fault);
    }
}

impl Model for Leases {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            wanted: 1,
            lease: Lease { epoch: 0, tenure: 0, holder: None },
            intent: false,
            status: 0,
            objects: Vec::new(),
            members: vec![Member::NEW; self.members],
            wire: Vec::new(),
            faults: self.faults,
            past: Past { effects: vec![0; usize::from(self.generations) + 1], ..Past::default() },
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wanted < self.generations {
            actions.push(Action::Apply);
        }
        for (id, member) in state.members.iter().enumerate() {
            let holds = state.lease.holder == Some(id);
            let current =
                holds && member.fence.is_some_and(|fence| fence.tenure == state.lease.tenure) && !member.over;
            if holds && !(current && member.life == Life::Running) {
                actions.push(Action::Lapse);
            }
            if member.life != Life::Running {
                actions.push(Action::Resume(id));
                continue;
            }
            match member.fence {
                None if state.lease.holder.is_none() => actions.push(Action::Take(id)),
                Some(_) if !current => actions.push(Action::GiveUp(id)),
                _ => {}
            }
            self.passes(state, id, actions);
            if state.faults > 0 && member.fence.is_some() {
                actions.extend([Action::Stop(id), Action::Suspend(id), Action::Crash(id)]);
            }
        }
        for index in 0..state.wire.len() {
            actions.push(Action::Deliver(index));
            if state.faults > 0 {
                actions.extend([Action::DeliverUnheard(index), Action::Lose(index)]);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_LATE_WRITE, |_, state: &State| !state.past.late_write),
            Property::always(ONE_EFFECT, |_, state: &State| {
                state.past.effects.iter().all(|&times| times <= 1)
            }),
            Property::always(ONE_OBJECT, |_, state: &State| state.objects.len() <= 1),
            Property::always(NOT_BACK, |_, state: &State| !state.past.went_back),
            Property::always(STATUS_NOT_BACK, |_, state: &State| !state.past.status_went_back),
            Property::always(INTENDED, |_, state: &State| !state.past.unintended),
            // Exact where an `eventually` would be an approximation: a run that can go no further has to have arrived.
            Property::always(ARRIVES, |model, state: &State| {
                let mut actions = Vec::new();
                model.actions(state, &mut actions);
                !actions.is_empty() || state.is_converged()
            }),
            Property::sometimes(CAN_CONVERGE, |model: &Self, state: &State| {
                state.is_converged() && state.wanted == model.generations
            }),
            Property::sometimes(CAN_BE_LATE, |_, state: &State| state.past.late_refused),
            Property::sometimes(CAN_BE_OVERTAKEN, |_, state: &State| state.past.overtaken),
            Property::sometimes(TWO_BELIEVERS, |_, state: &State| state.believers() > 1),
        ]
    }
}

/// I9.
pub const NO_LATE_WRITE: &str = "no write under a former epoch takes effect";
/// What was wanted once is done once.
pub const ONE_EFFECT: &str = "each intent takes effect at most once";
/// I4.
pub const ONE_OBJECT: &str = "there is never a second object";
/// A late write does not undo a newer one.
pub const NOT_BACK: &str = "no older generation replaces a newer one";
/// I15.
pub const STATUS_NOT_BACK: &str = "no status of an older generation replaces one of a newer";
/// I3.
pub const INTENDED: &str = "what may exist is in the inventory";
/// I10.
pub const ARRIVES: &str = "when nothing can happen any more everything is as wanted";
/// The model is not empty.
pub const CAN_CONVERGE: &str = "it can be done";
/// The faults do what they are for.
pub const CAN_BE_LATE: &str = "a late write is refused";
/// The same of the Swarm's own guards.
pub const CAN_BE_OVERTAKEN: &str = "a call is refused because another was sooner";
/// Clocks that stand still do what they are for.
pub const TWO_BELIEVERS: &str = "two members believe that they hold the lease";
