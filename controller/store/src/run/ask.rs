//! Asking for a run, and that one be stopped. Locks are taken in the order of an apply: the organisation, then the environment's row.

use skep_planner::{
    RUNS_OPEN_MAX, ReleaseContent, ReleaseProcess, ReleaseVersion, Run, RunNumber, RunPurpose,
};
use skep_schemas::kind::Resources;
use skep_schemas::{Duration, ProcessName, ResourceKey};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use super::{RecordedRun, number, run_column, seconds};
use crate::apply::lock_org;
use crate::audit::{self, Actor, Subject, Verb};
use crate::environment;
use crate::error::{Fault, Operation, StoreError};
use crate::quota;
use crate::release::{column, stored_version};
use crate::scoped::ScopedStore;
use crate::time::Time;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRequest {
    /// The process whose config it has; the only one when absent, or `web`.
    pub process: Option<ProcessName>,
    /// What it runs in place of the process's command.
    pub command: Option<Vec<String>>,
    /// What it may use; what the process may when absent.
    pub resources: Option<Resources>,
    /// For how long it may run.
    pub time_limit: Duration,
}

impl ScopedStore {
    /// Asks for a run in the release that runs. Whoever follows the changes is woken.
    pub async fn ask_run(
        &self,
        key: &ResourceKey,
        request: &RunRequest,
        actor: &Actor,
    ) -> Result<RecordedRun, StoreError> {
        self.try_ask_run(key, request, actor).await.map_err(|fault| fault.during(Operation::Run))
    }

    async fn try_ask_run(
        &self,
        key: &ResourceKey,
        request: &RunRequest,
        actor: &Actor,
    ) -> Result<RecordedRun, Fault> {
        let mut tx = self.begin().await?;
        let org = environment::org_of(key)?;
        let counted = quota::is_limited(&mut tx, org).await?;
        lock_org(&mut tx, org, counted).await?;
        let locked = environment::locked(&mut tx, key).await?;
        let env = locked.uid;
        let (release, content) =
            running(&mut tx, env).await?.ok_or_else(|| StoreError::NothingRuns { key: key.clone() })?;
        let (process, usual) = chosen(key, release, &content, request.process.as_ref())?;
        let resources = request.resources.unwrap_or(usual.resources);
        let open = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM run WHERE env_uid = $1 AND outcome IS NULL"#,
            env
        );
        if usize::try_from(open.fetch_one(&mut *tx).await?).is_ok_and(|open| open >= RUNS_OPEN_MAX) {
            return Err(StoreError::TooManyRuns { key: key.clone(), limit: RUNS_OPEN_MAX }.into());
        }
        if counted {
            quota::check_run(&mut tx, org, key, resources).await?;
        }
        let row = sqlx::query!(
            r#"INSERT INTO run (env_uid, number, purpose, release, process, command, resources, time_limit_seconds, made_by)
               SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM run WHERE env_uid = $1
               RETURNING number, created_at AS "created_at: Time""#,
            env,
            RunPurpose::OneOff.as_str(),
            column(release)?,
            process.as_str(),
            request.command.as_ref().map(Json) as _,
            Json(resources) as _,
            seconds(request.time_limit),
            actor.as_str()
        );
        let row = row.fetch_one(&mut *tx).await?;
        let subject = Subject::unchanged(key, locked.uid(), locked.generation);
        audit::record(&mut tx, actor, Verb::Run, &subject).await?;
        tx.commit().await?;
        let run = Run {
            number: number(row.number)?,
            purpose: RunPurpose::OneOff,
            release,
            process,
            command: request.command.clone(),
            resources,
            time_limit: request.time_limit,
            slot: None,
            created_at: row.created_at.0,
            started_at: None,
            stopped_by: None,
            waits: None,
            end: None,
        };
        Ok(RecordedRun { run, made_by: Some(actor.as_str().to_owned()) })
    }

    /// Asks that a run be stopped. Answers whether there was one that was not over.
    pub async fn stop_run(
        &self,
        key: &ResourceKey,
        run: RunNumber,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        self.try_stop_run(key, run, actor).await.map_err(|fault| fault.during(Operation::Run))
    }

    async fn try_stop_run(&self, key: &ResourceKey, run: RunNumber, actor: &Actor) -> Result<bool, Fault> {
        let mut tx = self.begin().await?;
        let locked = environment::locked(&mut tx, key).await?;
        let stopped = sqlx::query!(
            "UPDATE run SET stopped_by = $3 WHERE env_uid = $1 AND number = $2 AND outcome IS NULL AND stopped_by IS NULL",
            locked.uid,
            run_column(run),
            actor.as_str()
        );
        let stopped = stopped.execute(&mut *tx).await?.rows_affected() > 0;
        if stopped {
            let subject = Subject::unchanged(key, locked.uid(), locked.generation);
            audit::record(&mut tx, actor, Verb::StopRun, &subject).await?;
            tx.commit().await?;
        }
        Ok(stopped)
    }
}

/// The release that a run has: the newest that succeeded; while there is none, the newest that has not failed.
async fn running(
    tx: &mut PgConnection,
    env: Uuid,
) -> Result<Option<(ReleaseVersion, ReleaseContent)>, Fault> {
    let row = sqlx::query!(
        r#"SELECT version, content AS "content: Json<ReleaseContent>" FROM release
           WHERE env_uid = $1 AND verdict IN ('succeeded', 'pending') ORDER BY verdict = 'succeeded' DESC, version DESC LIMIT 1"#,
        env
    );
    let Some(row) = row.fetch_optional(tx).await? else { return Ok(None) };
    Ok(Some((stored_version(row.version)?, row.content.0)))
}

/// The process whose config a run has.
fn chosen<'c>(
    key: &ResourceKey,
    release: ReleaseVersion,
    content: &'c ReleaseContent,
    asked: Option<&ProcessName>,
) -> Result<(ProcessName, &'c ReleaseProcess), StoreError> {
    let only = || content.processes.keys().next().filter(|_| content.processes.len() == 1);
    let usual = || content.processes.keys().find(|name| name.as_str() == "web").or_else(only);
    let name = asked.or_else(usual);
    let found = name.and_then(|name| Some((name.clone(), content.runnable(name)?)));
    found.ok_or_else(|| StoreError::ProcessMissing {
        key: key.clone(),
        release,
        asked: asked.cloned(),
        has: content.processes.keys().cloned().collect(),
    })
}
