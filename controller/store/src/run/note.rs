//! What an environment's reconcile writes of runs, together with the plan that it is about to carry out.

use skep_planner::{NewRun, RunChange, RunNews};
use skep_schemas::kind::{RELEASE_PHASE, Resources};
use skep_schemas::{Duration, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use super::{run_column, seconds};
use crate::error::{Fault, StoreError};
use crate::release::column;

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

/// A release phase to be recorded, as columns.
pub(crate) struct PhaseRow {
    env: Uuid,
    release: i32,
    resources: Resources,
    time_limit: Duration,
}

/// The row of a release phase.
pub(crate) fn phase_row(env: Uid, phase: &NewRun) -> Result<PhaseRow, StoreError> {
    let NewRun { release, resources, time_limit } = *phase;
    Ok(PhaseRow { env: env.uuid(), release: column(release)?, resources, time_limit })
}

/// Records release phases. One that a release has already stays; the environments' rows are held.
pub(crate) async fn begin_all(tx: &mut PgConnection, phases: &[&PhaseRow]) -> Result<(), Fault> {
    for PhaseRow { env, release, resources, time_limit } in phases.iter().copied() {
        sqlx::query!(
            "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, made_by)
             SELECT $1, coalesce((SELECT max(number) FROM run WHERE env_uid = $1), 0) + 1, 'release', $2, $3, $4, $5, l.made_by
             FROM release l WHERE l.env_uid = $1 AND l.version = $2
             ON CONFLICT (env_uid, release) WHERE purpose = 'release' DO NOTHING",
            env,
            release,
            RELEASE_PHASE,
            Json(resources) as _,
            seconds(*time_limit)
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
