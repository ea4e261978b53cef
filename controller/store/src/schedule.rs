//! Schedules: how far they were followed, written by whoever plans, together with the runs of their slots; and what there is to tell of them.
//!
//! A mark is moved only from where the plan knew it, and the run of a slot is written with it or not at all. So of two who decide the same slot one does, and the other
//! finds it decided. What does not fit into the organisation's quota is counted as missed in the same statement.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use skep_planner::{Missed, NewRun, ScheduleChange, ScheduleDecision, ScheduleMark};
use skep_schemas::kind::Resources;
use skep_schemas::{OrgName, ProcessName, ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, Operation, StoreError};
use crate::quota;
use crate::release::column;
use crate::run::{self, RecordedRun, seconds};
use crate::snapshot::Snapshot;
use crate::time::Time;

/// What is known of a schedule that is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedSchedule {
    /// How far it was followed.
    pub mark: ScheduleMark,
    /// Since when.
    pub since: Timestamp,
    /// How many slots were missed since then.
    pub missed: u64,
    /// The newest of them, and why it was.
    pub last_missed: Option<(Timestamp, String)>,
    /// Its newest run.
    pub last_run: Option<RecordedRun>,
}

impl Snapshot {
    /// How far the schedules of an environment were followed.
    pub async fn schedule_marks(&mut self, env: Uid) -> Result<Vec<ScheduleMark>, StoreError> {
        if let Some(known) = self.ahead.schedules.get(&env.uuid()) {
            return Ok(known.clone());
        }
        let found = of_environments(self.connection(), &[env.uuid()]).await;
        let mut found = found.map_err(|fault| fault.during(Operation::Read))?;
        Ok(found.remove(&env.uuid()).unwrap_or_default())
    }

    /// The schedules of an environment that are followed, by process.
    pub async fn schedules(
        &mut self,
        env: Uid,
    ) -> Result<BTreeMap<ProcessName, RecordedSchedule>, StoreError> {
        self.try_schedules(env).await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_schedules(&mut self, env: Uid) -> Result<BTreeMap<ProcessName, RecordedSchedule>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT s.process, s.recurrence, s.since AS "since: Time", s.until AS "until: Time", s.missed, s.missed_at AS "missed_at: Time", s.missed_why
               FROM schedule s WHERE s.env_uid = $1"#,
            env.uuid()
        );
        let rows = rows.fetch_all(self.connection()).await?;
        let mut last_runs = run::newest_of_schedules(self.connection(), env.uuid()).await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let process = process(env.uuid(), &row.process)?;
            let mark =
                ScheduleMark { process: process.clone(), recurrence: row.recurrence, until: row.until.0 };
            let schedule = RecordedSchedule {
                mark,
                since: row.since.0,
                missed: u64::try_from(row.missed).unwrap_or_default(),
                last_missed: row.missed_at.map(|at| at.0).zip(row.missed_why),
                last_run: last_runs.remove(&process),
            };
            found.insert(process, schedule);
        }
        Ok(found)
    }
}

/// How far the schedules of each environment were followed.
pub(crate) async fn of_environments(
    tx: &mut PgConnection,
    envs: &[Uuid],
) -> Result<HashMap<Uuid, Vec<ScheduleMark>>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT env_uid, process, recurrence, until AS "until: Time" FROM schedule
           WHERE env_uid = ANY($1) ORDER BY env_uid, process"#,
        envs
    );
    let mut found: HashMap<Uuid, Vec<ScheduleMark>> = envs.iter().map(|env| (*env, Vec::new())).collect();
    for row in rows.fetch_all(tx).await? {
        let process = process(row.env_uid, &row.process)?;
        let mark = ScheduleMark { process, recurrence: row.recurrence, until: row.until.0 };
        found.entry(row.env_uid).or_default().push(mark);
    }
    Ok(found)
}

fn process(env: Uuid, text: &str) -> Result<ProcessName, StoreError> {
    text.parse().map_err(|why| StoreError::corrupt(format!("a schedule of {env}"), why))
}

/// A decision about a schedule to be recorded, as columns.
pub(crate) struct ScheduleRow {
    key: ResourceKey,
    env: Uuid,
    process: String,
    decision: DecisionRow,
}

enum DecisionRow {
    Begins { recurrence: String, at: Timestamp },
    Passes { known: (String, Timestamp), slot: Timestamp, run: Option<RunRow>, missed: Option<Missed> },
    Ends,
}

struct RunRow {
    release: i32,
    resources: Resources,
    time_limit_seconds: i64,
}

/// The rows of decisions.
pub(crate) fn rows(
    key: &ResourceKey,
    env: Uid,
    changes: &[ScheduleChange],
) -> Result<Vec<ScheduleRow>, StoreError> {
    let of = |change: &ScheduleChange| {
        let decision = match &change.decision {
            ScheduleDecision::Begins { recurrence, at } => {
                DecisionRow::Begins { recurrence: recurrence.clone(), at: *at }
            }
            ScheduleDecision::Passes { known, slot, run, missed } => DecisionRow::Passes {
                known: known.clone(),
                slot: *slot,
                run: run.as_ref().map(run_row).transpose()?,
                missed: missed.clone(),
            },
            ScheduleDecision::Ends => DecisionRow::Ends,
        };
        let process = change.process.as_str().to_owned();
        Ok(ScheduleRow { key: key.clone(), env: env.uuid(), process, decision })
    };
    changes.iter().map(of).collect()
}

fn run_row(run: &NewRun) -> Result<RunRow, StoreError> {
    let NewRun { release, resources, time_limit } = *run;
    Ok(RunRow { release: column(release)?, resources, time_limit_seconds: seconds(time_limit) })
}

/// Records decisions about schedules. One that rests on a mark which is there no more changes nothing; the environments' rows are held.
pub(crate) async fn decide_all(tx: &mut PgConnection, rows: &[&ScheduleRow]) -> Result<(), Fault> {
    for row in rows {
        let ScheduleRow { key, env, process, decision } = row;
        match decision {
            DecisionRow::Begins { recurrence, at } => {
                sqlx::query!(
                    "INSERT INTO schedule (env_uid, process, recurrence, since, until)
                     VALUES ($1, $2, $3, $4::text::timestamptz, $4::text::timestamptz)
                     ON CONFLICT (env_uid, process) DO UPDATE
                     SET recurrence = EXCLUDED.recurrence, since = EXCLUDED.since, until = EXCLUDED.until, missed = 0, missed_at = NULL, missed_why = NULL
                     WHERE schedule.recurrence <> EXCLUDED.recurrence",
                    env,
                    process,
                    recurrence,
                    at.to_string()
                )
                .execute(&mut *tx)
                .await?;
            }
            DecisionRow::Passes { known, slot, run, missed } => {
                let (run, missed) = match run {
                    None => (None, missed.clone()),
                    Some(run) => match room(tx, key, run.resources).await? {
                        Room::Enough => (Some(run), missed.clone()),
                        Room::TooLittle(why) => (None, Some(also(missed.as_ref(), *slot, why))),
                        // It is decided the next time that somebody looks.
                        Room::Unknown => continue,
                    },
                };
                pass(tx, (*env, process), known, *slot, run, missed).await?;
            }
            DecisionRow::Ends => {
                let ended =
                    sqlx::query!("DELETE FROM schedule WHERE env_uid = $1 AND process = $2", env, process);
                ended.execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

/// Is there room for a run in an organisation's quota?
enum Room {
    Enough,
    TooLittle(String),
    /// Somebody else is counting.
    Unknown,
}

/// Whoever counts holds the organisation alone, and locks it before its environments. These are held here already: so it is not waited for.
async fn room(tx: &mut PgConnection, key: &ResourceKey, run: Resources) -> Result<Room, Fault> {
    let Some(org) = key.org() else { return Ok(Room::Enough) };
    if !quota::is_limited(tx, org).await? {
        return Ok(Room::Enough);
    }
    let held = sqlx::query_scalar!(
        "SELECT uid FROM resource WHERE org = '' AND kind = 'Organization' AND name = $1 FOR NO KEY UPDATE SKIP LOCKED",
        org.as_str()
    );
    if held.fetch_optional(&mut *tx).await?.is_none() {
        return Ok(Room::Unknown);
    }
    let found = quota::check_run(tx, org, key, run).await;
    match found {
        Ok(()) => Ok(Room::Enough),
        Err(Fault::Store(StoreError::QuotaExceeded { excess, .. })) => {
            Ok(Room::TooLittle(too_much(org, &excess)))
        }
        Err(fault) => Err(fault),
    }
}

fn too_much(org: &OrgName, excess: &[skep_planner::quota::Excess]) -> String {
    let excess: Vec<String> = excess.iter().map(ToString::to_string).collect();
    format!("organisation {org} would have {}", excess.join(", "))
}

/// What was missed, with a slot that is missed as well.
fn also(missed: Option<&Missed>, slot: Timestamp, why: String) -> Missed {
    let before = missed.map_or(0, |missed| missed.count);
    Missed { count: before.saturating_add(1), newest: slot, why }
}

/// Moves a mark to a slot, and writes the run of the slot if it is to be run.
async fn pass(
    tx: &mut PgConnection,
    (env, process): (Uuid, &str),
    (recurrence, known): &(String, Timestamp),
    slot: Timestamp,
    run: Option<&RunRow>,
    missed: Option<Missed>,
) -> Result<(), Fault> {
    let moved = sqlx::query!(
        "UPDATE schedule SET until = $5::text::timestamptz, missed = missed + $6,
                missed_at = coalesce($7::text::timestamptz, missed_at), missed_why = coalesce($8, missed_why)
         WHERE env_uid = $1 AND process = $2 AND recurrence = $3 AND until = $4::text::timestamptz",
        env,
        process,
        recurrence,
        known.to_string(),
        slot.to_string(),
        missed.as_ref().map_or(0, |missed| i64::from(missed.count)),
        missed.as_ref().map(|missed| missed.newest.to_string()),
        missed.as_ref().map(|missed| missed.why.clone())
    );
    let moved = moved.execute(&mut *tx).await?.rows_affected() > 0;
    let Some(run) = run.filter(|_| moved) else { return Ok(()) };
    sqlx::query!(
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, slot)
         SELECT $1, coalesce((SELECT max(number) FROM run WHERE env_uid = $1), 0) + 1, 'schedule', $2, $3, $4, $5, $6::text::timestamptz
         ON CONFLICT (env_uid, process, slot) WHERE purpose = 'schedule' DO NOTHING",
        env,
        run.release,
        process,
        Json(run.resources) as _,
        run.time_limit_seconds,
        slot.to_string()
    )
    .execute(tx)
    .await?;
    Ok(())
}
