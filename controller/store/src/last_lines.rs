//! The last lines that the instance printed by which a release failed: kept with the verdict, and read by those who may read what is printed.

use skep_planner::plan::KeptLines;
use skep_planner::{LastLines, ReleaseVersion, RunOutput};
use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::release::column;
use crate::snapshot::Snapshot;

/// Last lines to be kept, as columns.
pub(crate) struct LinesRow {
    env: Uuid,
    version: i32,
    process: String,
    text: String,
    gap: Option<String>,
}

/// The row of last lines.
pub(crate) fn lines_row(env: Uid, kept: &KeptLines) -> Result<LinesRow, StoreError> {
    let LastLines { process, output } = &kept.lines;
    Ok(LinesRow {
        env: env.uuid(),
        version: column(kept.release)?,
        process: process.to_string(),
        text: output.text.replace('\0', "\u{fffd}"),
        gap: output.gap.clone(),
    })
}

/// Keeps last lines, once for each release.
pub(crate) async fn keep_all(tx: &mut PgConnection, rows: &[&LinesRow]) -> Result<(), Fault> {
    // A release that fails is rare.
    for LinesRow { env, version, process, text, gap } in rows {
        sqlx::query!(
            "INSERT INTO release_output (env_uid, version, process, output, output_gap) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            env,
            version,
            process,
            text,
            gap.as_deref()
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

impl Snapshot {
    /// The last lines that the instance printed by which a release failed, if any are kept.
    pub async fn last_lines(
        &mut self,
        env: Uid,
        version: ReleaseVersion,
    ) -> Result<Option<LastLines>, StoreError> {
        let row = sqlx::query!(
            "SELECT process, output, output_gap FROM release_output WHERE env_uid = $1 AND version = $2",
            env.uuid(),
            column(version)?
        );
        let row = row.fetch_optional(self.connection()).await;
        let Some(row) = row.map_err(|source| Fault::from(source).during(Operation::Read))? else {
            return Ok(None);
        };
        let process = row.process.parse();
        let process =
            process.map_err(|why| StoreError::corrupt(format!("the last lines of {version}"), why))?;
        Ok(Some(LastLines { process, output: RunOutput { text: row.output, gap: row.output_gap } }))
    }
}
