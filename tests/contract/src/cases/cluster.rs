//! What the cases of several nodes have in common: where tasks are, and how it is told.

use std::collections::BTreeSet;

use skep_planner::swarm::{Node, NodeState, Placement, ServiceId, ServiceMode, ServiceSpec, Task};

use crate::arena::Act;
use crate::trial::Trial;

/// A service with a task on each of the three nodes, and the one that this node has.
pub(super) async fn spread(trial: &Trial<'_>, spec: &ServiceSpec, node: &str) -> (ServiceId, Task) {
    let id = trial.create(spec).await;
    let tasks = trial.running(&id, 3).await;
    let nodes: BTreeSet<_> = tasks.iter().filter_map(|task| task.node_id.clone()).collect();
    assert_eq!(nodes.len(), 3, "one on each node");
    let task = on(trial, tasks, node).await.remove(0);
    (id, task)
}

/// Cuts a node off, and waits until its Swarm has noticed.
pub(super) async fn lose(trial: &Trial<'_>, node: &str) -> Node {
    trial.arena().cut_off_node(node).await;
    trial.node_is(node, NodeState::Down).await
}

/// Lets a node come back, and waits until its Swarm has noticed.
pub(super) async fn bring_back(trial: &Trial<'_>, node: &str) -> Node {
    trial.arena().bring_back_node(node).await;
    trial.node_is(node, NodeState::Ready).await
}

/// Those of the tasks that are on this node.
pub(super) async fn on(trial: &Trial<'_>, mut tasks: Vec<Task>, node: &str) -> Vec<Task> {
    let node = trial.node(node).await.id;
    tasks.retain(|task| task.node_id.as_ref() == Some(&node));
    tasks
}

pub(super) fn global(trial: &Trial<'_>) -> ServiceSpec {
    ServiceSpec { mode: Some(ServiceMode::global()), ..trial.service("web", Act::Runs, 1) }
}

/// A service of one task that may be on this node alone.
pub(super) fn pinned(trial: &Trial<'_>, node: &str) -> ServiceSpec {
    let mut spec = trial.service("web", Act::Runs, 1);
    let constraints = vec![format!("node.hostname == {node}")];
    spec.task_template.placement = Some(Placement { constraints, ..Placement::default() });
    spec
}

pub(super) fn told(task: &Task) -> String {
    let status = &task.status;
    let exit = status.container_status.as_ref().map(|container| container.exit_code);
    format!(
        "{:?} wanted {:?}: {:?} {:?}, exit {exit:?}",
        status.state, task.desired_state, status.message, status.err
    )
}

/// Notes all tasks of a service, in no order of theirs, and which of them are on this node.
pub(super) async fn note_tasks(trial: &Trial<'_>, id: &ServiceId, node: &str) {
    let nodes = trial.swarm().list_nodes().await.expect("nodes");
    let place = |task: &Task| match nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref()) {
        Some(found) if found.description.hostname == node => node,
        Some(_) => "elsewhere",
        None if task.node_id.is_some() => "a node that is gone",
        None => "nowhere",
    };
    let tasks = trial.tasks(id).await;
    let mut lines: Vec<String> =
        tasks.iter().map(|task| format!("  {}: {}", place(task), told(task))).collect();
    lines.sort();
    lines.iter().for_each(|line| trial.note(line));
}

pub(super) fn ids(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.id.to_string()).collect()
}
