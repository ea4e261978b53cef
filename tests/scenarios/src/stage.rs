//! The commands of a case, and what each does to the world.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use skep_planner::reconcile::Mode;
use skep_planner::view::{PlanView, PreviewView, ResourceAction, ResourceChange};
use skep_planner::{Plan, diff};
use skep_schemas::diagnostic::Style;
use skep_schemas::manifest::{Batch, read_json};
use skep_schemas::{Diagnostics, Duration, Kind, Manifest, OrgName, Pause, ReadOptions, ResourceKey};

use crate::command::{self, Words};
use crate::script::Command;
use crate::show;
use crate::world::{Fault, World};

/// After so many seconds without anything happening, nothing will happen any more: longer than the longest wait of the planner
/// that is not a deadline (the monitor of a service without health check, 5 s).
const IDLE_ROUNDS: u32 = 10;
/// After so many seconds in which a roll-out said nothing new it is taken for one that says nothing any more.
const ROLLING_ROUNDS: u32 = 90;
/// A world that is not quiet after so many seconds is a fight.
const ROUNDS_MAX: u32 = 300;
/// The longest `run` for a given time, in seconds.
const RUN_MAX: u64 = 3600;

/// A world, and what was last foreseen for it.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The world.
    pub world: World,
    root: PathBuf,
    foreseen: Option<BTreeSet<String>>,
}

impl Stage {
    /// An empty world; files are named relative to `root`.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { world: World::new()?, root: root.into(), foreseen: None })
    }

    /// Does what a command says, and gives back what there is to say about it.
    pub fn perform(&mut self, command: &Command) -> Result<String> {
        let mut words = Words::new(&command.text);
        let verb = words.next("the command")?;
        if verb == "preview" {
            return self.preview(words.rest(), &command.block);
        }
        let said = self.act(verb, &mut words, &command.block)?;
        words.end()?;
        Ok(said)
    }

    fn act(&mut self, verb: &str, words: &mut Words<'_>, block: &[String]) -> Result<String> {
        match verb {
            "load" => self.load(words.next("a path")?).map(nothing),
            "apply" => self.apply(&block.join("\n")).map(nothing),
            "edit" => self.edit(words).map(nothing),
            "delete" => {
                let key = self.key(words)?;
                self.world.store.delete(&key, self.world.now).map(nothing)
            }
            "plan" => self.plan(words),
            "run" => self.run(words),
            "pass" => {
                let key = self.key(words)?;
                let report = self.world.pass(&key)?;
                Ok(report.done.iter().map(show::done).collect())
            }
            "status" => self.status(words),
            "expect" => self.expect(words).map(nothing),
            "objects" => Ok(self.objects()),
            "live" => self.live(words),
            "instances" => self.instances(words),
            "nodes" => {
                let tasks = self.world.engine.swarm.tasks_of(words.next("a service")?);
                Ok(show::nodes(&tasks))
            }
            "clock" => self.clock(words).map(nothing),
            "fault" => self.fault(words).map(nothing),
            "pause" => self.pause(words).map(nothing),
            "resume" => {
                let key = self.key(words)?;
                self.world.store.pause(&key, None).map(nothing)
            }
            "retry" => {
                let key = self.key(words)?;
                self.world.store.retry(&key).map(nothing)
            }
            "cancel" => {
                let key = self.key(words)?;
                self.world.store.cancel(&key).map(nothing)
            }
            "ask-run" => self.ask_run(words).map(nothing),
            "stop-run" => {
                let key = self.key(words)?;
                self.world.store.stop_run(&key, words.next("its number")?.parse()?).map(nothing)
            }
            "runs" | "schedules" => {
                let key = self.key(words)?;
                let store = &self.world.store;
                if verb == "runs" { store.show_runs(&key) } else { store.show_schedules(&key) }
            }
            "deployments" => {
                let key = self.key(words)?;
                self.world.store.show_deployments(&key)
            }
            "as" => {
                self.world.store.write_as(words.next("a name")?);
                Ok(String::new())
            }
            "makers" => {
                let key = self.key(words)?;
                self.world.store.makers(&key)
            }
            "return-to" => {
                let key = self.key(words)?;
                self.world.store.return_to(&key, words.next("a release, or `manifests`")?).map(nothing)
            }
            "scale" | "restart" | "stop" | "start" | "suspend" | "end-suspension" => {
                self.formation(verb, words)
            }
            "hold" | "finish" | "tasks" | "update-status" | "rollback" | "absent" | "meddle" | "insists" => {
                self.service(verb, words)?;
                self.world.read_clock();
                Ok(String::new())
            }
            "engine" | "node" | "no-node" | "lost-node" | "found-node" | "edge" | "disconnected"
            | "image" | "unknown" | "seen" | "foreign" => self.surroundings(verb, words).map(nothing),
            "signature" => self.signature(words).map(nothing),
            "scanner" => self.scanner(words).map(nothing),
            "survey" => self.world.survey().map(nothing),
            "pool" | "forwarder" | "safety-hold" | "confirm" => self.operator(verb, words).map(nothing),
            _ => bail!("there is no command `{verb}`"),
        }
    }

    fn only_org(&self) -> Option<OrgName> {
        let keys = self.world.store.keys();
        let mut orgs = keys.iter().filter(|key| key.kind() == Kind::Organization);
        let only = orgs.next().filter(|_| orgs.next().is_none())?;
        OrgName::try_from(only.name()).ok()
    }

    pub(crate) fn key(&self, words: &mut Words<'_>) -> Result<ResourceKey> {
        command::key(words.next("a resource")?, self.only_org().as_ref())
    }

    fn load(&mut self, path: &str) -> Result<()> {
        let mut batch = Batch::new(ReadOptions::default());
        for file in files(&self.root.join(path))? {
            batch.add_yaml(&file.display().to_string(), &std::fs::read_to_string(&file)?);
        }
        let read = batch.finish().map_err(|found| refused(&found))?;
        self.write(read.into_iter().map(|sourced| sourced.manifest).collect())
    }

    fn apply(&mut self, text: &str) -> Result<()> {
        let options = ReadOptions { default_org: self.only_org() };
        let mut batch = Batch::new(options);
        batch.add_yaml("the case", text);
        let read = batch.finish().map_err(|found| refused(&found))?;
        self.write(read.into_iter().map(|sourced| sourced.manifest).collect())
    }

    fn write(&mut self, manifests: Vec<Manifest>) -> Result<()> {
        self.world.store.apply(manifests, self.world.now)
    }

    fn edit(&mut self, words: &mut Words<'_>) -> Result<()> {
        let key = self.key(words)?;
        let resource = self.world.store.get(&key).with_context(|| format!("{key} does not exist"))?.clone();
        let manifest = Manifest {
            key,
            labels: resource.meta.labels,
            annotations: resource.meta.annotations,
            spec: resource.spec,
        };
        let mut json = manifest.to_json()?;
        let removed = words.take("-");
        let path = words.next("a path")?;
        let value = if removed {
            None
        } else if words.take("filled") {
            let count: usize = words.next("how many texts")?.parse()?;
            let text = "x".repeat(words.next("how many letters")?.parse()?);
            let texts = (1..=count).map(|number| (format!("TEXT_{number}"), text.clone().into()));
            Some(serde_json::Value::Object(texts.collect()))
        } else {
            ensure!(words.take("="), "write `edit Kind/name path = value` or `edit Kind/name - path`");
            Some(command::value(words.rest()))
        };
        command::edit(&mut json, path, value)?;
        let read = read_json("the case", &json.to_string(), &ReadOptions::default());
        let read = read.map_err(|found| refused(&found))?;
        self.write(read.into_iter().map(|sourced| sourced.manifest).collect())
    }

    fn plan(&mut self, words: &mut Words<'_>) -> Result<String> {
        let key = words.maybe()?.map(|text| command::key(text, self.only_org().as_ref())).transpose()?;
        let plans = match key {
            Some(key) => vec![self.world.plan(&key, Mode::Act)?],
            None => self.world.plans(Mode::Act)?,
        };
        let plans = plans.iter().map(PlanView::of).collect();
        Ok(PreviewView { plans, ..PreviewView::default() }.render())
    }

    /// What a command would change, in the store and in the Swarm; it is not carried out.
    fn preview(&mut self, text: &str, block: &[String]) -> Result<String> {
        let mut there = self.clone();
        let mut words = Words::new(text);
        let verb = words.next("a command")?;
        there.act(verb, &mut words, block)?;
        let plans = there.world.plans(Mode::Preview)?;
        self.foreseen = Some(plans.iter().flat_map(step_names).collect());
        let resources = changes(&self.world, &there.world)?;
        let plans = plans.iter().map(PlanView::of).collect();
        Ok(PreviewView { resources, plans, ..PreviewView::default() }.render())
    }

    /// Passes over all resources, one second apart, until nothing happens any more, or for as long as is said.
    fn run(&mut self, words: &mut Words<'_>) -> Result<String> {
        let backwards = words.take("backwards");
        let as_previewed = words.take("as-previewed");
        let silently = words.take("silently");
        let seconds = words.maybe()?.map(seconds).transpose()?;
        let (mut text, mut done, mut idle) = (String::new(), BTreeSet::new(), 0);
        for round in 0_u64.. {
            let mut quiet = true;
            let mut keys = self.world.store.keys();
            if backwards {
                keys.reverse();
            }
            for key in keys {
                let report = self.world.pass(&key)?;
                quiet &= report.is_quiet();
                for report in &report.done {
                    text.push_str(&show::done(report));
                    done.extend(step_names(&report.plan));
                }
            }
            idle = if quiet { idle + 1 } else { 0 };
            // A roll-out is watched for a while; one that gets nowhere is given up on.
            let is_watched = self.world.engine.is_rolling() && idle < ROLLING_ROUNDS;
            match seconds {
                Some(seconds) if round >= seconds => break,
                None if idle >= IDLE_ROUNDS && !is_watched => break,
                None if round > u64::from(ROUNDS_MAX) => bail!("it does not become quiet; so far:\n{text}"),
                Some(_) | None => self.world.advance(1)?,
            }
        }
        if as_previewed {
            let foreseen = self.foreseen.take().context("nothing was previewed")?;
            ensure!(foreseen == done, "the preview said {foreseen:#?}\nbut the run did {done:#?}");
        }
        Ok(match text.as_str() {
            _ if silently => String::new(),
            "" => "nothing to do".to_owned(),
            _ => text,
        })
    }

    fn status(&self, words: &mut Words<'_>) -> Result<String> {
        let key = self.key(words)?;
        let resource = self.world.store.get(&key).with_context(|| format!("{key} does not exist"))?;
        Ok(show::status(resource))
    }

    fn expect(&mut self, words: &mut Words<'_>) -> Result<()> {
        ensure!(words.next("what is expected")? == "quiet", "only `expect quiet` is known");
        for plan in self.world.plans(Mode::Act)? {
            ensure!(plan.is_quiet(), "{} is not quiet: {plan:#?}", plan.key);
        }
        Ok(())
    }

    fn objects(&self) -> String {
        let in_swarm = self.world.objects();
        let mut text: String = in_swarm.iter().map(|object| format!("{object}\n")).collect();
        for object in self.world.store.objects() {
            if !in_swarm.contains(&object.to_string()) {
                let _ = writeln!(text, "{object} (in the inventory)");
            }
        }
        if text.is_empty() { "nothing".to_owned() } else { text }
    }

    fn live(&self, words: &mut Words<'_>) -> Result<String> {
        let name = words.next("a service")?;
        let service =
            self.world.engine.service(name).with_context(|| format!("there is no service {name}"))?;
        let spec = serde_json::to_value(&service.spec)?;
        let mut text = String::new();
        while let Some(pointer) = words.maybe()? {
            match spec.pointer(pointer) {
                Some(value) => writeln!(text, "{pointer}: {value}")?,
                None => writeln!(text, "{pointer} is not set")?,
            }
        }
        Ok(text)
    }

    fn instances(&self, words: &mut Words<'_>) -> Result<String> {
        let name = words.next("a service")?;
        let service =
            self.world.engine.service(name).with_context(|| format!("there is no service {name}"))?;
        Ok(show::instances(&service, &self.world.engine.swarm.tasks_of(name)))
    }

    fn clock(&mut self, words: &mut Words<'_>) -> Result<()> {
        let text = words.next("a time")?;
        let forward = text.strip_prefix('+').context("write `clock +10m`")?;
        self.world.advance(i64::try_from(seconds(forward)?)?)
    }

    fn ask_run(&mut self, words: &mut Words<'_>) -> Result<()> {
        let key = self.key(words)?;
        let process = words.next("a process")?.parse()?;
        let time_limit = words.next("a time limit")?.parse()?;
        let command = words.rest().split_whitespace().map(str::to_owned).collect();
        self.world.store.ask_run(&key, process, command, time_limit)
    }

    fn pause(&mut self, words: &mut Words<'_>) -> Result<()> {
        let key = self.key(words)?;
        let reason = words.next("a reason")?.to_owned();
        let until = words.maybe()?.map(seconds).transpose()?;
        let until =
            until.map(|seconds| jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let pause = Pause {
            reason,
            by: "ann".to_owned(),
            since: self.world.now,
            until: until.map(|time| self.world.now.checked_add(time)).transpose()?,
        };
        self.world.store.pause(&key, Some(pause))
    }

    fn fault(&mut self, words: &mut Words<'_>) -> Result<()> {
        let fault = match words.next("a fault")? {
            "conflict" => Fault::Conflict,
            "crash-before" => Fault::CrashBefore,
            "crash-after" => Fault::CrashAfter,
            "busy" => Fault::Busy,
            "invalid" => Fault::Invalid,
            other => bail!("there is no fault `{other}`"),
        };
        self.world.faults.insert(words.next("an object")?.to_owned(), fault);
        Ok(())
    }
}

fn nothing((): ()) -> String {
    String::new()
}

fn seconds(text: &str) -> Result<u64> {
    let duration: Duration = text.parse()?;
    let seconds = duration.millis() / 1000;
    ensure!(seconds <= RUN_MAX, "{text} is longer than an hour");
    Ok(seconds)
}

fn refused(found: &Diagnostics) -> anyhow::Error {
    anyhow!("the manifests are refused:\n{}", found.render(Style::Plain))
}

/// A file, or the YAML files of a directory in order.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

/// What a plan does, without identities: those that are not known before cannot be foreseen.
fn step_names(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| format!("{}: {} {}", plan.key, step.op.verb(), step.object));
    let release = plan.release.iter().map(|release| format!("{}: release {}", plan.key, release.version));
    steps.chain(release).collect()
}

fn changes(before: &World, after: &World) -> Result<Vec<ResourceChange>> {
    let json = |world: &World, key: &ResourceKey| {
        world.store.get(key).map(|resource| {
            let spec = resource.spec.to_json()?;
            let generation = resource.meta.generation;
            Ok::<_, serde_json::Error>((
                serde_json::json!({ "spec": spec }),
                generation,
                resource.meta.is_deleting(),
            ))
        })
    };
    let keys: BTreeSet<ResourceKey> = before.store.keys().into_iter().chain(after.store.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (old, new) = (json(before, &key).transpose()?, json(after, &key).transpose()?);
        let action = match (&old, &new) {
            (None, _) => ResourceAction::Create,
            (Some((.., false)), None | Some((.., true))) => ResourceAction::Delete,
            // A secret's new value is seen by the generation alone.
            (Some((_, old, _)), Some((_, new, _))) if old != new => ResourceAction::Update,
            _ => ResourceAction::Unchanged,
        };
        let fields = match (&old, &new) {
            (Some((old, ..)), Some((new, ..))) => diff::value_changes(old, new),
            _ => Vec::new(),
        };
        changes.push(ResourceChange { resource: key.to_string(), action, changes: fields });
    }
    Ok(changes)
}
