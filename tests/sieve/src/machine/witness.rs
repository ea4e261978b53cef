//! What holds after each step, whatever happens and however far the loop has come.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skep_planner::naming::{LABEL_INSTANCE, LABEL_ROLE};
use skep_swarm::{LabelFilter, Verb};

use super::action::Action;
use crate::fault::Kind;
use crate::world::World;

/// Services that others made. One of them has the name that a process of an environment would have.
pub(super) const FOREIGN: [&str; 2] = ["others", "acme_late_web"];
/// What every value of the secret begins with.
pub(super) const SECRET: &str = "the-value-that-must-be-nowhere-";

/// Every status speaks of a generation that there is, and says so where it is stored.
const STATUS: &str = "SELECT r.org, r.kind, r.name, r.generation, s.observed_generation, s.status->'observedGeneration' AS said
     FROM resource_status s JOIN resource r USING (uid)
     WHERE s.observed_generation > r.generation
        OR (s.status->>'observedGeneration')::bigint IS DISTINCT FROM s.observed_generation";
/// Revisions are dense up to the head, above the floor.
const REVISIONS: &str = "SELECT t.revision, t.floor, count(DISTINCT c.revision) AS seen, count(*) FILTER (WHERE c.revision IS NULL) AS unstamped
     FROM cluster_rev t LEFT JOIN change_log c ON true GROUP BY t.revision, t.floor
     HAVING count(DISTINCT c.revision) FILTER (WHERE c.revision > t.floor) <> t.revision - t.floor
         OR max(c.revision) > t.revision OR count(c.seq) FILTER (WHERE c.revision IS NULL) > 0";
/// What the inventory knows.
const INVENTORY: &str = "SELECT kind, name FROM inventory UNION SELECT kind, name FROM orphan";
/// A step that has begun belongs to a plan that is recorded with its intent.
const UNINTENDED: &str = "SELECT s.plan, s.object_kind, s.object_name FROM plan_step s JOIN plan p ON p.id = s.plan
     JOIN resource r ON r.uid = p.uid
     WHERE s.state IN ('started', 'unknown') AND s.step->'op'->>'op' LIKE 'create%'
       AND NOT EXISTS (SELECT FROM inventory i WHERE (i.owner, i.kind, i.name) = (p.uid, s.object_kind, s.object_name))
       AND p.finished_at IS NULL";

/// How often a call was announced in the journal: a step of its own began before it.
const BEGUN: &str =
    "SELECT s.object_kind || ' ' || s.object_name AS object, count(*) AS steps FROM plan_step s
     WHERE s.started_at IS NOT NULL AND s.step->'op'->>'op' ~ '^(create|update)' GROUP BY 1";

/// What was there before, and what has happened since that changes what can be asked for.
pub(super) struct Witness {
    foreign: BTreeMap<String, Value>,
    /// A call may have come so late that nobody expected its object any more: it is an orphan until a survey has seen it.
    late: bool,
    /// How many calls that make or change an object there were of it.
    calls: BTreeMap<String, i64>,
    /// Up to where the calls of the order that is in force were counted.
    counted: usize,
}

impl Witness {
    /// A witness of a world as it is now.
    pub(super) async fn of(world: &mut World) -> Result<Self> {
        let foreign = foreign(world)?;
        ensure!(foreign.len() == FOREIGN.len(), "what others made is not there");
        Ok(Self { foreign, late: false, calls: begun(world).await?, counted: 0 })
    }

    /// This has happened.
    pub(super) fn saw(&mut self, action: Action) {
        self.late |= matches!(action, Action::Fault(Kind::LateCall | Kind::Takeover, _));
        if matches!(action, Action::Fault(..)) {
            self.counts_anew();
        }
    }

    /// Counts the calls that were made. Another order of faults begins them anew, so it has to be asked before and told after that.
    pub(super) fn count(&mut self, world: &World) {
        let made = world.made();
        for made in made.iter().skip(self.counted).filter(|made| makes_or_changes(made.verb)) {
            *self.calls.entry(made.object.clone()).or_default() += 1;
        }
        self.counted = made.len();
    }

    /// There is another order of faults, and none of the calls under it was made.
    pub(super) fn counts_anew(&mut self) {
        self.counted = 0;
    }

    /// No call without a step of its own that began before it, and so none that is repeated without a look (I3, I6).
    async fn each_call_was_announced(&mut self, world: &mut World) -> Result<()> {
        self.count(world);
        let begun = begun(world).await?;
        for (object, calls) in &self.calls {
            let steps = begun.get(object).copied().unwrap_or_default();
            ensure!(*calls <= steps, "{calls} calls for {object}, and {steps} steps that began (I3, I6)");
        }
        Ok(())
    }

    /// What holds at any time.
    pub(super) async fn check(&mut self, world: &mut World) -> Result<()> {
        // Nothing of a foreign owner was touched (I5).
        ensure!(foreign(world)? == self.foreign, "what others made was touched: {:?}", foreign(world)?);
        nothing(world, "a status speaks of what it cannot know (I15)", STATUS).await?;
        nothing(world, "revisions are not dense (I8)", REVISIONS).await?;
        nothing(world, "a step began without its intent (I3)", UNINTENDED).await?;
        self.each_call_was_announced(world).await?;
        if !self.late {
            all_known(world).await?;
        }
        Ok(())
    }

    /// What holds as well when everything has come to rest.
    pub(super) async fn at_rest(&mut self, world: &mut World) -> Result<()> {
        self.check(world).await?;
        all_known(world).await?;
        no_value_anywhere(world).await
    }
}

/// Of what the journal announces. Orphans are removed without it, and the claim on the Swarm is not a resource's.
fn makes_or_changes(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::CreateService
            | Verb::UpdateService
            | Verb::CreateSecret
            | Verb::UpdateSecret
            | Verb::CreateNetwork
    )
}

async fn begun(world: &mut World) -> Result<BTreeMap<String, i64>> {
    let rows = world.database().rows(BEGUN).await?;
    let entry = |row: &Value| Some((row["object"].as_str()?.to_owned(), row["steps"].as_i64()?));
    Ok(rows.iter().filter_map(entry).collect())
}

fn foreign(world: &World) -> Result<BTreeMap<String, Value>> {
    let services = world.swarm().with(|swarm| swarm.list_services(&LabelFilter::any()));
    let theirs = services.into_iter().filter(|service| FOREIGN.contains(&service.spec.name.as_str()));
    theirs
        .map(|service| {
            Ok((service.spec.name.clone(), json!([service.id, serde_json::to_value(&service.spec)?])))
        })
        .collect()
}

/// Whatever carries our labels is known to the inventory: nothing is there twice, and no entry went before its object (I3).
async fn all_known(world: &mut World) -> Result<()> {
    let known = world.database().rows(INVENTORY).await?;
    let known = |kind: &str, name: &str| known.iter().any(|row| row["kind"] == kind && row["name"] == name);
    let any = LabelFilter::any();
    let (services, secrets, networks) = world
        .swarm()
        .with(|swarm| (swarm.list_services(&any), swarm.list_secrets(&any), swarm.list_networks(&any)));
    let services = services.into_iter().map(|one| ("service", one.spec.name, one.spec.labels));
    let secrets = secrets.into_iter().map(|one| ("secret", one.spec.name, one.spec.labels));
    let networks = networks.into_iter().map(|one| ("network", one.name, one.labels));
    for (kind, name, labels) in services.chain(secrets).chain(networks) {
        let ours = labels.contains_key(LABEL_INSTANCE) && !labels.contains_key(LABEL_ROLE);
        ensure!(!ours || known(kind, &name), "the inventory does not know {kind} {name} (I3)");
    }
    Ok(())
}

/// I13.
async fn no_value_anywhere(world: &mut World) -> Result<()> {
    let tables = "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let tables: Vec<String> = world
        .database()
        .rows(tables)
        .await?
        .iter()
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect();
    let parts = tables.iter().map(|table| {
        format!("SELECT '{table}' AS name FROM public.{table} t WHERE strpos(t::text, '{SECRET}') > 0")
    });
    let found = world.database().rows(&parts.collect::<Vec<_>>().join(" UNION ALL ")).await?;
    ensure!(found.is_empty(), "a secret's value is in {found:?} (I13)");
    let services = world.swarm().with(|swarm| swarm.list_services(&LabelFilter::any()));
    let seen = serde_json::to_string(&services)? + &world.trace().join("\n");
    ensure!(!seen.contains(SECRET), "a secret's value is in a service or in what is told (I13)");
    Ok(())
}

async fn nothing(world: &mut World, what: &str, query: &str) -> Result<()> {
    let found = world.database().rows(query).await?;
    ensure!(found.is_empty(), "{what}: {found:?}");
    Ok(())
}
