//! What holds for any environment, tried on many that are made at random from numbered seeds.

mod made;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_planner::normalize::{Absent, Field};
use skep_planner::reconcile::Mode;
use skep_planner::swarm::{ServiceId, ServiceSpec, Task, TaskState};
use skep_planner::{Op, Plan, normalize};
use skep_scenarios::cluster::Cluster;
use skep_scenarios::dice::Dice;
use skep_scenarios::remove_at;
use skep_scenarios::world::World;
use skep_schemas::{Kind, ResourceKey};

use crate::made::{world, write};

/// How many worlds each property is tried on: together they take some seconds.
const SEEDS: u64 = 40;
/// How many live edits are tried on each of them.
const EDITS: u64 = 4;
/// Passes after which a world has to be quiet; the longest wait is the monitor of 5 s, once per release.
const ROUNDS: u32 = 14;
/// So many while a roll-out is on its way.
const ROLLING_ROUNDS: u32 = 300;
/// A roll-out is looked at so late after the last look at most.
const ROLLING_LOOK: Duration = Duration::from_secs(60);

fn run(world: &mut World) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    let mut rounds_left = ROUNDS;
    for _ in 0..ROLLING_ROUNDS {
        // A roll-out is watched for a while after its last task, and judged after that.
        rounds_left = if world.engine.is_rolling() { ROUNDS } else { rounds_left.saturating_sub(1) };
        if rounds_left == 0 {
            break;
        }
        let before = plans.len();
        for key in world.store.keys() {
            plans.extend(world.pass(&key)?.done.into_iter().map(|report| report.plan));
        }
        // While nothing is done but waiting, only the moments count at which something happens in the Swarm.
        if world.engine.is_rolling() && plans.len() == before {
            world.advance_to_next(ROLLING_LOOK);
        } else {
            world.advance(1)?;
        }
    }
    for plan in world.plans(Mode::Act)? {
        ensure!(plan.is_quiet(), "{} is not quiet: {plan:#?}", plan.key);
    }
    Ok(plans)
}

fn prod() -> Result<ResourceKey> {
    let org = skep_schemas::Scope::Org("acme".parse()?);
    Ok(ResourceKey::new(org, Kind::Environment, "prod".parse()?)?)
}

fn shown(plan: &Plan) -> String {
    format!("{plan:?}")
}

#[test]
fn the_same_input_gives_the_same_plan_byte_for_byte() -> Result<()> {
    for seed in 0..SEEDS {
        let (mut one, mut other) = (world(&mut Dice(seed))?, world(&mut Dice(seed))?);
        let plans: (Vec<_>, Vec<_>) = (run(&mut one)?, run(&mut other)?);
        let text = |plans: &[Plan]| plans.iter().map(shown).collect::<Vec<_>>();
        let steps = |plans: &[Plan]| {
            plans.iter().map(|plan| serde_json::to_string(&plan.steps)).collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(text(&plans.0), text(&plans.1), "seed {seed}");
        assert_eq!(steps(&plans.0)?, steps(&plans.1)?, "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_world_becomes_quiet_after_any_change_and_is_then_as_wanted() -> Result<()> {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let mut world = world(&mut dice)?;
        run(&mut world).with_context(|| format!("seed {seed}, first"))?;
        for change in 0..3 {
            write(&mut world, &mut dice)?;
            run(&mut world).with_context(|| format!("seed {seed}, change {change}"))?;
        }
        let ready =
            world.store.get(&prod()?).map(|resource| resource.status["conditions"][0]["status"].clone());
        ensure!(ready == Some(json!("True")), "seed {seed}: {:#?}", world.store.get(&prod()?));
    }
    Ok(())
}

#[test]
fn a_deleted_organisation_leaves_nothing_behind() -> Result<()> {
    for seed in 0..SEEDS {
        let mut world = world(&mut Dice(seed))?;
        run(&mut world)?;
        let org = world
            .store
            .keys()
            .into_iter()
            .find(|key| key.kind() == Kind::Organization)
            .context("the organisation")?;
        world.store.delete(&org, world.now)?;
        run(&mut world).with_context(|| format!("seed {seed}"))?;
        ensure!(world.objects().is_empty(), "seed {seed}: {:?}", world.objects());
        ensure!(world.store.keys().is_empty() && world.store.objects().is_empty(), "seed {seed}");
    }
    Ok(())
}

#[test]
fn the_predicted_cost_is_what_happens() -> Result<()> {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let mut world = world(&mut dice)?;
        run(&mut world)?;
        write(&mut world, &mut dice)?;
        for key in world.store.keys() {
            let before = world.clone();
            let report = world.pass(&key)?;
            let mut after = world.clone();
            after.engine.finish_all();
            for report in report.done {
                for step in &report.plan.steps {
                    restarts_as_predicted(&before, &after, step).with_context(|| format!("seed {seed}"))?;
                }
            }
        }
    }
    Ok(())
}

/// A task that was replaced has another id.
fn restarts_as_predicted(before: &World, after: &World, step: &skep_planner::Step) -> Result<()> {
    let Op::UpdateService { id, .. } = &step.op else { return Ok(()) };
    let ids = |world: &World| -> Vec<String> {
        running(&world.engine, id).into_iter().map(|task| task.id.to_string()).collect()
    };
    let (old, new) = (ids(before), ids(after));
    let kept = old.iter().filter(|id| new.contains(id)).count();
    let replaced = old.len().min(new.len()) - kept;
    let predicted = match step.cost {
        skep_planner::Cost::RollingRestart { tasks } => usize::try_from(tasks)?,
        _ => 0,
    };
    // Scaling in the same step: tasks that are added or stopped are no restarts.
    let predicted = predicted.min(old.len().min(new.len()));
    let told = |world: &World| {
        let tasks = world.engine.swarm.tasks_of(&step.object.name);
        let told = tasks.iter().map(|task| {
            let (status, wanted) = (&task.status, &task.desired_state);
            format!("{} {:?} {wanted:?} {:?}", task.id, status.state, status.err)
        });
        told.collect::<Vec<_>>()
    };
    ensure!(
        replaced == predicted,
        "{}: {predicted} predicted, {replaced} replaced\nbefore: {:#?}\nafter: {:#?}\n{step:#?}",
        step.object,
        told(before),
        told(after)
    );
    Ok(())
}

/// The tasks that run and are wanted.
fn running(engine: &Cluster, id: &ServiceId) -> Vec<Task> {
    let wanted = |task: &Task| task.desired_state == Some(TaskState::Running);
    engine.tasks(id).into_iter().filter(wanted).collect()
}

/// Every service spec that was sent in a run of this seed.
fn sent_specs(seed: u64) -> Result<(Cluster, Vec<ServiceSpec>)> {
    let mut world = world(&mut Dice(seed))?;
    let plans = run(&mut world)?;
    let specs = plans.iter().flat_map(|plan| &plan.steps).filter_map(|step| match &step.op {
        Op::CreateService { spec, .. } | Op::UpdateService { spec, .. } => Some((**spec).clone()),
        _ => None,
    });
    Ok((world.engine, specs.collect()))
}

#[test]
fn normalising_is_idempotent_and_undoes_what_an_engine_adds() -> Result<()> {
    for seed in 0..SEEDS {
        let (engine, specs) = sent_specs(seed)?;
        ensure!(!specs.is_empty(), "seed {seed} sends no service");
        for spec in specs {
            let normal = normalize::service(&spec);
            assert_eq!(normalize::service(&normal), normal, "seed {seed}");
            assert_eq!(normalize::service(&engine.swarm.stored_form(&spec)?), normal, "seed {seed}");
            let read: ServiceSpec =
                serde_json::from_str(&serde_json::to_string(&engine.swarm.stored_form(&spec)?)?)?;
            assert_eq!(normalize::service(&read), normal, "seed {seed}: as an answer reads");
        }
    }
    Ok(())
}

/// The pointers of all plain values in a JSON value.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, entry) in list.iter().enumerate() {
                leaves(entry, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// Another value of the same type, or nothing.
fn another(value: &Value, dice: &mut Dice) -> Result<Option<Value>> {
    if dice.roll(4)? == 0 {
        return Ok(None);
    }
    Ok(Some(match value {
        Value::Bool(known) => json!(!known),
        Value::Number(known) => json!(known.as_i64().unwrap_or_default() + 1),
        Value::String(known) => json!(format!("{known}x")),
        other => other.clone(),
    }))
}

#[test]
fn a_live_edit_of_any_field_is_noticed_and_undone() -> Result<()> {
    let mut undone = 0;
    for seed in 0..SEEDS {
        let mut settled = world(&mut Dice(seed))?;
        run(&mut settled)?;
        for edit in 0..EDITS {
            let mut dice = Dice(seed * EDITS + edit);
            let edited = edit_is_undone(settled.clone(), &mut dice);
            undone += u32::from(edited.with_context(|| format!("seed {seed}, edit {edit}"))?);
        }
    }
    ensure!(undone > 100, "too few edits were tried: {undone}");
    Ok(())
}

/// Changes one field of one live service; says whether that said anything else than before.
fn edit_is_undone(mut world: World, dice: &mut Dice) -> Result<bool> {
    let names: Vec<String> =
        world.engine.service_names().into_iter().filter(|name| name.starts_with("acme_")).collect();
    let name = dice.pick(&names)?;
    let before = world.engine.service(name).context("the service")?.spec;
    let mut json = serde_json::to_value(&before)?;
    let mut pointers = Vec::new();
    leaves(&json, "", &mut pointers);
    // The name cannot be changed.
    pointers.retain(|pointer| pointer != "/Name");
    let pointer = dice.pick(&pointers)?;
    let at = json.pointer(pointer).context("a leaf")?.clone();
    match another(&at, dice)? {
        Some(value) => *json.pointer_mut(pointer).context("a leaf")? = value,
        None => remove_at(&mut json, pointer)?,
    }
    let edited: ServiceSpec = serde_json::from_value(json)?;
    if normalize::service(&edited) == normalize::service(&before) {
        // A default that was named and is named no more says the same.
        let field = normalize::service_field(pointer).context("a row")?;
        let around = pointer.rsplit_once('/').and_then(|(around, _)| normalize::service_field(around));
        let has_default = |field: &Field| matches!(field.absent, Absent::Is(_) | Absent::Written(_));
        ensure!(has_default(field) || around.is_some_and(has_default), "{pointer} is not compared");
        return Ok(false);
    }
    world.engine.swarm.alter_spec(name, |spec| *spec = edited)?;
    let plan = world.plan(&prod()?, Mode::Act)?;
    ensure!(!plan.drift.is_empty(), "{pointer} is not reported");
    let changes = plan.steps.iter().find(|step| step.object.name == *name).map(|step| step.changes.len());
    ensure!(changes.is_some_and(|changes| changes > 0), "{pointer} of {name} goes unnoticed");
    run(&mut world).with_context(|| pointer.clone())?;
    let after = world.engine.service(name).context("the service")?.spec;
    assert_eq!(normalize::service(&after), normalize::service(&before), "{pointer}");
    Ok(true)
}
