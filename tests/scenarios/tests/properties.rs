//! What holds for any environment, tried on many that are made at random from numbered seeds.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_planner::normalize::{Absent, Field};
use skep_planner::reconcile::Mode;
use skep_planner::swarm::ServiceSpec;
use skep_planner::{Op, Plan, normalize};
use skep_scenarios::engine::{Engine, remove_at};
use skep_scenarios::world::World;
use skep_schemas::manifest::read_json;
use skep_schemas::{Kind, ReadOptions, ResourceKey};

/// How many worlds each property is tried on: together they take some seconds.
const SEEDS: u64 = 40;
/// Passes after which a world has to be quiet; the longest wait is the monitor of 5 s, once per release.
const ROUNDS: u32 = 14;

/// A small generator (splitmix64): the same seed gives the same world on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> Result<usize> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let sides = u64::try_from(sides)?;
        Ok(usize::try_from((z ^ (z >> 31)) % sides)?)
    }

    fn coin(&mut self) -> Result<bool> {
        Ok(self.roll(2)? == 0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Result<&'a T> {
        let at = self.roll(from.len())?;
        from.get(at).context("a side of the dice")
    }
}

const PROCESSES: [&str; 4] = ["web", "worker", "clock", "api"];
const SECRETS: [&str; 3] = ["alpha", "beta", "gamma"];

fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata =
        if kind == "Organization" { json!({ "name": name }) } else { json!({ "org": "acme", "name": name }) };
    json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn process(dice: &mut Dice) -> Result<Value> {
    let mut process = json!({ "instances": dice.roll(4)?, "env": env(dice)? });
    if dice.coin()? {
        process["ports"] = json!([{ "name": "http", "port": 8080 }, { "name": "admin", "port": 9000 }]);
    }
    if dice.coin()? {
        process["command"] = json!(["run", "{{.Slot}}", ""]);
    }
    if dice.coin()? {
        process["healthCheck"] = json!({ "command": ["check"], "interval": "3s", "startPeriod": "0s" });
    }
    if dice.coin()? {
        process["volumes"] = json!([{ "name": "data", "path": "/data" }, { "name": "tmp", "path": "/tmp", "readOnly": dice.coin()? }]);
    }
    if dice.coin()? {
        process["resources"] = json!({ "cpu": "1500m", "memory": "64Mi" });
    }
    if dice.coin()? {
        process["stopGracePeriod"] = json!(*dice.pick(&["0s", "5s", "2m"])?);
    }
    Ok(process)
}

fn env(dice: &mut Dice) -> Result<Value> {
    let mut env = json!({});
    for name in ["A", "B_2", "PORT", "_z"] {
        if dice.coin()? {
            env[name] = json!(*dice.pick(&["", "1", "two words", "{{", "}} {{{x}}}", "a=b", "\n\u{e9}"])?);
        }
    }
    Ok(env)
}

fn environment(dice: &mut Dice) -> Result<Value> {
    let mut spec = json!({ "app": "shop", "env": env(dice)?, "processes": {} });
    for name in PROCESSES {
        if dice.coin()? {
            spec["processes"][name] = process(dice)?;
        }
    }
    let mut secrets = Vec::new();
    for name in SECRETS {
        if dice.coin()? {
            secrets.push(if dice.coin()? {
                json!({ "name": name })
            } else {
                json!({ "name": name, "file": format!("{name}.txt") })
            });
        }
    }
    spec["secrets"] = json!(secrets);
    if dice.coin()? {
        spec["region"] = json!("eu");
    }
    if dice.coin()? {
        spec["rollout"] =
            json!({ "parallelism": 2, "order": *dice.pick(&["auto", "start-first", "stop-first"])? });
    }
    if dice.coin()? {
        spec["restart"] = json!({ "condition": *dice.pick(&["any", "on-failure", "none"])?, "delay": "0s" });
    }
    if dice.coin()? {
        spec["security"] = json!({ "writableRoot": dice.coin()?, "user": 1000 });
    }
    Ok(spec)
}

fn domain(dice: &mut Dice, number: usize) -> Result<Value> {
    let mut spec = json!({ "host": format!("d{number}.example.com"), "environment": "prod", "process": *dice.pick(&PROCESSES)? });
    if dice.coin()? {
        spec["port"] = json!(*dice.pick(&["http", "admin", "none"])?);
    }
    if dice.coin()? {
        spec["tls"] = json!("off");
    }
    Ok(spec)
}

/// A random organisation; a second call with other dice changes it.
fn write(world: &mut World, dice: &mut Dice) -> Result<()> {
    let mut manifests = vec![
        manifest("Organization", "acme", &json!({})),
        manifest(
            "App",
            "shop",
            &json!({ "source": { "image": *dice.pick(&["shop:1", "shop:2"])? }, "processes": { "web": process(dice)? } }),
        ),
        manifest("Environment", "prod", &environment(dice)?),
    ];
    for name in SECRETS {
        manifests.push(manifest("Secret", name, &json!({ "value": *dice.pick(&["one", "two"])? })));
    }
    for number in 0..dice.roll(4)? {
        manifests.push(manifest("Domain", &format!("d{number}"), &domain(dice, number)?));
    }
    let text = serde_json::to_string(&manifests)?;
    let read = read_json("seed", &text, &ReadOptions::default());
    let read =
        read.map_err(|found| anyhow::anyhow!("{}", found.render(skep_schemas::diagnostic::Style::Plain)))?;
    world.store.apply(read.into_iter().map(|sourced| sourced.manifest).collect(), world.now)
}

fn run(world: &mut World) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for _ in 0..ROUNDS {
        for key in world.store.keys() {
            plans.extend(world.pass(&key)?.done.into_iter().map(|report| report.plan));
        }
        world.advance(1)?;
    }
    for plan in world.plans(Mode::Act)? {
        ensure!(plan.is_quiet(), "{} is not quiet: {plan:#?}", plan.key);
    }
    Ok(plans)
}

fn world(dice: &mut Dice) -> Result<World> {
    let mut world = World::new()?;
    if dice.coin()? {
        world.engine.api = (1, 41);
    }
    if dice.coin()? {
        world.settings.edge.certificate_resolver = Some("public".to_owned());
    }
    write(&mut world, dice)?;
    Ok(world)
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
            for report in world.pass(&key)?.done {
                for step in &report.plan.steps {
                    restarts_as_predicted(&before, &world, step).with_context(|| format!("seed {seed}"))?;
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
        world.engine.tasks.get(id).into_iter().flatten().map(|task| task.id.to_string()).collect()
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
    ensure!(replaced == predicted, "{}: {predicted} predicted, {replaced} replaced: {step:#?}", step.object);
    Ok(())
}

/// Every service spec that was sent in a run of this seed.
fn sent_specs(seed: u64) -> Result<(Engine, Vec<ServiceSpec>)> {
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
            assert_eq!(normalize::service(&engine.form(&spec)), normal, "seed {seed}");
            let read: ServiceSpec = serde_json::from_str(&serde_json::to_string(&engine.form(&spec))?)?;
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
    for seed in 0..SEEDS * 4 {
        let mut dice = Dice(seed);
        let mut world = world(&mut dice)?;
        run(&mut world)?;
        let names: Vec<String> =
            world.engine.services.keys().filter(|name| name.starts_with("acme_")).cloned().collect();
        let name = dice.pick(&names)?;
        let before = world.engine.services[name].spec.clone();
        let mut json = serde_json::to_value(&before)?;
        let mut pointers = Vec::new();
        leaves(&json, "", &mut pointers);
        // The name cannot be changed.
        pointers.retain(|pointer| pointer != "/Name");
        let pointer = dice.pick(&pointers)?;
        let at = json.pointer(pointer).context("a leaf")?.clone();
        match another(&at, &mut dice)? {
            Some(value) => *json.pointer_mut(pointer).context("a leaf")? = value,
            None => remove_at(&mut json, pointer)?,
        }
        let edited: ServiceSpec = serde_json::from_value(json)?;
        if normalize::service(&edited) == normalize::service(&before) {
            // A default that was named and is named no more says the same.
            let field = normalize::service_field(pointer).context("a row")?;
            let around = pointer.rsplit_once('/').and_then(|(around, _)| normalize::service_field(around));
            let has_default = |field: &Field| matches!(field.absent, Absent::Is(_) | Absent::Written(_));
            ensure!(
                has_default(field) || around.is_some_and(has_default),
                "seed {seed}: {pointer} is not compared"
            );
            continue;
        }
        let service = world.engine.services.get_mut(name).context("the service")?;
        service.spec = edited;
        let plan = world.plan(&prod()?, Mode::Act)?;
        ensure!(!plan.drift.is_empty(), "seed {seed}: {pointer} is not reported");
        let changes = plan.steps.iter().find(|step| step.object.name == *name).map(|step| step.changes.len());
        ensure!(
            changes.is_some_and(|changes| changes > 0),
            "seed {seed}: {pointer} of {name} goes unnoticed"
        );
        run(&mut world).with_context(|| format!("seed {seed}: {pointer}"))?;
        let after = &world.engine.services[name].spec;
        assert_eq!(normalize::service(after), normalize::service(&before), "seed {seed}: {pointer}");
        undone += 1;
    }
    ensure!(undone > 100, "too few edits were tried: {undone}");
    Ok(())
}
