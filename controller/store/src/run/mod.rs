//! Runs: asked for, noted, and listed.
//!
//! Whoever asks for a run writes its row with all that it has, and wakes the environment ([`ask`]); the environment's reconcile notes in its transactions what becomes of
//! it, and begins release phases ([`note`]). A run that is over stays as it is.

mod ask;
mod note;

use std::collections::{BTreeMap, HashMap};

use skep_planner::{Run, RunEnd, RunNumber, RunOutput, RunPurpose};
use skep_schemas::kind::Resources;
use skep_schemas::{Duration, ProcessName, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

pub use self::ask::RunRequest;
pub(crate) use self::note::{NewsRow, PhaseRow, begin_all, news_rows, note_all, phase_row};
use crate::error::{Fault, Operation, StoreError};
use crate::release::stored_version;
use crate::snapshot::Snapshot;
use crate::time::Time;

/// A run with what is told of it beside what it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRun {
    /// The run.
    pub run: Run,
    /// Who asked for it.
    pub made_by: Option<String>,
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
                      time_limit_seconds, slot AS "slot: Time", made_by, created_at AS "created_at: Time", started_at AS "started_at: Time", stopped_by, waits,
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

    /// The runs of an environment that are not over, and the release phase of its newest release, in their order.
    pub async fn open_runs(&mut self, env: Uid) -> Result<Vec<Run>, StoreError> {
        if let Some(known) = self.ahead.runs.get(&env.uuid()) {
            return Ok(known.clone());
        }
        let found = of_environments(self.connection(), &[env.uuid()]).await;
        let mut found = found.map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&env.uuid()).unwrap_or_default())
    }
}

/// The runs of each environment that are not over, and the release phase of its newest release, in their order.
pub(crate) async fn of_environments(
    tx: &mut PgConnection,
    envs: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Run>>, Fault> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT env_uid, number, purpose, release, process, command AS "command: Json<Vec<String>>", resources AS "resources: Json<Resources>",
                  time_limit_seconds, slot AS "slot: Time", made_by, created_at AS "created_at: Time", started_at AS "started_at: Time", stopped_by, waits,
                  outcome, exit_code, reason, ended_at AS "ended_at: Time"
           FROM run
           WHERE (env_uid, number) IN (
               SELECT env_uid, number FROM run WHERE env_uid = ANY($1) AND outcome IS NULL
               UNION SELECT phase.env_uid, phase.number FROM run phase
               JOIN (SELECT env_uid, max(version) AS version FROM release WHERE env_uid = ANY($1) GROUP BY env_uid) newest
                 ON newest.env_uid = phase.env_uid AND newest.version = phase.release
               WHERE phase.purpose = 'release')
           ORDER BY env_uid, number"#,
        envs
    );
    let mut found: HashMap<Uuid, Vec<Run>> = envs.iter().map(|env| (*env, Vec::new())).collect();
    for row in rows.fetch_all(tx).await? {
        let env = row.env_uid;
        found.entry(env).or_default().push(row.recorded()?.run);
    }
    Ok(found)
}

/// The newest run of each schedule of an environment.
pub(crate) async fn newest_of_schedules(
    tx: &mut PgConnection,
    env: Uuid,
) -> Result<BTreeMap<ProcessName, RecordedRun>, Fault> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT env_uid, number, purpose, release, process, command AS "command: Json<Vec<String>>", resources AS "resources: Json<Resources>",
                  time_limit_seconds, slot AS "slot: Time", made_by, created_at AS "created_at: Time", started_at AS "started_at: Time", stopped_by, waits,
                  outcome, exit_code, reason, ended_at AS "ended_at: Time"
           FROM run WHERE (env_uid, number) IN
               (SELECT env_uid, max(number) FROM run WHERE env_uid = $1 AND purpose = 'schedule' GROUP BY env_uid, process)"#,
        env
    );
    let mut found = BTreeMap::new();
    for row in rows.fetch_all(tx).await? {
        let run = row.recorded()?;
        found.insert(run.run.process.clone(), run);
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
    slot: Option<Time>,
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
            slot: self.slot.map(|slot| slot.0),
            created_at: self.created_at.0,
            started_at: self.started_at.map(|at| at.0),
            stopped_by: self.stopped_by,
            waits: self.waits,
            end,
        };
        Ok(RecordedRun { run, made_by: self.made_by })
    }
}

/// The column of a run's number. There are fewer than fit.
fn run_column(run: RunNumber) -> i32 {
    i32::try_from(run.get()).unwrap_or(i32::MAX)
}

pub(crate) fn number(column: i32) -> Result<RunNumber, StoreError> {
    let number = u32::try_from(column).map_err(|why| StoreError::corrupt(format!("run {column}"), why))?;
    Ok(RunNumber::new(number))
}

/// Time limits are whole seconds; what is left over counts as one.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

fn read(source: sqlx::Error) -> StoreError {
    Fault::from(source).during(Operation::Read)
}
