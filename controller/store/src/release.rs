//! Releases: recorded once, judged once.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use skep_planner::deployment::{Deployment, PhaseTimes, Timeline, deployment};
use skep_planner::{
    Cancelled, NewRelease, Noted, Release, ReleaseContent, ReleaseVersion, Verdict, VerdictChange,
};
use skep_schemas::{OrgName, ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, StoreError, violated};
use crate::run;
use crate::time::Time;

/// A release to be recorded, as columns.
pub(crate) struct NewRow {
    key: ResourceKey,
    env: Uuid,
    number: ReleaseVersion,
    /// The number's column.
    pub(crate) version: i32,
    content: Value,
    why: String,
    rollback_to: Option<i32>,
    made_by: Option<String>,
}

/// The row of a new release.
pub(crate) fn new_row(key: &ResourceKey, env: Uid, release: &NewRelease) -> Result<NewRow, StoreError> {
    let content = serde_json::to_value(&release.content)
        .map_err(|why| StoreError::corrupt(format!("release {} of {key}", release.version), why))?;
    Ok(NewRow {
        key: key.clone(),
        env: env.uuid(),
        number: release.version,
        version: column(release.version)?,
        content,
        why: release.why.clone(),
        rollback_to: release.rollback_to.map(column).transpose()?,
        made_by: release.made_by.clone(),
    })
}

/// Records releases and supersedes those that were being rolled out.
pub(crate) async fn record_all(tx: &mut PgConnection, releases: &[&NewRow]) -> Result<(), Fault> {
    let Some(first) = releases.first() else { return Ok(()) };
    let envs: Vec<Uuid> = releases.iter().map(|new| new.env).collect();
    let versions: Vec<i32> = releases.iter().map(|new| new.version).collect();
    // Of one that somebody cancelled it is said that, although the plan did not know yet.
    sqlx::query!(
        "UPDATE release SET verdict = CASE WHEN cancelled_by IS NULL THEN 'superseded' ELSE 'cancelled' END,
             reason = 'cancelled by ' || cancelled_by, decided_at = now()
         FROM unnest($1::uuid[], $2::integer[]) AS new (env, version)
         WHERE env_uid = new.env AND verdict = 'pending' AND release.version < new.version",
        &envs,
        &versions
    )
    .execute(&mut *tx)
    .await?;
    let contents: Vec<Value> = releases.iter().map(|new| new.content.clone()).collect();
    let whys: Vec<String> = releases.iter().map(|new| new.why.clone()).collect();
    let makers: Vec<Option<String>> = releases.iter().map(|new| new.made_by.clone()).collect();
    let rollbacks: Vec<Option<i32>> = releases.iter().map(|new| new.rollback_to).collect();
    sqlx::query!(
        "INSERT INTO release (env_uid, version, content, why, rollback_to, made_by)
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::jsonb[], $4::text[], $5::integer[], $6::text[])",
        &envs,
        &versions,
        &contents,
        &whys,
        &rollbacks as _,
        &makers as _
    )
    .execute(tx)
    .await
    .map(drop)
    .map_err(|error| match violated(&error) {
        // Of several nobody can tell which; they are recorded again, each by itself.
        Some("release_version" | "release_pending") => {
            StoreError::ReleaseTaken { key: first.key.clone(), version: first.number }.into()
        }
        _ => error.into(),
    })
}

/// A verdict to be recorded, as columns.
pub(crate) struct VerdictRow {
    key: ResourceKey,
    env: Uuid,
    number: ReleaseVersion,
    version: i32,
    word: &'static str,
    reason: Option<String>,
    timeline: Option<Value>,
}

/// The rows of verdicts that are final.
pub(crate) fn verdict_rows(
    key: &ResourceKey,
    env: Uid,
    changes: &[VerdictChange],
    noted: Option<&Noted>,
) -> Result<Vec<VerdictRow>, StoreError> {
    let of = |change: &VerdictChange| {
        Ok(VerdictRow {
            key: key.clone(),
            env: env.uuid(),
            number: change.release,
            version: column(change.release)?,
            word: change.verdict.as_str(),
            reason: change.verdict.failure().map(str::to_owned),
            timeline: noted.filter(|noted| noted.release == change.release).map(timeline).transpose()?,
        })
    };
    changes.iter().filter(|change| change.verdict.is_final()).map(of).collect()
}

/// The column of what is noted.
pub(crate) fn timeline(noted: &Noted) -> Result<Value, StoreError> {
    serde_json::to_value(&noted.timeline)
        .map_err(|why| StoreError::corrupt(format!("the timeline of release {}", noted.release), why))
}

/// Records how releases went. A verdict that is there already stays; nothing is said over the head of whoever cancelled one.
pub(crate) async fn judge_all(tx: &mut PgConnection, verdicts: &[&VerdictRow]) -> Result<(), Fault> {
    if verdicts.is_empty() {
        return Ok(());
    }
    let envs: Vec<Uuid> = verdicts.iter().map(|verdict| verdict.env).collect();
    let versions: Vec<i32> = verdicts.iter().map(|verdict| verdict.version).collect();
    let words: Vec<String> = verdicts.iter().map(|verdict| verdict.word.to_owned()).collect();
    let reasons: Vec<Option<String>> = verdicts.iter().map(|verdict| verdict.reason.clone()).collect();
    let timelines: Vec<Option<Value>> = verdicts.iter().map(|verdict| verdict.timeline.clone()).collect();
    let judged = sqlx::query!(
        "UPDATE release SET verdict = known.word, reason = known.reason, decided_at = now(), timeline = coalesce(known.timeline, release.timeline)
         FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::jsonb[]) AS known (env, version, word, reason, timeline)
         WHERE env_uid = known.env AND release.version = known.version AND verdict = 'pending'
           AND (cancelled_by IS NULL OR known.word = 'cancelled')",
        &envs,
        &versions,
        &words,
        &reasons as _,
        &timelines as _
    );
    let judged = judged.execute(&mut *tx).await?.rows_affected();
    if usize::try_from(judged).is_ok_and(|judged| judged == verdicts.len()) {
        return Ok(());
    }
    let cancelled = sqlx::query!(
        "SELECT env_uid, version FROM release WHERE env_uid = ANY($1) AND verdict = 'pending' AND cancelled_by IS NOT NULL",
        &envs
    );
    let cancelled = cancelled.fetch_all(tx).await?;
    let is_cancelled =
        |row: &&&VerdictRow| cancelled.iter().any(|it| (it.env_uid, it.version) == (row.env, row.version));
    // Of several each is recorded again by itself.
    match verdicts.iter().find(is_cancelled) {
        Some(row) => Err(StoreError::CancelStale { key: row.key.clone(), version: row.number }.into()),
        None => Ok(()),
    }
}

/// The releases that planning needs of each environment, newest first: the newest `keep`, the newest that succeeded, the pending
/// one, and those that a run or a rollback names.
pub(crate) async fn of_environments(
    tx: &mut PgConnection,
    envs: &[Uuid],
    keep: u32,
) -> Result<HashMap<Uuid, Vec<Release>>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT l.env_uid, l.version, l.content AS "content: Json<ReleaseContent>", l.verdict, l.reason,
                  l.created_at AS "created_at: Time", l.rollback_to, l.cancelled_by, l.cancelled_at AS "cancelled_at: Time",
                  l.timeline AS "timeline: Json<Timeline>"
           FROM unnest($1::uuid[]) AS env (uid)
           CROSS JOIN LATERAL (
               (SELECT version FROM release WHERE env_uid = env.uid ORDER BY version DESC LIMIT $2)
               UNION (SELECT max(version) FROM release WHERE env_uid = env.uid AND verdict = 'succeeded')
               UNION (SELECT version FROM release WHERE env_uid = env.uid AND verdict = 'pending')
               UNION (SELECT release FROM run WHERE env_uid = env.uid AND outcome IS NULL)
               UNION (SELECT named.version FROM resource r,
                             LATERAL (VALUES ((r.rollback->>'to')::integer), ((r.rollback->>'insteadOf')::integer)) AS named (version)
                      WHERE r.uid = env.uid AND r.rollback IS NOT NULL)
           ) AS wanted
           JOIN release l ON l.env_uid = env.uid AND l.version = wanted.version
           ORDER BY l.env_uid, l.version DESC"#,
        envs,
        i64::from(keep)
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<Uuid, Vec<Release>> = envs.iter().map(|env| (*env, Vec::new())).collect();
    for row in rows {
        let what = || format!("release {} of {}", row.version, row.env_uid);
        found.entry(row.env_uid).or_default().push(Release {
            version: stored_version(row.version)?,
            content: row.content.0,
            verdict: verdict(&row.verdict, row.reason)
                .ok_or_else(|| StoreError::corrupt(what(), "unknown verdict"))?,
            created_at: row.created_at.0,
            rollback_to: row.rollback_to.map(stored_version).transpose()?,
            cancelled: cancelled(row.cancelled_by, row.cancelled_at),
            timeline: row.timeline.map(|timeline| timeline.0),
        });
    }
    Ok(found)
}

/// A release with what is told of it beside what it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRelease {
    /// The release.
    pub release: Release,
    /// What is different from the one before, in a few words.
    pub why: String,
    /// When it was known how it went.
    pub decided_at: Option<Timestamp>,
    /// Whose change made it; none for one from before that was noted.
    pub made_by: Option<String>,
    /// By which its deployment is named; none for one from before there were any.
    pub uid: Option<Uid>,
    /// When its release phase was under way, if it has one.
    pub phase: Option<PhaseTimes>,
}

impl RecordedRelease {
    /// The attempt at it.
    pub fn deployment(&self) -> Deployment {
        deployment(&self.release, self.phase, self.decided_at)
    }
}

struct Row {
    version: i32,
    content: Json<ReleaseContent>,
    why: String,
    verdict: String,
    reason: Option<String>,
    created_at: Time,
    decided_at: Option<Time>,
    rollback_to: Option<i32>,
    made_by: Option<String>,
    cancelled_by: Option<String>,
    cancelled_at: Option<Time>,
    timeline: Option<Json<Timeline>>,
    uid: Option<Uuid>,
    run: Option<i32>,
    run_started_at: Option<Time>,
    run_ended_at: Option<Time>,
}

/// Releases of an environment, newest first: so many of those before one.
pub(crate) async fn history(
    tx: &mut PgConnection,
    env: Uuid,
    before: Option<ReleaseVersion>,
    limit: u32,
) -> Result<Vec<RecordedRelease>, Fault> {
    // None has so high a number.
    let before = before.map(|version| i32::try_from(version.get()).unwrap_or(i32::MAX));
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT l.version, l.content AS "content: Json<ReleaseContent>", l.why, l.verdict, l.reason, l.created_at AS "created_at: Time",
                  l.decided_at AS "decided_at: Time", l.rollback_to, l.made_by, l.cancelled_by, l.cancelled_at AS "cancelled_at: Time",
                  l.timeline AS "timeline: Json<Timeline>", l.uid, phase.number AS "run?", phase.started_at AS "run_started_at: Time",
                  phase.ended_at AS "run_ended_at: Time"
           FROM release l LEFT JOIN run phase ON phase.env_uid = l.env_uid AND phase.release = l.version AND phase.purpose = 'release'
           WHERE l.env_uid = $1 AND ($2::integer IS NULL OR l.version < $2)
           ORDER BY l.version DESC LIMIT $3"#,
        env,
        before,
        i64::from(limit)
    )
    .fetch_all(tx)
    .await?;
    let recorded = |row: Row| {
        let version = stored_version(row.version)?;
        let verdict = verdict(&row.verdict, row.reason)
            .ok_or_else(|| StoreError::corrupt(format!("release {version} of {env}"), "unknown verdict"))?;
        let release = Release {
            version,
            content: row.content.0,
            verdict,
            created_at: row.created_at.0,
            rollback_to: row.rollback_to.map(stored_version).transpose()?,
            cancelled: cancelled(row.cancelled_by, row.cancelled_at),
            timeline: row.timeline.map(|timeline| timeline.0),
        };
        let (started, ended) = (row.run_started_at.map(|at| at.0), row.run_ended_at.map(|at| at.0));
        let phase = row.run.map(run::number).transpose()?.map(|run| PhaseTimes { run, started, ended });
        Ok(RecordedRelease {
            release,
            why: row.why,
            decided_at: row.decided_at.map(|at| at.0),
            made_by: row.made_by,
            uid: row.uid.map(Uid::from_uuid),
            phase,
        })
    };
    rows.into_iter().map(recorded).collect()
}

/// Where a deployment is in an organisation: its environment's name, and the release.
pub(crate) async fn of_deployment(
    tx: &mut PgConnection,
    org: &OrgName,
    uid: Uuid,
) -> Result<Option<(String, ReleaseVersion)>, Fault> {
    let row = sqlx::query!(
        "SELECT r.name, l.version FROM release l JOIN resource r ON r.uid = l.env_uid WHERE l.uid = $1 AND r.org = $2",
        uid,
        org.as_str()
    );
    let row = row.fetch_optional(tx).await?;
    Ok(row.map(|row| stored_version(row.version).map(|version| (row.name, version))).transpose()?)
}

/// Notes how far releases have come that are being rolled out.
pub(crate) async fn note_all(tx: &mut PgConnection, noted: &[&NotedRow]) -> Result<(), Fault> {
    if noted.is_empty() {
        return Ok(());
    }
    let envs: Vec<Uuid> = noted.iter().map(|noted| noted.env).collect();
    let versions: Vec<i32> = noted.iter().map(|noted| noted.version).collect();
    let timelines: Vec<Value> = noted.iter().map(|noted| noted.timeline.clone()).collect();
    let set = sqlx::query!(
        "UPDATE release SET timeline = noted.timeline
         FROM unnest($1::uuid[], $2::integer[], $3::jsonb[]) AS noted (env, version, timeline)
         WHERE env_uid = noted.env AND release.version = noted.version AND verdict = 'pending'",
        &envs,
        &versions,
        &timelines
    );
    set.execute(tx).await?;
    Ok(())
}

/// What is to be noted of a release, as columns.
pub(crate) struct NotedRow {
    env: Uuid,
    version: i32,
    timeline: Value,
}

impl NotedRow {
    /// Of an environment.
    pub(crate) fn of(env: Uid, noted: &Noted) -> Result<Self, StoreError> {
        Ok(Self { env: env.uuid(), version: column(noted.release)?, timeline: timeline(noted)? })
    }
}

/// The column of a release's number.
pub(crate) fn column(version: ReleaseVersion) -> Result<i32, StoreError> {
    i32::try_from(version.get()).map_err(|why| StoreError::corrupt(format!("release {version}"), why))
}

/// The number of a column.
pub(crate) fn stored_version(number: i32) -> Result<ReleaseVersion, StoreError> {
    let version =
        u32::try_from(number).map_err(|why| StoreError::corrupt(format!("release {number}"), why))?;
    Ok(ReleaseVersion::new(version))
}

fn cancelled(by: Option<String>, at: Option<Time>) -> Option<Cancelled> {
    Some(Cancelled { by: by?, at: at?.0 })
}

pub(crate) fn verdict(word: &str, reason: Option<String>) -> Option<Verdict> {
    Some(match (word, reason) {
        ("pending", None) => Verdict::Pending,
        ("succeeded", None) => Verdict::Succeeded,
        ("rolled-back", Some(reason)) => Verdict::RolledBack { reason },
        ("failed", Some(reason)) => Verdict::Failed { reason },
        ("superseded", None) => Verdict::Superseded,
        ("cancelled", Some(reason)) => Verdict::Cancelled { reason },
        _ => return None,
    })
}
