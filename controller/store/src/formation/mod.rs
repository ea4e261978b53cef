//! How much of an environment runs, as people say it beside the manifests: scale, restart, stop and start.
//!
//! What is written is what is asked of the loop; the live services are not touched here. Refused is at once what could not come about: a process
//! that there is not, a number that a manifest says, and more than plan and quota allow. Whoever scales holds the organisation alone, so that what
//! it read of manifests and quota stays so until it commits; others hold it shared. A manifest that begins to say a number ends what was scaled, in
//! the transaction that writes it ([`yield_to`]): it does not come back to life when the manifest stops to say one.

mod error;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use skep_planner::formation::{self, Instances};
use skep_schemas::kind::{AppSpec, EnvironmentSpec, INSTANCES_MAX, PlanSpec, RELEASE_PHASE};
use skep_schemas::{
    AnySpec, Feature, FormationOverride, Kind, Manifest, OrgName, Owner, ProcessName, ResourceKey,
    ResourceName, Restarted, ScaleOwner, Scaled, Stopped,
};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

pub use self::error::FormationError;
use crate::apply::lock_org;
use crate::audit::{self, Actor, Subject, Verb};
use crate::environment;
use crate::error::{Fault, Operation, StoreError};
use crate::row::ResourceRow;
use crate::scoped::ScopedStore;
use crate::{gate, quota};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormationChange {
    /// So many instances.
    Scale(Scale),
    /// Replace the instances, of one process or of all, one after the other.
    Restart(Option<ProcessName>),
    /// No instances, of one process or of all.
    Stop {
        /// Of which.
        process: Option<ProcessName>,
        /// Why.
        reason: Option<String>,
    },
    /// As many again as there were to be.
    Start(Option<ProcessName>),
}

/// Numbers of instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The number by process; none gives it back to whoever scales the service in the engine.
    pub instances: BTreeMap<ProcessName, Option<u32>>,
    /// Whose numbers they are.
    pub owner: ScaleOwner,
}

impl Scale {
    /// Does an autoscaler say a number? Giving one back it may always.
    fn is_autoscaled(&self) -> bool {
        self.owner == ScaleOwner::Autoscaler && self.instances.values().any(Option::is_some)
    }
}

impl ScopedStore {
    /// Asks something of how much of an environment runs, and tells all that is asked of it now. Whoever follows the changes is woken.
    pub async fn form(
        &self,
        key: &ResourceKey,
        change: &FormationChange,
        actor: &Actor,
    ) -> Result<FormationOverride, StoreError> {
        self.try_form(key, change, actor).await.map_err(|fault| fault.during(Operation::Form))
    }

    async fn try_form(
        &self,
        key: &ResourceKey,
        change: &FormationChange,
        actor: &Actor,
    ) -> Result<FormationOverride, Fault> {
        let org = environment::org_of(key)?;
        let mut tx = self.begin().await?;
        lock_org(&mut tx, org, matches!(change, FormationChange::Scale(_))).await?;
        if matches!(change, FormationChange::Scale(scale) if scale.is_autoscaled()) {
            gate::check_one(&mut tx, key, Feature::Autoscaling).await?;
        }
        let row = environment::locked(&mut tx, key).await?;
        let said = row.formation.as_ref().map(|formation| formation.0.clone()).unwrap_or_default();
        let processes = Processes::read(&mut tx, key, &row).await?;
        let (now, by) = (Timestamp::now(), actor.as_str());
        let (mut next, verb) = match change {
            FormationChange::Scale(scale) => {
                (processes.scaled(&mut tx, said.clone(), scale, (now, by)).await?, Verb::Scale)
            }
            FormationChange::Restart(process) => {
                processes.know(process.as_ref())?;
                (restarted(said.clone(), process.as_ref(), now, by), Verb::Restart)
            }
            FormationChange::Stop { process, reason } => {
                processes.know(process.as_ref())?;
                let stop = Stopped { by: by.to_owned(), since: now, reason: reason.clone() };
                (stopped(said.clone(), process.as_ref(), stop), Verb::Stop)
            }
            FormationChange::Start(process) => {
                processes.know(process.as_ref())?;
                (started(key, said.clone(), process.as_ref())?, Verb::Start)
            }
        };
        processes.prune(&mut next);
        if matches!(change, FormationChange::Scale(_)) && quota::is_limited(&mut tx, org).await? {
            let scaled = next.scale.iter().map(|(name, scaled)| (name.clone(), scaled.instances));
            quota::check_scale(&mut tx, org, key, scaled.collect()).await?;
        }
        if next == said {
            return Ok(said);
        }
        let column = (!next.is_empty()).then_some(Json(&next));
        sqlx::query!("UPDATE resource SET formation = $2 WHERE uid = $1", row.uid, column as _)
            .execute(&mut *tx)
            .await?;
        let subject = Subject::unchanged(key, row.uid(), row.generation);
        audit::record(&mut tx, actor, verb, &subject).await?;
        tx.commit().await?;
        Ok(next)
    }
}

/// Ends what was scaled of processes for which a manifest that was just written says how many instances there are.
pub(crate) async fn yield_to(tx: &mut PgConnection, manifest: &Manifest) -> Result<(), Fault> {
    let processes = match &manifest.spec {
        AnySpec::App(app) => &app.processes,
        AnySpec::Environment(environment) => &environment.processes,
        _ => return Ok(()),
    };
    let says = processes.iter().filter(|(_, process)| process.instances.is_some());
    let says: Vec<String> = says.map(|(name, _)| name.to_string()).collect();
    if says.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE resource SET formation = jsonb_set(formation, '{scale}', (formation->'scale') - $4::text[])
         WHERE org = $1 AND kind = 'Environment' AND formation->'scale' ?| $4::text[]
           AND CASE $2 WHEN 'App' THEN spec->>'app' = $3 ELSE name = $3 END",
        manifest.key.org().map(OrgName::as_str),
        manifest.key.kind().as_str(),
        manifest.key.name().as_str(),
        &says
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn restarted(
    mut said: FormationOverride,
    process: Option<&ProcessName>,
    at: Timestamp,
    by: &str,
) -> FormationOverride {
    let once_more = |before: Option<&Restarted>| Restarted {
        count: before.map_or(0, |before| before.count).saturating_add(1),
        by: by.to_owned(),
        at,
    };
    match process {
        None => said.restart = Some(once_more(said.restart.as_ref())),
        Some(process) => {
            let restarted = once_more(said.restarts.get(process));
            said.restarts.insert(process.clone(), restarted);
        }
    }
    said
}

/// Who stops what is stopped already changes nothing.
fn stopped(mut said: FormationOverride, process: Option<&ProcessName>, stop: Stopped) -> FormationOverride {
    match process {
        None => said.stop = Some(said.stop.unwrap_or(stop)),
        Some(process) => {
            said.stops.entry(process.clone()).or_insert(stop);
        }
    }
    said
}

fn started(
    key: &ResourceKey,
    mut said: FormationOverride,
    process: Option<&ProcessName>,
) -> Result<FormationOverride, StoreError> {
    match process {
        None => {
            said.stop = None;
            said.stops.clear();
        }
        Some(process) if said.stop.is_some() => {
            let (key, process) = (key.clone(), process.clone());
            return Err(FormationError::StoppedAsAWhole { key, process }.into());
        }
        Some(process) => {
            said.stops.remove(process);
        }
    }
    Ok(said)
}

/// The processes of an environment, and who says how many instances they have.
struct Processes<'a> {
    key: &'a ResourceKey,
    row: &'a ResourceRow,
    environment: EnvironmentSpec,
    app: Option<App>,
    /// Those of the manifests, and those of what runs, which may be a former release.
    known: BTreeSet<ProcessName>,
}

/// The app's side of it.
struct App {
    key: ResourceKey,
    spec: AppSpec,
    managed_by: Owner,
    writer: Option<String>,
}

impl<'a> Processes<'a> {
    async fn read(tx: &mut PgConnection, key: &'a ResourceKey, row: &'a ResourceRow) -> Result<Self, Fault> {
        let environment = match read(Kind::Environment, key, row.spec.clone())? {
            AnySpec::Environment(environment) => *environment,
            _ => return Err(StoreError::NotFound { key: key.clone() }.into()),
        };
        let app = app(tx, key, &environment.app).await?;
        let of_app = app.iter().flat_map(|app| app.spec.processes.keys());
        let named = of_app.chain(environment.processes.keys());
        // The release phase runs once, and not in instances.
        let mut known: BTreeSet<_> = named.filter(|name| name.as_str() != RELEASE_PHASE).cloned().collect();
        known.extend(released(tx, row.uid).await?);
        Ok(Self { key, row, environment, app, known })
    }

    /// Refuses a process that there is not.
    fn know(&self, process: Option<&ProcessName>) -> Result<(), StoreError> {
        let Some(process) = process.filter(|process| !self.known.contains(*process)) else { return Ok(()) };
        let known = self.known.iter().cloned().collect();
        Err(FormationError::ProcessMissing { key: self.key.clone(), process: process.clone(), known }.into())
    }

    /// Takes out what was said of processes that there are not any more.
    fn prune(&self, said: &mut FormationOverride) {
        said.scale.retain(|process, _| self.known.contains(process));
        said.restarts.retain(|process, _| self.known.contains(process));
        said.stops.retain(|process, _| self.known.contains(process));
    }

    /// What is said with these numbers, if they may be said.
    async fn scaled(
        &self,
        tx: &mut PgConnection,
        mut said: FormationOverride,
        scale: &Scale,
        (at, by): (Timestamp, &str),
    ) -> Result<FormationOverride, Fault> {
        let (most, plan) = self.most(tx).await?;
        for (process, instances) in &scale.instances {
            self.know(Some(process))?;
            self.goes_on(process)?;
            self.is_free(process)?;
            if let Some(Scaled { owner, by, at, .. }) = said.scale.get(process)
                && !scale.owner.may_replace(*owner)
            {
                let (key, process) = (self.key.clone(), process.clone());
                let (owner, by, at) = (*owner, by.clone(), *at);
                return Err(FormationError::Owned { key, process, owner, by, at }.into());
            }
            let Some(wanted) = *instances else {
                said.scale.remove(process);
                continue;
            };
            if wanted > most {
                let (key, process) = (self.key.clone(), process.clone());
                return Err(FormationError::TooMany { key, process, wanted, allowed: most, plan }.into());
            }
            if said.scale.get(process).is_some_and(|is| (is.instances, is.owner) == (wanted, scale.owner)) {
                continue;
            }
            let scaled = Scaled { instances: wanted, owner: scale.owner, by: by.to_owned(), at };
            said.scale.insert(process.clone(), scaled);
        }
        Ok(said)
    }

    /// Refuses a process that has a schedule: it runs until it ends, and not in instances.
    fn goes_on(&self, process: &ProcessName) -> Result<(), StoreError> {
        let app = self.app.as_ref().map(|app| &app.spec);
        let is_scheduled = |name: &ProcessName| formation::schedule(app, &self.environment, name).is_some();
        if !is_scheduled(process) {
            return Ok(());
        }
        let known = self.known.iter().filter(|name| !is_scheduled(name)).cloned().collect();
        Err(FormationError::ProcessMissing { key: self.key.clone(), process: process.clone(), known }.into())
    }

    /// Refuses a number that a manifest says.
    fn is_free(&self, process: &ProcessName) -> Result<(), StoreError> {
        let app = self.app.as_ref().map(|app| &app.spec);
        let instances = match formation::instances(app, &self.environment, process) {
            None | Some(Instances::LeftToOthers) => return Ok(()),
            Some(Instances::Declared(instances)) => instances,
        };
        let own = self.environment.processes.get(process).and_then(|own| own.instances);
        let (by, managed_by, writer) = match &self.app {
            Some(app) if own.is_none() => (&app.key, &app.managed_by, &app.writer),
            _ => (self.key, &self.row.managed_by.0, &self.row.changed_by),
        };
        let (process, by) = (process.clone(), by.clone());
        let (managed_by, writer) = (managed_by.clone(), writer.clone());
        Err(FormationError::Declared { by, process, instances, managed_by, writer }.into())
    }

    /// How many instances a process may have at most, and the plan that says so.
    async fn most(&self, tx: &mut PgConnection) -> Result<(u32, Option<ResourceName>), Fault> {
        let plan = sqlx::query!(
            "SELECT name, spec FROM resource WHERE org = '' AND kind = 'Plan' AND name = coalesce($1,
                 (SELECT o.spec->>'plan' FROM resource o WHERE o.org = '' AND o.kind = 'Organization' AND o.name = $2))",
            self.environment.plan.as_ref().map(ResourceName::as_str),
            self.key.org().map(OrgName::as_str)
        );
        let Some(row) = plan.fetch_optional(tx).await? else { return Ok((INSTANCES_MAX, None)) };
        let what = || format!("Plan/{}", row.name);
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt(what(), why);
        let spec: PlanSpec = serde_json::from_value(row.spec).map_err(|why| corrupt(&why))?;
        let name = row.name.parse().map_err(|_| corrupt(&"its name is none"))?;
        Ok(match spec.max_instances {
            Some(most) if most < INSTANCES_MAX => (most, Some(name)),
            Some(_) | None => (INSTANCES_MAX, None),
        })
    }
}

fn read(kind: Kind, key: &ResourceKey, spec: serde_json::Value) -> Result<AnySpec, StoreError> {
    AnySpec::from_json(kind, spec).map_err(|why| StoreError::corrupt(key.to_string(), why))
}

async fn app(
    tx: &mut PgConnection,
    environment: &ResourceKey,
    name: &ResourceName,
) -> Result<Option<App>, Fault> {
    let Some(key) = environment.sibling(Kind::App, name.clone()) else { return Ok(None) };
    let row = sqlx::query!(
        r#"SELECT spec, managed_by AS "managed_by: Json<Owner>", changed_by FROM resource
           WHERE org = $1 AND kind = 'App' AND name = $2"#,
        key.org().map(OrgName::as_str),
        name.as_str()
    );
    let Some(row) = row.fetch_optional(tx).await? else { return Ok(None) };
    let AnySpec::App(spec) = read(Kind::App, &key, row.spec)? else { return Ok(None) };
    Ok(Some(App { key, spec: *spec, managed_by: row.managed_by.0, writer: row.changed_by }))
}

/// The processes of the newest release.
async fn released(tx: &mut PgConnection, environment: Uuid) -> Result<Vec<ProcessName>, Fault> {
    let names = sqlx::query_scalar!(
        r#"SELECT jsonb_object_keys(content->'processes') AS "name!" FROM release
           WHERE env_uid = $1 AND version = (SELECT max(version) FROM release WHERE env_uid = $1)"#,
        environment
    );
    let names = names.fetch_all(tx).await?.into_iter();
    let read = |name: String| {
        name.parse().map_err(|_| StoreError::corrupt("a release", format_args!("process {name} is none")))
    };
    Ok(names.map(read).collect::<Result<_, _>>()?)
}
