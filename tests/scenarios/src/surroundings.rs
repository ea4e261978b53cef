//! The commands by which a case changes the Swarm behind Skep's back: tasks that fail, rollbacks, nodes, the edge, other writers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use skep_planner::ResolvedImage;
use skep_planner::health::ContainerVerdict;
use skep_planner::swarm::{
    ContainerId, ContainerStatus, Labels, Network, NetworkId, Service, ServiceSpec, Task, TaskState,
};

use crate::command::{self, Words};
use crate::stage::Stage;

impl Stage {
    pub(crate) fn service(&mut self, verb: &str, words: &mut Words<'_>) -> Result<()> {
        let name = words.next("a service")?;
        let (engine, now) = (&mut self.world.engine, self.world.now);
        match verb {
            "hold" => {
                engine.held.insert(name.to_owned());
            }
            "finish" => engine.finish(name, now)?,
            "absent" => {
                let gone =
                    engine.services.remove(name).with_context(|| format!("there is no service {name}"))?;
                engine.tasks.remove(&gone.id);
            }
            "rollback" => {
                let message = words.maybe()?.unwrap_or("rollback completed");
                engine.roll_back(name, message, now)?;
            }
            "update-status" => {
                let state = words.next("a state")?;
                engine.say_of_update(name, state, words.maybe()?.unwrap_or_default(), now)?;
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
        let service =
            engine.services.get(name).with_context(|| format!("there is no service {name}"))?.clone();
        let mut tasks: Vec<Task> = Vec::new();
        while let Some(word) = words.maybe()? {
            if let Some(count) = word.strip_prefix('x').and_then(|count| count.parse::<usize>().ok()) {
                let last = tasks.last().context("`xN` repeats the task before it")?.clone();
                tasks.extend(std::iter::repeat_n(last, count.saturating_sub(1)));
            } else if word == "exit" {
                let last = tasks.last_mut().context("`exit` belongs to the task before it")?;
                let exit_code = words.next("an exit code")?.parse()?;
                let container_id = ContainerId::new(format!("container-of-{}", last.id));
                let status = ContainerStatus { container_id, exit_code, ..ContainerStatus::default() };
                last.status.container_status = Some(status);
            } else if word == "oom" {
                let last = tasks.last().and_then(|task| task.status.container_status.as_ref());
                let id = last.context("`oom` comes after `exit N`")?.container_id.clone();
                let verdict = ContainerVerdict { out_of_memory: true, ..ContainerVerdict::default() };
                engine.containers.insert(id, verdict);
            } else if let ("old", Some(previous)) = (word, &service.previous_spec) {
                let mut task = engine.task(name, TaskState::Running, "", now).context("no such service")?;
                task.spec = previous.task_template.clone();
                tasks.push(task);
            } else {
                let state = TaskState::from(word);
                ensure!(!matches!(state, TaskState::Other(_)), "`{word}` is no state of a task");
                let needs_words =
                    matches!(state, TaskState::Pending | TaskState::Failed | TaskState::Rejected);
                let error = if needs_words { words.next("an error")? } else { "" };
                tasks.push(engine.task(name, state, error, now).context("no such service")?);
            }
        }
        engine.tasks.insert(service.id, tasks);
        Ok(())
    }

    pub(crate) fn surroundings(&mut self, verb: &str, words: &mut Words<'_>) -> Result<()> {
        let engine = &mut self.world.engine;
        let name = words.next("a name")?;
        match verb {
            "engine" => {
                let (major, minor) = name.split_once('.').context("write `engine 1.41`")?;
                engine.api = (major.parse()?, minor.parse()?);
            }
            "node" => {
                let mut labels = BTreeMap::new();
                while let Some(label) = words.maybe()? {
                    let (key, value) = label.split_once('=').context("write `node name key=value`")?;
                    labels.insert(key.to_owned(), value.to_owned());
                }
                engine.set_node(name, labels);
            }
            "no-node" => {
                engine.nodes.remove(name).with_context(|| format!("there is no node {name}"))?;
            }
            "disconnected" => {
                let attached = engine.edge.as_mut().and_then(|edge| edge.get_mut(&ContainerId::from(name)));
                attached.with_context(|| format!("there is no edge task {name}"))?.clear();
            }
            "edge" if name == "none" => engine.edge = None,
            "edge" => {
                let old = engine.edge.take().unwrap_or_default();
                let mut names = vec![name];
                while let Some(name) = words.maybe()? {
                    names.push(name);
                }
                let kept = |name: &str| old.get(&ContainerId::from(name)).cloned().unwrap_or_default();
                engine.edge =
                    Some(names.into_iter().map(|name| (ContainerId::from(name), kept(name))).collect());
            }
            "image" => {
                let resolved = match words.next("what is known of it")? {
                    "missing" => Err(words.next("why")?.to_owned()),
                    "engine-only" => {
                        let id = format!("sha256:{}", "e".repeat(64));
                        Ok(ResolvedImage::Engine { id: id.parse().map_err(|error| anyhow!("{error}"))? })
                    }
                    other => bail!("an image is `missing` or `engine-only`, not `{other}`"),
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
        let engine = &mut self.world.engine;
        if let Some(service) = engine.services.get_mut(name) {
            service.spec.labels = Labels::new();
        } else if name.starts_with("skep-") {
            let network = Network {
                id: NetworkId::from("id-of-a-foreign-network"),
                name: name.to_owned(),
                ..Network::default()
            };
            engine.networks.insert(name.to_owned(), network);
        } else {
            let spec = ServiceSpec { name: name.to_owned(), ..ServiceSpec::default() };
            let service = Service { id: "id-of-a-foreign-service".into(), spec, ..Service::default() };
            engine.services.insert(name.to_owned(), service);
        }
        Ok(())
    }
}

fn assigned<'a>(words: &mut Words<'a>) -> Result<&'a str> {
    ensure!(words.take("="), "a value is missing");
    Ok(words.rest())
}
