//! Runs: asked for, noted, and listed.
//!
//! Whoever asks for a run writes its row with all that it has, and wakes the environment; the environment's reconcile notes in its transactions what becomes of it
//! ([`note_all`]). A run that is over stays as it is. Locks are taken in the order of an apply: the organisation, then the environment's row.

use std::collections::HashMap;

use jiff::Timestamp;
use skep_planner::{
    ReleaseContent, ReleaseVersion, Run, RunChange, RunEnd, RunNews, RunNumber, RunOutput, RunPurpose,
};
use skep_schemas::kind::Resources;
use skep_schemas::{Duration, ProcessName, ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::apply::lock_org;
use crate::audit::{self, Actor, Subject, Verb};
use crate::environment;
use crate::error::{Fault, Operation, StoreError};
use crate::quota;
use crate::release::{column, stored_version};
use crate::scoped::ScopedStore;
use crate::snapshot::Snapshot;
use crate::time::Time;

/// How many runs of one environment may not be over: each is a service.
pub const RUNS_OPEN_MAX: usize = 20;

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

/// A run with what is told of it beside what it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRun {
    /// The run.
    pub run: Run,
    /// Who asked for it.
    pub made_by: Option<String>,
    /// How it ended, and when.
    pub end: Option<(RunEnd, Timestamp)>,
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
        let process = chosen(key, release, &content, request.process.as_ref())?;
        // It was chosen from these.
        let resources = request.resources.unwrap_or(content.processes[&process].resources);
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
            created_at: row.created_at.0,
            started_at: None,
            stopped_by: None,
            waits: None,
        };
        Ok(RecordedRun { run, made_by: Some(actor.as_str().to_owned()), end: None })
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
fn chosen(
    key: &ResourceKey,
    release: ReleaseVersion,
    content: &ReleaseContent,
    asked: Option<&ProcessName>,
) -> Result<ProcessName, StoreError> {
    let has = || content.processes.keys().cloned().collect::<Vec<_>>();
    let only = || content.processes.keys().next().filter(|_| content.processes.len() == 1);
    let usual = || content.processes.keys().find(|name| name.as_str() == "web").or_else(only);
    let found = match asked {
        Some(asked) => content.processes.get_key_value(asked).map(|(name, _)| name),
        None => usual(),
    };
    found.cloned().ok_or_else(|| StoreError::ProcessMissing {
        key: key.clone(),
        release,
        asked: asked.cloned(),
        has: has(),
    })
}

impl Snapshot {
    /// The runs of an environment, newest first: so many of those before one.
    pub async fn runs(
        &mut self,
        env: Uid,
        before: Option<RunNumber>,
        limit: u32,
    ) -> Result<Vec<RecordedRun>, StoreError> {
        let listed = sqlx::query_as!(
            Row,
            r#"SELECT env_uid, number, purpose, release, process, command AS "command: Json<Vec<String>>", resources AS "resources: Json<Resources>",
                      time_limit_seconds, made_by, created_at AS "created_at: Time", started_at AS "started_at: Time", stopped_by, waits,
                      outcome, exit_code, reason, ended_at AS "ended_at: Time"
               FROM run WHERE env_uid = $1 AND ($2::integer IS NULL OR number < $2) ORDER BY number DESC LIMIT $3"#,
            env.uuid(),
            before.map(run_column),
            i64::from(limit)
        );
        let rows = listed.fetch_all(self.connection()).await.map_err(read)?;
        rows.into_iter().map(Row::recorded).collect()
    }

    /// One run.
    pub async fn run(&mut self, env: Uid, run: RunNumber) -> Result<Option<RecordedRun>, StoreError> {
        let before = RunNumber::new(run.get().saturating_add(1));
        let found = self.runs(env, Some(before), 1).await?;
        Ok(found.into_iter().find(|found| found.run.number == run))
    }

    /// What a run printed, once it is over.
    pub async fn run_output(&mut self, env: Uid, run: RunNumber) -> Result<Option<RunOutput>, StoreError> {
        let row = sqlx::query!(
            "SELECT output, output_gap FROM run WHERE env_uid = $1 AND number = $2",
            env.uuid(),
            run_column(run)
        );
        let row = row.fetch_optional(self.connection()).await.map_err(read)?;
        Ok(row.and_then(|row| Some(RunOutput { text: row.output?, gap: row.output_gap })))
    }

    /// The runs of an environment that are not over, in their order.
    pub async fn open_runs(&mut self, env: Uid) -> Result<Vec<Run>, StoreError> {
        if let Some(known) = self.ahead.runs.get(&env.uuid()) {
            return Ok(known.clone());
        }
        let found = of_environments(self.connection(), &[env.uuid()]).await;
        let mut found = found.map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&env.uuid()).unwrap_or_default())
    }
}

/// The runs of each environment that are not over, in their order.
pub(crate) async fn of_environments(
    tx: &mut PgConnection,
    envs: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Run>>, Fault> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT env_uid, number, purpose, release, process, command AS "command: Json<Vec<String>>", resources AS "resources: Json<Resources>",
                  time_limit_seconds, made_by, created_at AS "created_at: Time", started_at AS "started_at: Time", stopped_by, waits,
                  outcome, exit_code, reason, ended_at AS "ended_at: Time"
           FROM run WHERE env_uid = ANY($1) AND outcome IS NULL ORDER BY env_uid, number"#,
        envs
    );
    let mut found: HashMap<Uuid, Vec<Run>> = envs.iter().map(|env| (*env, Vec::new())).collect();
    for row in rows.fetch_all(tx).await? {
        let env = row.env_uid;
        found.entry(env).or_default().push(row.recorded()?.run);
    }
    Ok(found)
}

struct Row {
    env_uid: Uuid,
    number: i32,
    purpose: String,
    release: i32,
    process: String,
    command: Option<Json<Vec<String>>>,
    resources: Json<Resources>,
    time_limit_seconds: i64,
    made_by: Option<String>,
    created_at: Time,
    started_at: Option<Time>,
    stopped_by: Option<String>,
    waits: Option<String>,
    outcome: Option<String>,
    exit_code: Option<i64>,
    reason: Option<String>,
    ended_at: Option<Time>,
}

impl Row {
    fn recorded(self) -> Result<RecordedRun, StoreError> {
        let what = || format!("run {} of {}", self.number, self.env_uid);
        let end = match (&self.outcome, self.ended_at) {
            (Some(word), Some(at)) => {
                let end = RunEnd::from_columns(word, self.exit_code, self.reason.clone());
                Some((end.ok_or_else(|| StoreError::corrupt(what(), "unknown end"))?, at.0))
            }
            _ => None,
        };
        let run = Run {
            number: number(self.number)?,
            purpose: RunPurpose::from_word(&self.purpose)
                .ok_or_else(|| StoreError::corrupt(what(), "unknown purpose"))?,
            release: stored_version(self.release)?,
            process: self.process.parse().map_err(|why| StoreError::corrupt(what(), why))?,
            command: self.command.map(|command| command.0),
            resources: self.resources.0,
            time_limit: Duration::from_secs(u64::try_from(self.time_limit_seconds).unwrap_or_default()),
            created_at: self.created_at.0,
            started_at: self.started_at.map(|at| at.0),
            stopped_by: self.stopped_by,
            waits: self.waits,
        };
        Ok(RecordedRun { run, made_by: self.made_by, end })
    }
}

/// News about a run to be recorded, as columns.
pub(crate) struct NewsRow {
    env: Uuid,
    number: i32,
    news: RunNews,
}

/// The rows of news.
pub(crate) fn news_rows(env: Uid, changes: &[RunChange]) -> Vec<NewsRow> {
    let row = |change: &RunChange| NewsRow {
        env: env.uuid(),
        number: run_column(change.number),
        news: change.news.clone(),
    };
    changes.iter().map(row).collect()
}

/// Records what became known of runs. One that is over stays as it is.
pub(crate) async fn note_all(tx: &mut PgConnection, rows: &[&NewsRow]) -> Result<(), Fault> {
    // Few at a time, and each of another shape.
    for NewsRow { env, number, news } in rows.iter().copied() {
        let noted = match news {
            RunNews::Waits { why } => sqlx::query!(
                "UPDATE run SET waits = $3 WHERE env_uid = $1 AND number = $2 AND outcome IS NULL",
                env,
                number,
                why
            ),
            RunNews::Started { at } => sqlx::query!(
                "UPDATE run SET started_at = $3::text::timestamptz, waits = NULL WHERE env_uid = $1 AND number = $2 AND outcome IS NULL",
                env,
                number,
                at.to_string()
            ),
            RunNews::Ended { end, at, output } => sqlx::query!(
                "UPDATE run SET outcome = $3, exit_code = $4, reason = $5, ended_at = $6::text::timestamptz, output = $7, output_gap = $8, waits = NULL
                 WHERE env_uid = $1 AND number = $2 AND outcome IS NULL",
                env,
                number,
                end.as_str(),
                end.exit_code(),
                end.reason(),
                at.to_string(),
                output.text.replace('\0', "\u{fffd}"),
                output.gap
            ),
        };
        noted.execute(&mut *tx).await?;
    }
    Ok(())
}

/// The column of a run's number. There are fewer than fit.
pub(crate) fn run_column(run: RunNumber) -> i32 {
    i32::try_from(run.get()).unwrap_or(i32::MAX)
}

fn number(column: i32) -> Result<RunNumber, StoreError> {
    let number = u32::try_from(column).map_err(|why| StoreError::corrupt(format!("run {column}"), why))?;
    Ok(RunNumber::new(number))
}

/// Time limits are whole seconds; what is left over counts as one.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

fn read(source: sqlx::Error) -> StoreError {
    Fault::from(source).during(Operation::Read)
}
