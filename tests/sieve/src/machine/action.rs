//! What can happen.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde::{Deserialize, Serialize};

use crate::fault::Kind;

/// How many actions a story has at most.
pub(super) const ACTIONS_MAX: usize = 24;
/// At which call, event or statement after an action something may go wrong: a plan of an organisation has some ten calls.
const POINTS: u8 = 12;

/// A seed and what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// What draws the order of passes.
    pub seed: u64,
    /// What happens, one after the other.
    pub actions: Vec<Action>,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Somebody applies a manifest.
    Apply(Change),
    /// Somebody asks for a deletion.
    Delete(Target),
    /// Somebody asks for another try.
    Retry,
    /// Somebody confirms what the brake holds.
    Confirm,
    /// Somebody changes a live service: the one of this number.
    Edit(u8, Edit),
    /// Somebody removes a live service.
    Drop(u8),
    /// The tasks of a service die.
    Kill(u8),
    /// So many events are lost to everybody.
    LoseEvents(u8),
    /// From here on this goes wrong, at that call, event or statement.
    Fault(Kind, u8),
    /// All processes end, and one starts.
    Crash,
    /// Another process starts, and takes its share.
    Join,
    /// A node is lost.
    NodeLost,
    /// It comes back.
    NodeBack,
    /// The loop does so much.
    Steps(u8),
    /// Seconds pass in which the loop does nothing.
    Wait(u8),
    /// Everything comes to rest.
    Rest,
}

/// What a manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The organisation.
    Organization,
    /// The app runs this image: two that work, one that is never healthy, one that nobody can find.
    App(u8),
    /// The secret has this value.
    Secret(u8),
    /// The environment is so.
    Environment {
        /// Which of the two.
        late: bool,
        /// The value of a variable.
        variable: u8,
        /// How many instances of its web process.
        instances: u8,
        /// Does it have a second process?
        worker: bool,
        /// Does it read the secret?
        secret: bool,
    },
    /// The domain leads to one of the environments.
    Domain {
        /// To which.
        late: bool,
    },
}

/// What is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The organisation, and everything in it.
    Organization,
    /// The app.
    App,
    /// The secret.
    Secret,
    /// The environment.
    Prod,
    /// The other.
    Late,
    /// The domain.
    Domain,
}

/// What somebody does to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Sets a variable of its container.
    Variable,
    /// Asks for so many instances.
    Replicas(u8),
    /// Adds a label of their own.
    Label,
    /// Takes off the labels that say whose it is.
    Disown,
    /// Runs another image.
    Image,
    /// Goes back to what it was before.
    RollBack,
}

/// Stories as proptest draws them. Nothing is forbidden at any point: what does not fit is refused by the product, which is a case
/// as well.
#[derive(Debug)]
pub(super) struct Stories;

impl ReferenceStateMachine for Stories {
    type State = u64;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<u64> {
        // Another seed is another story, not a smaller one.
        any::<u64>().no_shrink().boxed()
    }

    fn transitions(_: &u64) -> BoxedStrategy<Action> {
        prop_oneof![
            6 => change().prop_map(Action::Apply),
            3 => target().prop_map(Action::Delete),
            1 => Just(Action::Retry),
            1 => Just(Action::Confirm),
            4 => (0..8_u8, edit()).prop_map(|(service, edit)| Action::Edit(service, edit)),
            1 => (0..8_u8).prop_map(Action::Drop),
            2 => (0..8_u8).prop_map(Action::Kill),
            1 => (1..5_u8).prop_map(Action::LoseEvents),
            6 => (kind(), 0..POINTS).prop_map(|(kind, point)| Action::Fault(kind, point)),
            2 => Just(Action::Crash),
            1 => Just(Action::Join),
            1 => Just(Action::NodeLost),
            1 => Just(Action::NodeBack),
            6 => (1..30_u8).prop_map(Action::Steps),
            2 => (1..90_u8).prop_map(Action::Wait),
            4 => Just(Action::Rest),
        ]
        .boxed()
    }

    fn apply(state: u64, _: &Action) -> u64 {
        state
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::Organization),
        2 => (0..4_u8).prop_map(Change::App),
        2 => (0..3_u8).prop_map(Change::Secret),
        5 => (any::<bool>(), 0..3_u8, 0..3_u8, any::<bool>(), any::<bool>()).prop_map(
            |(late, variable, instances, worker, secret)| Change::Environment { late, variable, instances, worker, secret }
        ),
        1 => any::<bool>().prop_map(|late| Change::Domain { late }),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        2 => Just(Target::Organization),
        1 => Just(Target::App),
        1 => Just(Target::Secret),
        3 => Just(Target::Prod),
        2 => Just(Target::Late),
        1 => Just(Target::Domain),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => Just(Edit::Variable),
        2 => (0..4_u8).prop_map(Edit::Replicas),
        1 => Just(Edit::Label),
        1 => Just(Edit::Disown),
        1 => Just(Edit::Image),
        1 => Just(Edit::RollBack),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL)
}
