//! The difference of two specs, field by field, and what it costs to make one into the other.
//!
//! Input are two normalised specs. The pointers are those of the engine's JSON, so that what a person reads here can be found in
//! `docker service inspect`; environment variables are shown by name instead of by position ([`pointer`]).

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::normalize::{self, Node};
use crate::step::{Cost, FieldChange};
use crate::swarm::{Network, NetworkCreate, Secret, SecretSpec, ServiceSpec};

mod pointer;

pub use pointer::{escape, set_at, value_at};

/// The most changes that are listed; a spec that differs in more is another spec, and the rest would not be read.
const CHANGES_MAX: usize = 200;

/// The changes that make `live` into `desired`, both normalised. Empty when they are equal. Where one of them says nothing and the
/// engine's default is known, the change shows the default.
pub fn changes(live: &ServiceSpec, desired: &ServiceSpec) -> Vec<FieldChange> {
    typed_changes(live, desired, &normalize::SERVICE_TREE)
}

/// The changes that would make a live network what is asked for. None of them can be made in place.
///
/// Of a network that the manager has not allocated yet the engine tells neither driver nor addresses; those are not compared then.
/// Addresses that nobody asked for are the manager's choice.
pub fn network(live: &Network, desired: &NetworkCreate) -> Vec<FieldChange> {
    let (mut found, mut desired) = (normalize::network(live), normalize::network_create(desired));
    if live.driver.is_empty() {
        desired.driver.clear();
        desired.ipam = None;
        desired.options.clear();
    }
    let asked_for = desired.ipam.as_ref().is_some_and(|ipam| !ipam.config.is_empty());
    if let Some(ipam) = found.ipam.as_mut().filter(|_| !asked_for) {
        ipam.config.clear();
    }
    typed_changes(&found, &desired, &normalize::NETWORK_TREE)
}

/// The changes that would make a live secret what is asked for. Its value is not compared: nobody is told it.
pub fn secret(live: &Secret, desired: &SecretSpec) -> Vec<FieldChange> {
    typed_changes(&normalize::secret(live), &normalize::secret_spec(desired), &normalize::SECRET_TREE)
}

/// The changes that make one JSON value into another.
pub fn value_changes(live: &Value, desired: &Value) -> Vec<FieldChange> {
    compared(live, desired, None)
}

fn typed_changes<T: Serialize>(live: &T, desired: &T, table: &Node) -> Vec<FieldChange> {
    let (Ok(live), Ok(desired)) = (serde_json::to_value(live), serde_json::to_value(desired)) else {
        // The wire types hold string-keyed maps and plain values only, which always serialise.
        return Vec::new();
    };
    compared(&live, &desired, Some(table))
}

fn compared(live: &Value, desired: &Value, table: Option<&Node>) -> Vec<FieldChange> {
    let mut comparison = Comparison { table, changes: Vec::new() };
    comparison.values("", Some(live), Some(desired));
    comparison.changes.truncate(CHANGES_MAX);
    comparison.changes
}

/// A comparison under way.
struct Comparison<'a> {
    /// Where it is known what absence means.
    table: Option<&'a Node>,
    changes: Vec<FieldChange>,
}

impl Comparison<'_> {
    fn values(&mut self, pointer: &str, live: Option<&Value>, desired: Option<&Value>) {
        let default = match (live, desired) {
            (Some(_), Some(_)) | (None, None) => None,
            _ => self.table.and_then(|table| table.at(pointer)).and_then(Node::meaning),
        };
        match (live.or(default), desired.or(default)) {
            (Some(live), Some(desired)) if live == desired => {}
            (Some(Value::Object(live)), Some(Value::Object(desired))) => self.objects(pointer, live, desired),
            (Some(Value::Array(live)), Some(Value::Array(desired))) => self.lists(pointer, live, desired),
            // An object that is made or removed is shown by its fields, and a list of variables by their names.
            (None, Some(Value::Object(desired))) if !desired.is_empty() => {
                self.objects(pointer, &Map::new(), desired)
            }
            (Some(Value::Object(live)), None) if !live.is_empty() => self.objects(pointer, live, &Map::new()),
            (None, Some(Value::Array(desired))) if names_variables(pointer, desired) => {
                self.lists(pointer, &[], desired)
            }
            (Some(Value::Array(live)), None) if names_variables(pointer, live) => {
                self.lists(pointer, live, &[])
            }
            (None, None) => {}
            (live, desired) => self.changed(pointer, live.cloned(), desired.cloned()),
        }
    }

    fn objects(&mut self, pointer: &str, live: &Map<String, Value>, desired: &Map<String, Value>) {
        let keys: BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
        for key in keys {
            self.values(&pointer::join(pointer, key), live.get(key), desired.get(key));
        }
    }

    fn lists(&mut self, pointer: &str, live: &[Value], desired: &[Value]) {
        match (pointer::variables_at(pointer, live), pointer::variables_at(pointer, desired)) {
            // Equal by name but in another order: shown as a whole, because order restarts tasks.
            (Some(live), Some(desired)) if live != desired => self.objects(pointer, &live, &desired),
            // The same number of objects: which field of which. With another number positions would only mislead.
            _ if live.len() == desired.len() && live.iter().chain(desired).all(Value::is_object) => {
                for (index, (live, desired)) in live.iter().zip(desired).enumerate() {
                    self.values(&pointer::join(pointer, &index.to_string()), Some(live), Some(desired));
                }
            }
            _ => {
                self.changed(pointer, Some(Value::Array(live.to_vec())), Some(Value::Array(desired.to_vec())))
            }
        }
    }

    fn changed(&mut self, pointer: &str, from: Option<Value>, to: Option<Value>) {
        self.changes.push(FieldChange { pointer: pointer.to_owned(), from, to });
    }
}

/// Whether a list that is made or removed can be shown by the names of its variables.
fn names_variables(pointer: &str, list: &[Value]) -> bool {
    !list.is_empty() && pointer::variables_at(pointer, list).is_some()
}

/// What an update with these changes costs a service whose tasks run like this.
///
/// The rule is swarmkit's (`manager/orchestrator/task.go`, `IsTaskDirty`): a task is replaced when its template or endpoint spec
/// differs; labels of the service, how it is updated and how many tasks it has are not part of either. A task that still fits a
/// changed placement is left alone (`IsTaskDirtyPlacementConstraintsOnly`).
///
/// `tasks` are the tasks that run; `misplaced` those of them that the new placement forbids.
pub fn cost(
    changes: &[FieldChange],
    from_replicas: u64,
    to_replicas: u64,
    tasks: u64,
    misplaced: u64,
) -> Cost {
    let replaced = if changes.iter().any(replaces_tasks) { tasks } else { misplaced };
    if replaced > 0 {
        return Cost::RollingRestart { tasks: replaced.min(to_replicas.max(1)) };
    }
    if from_replicas != to_replicas {
        return Cost::Scale { from: from_replicas, to: to_replicas };
    }
    Cost::NoRestart
}

/// Does a change replace every task of the service?
pub fn replaces_tasks(change: &FieldChange) -> bool {
    concerns_tasks(change) && !moves_tasks(change)
}

/// Does a change say where tasks may run? That is part of the template, although it replaces only tasks that are in the wrong place.
pub fn moves_tasks(change: &FieldChange) -> bool {
    change.pointer.starts_with("/TaskTemplate/Placement")
}

/// Does a change concern the tasks of the service at all, and not the service alone?
pub fn concerns_tasks(change: &FieldChange) -> bool {
    change.pointer.starts_with("/TaskTemplate/") || change.pointer.starts_with("/EndpointSpec")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(live: Value, desired: Value) -> Vec<String> {
        value_changes(&live, &desired).iter().map(|c| c.pointer.clone()).collect()
    }

    #[test]
    fn variables_are_compared_by_name() {
        let found = value_changes(&json!({"Env": ["A=1", "B=2"]}), &json!({"Env": ["A=1", "B=3", "C=4"]}));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].pointer.as_str(), &found[0].to), ("/Env/B", &Some(json!("3"))));
        assert_eq!((found[1].pointer.as_str(), &found[1].from), ("/Env/C", &None));
    }

    #[test]
    fn another_order_of_variables_is_a_change_because_it_restarts_tasks() {
        assert_eq!(texts(json!({"Env": ["A=1", "B=2"]}), json!({"Env": ["B=2", "A=1"]})), ["/Env"]);
    }

    #[test]
    fn pointers_are_escaped_and_removed_objects_are_shown_by_field() {
        assert_eq!(
            texts(json!({"Labels": {"a/b": "1", "c": "2"}}), json!({})),
            ["/Labels/a~1b", "/Labels/c"]
        );
    }

    #[test]
    fn an_object_in_a_list_is_shown_by_field_while_the_list_is_as_long() {
        let live = json!({"Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "10.0.1.0/24"}]});
        let desired = json!({"Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "10.0.2.0/24"}]});
        assert_eq!(texts(live.clone(), desired), ["/Config/1/Subnet"]);
        assert_eq!(texts(live, json!({"Config": [{"Subnet": "10.0.1.0/24"}]})), ["/Config"]);
    }

    #[test]
    fn only_the_template_and_the_endpoint_restart_tasks() {
        let changed = |pointer: &str| [FieldChange { pointer: pointer.to_owned(), from: None, to: None }];
        assert_eq!(cost(&changed("/Labels/a"), 2, 2, 2, 0), Cost::NoRestart);
        assert_eq!(cost(&changed("/UpdateConfig/Monitor"), 2, 2, 2, 0), Cost::NoRestart);
        assert_eq!(cost(&changed("/Mode/Replicated/Replicas"), 2, 3, 2, 0), Cost::Scale { from: 2, to: 3 });
        assert_eq!(
            cost(&changed("/TaskTemplate/ContainerSpec/Env/A"), 2, 2, 2, 0),
            Cost::RollingRestart { tasks: 2 }
        );
        assert_eq!(
            cost(&changed("/TaskTemplate/Placement/Constraints"), 2, 2, 2, 1),
            Cost::RollingRestart { tasks: 1 }
        );
        assert_eq!(cost(&changed("/TaskTemplate/Placement/Constraints"), 2, 2, 2, 0), Cost::NoRestart);
    }
}
