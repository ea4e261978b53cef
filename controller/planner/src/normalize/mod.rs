//! Both sides of a comparison in one form.
//!
//! The engine does not store exactly what it is sent: it names defaults, drops what is empty, adds empty objects, turns names into
//! ids and forgets what it does not know. A difference that only says so is not a difference, and acting on it would restart tasks
//! for ever. What it does with each field stands in tables, one row a field ([`SERVICE`], [`CONTAINER`], [`NETWORK`], [`SECRET`]), and
//! the functions here apply them: two objects are alike for Skep exactly when their normal forms are equal.
//!
//! The rows come from moby's source and from experiments. `cargo xtask record-fixtures` repeats the experiments on real engines,
//! and the tests replay what was recorded. `docs/normalisation.md` shows the tables.

mod canonical;
mod container;
mod field;
mod network;
mod secret;
mod service;

use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::canonical::{SwarmOwned, canonical};
pub use self::container::CONTAINER;
pub(crate) use self::field::Node;
pub use self::field::{Absent, Field, Kept, Kind, Owner, Words};
pub use self::network::NETWORK;
pub use self::secret::SECRET;
pub use self::service::SERVICE;
use crate::swarm::{Known, Network, NetworkCreate, Secret, SecretSpec, ServiceSpec, TaskSpec};

/// The rows of [`SERVICE`] and [`CONTAINER`] as a tree.
pub(crate) static SERVICE_TREE: LazyLock<Node> = LazyLock::new(|| Node::of(&[SERVICE, CONTAINER]));
/// The rows of [`NETWORK`] as a tree.
pub(crate) static NETWORK_TREE: LazyLock<Node> = LazyLock::new(|| Node::of(&[NETWORK]));
/// The rows of [`SECRET`] as a tree.
pub(crate) static SECRET_TREE: LazyLock<Node> = LazyLock::new(|| Node::of(&[SECRET]));

/// A spec in the form in which two of them can be compared. It is never sent. What is Swarm's own is not in it.
pub fn service(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    in_form(&spec, &SERVICE_TREE, SwarmOwned::Dropped).unwrap_or(spec)
}

/// Do two specs say the same? What their forms say, told without making specs of the forms: nearly every comparison ends here. `false`
/// only means that this did not tell; the fields do.
pub(crate) fn services_are_alike(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    let form = |spec: &ServiceSpec| {
        let mut value = serde_json::to_value(spec).ok()?;
        canonical(&mut value, &SERVICE_TREE, SwarmOwned::Dropped);
        Some(value)
    };
    form(one).zip(form(other)).is_some_and(|(one, other)| one == other)
}

/// A task template in the form in which two of them can be compared. Swarm's counter of forced restarts stays in it: it tells the
/// tasks before from those after.
pub fn task(spec: &TaskSpec) -> TaskSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    let node = SERVICE_TREE.at("/TaskTemplate");
    node.and_then(|node| in_form(&spec, node, SwarmOwned::Kept)).unwrap_or(spec)
}

/// A live network in the form of one that is asked for: without what the manager allocated. Compare it with [`network_create`].
pub fn network(live: &Network) -> NetworkCreate {
    let mut live = live.clone();
    live.drop_unknown();
    in_form(&live, &NETWORK_TREE, SwarmOwned::Dropped).unwrap_or_default()
}

/// A network that is asked for, in the form in which it can be compared with a live one.
pub fn network_create(spec: &NetworkCreate) -> NetworkCreate {
    let mut spec = spec.clone();
    spec.drop_unknown();
    in_form(&spec, &NETWORK_TREE, SwarmOwned::Dropped).unwrap_or(spec)
}

/// A live secret in the form of one that is asked for. Compare it with [`secret_spec`].
pub fn secret(live: &Secret) -> SecretSpec {
    secret_spec(&live.spec)
}

/// A secret that is asked for, in the form in which it can be compared with a live one.
pub fn secret_spec(spec: &SecretSpec) -> SecretSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    in_form(&spec, &SECRET_TREE, SwarmOwned::Dropped).unwrap_or(spec)
}

/// The row of a place in a service's spec, in the pointers that [`crate::diff::changes`] reports.
pub fn service_field(pointer: &str) -> Option<&'static Field> {
    SERVICE_TREE.field(pointer)
}

/// The row of a place in a network.
pub fn network_field(pointer: &str) -> Option<&'static Field> {
    NETWORK_TREE.field(pointer)
}

/// The row of a place in a secret's spec.
pub fn secret_field(pointer: &str) -> Option<&'static Field> {
    SECRET_TREE.field(pointer)
}

/// None if a table gave a field a value of another type, which the tests of the tables exclude.
fn in_form<T: Serialize, R: DeserializeOwned>(
    object: &T,
    table: &Node,
    swarm_owned: SwarmOwned,
) -> Option<R> {
    let mut value = serde_json::to_value(object).ok()?;
    canonical(&mut value, table, swarm_owned);
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests;
