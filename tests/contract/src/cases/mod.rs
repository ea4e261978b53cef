//! The cases.

mod creating;
mod edge;
mod ending;
mod events;
mod finding;
mod forms;
mod interrupting;
mod jobs;
mod nodes;
mod placing;
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
    pub(crate) run: for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, ()>,
}

/// Lists the cases of a module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) fn cases() -> Vec<$crate::cases::Case> {
            vec![$($crate::cases::Case {
                name: stringify!($case),
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
