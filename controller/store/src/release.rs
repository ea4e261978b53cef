//! Releases: recorded once, judged once.

use skep_planner::{NewRelease, Release, ReleaseVersion, Verdict, VerdictChange};
use skep_schemas::{ResourceKey, Uid};
use sqlx::PgConnection;

use crate::error::{Fault, StoreError, violated};
use crate::time::Time;

/// Records a release and supersedes the one that was being rolled out.
pub(crate) async fn record(
    tx: &mut PgConnection,
    key: &ResourceKey,
    env: Uid,
    release: &NewRelease,
) -> Result<(), Fault> {
    let version = column(release.version)?;
    sqlx::query!(
        "UPDATE release SET verdict = 'superseded', decided_at = now()
         WHERE env_uid = $1 AND verdict = 'pending' AND version < $2",
        env.uuid(),
        version
    )
    .execute(&mut *tx)
    .await?;
    let content = serde_json::to_value(&release.content)
        .map_err(|why| StoreError::corrupt(format!("release {} of {key}", release.version), why))?;
    sqlx::query!(
        "INSERT INTO release (env_uid, version, content, why) VALUES ($1, $2, $3, $4)",
        env.uuid(),
        version,
        content,
        release.why
    )
    .execute(tx)
    .await
    .map(drop)
    .map_err(|error| match violated(&error) {
        Some("release_version" | "release_pending") => {
            StoreError::ReleaseTaken { key: key.clone(), version: release.version }.into()
        }
        _ => error.into(),
    })
}

/// Records how a release went. A verdict that is there already stays.
pub(crate) async fn judge(tx: &mut PgConnection, env: Uid, change: &VerdictChange) -> Result<(), Fault> {
    let (word, reason) = verdict_columns(&change.verdict);
    if !change.verdict.is_final() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE release SET verdict = $3, reason = $4, decided_at = now()
         WHERE env_uid = $1 AND version = $2 AND verdict = 'pending'",
        env.uuid(),
        column(change.release)?,
        word,
        reason
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The releases that planning needs, newest first: the newest `keep`, the newest that succeeded, and the pending one.
pub(crate) async fn of_environment(
    tx: &mut PgConnection,
    env: Uid,
    keep: u32,
) -> Result<Vec<Release>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT version, content, verdict, reason, created_at AS "created_at: Time" FROM release
           WHERE env_uid = $1 AND (
               version IN (SELECT version FROM release WHERE env_uid = $1 ORDER BY version DESC LIMIT $2)
               OR version = (SELECT max(version) FROM release WHERE env_uid = $1 AND verdict = 'succeeded')
               OR verdict = 'pending')
           ORDER BY version DESC"#,
        env.uuid(),
        i64::from(keep)
    )
    .fetch_all(tx)
    .await?;
    let mut releases = Vec::with_capacity(rows.len());
    for row in rows {
        let what = || format!("release {} of {env}", row.version);
        releases.push(Release {
            version: stored_version(row.version)?,
            content: serde_json::from_value(row.content).map_err(|why| StoreError::corrupt(what(), why))?,
            verdict: verdict(&row.verdict, row.reason)
                .ok_or_else(|| StoreError::corrupt(what(), "unknown verdict"))?,
            created_at: row.created_at.0,
        });
    }
    Ok(releases)
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

fn verdict_columns(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Pending => ("pending", None),
        Verdict::Succeeded => ("succeeded", None),
        Verdict::RolledBack { reason } => ("rolled-back", Some(reason)),
        Verdict::Failed { reason } => ("failed", Some(reason)),
        Verdict::Superseded => ("superseded", None),
    }
}

fn verdict(word: &str, reason: Option<String>) -> Option<Verdict> {
    Some(match (word, reason) {
        ("pending", None) => Verdict::Pending,
        ("succeeded", None) => Verdict::Succeeded,
        ("rolled-back", Some(reason)) => Verdict::RolledBack { reason },
        ("failed", Some(reason)) => Verdict::Failed { reason },
        ("superseded", None) => Verdict::Superseded,
        _ => return None,
    })
}
