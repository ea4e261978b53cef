//! Where a campaign takes place: the real store and the real loop over a simulated Swarm, with one process at work.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;
use skep_planner::health;
use skep_planner::naming::LABEL_RUN;
use skep_schemas::{Manifest, Owner, ResourceKey};
use skep_sieve::World;
use skep_store::{Actor, ApplyItem, Confirmation, DeleteItem, Precondition, Writer};
use skep_swarm::LabelFilter;
use skep_testbed::Postgres;

use crate::state::Found;

/// What there is before anything was applied.
const NOTHING: &str = "nothing";

/// Time without a call that changes something and without a roll-out after which there will be none, or none soon: who waits for
/// something looks again every second or two, and all else that is waited for here comes within two minutes or never. Roll-outs are
/// as long as their health checks make them.
const IDLE: Duration = Duration::from_secs(150);
/// Steps after which it is said never to come to rest.
const STEPS_MAX: usize = 6000;

/// A store, a Swarm and the loop between them.
pub struct Ground {
    world: World,
    // A database lives as long as its server.
    _postgres: Postgres,
}

impl Ground {
    /// Ground with nodes in two regions, of a pool and beside it, and nothing else.
    pub async fn new() -> Result<Self> {
        let postgres = tokio::task::spawn_blocking(Postgres::shared).await??;
        let url = postgres.create_database("acto")?;
        let mut world = World::new(&url).await?;
        world.swarm().with(|swarm| {
            for (node, region) in [("node-1", "eu"), ("node-2", "us"), ("node-3", "eu"), ("node-4", "us")] {
                swarm.label_node(node, "region", region);
            }
            for node in ["node-3", "node-4"] {
                swarm.label_node(node, "skep.isolation", "enhanced");
                swarm.label_node(node, "skep.pool", "gold");
            }
            swarm.settle();
        });
        world.keep(NOTHING).await?;
        Ok(Self { world, _postgres: postgres })
    }

    /// Begins anew, with nothing in it.
    pub async fn clear(&mut self) -> Result<()> {
        self.restore(NOTHING).await
    }

    /// Keeps everything as it is under this name. Whoever works on it begins anew.
    pub async fn keep(&mut self, name: &str) -> Result<()> {
        self.world.stop_all().await?;
        self.world.forget_members().await?;
        self.world.keep(name).await?;
        self.world.start().await
    }

    /// Puts everything back as it was kept.
    pub async fn restore(&mut self, name: &str) -> Result<()> {
        self.world.restore(name).await?;
        self.world.order(0, None, false).await?;
        self.world.start().await
    }

    /// Writes manifests.
    pub async fn apply(&mut self, manifests: Vec<Manifest>) -> Result<()> {
        let item = |manifest| ApplyItem { manifest, precondition: Precondition::None, writer: Writer::Api };
        let items: Vec<ApplyItem> = manifests.into_iter().map(item).collect();
        self.world.store().apply(&items, &Actor::new("acto")).await?;
        Ok(())
    }

    /// Asks for a deletion.
    pub async fn delete(&mut self, key: &ResourceKey) -> Result<()> {
        let item = DeleteItem {
            key: key.clone(),
            precondition: Precondition::None,
            confirmation: Confirmation::Pending,
            deleter: Owner::Api,
        };
        self.world.store().delete_all(&[item], &Actor::new("acto")).await?;
        Ok(())
    }

    /// Lets everything happen that is to happen. An error when it does not end, or when it is not silent afterwards.
    pub async fn settle(&mut self) -> Result<()> {
        let begun = self.world.trace().len();
        self.until_no_more_calls().await.with_context(|| self.lately(begun))?;
        let calls = self.world.made().len();
        let resynced = self.world.trace().len();
        self.world.wake_all().await?;
        self.until_no_more_calls().await?;
        let made = self.world.made();
        ensure!(
            made.len() == calls,
            "it is not silent: {:?}\n{}",
            made.get(calls..).unwrap_or_default(),
            self.lately(resynced)
        );
        Ok(())
    }

    /// Until nothing is due, or what is due has changed nothing for long: who waits for something looks again now and then.
    pub async fn until_no_more_calls(&mut self) -> Result<()> {
        let (mut made, mut since) = (self.world.made().len(), self.world.now());
        for _ in 0..STEPS_MAX {
            if self.world.now().duration_since(since).unsigned_abs() > IDLE || !self.world.step().await? {
                return Ok(());
            }
            self.end_runs();
            let now = self.world.made().len();
            if now != made || self.is_rolling() {
                (made, since) = (now, self.world.now());
            }
        }
        bail!("it does not come to rest within {STEPS_MAX} steps")
    }

    /// What runs once ends as soon as it runs, and well.
    fn end_runs(&self) {
        self.world.swarm().with(|swarm| {
            for run in swarm.list_services(&LabelFilter::any().having(LABEL_RUN)) {
                swarm.kill_tasks(&run.spec.name, 0);
            }
        });
    }

    fn is_rolling(&self) -> bool {
        let services = self.world.swarm().with(|swarm| swarm.list_services(&LabelFilter::any()));
        services.iter().any(health::is_rolling)
    }

    fn lately(&self, from: usize) -> String {
        let lines = self.world.trace().get(from..).unwrap_or_default();
        lines.iter().rev().take(20).rev().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Looks at everything.
    pub async fn look(&mut self) -> Result<Found> {
        let mut found = Found::default();
        self.look_at_swarm(&mut found)?;
        let resources = "SELECT r.uid::text AS uid, r.org, r.kind, r.name, s.status
                         FROM resource r LEFT JOIN resource_status s USING (uid)";
        for row in self.world.database().rows(resources).await? {
            let text = |name: &str| row.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
            let org = text("org");
            let key = if org.is_empty() { String::new() } else { format!("{org}/") };
            let key = format!("{key}{}/{}", text("kind"), text("name"));
            let uid = text("uid");
            found.words.insert(uid.replace('-', ""), format!("<{key}>"));
            found.words.insert(uid, format!("<{key}>"));
            found.statuses.insert(key, row.get("status").cloned().unwrap_or_default());
        }
        let instance = self.world.store().instance_id().await?.to_string();
        found.words.insert(instance, "<instance>".to_owned());
        let inventory = "SELECT kind, name, address FROM inventory";
        for row in self.world.database().rows(inventory).await? {
            let text = |name: &str| row.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
            found.objects.insert(
                format!("inventory of {} {}", text("kind"), text("name")),
                row.get("address").cloned().unwrap_or_default(),
            );
        }
        Ok(found)
    }

    fn look_at_swarm(&self, found: &mut Found) -> Result<()> {
        let any = LabelFilter::any();
        let (services, secrets, networks) = self
            .world
            .swarm()
            .with(|swarm| (swarm.list_services(&any), swarm.list_secrets(&any), swarm.list_networks(&any)));
        for service in services {
            let name = &service.spec.name;
            found.objects.insert(format!("service {name}"), serde_json::to_value(&service.spec)?);
            found.words.insert(service.id.to_string(), format!("<service {name}>"));
        }
        for secret in secrets {
            let name = &secret.spec.name;
            found.objects.insert(format!("secret {name}"), serde_json::to_value(&secret.spec)?);
            found.words.insert(secret.id.to_string(), format!("<secret {name}>"));
        }
        for network in networks {
            found.words.insert(network.id.to_string(), format!("<network {}>", network.name));
            let mut json = serde_json::to_value(&network)?;
            if let Some(fields) = json.as_object_mut() {
                fields.retain(|field, _| !matches!(field.as_str(), "Id" | "Created" | "Containers"));
            }
            if let Some(options) = json.pointer_mut("/Options").and_then(Json::as_object_mut) {
                // The engine's own number, given in the order in which things are made.
                options.remove("com.docker.network.driver.overlay.vxlanid_list");
            }
            found.objects.insert(format!("network {}", network.name), json);
        }
        Ok(())
    }
}
