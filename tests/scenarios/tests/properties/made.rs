//! Organisations that are made at random from numbered seeds, and changed at random.

use anyhow::Result;
use serde_json::{Value, json};
use skep_scenarios::dice::Dice;
use skep_scenarios::world::World;
use skep_schemas::ReadOptions;
use skep_schemas::manifest::read_json;
use skep_simulator::Behaviour;

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
pub(crate) fn write(world: &mut World, dice: &mut Dice) -> Result<()> {
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

pub(crate) fn world(dice: &mut Dice) -> Result<World> {
    let mut world = World::new()?;
    if dice.coin()? {
        world.engine.swarm.set_behaviour(Behaviour::V20_10);
    }
    if dice.coin()? {
        world.settings.edge.certificate_resolver = Some("public".to_owned());
    }
    write(&mut world, dice)?;
    Ok(world)
}
