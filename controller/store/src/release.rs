//! Releases: recorded once, judged once.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use skep_planner::{Cancelled, NewRelease, Release, ReleaseContent, ReleaseVersion, Verdict, VerdictChange};
use skep_schemas::{ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, StoreError, violated};
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
}

/// The rows of verdicts that are final.
pub(crate) fn verdict_rows(
    key: &ResourceKey,
    env: Uid,
    changes: &[VerdictChange],
) -> Result<Vec<VerdictRow>, StoreError> {
    let of = |change: &VerdictChange| {
        Ok(VerdictRow {
            key: key.clone(),
            env: env.uuid(),
            number: change.release,
            version: column(change.release)?,
            word: change.verdict.as_str(),
            reason: change.verdict.failure().map(str::to_owned),
        })
    };
    changes.iter().filter(|change| change.verdict.is_final()).map(of).collect()
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
    let judged = sqlx::query!(
        "UPDATE release SET verdict = known.word, reason = known.reason, decided_at = now()
         FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[]) AS known (env, version, word, reason)
         WHERE env_uid = known.env AND release.version = known.version AND verdict = 'pending'
           AND (cancelled_by IS NULL OR known.word = 'cancelled')",
        &envs,
        &versions,
        &words,
        &reasons as _
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
                  l.created_at AS "created_at: Time", l.rollback_to, l.cancelled_by, l.cancelled_at AS "cancelled_at: Time"
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
        r#"SELECT version, content AS "content: Json<ReleaseContent>", why, verdict, reason,
                  created_at AS "created_at: Time", decided_at AS "decided_at: Time", rollback_to, made_by, cancelled_by,
                  cancelled_at AS "cancelled_at: Time"
           FROM release WHERE env_uid = $1 AND ($2::integer IS NULL OR version < $2)
           ORDER BY version DESC LIMIT $3"#,
        env,
        before,
        i64::from(limit)
    )
    .fetch_all(tx)
    .await?;
    let recorded = |row| {
        let Row {
            version,
            content,
            why,
            verdict: word,
            reason,
            created_at,
            decided_at,
            rollback_to,
            made_by,
            cancelled_by,
            cancelled_at,
        } = row;
        let verdict = verdict(&word, reason)
            .ok_or_else(|| StoreError::corrupt(format!("release {version} of {env}"), "unknown verdict"))?;
        let release = Release {
            version: stored_version(version)?,
            content: content.0,
            verdict,
            created_at: created_at.0,
            rollback_to: rollback_to.map(stored_version).transpose()?,
            cancelled: cancelled(cancelled_by, cancelled_at),
        };
        Ok(RecordedRelease { release, why, decided_at: decided_at.map(|at| at.0), made_by })
    };
    rows.into_iter().map(recorded).collect()
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
