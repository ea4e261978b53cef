//! The cases.

mod cluster;
mod creating;
mod draining;
mod edge;
mod ending;
mod events;
mod failing;
mod finding;
mod forms;
mod interrupting;
mod jobs;
mod losing;
mod nodes;
mod pausing;
mod placing;
mod removing;
mod rolling;
mod running;
mod updating;
mod using;

use futures::future::BoxFuture;

use crate::trial::Trial;

/// A case: its name says what holds.
#[derive(Clone, Copy)]
pub struct Case {
    /// The property.
    pub name: &'static str,
    /// How many nodes its Swarm has.
    pub nodes: u8,
    pub(crate) run: for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, ()>,
}

/// Lists the cases of a module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        $crate::cases::cases!(1 => $($case),*);
    };
    ($nodes:expr => $($case:ident),* $(,)?) => {
        pub(super) fn cases() -> Vec<$crate::cases::Case> {
            vec![$($crate::cases::Case {
                name: stringify!($case),
                nodes: $nodes,
                run: |trial| Box::pin($case(trial)),
            }),*]
        }
    };
}
use cases;

/// Cases that may share a Swarm while they run.
pub fn together() -> Vec<Case> {
    [
        creating::cases(),
        updating::cases(),
        forms::cases(),
        using::cases(),
        finding::cases(),
        running::cases(),
        ending::cases(),
        placing::cases(),
        rolling::cases(),
        interrupting::cases(),
        jobs::cases(),
        events::cases(),
        edge::cases(),
    ]
    .concat()
}

/// Cases that change the node under all others.
pub fn alone() -> Vec<Case> {
    nodes::cases()
}

/// Cases of several nodes, in groups that go through what becomes of a node together.
pub fn in_step() -> Vec<Vec<Case>> {
    vec![draining::cases(), pausing::cases(), losing::cases(), failing::cases(), removing::cases()]
}
