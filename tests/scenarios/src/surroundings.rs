//! The commands by which a case changes the Swarm behind Skep's back: tasks that fail, rollbacks, nodes, the edge, other writers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use jiff::Timestamp;
use skep_planner::health::ContainerVerdict;
use skep_planner::reconcile::environment::ImageFailure;
use skep_planner::swarm::{
    ContainerSpec, ContainerStatus, Labels, NetworkCreate, Node, Service, ServiceSpec, Task, TaskState,
    TaskStatus,
};
use skep_planner::{ImageStart, ResolvedImage};
use skep_simulator::Behaviour;
use skep_swarm::{ApiVersion, By};

use crate::command::{self, Words};
use crate::stage::Stage;

impl Stage {
    pub(crate) fn service(&mut self, verb: &str, words: &mut Words<'_>) -> Result<()> {
        let name = words.next("a service")?;
        let engine = &mut self.world.engine;
        match verb {
            "hold" => engine.hold(name),
            "finish" => engine.finish(name),
            "absent" => {
                engine.swarm.drop_service(name)?;
                engine.swarm.advance(std::time::Duration::ZERO);
            }
            "rollback" => {
                let why = "update rolled back due to failure or early termination of task";
                engine.roll_back(name, words.maybe()?.unwrap_or(why))?;
            }
            "update-status" => {
                let state = words.next("a state")?;
                engine.say_of_update(name, state, words.maybe()?.unwrap_or_default())?;
            }
            "meddle" => {
                let remove = words.take("-");
                let pointer = words.next("a JSON pointer")?;
                let value = if remove { None } else { Some(command::value(assigned(words)?)) };
                engine.meddle(name, pointer, value)?;
            }
            "insists" => {
                let pointer = words.next("a JSON pointer")?.to_owned();
                let value = command::value(assigned(words)?);
                engine.insists.insert((name.to_owned(), pointer), value);
            }
            _ => self.tasks(name, words)?,
        }
        Ok(())
    }

    /// `tasks SERVICE`, then any number of `old|running|starting|pending|failed|rejected ["error"] [exit N] [oom] [xN]`.
    fn tasks(&mut self, name: &str, words: &mut Words<'_>) -> Result<()> {
        let (engine, now) = (&mut self.world.engine, self.world.now);
        let service = engine.service(name).with_context(|| format!("there is no service {name}"))?;
        let mut tasks: Vec<Task> = Vec::new();
        while let Some(word) = words.maybe()? {
            if let Some(count) = word.strip_prefix('x').and_then(|count| count.parse::<usize>().ok()) {
                let last = tasks.last().context("`xN` repeats the task before it")?.clone();
                tasks.extend(std::iter::repeat_n(last, count.saturating_sub(1)));
            } else if word == "exit" {
                let container_id = engine.next_container();
                let last = tasks.last_mut().context("`exit` belongs to the task before it")?;
                let exit_code = words.next("an exit code")?.parse()?;
                let status = ContainerStatus { container_id, exit_code, ..ContainerStatus::default() };
                last.status.container_status = Some(status);
            } else if word == "oom" {
                let last = tasks.last().and_then(|task| task.status.container_status.as_ref());
                let id = last.context("`oom` comes after `exit N`")?.container_id.clone();
                let verdict = ContainerVerdict { out_of_memory: true, ..ContainerVerdict::default() };
                engine.containers.insert(id, verdict);
            } else if let ("old", Some(previous)) = (word, &service.previous_spec) {
                let mut task = task_of(&service, &engine.swarm.list_nodes(), TaskState::Running, "", now);
                task.spec = previous.task_template.clone();
                tasks.push(task);
            } else {
                let state = TaskState::from(word);
                ensure!(!matches!(state, TaskState::Other(_)), "`{word}` is no state of a task");
                let needs_words =
                    matches!(state, TaskState::Pending | TaskState::Failed | TaskState::Rejected);
                let error = if needs_words { words.next("an error")? } else { "" };
                tasks.push(task_of(&service, &engine.swarm.list_nodes(), state, error, now));
            }
        }
        engine.put_tasks(name, tasks)
    }

    pub(crate) fn surroundings(&mut self, verb: &str, words: &mut Words<'_>) -> Result<()> {
        let engine = &mut self.world.engine;
        let name = words.next("a name")?;
        match verb {
            "engine" => {
                let api: ApiVersion = name.parse()?;
                let behaviour = Behaviour::ALL.into_iter().find(|behaviour| behaviour.api() == api);
                engine.swarm.set_behaviour(behaviour.context("write `engine 1.41` or `engine 1.45`")?);
            }
            "node" => {
                let mut labels = BTreeMap::new();
                while let Some(label) = words.maybe()? {
                    let (key, value) = label.split_once('=').context("write `node name key=value`")?;
                    labels.insert(key.to_owned(), value.to_owned());
                }
                engine.swarm.set_node(name, |node| node.spec.labels = labels);
                engine.swarm.advance(std::time::Duration::ZERO);
            }
            "no-node" => {
                engine.swarm.remove_node(name);
                engine.swarm.advance(std::time::Duration::ZERO);
            }
            "lost-node" => {
                engine.swarm.lose_node(name);
                engine.swarm.advance(std::time::Duration::ZERO);
            }
            "found-node" => {
                engine.swarm.restore_node(name);
                engine.swarm.advance(std::time::Duration::ZERO);
            }
            "disconnected" => engine.disconnect(name)?,
            "edge" if name == "none" => engine.set_edge(None),
            "edge" => {
                let mut names = vec![name];
                while let Some(name) = words.maybe()? {
                    names.push(name);
                }
                engine.set_edge(Some(&names));
            }
            "image" => {
                let resolved = match words.next("what is known of it")? {
                    "missing" => Err(ImageFailure::Refused { why: words.next("why")?.to_owned() }),
                    "denied" => Err(ImageFailure::Denied { why: words.next("why")?.to_owned() }),
                    "given" => {
                        ensure!(engine.images.remove(name).is_some(), "{name} is given already");
                        return Ok(());
                    }
                    "engine-only" => {
                        let id = format!("sha256:{}", "e".repeat(64));
                        Ok(ResolvedImage::Engine { id: id.parse().map_err(|error| anyhow!("{error}"))? })
                    }
                    "starts" => {
                        let mut command = Vec::new();
                        while let Some(word) = words.maybe()? {
                            command.push(word.to_owned());
                        }
                        let start = ImageStart { command, stop_signal: 15, ..ImageStart::default() };
                        engine.starts.insert(name.to_owned(), start);
                        return Ok(());
                    }
                    other => {
                        bail!(
                            "an image is `missing`, `denied`, `given`, `engine-only` or `starts`, not `{other}`"
                        )
                    }
                };
                engine.images.insert(name.to_owned(), resolved);
            }
            "unknown" => {
                let why = words.maybe()?.unwrap_or("the engine did not answer in time");
                engine.unseen.insert(name.to_owned(), why.to_owned());
            }
            "seen" => {
                engine.unseen.remove(name).with_context(|| format!("{name} is seen already"))?;
            }
            _ => self.foreign(name)?,
        }
        Ok(())
    }

    /// What was of that name is of somebody else now.
    fn foreign(&mut self, name: &str) -> Result<()> {
        let swarm = &mut self.world.engine.swarm;
        if swarm.inspect_service(By::Name(name)).is_some() {
            swarm.edit_service(name, |spec| spec.labels = Labels::new())?;
        } else if name.starts_with("skep-") {
            if swarm.inspect_network(By::Name(name)).is_some() {
                swarm.displace_network(name);
            }
            swarm.add_network(&NetworkCreate {
                name: name.to_owned(),
                driver: "overlay".to_owned(),
                ..NetworkCreate::default()
            })?;
        } else {
            let mut spec = ServiceSpec { name: name.to_owned(), ..ServiceSpec::default() };
            let image = "somebody/else:1".to_owned();
            spec.task_template.container_spec = Some(ContainerSpec { image, ..ContainerSpec::default() });
            swarm.add_service(&spec)?;
        }
        swarm.advance(std::time::Duration::ZERO);
        Ok(())
    }
}

/// A task of a service's current template, on the first node there is.
fn task_of(service: &Service, nodes: &[Node], state: TaskState, err: &str, now: Timestamp) -> Task {
    let desired = if state.is_terminal() { TaskState::Shutdown } else { TaskState::Running };
    let waits = state == TaskState::Pending;
    let node = nodes.first().filter(|_| !waits);
    Task {
        spec: service.spec.task_template.clone(),
        node_id: node.map(|node| node.id.clone()),
        status: TaskStatus {
            timestamp: now.to_string(),
            state: Some(state),
            err: err.to_owned(),
            ..TaskStatus::default()
        },
        desired_state: Some(desired),
        ..Task::default()
    }
}

fn assigned<'a>(words: &mut Words<'a>) -> Result<&'a str> {
    ensure!(words.take("="), "a value is missing");
    Ok(words.rest())
}
