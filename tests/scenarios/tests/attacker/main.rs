//! A tenant who wants out: manifests made to get at the host, at another organisation, or at the routing of others.
//!
//! [`attack`] takes manifests that work and puts hostile things into them: fields that other tools have and Skep has not, and values that
//! mean something to Docker, Swarm's templates, Traefik's rules, paths or shells. Whatever the reader refuses is refused, with nothing done. What
//! it accepts is planned and carried out on the simulated Swarm, and [`linter`] reads what is there. The linter knows nothing of the planner:
//! it reads the engine's JSON, and lets through what is on its lists and nothing else.

mod attack;
mod linter;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_scenarios::dice::Dice;
use skep_scenarios::world::World;
use skep_schemas::manifest::Batch;
use skep_schemas::{Kind, ReadOptions};

use crate::attack::Attempt;

/// How many attempts of one or more hostile things each.
const ATTEMPTS: u64 = 300;
/// At least so many of them have to get past the reader, or the linter is not tried.
const ACCEPTED_MIN: u32 = 60;
/// At least so many of them have to be refused, or nothing hostile was tried.
const REFUSED_MIN: u32 = 100;
/// Passes over everything until nothing is done any more.
const ROUNDS: u32 = 12;

/// Applies the manifests as one batch; `false` if the reader refuses them.
fn apply(world: &mut World, manifests: &[Value]) -> Result<bool> {
    let mut batch = Batch::new(ReadOptions::default());
    for manifest in manifests {
        batch.add_yaml("attack.yaml", &manifest.to_string());
    }
    let Ok(manifests) = batch.finish() else { return Ok(false) };
    let manifests = manifests.into_iter().map(|sourced| sourced.manifest).collect();
    let now = world.now;
    // What the store refuses is refused as well.
    Ok(world.store.apply(manifests, now).is_ok())
}

fn run(world: &mut World) -> Result<()> {
    for _ in 0..ROUNDS {
        for key in world.store.keys() {
            world.pass(&key)?;
        }
        world.advance_to_next(Duration::from_secs(5));
    }
    Ok(())
}

/// A world in which the organisation stands and another one has its own.
fn founded() -> Result<World> {
    let mut world = World::new()?;
    for (node, label, value) in [
        ("node-2", "skep.isolation", "enhanced"),
        ("node-2", "skep.pool", "gold"),
        ("node-2", "region", "eu"),
        ("node-3", "skep.isolation", "dedicated"),
        ("node-3", "skep.org", "initech"),
    ] {
        world.engine.swarm.label_node(node, label, value);
    }
    world.survey()?;
    ensure!(apply(&mut world, &attack::founding())?, "what the platform wrote was refused");
    run(&mut world)?;
    Ok(world)
}

fn findings(world: &World) -> Result<Vec<String>> {
    let uids: Vec<String> = world
        .store
        .keys()
        .iter()
        .filter(|key| key.kind() == Kind::Environment)
        .filter_map(|key| world.store.get(key))
        .map(|environment| environment.meta.uid.to_string())
        .collect();
    let networks = world.engine.swarm.list_networks(&skep_swarm::LabelFilter::default());
    let networks: Vec<Value> = networks.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let mut findings = linter::networks(&networks);
    for name in world.engine.service_names() {
        let service = world.engine.service(&name).context("a service that is there")?;
        findings.extend(linter::service(&serde_json::to_value(&service.spec)?, &networks, &uids));
        let org = name.split('_').next().unwrap_or_default();
        let tasks = world.engine.swarm.tasks_of(&name).into_iter().filter(|_| name.contains('_'));
        for node in tasks.filter_map(|task| task.node_id) {
            if node.as_str() != linter::node_of(org) {
                findings.push(format!("{name}: has a task on {node}"));
            }
        }
    }
    Ok(findings)
}

#[test]
fn no_manifest_of_a_tenant_makes_a_service_that_breaks_the_rules() -> Result<()> {
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for seed in 0..ATTEMPTS {
        let attempt = Attempt::new(&mut Dice(seed))?;
        let mut world = founded()?;
        if apply(&mut world, &attempt.manifests)? {
            accepted += 1;
            run(&mut world)?;
        } else {
            refused += 1;
        }
        let findings = findings(&world)?;
        ensure!(findings.is_empty(), "seed {seed}, with {:#?}:\n{}", attempt.hostile, findings.join("\n"));
    }
    ensure!(accepted >= ACCEPTED_MIN, "only {accepted} attempts got past the reader");
    ensure!(refused >= REFUSED_MIN, "only {refused} attempts were refused");
    println!("{ATTEMPTS} attempts: {refused} refused, {accepted} accepted and nothing found");
    Ok(())
}

#[test]
fn the_linter_finds_what_it_is_there_for() -> Result<()> {
    let mut world = founded()?;
    ensure!(apply(&mut world, &attack::harmless())?, "harmless manifests were refused");
    run(&mut world)?;
    ensure!(
        findings(&world)?.is_empty(),
        "something is found of harmless manifests: {:?}",
        findings(&world)?
    );
    let name = world.engine.service_names().into_iter().find(|name| name.starts_with("acme_"));
    let service = world.engine.service(&name.context("a service")?).context("a service that is there")?;
    let spec = serde_json::to_value(&service.spec)?;
    let networks = world.engine.swarm.list_networks(&skep_swarm::LabelFilter::default());
    let networks: Vec<Value> = networks.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let uid = spec.pointer("/Labels/skep.dev~1uid").and_then(Value::as_str).context("a uid")?.to_owned();
    for (pointer, value) in linter::broken() {
        let mut broken = spec.clone();
        linter::put(&mut broken, pointer, value.clone());
        let found = linter::service(&broken, &networks, std::slice::from_ref(&uid));
        ensure!(!found.is_empty(), "{pointer} = {value} is not found");
    }
    Ok(())
}
