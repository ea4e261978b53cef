//! Compaction: the log of changes does not grow for ever.

use std::time::Duration;

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;

/// Rows removed at a time, so that no statement is long.
const BATCH: i64 = 5000;
/// Batches of one run: a backlog is worked off over several runs.
const BATCHES_MAX: u32 = 20;

impl Store {
    /// Removes changes that are both beyond the newest `keep` revisions and older than `age`. How many rows went? Readers
    /// that had not read them get [`StoreError::CursorExpired`].
    pub async fn compact(&self, keep: u32, age: Duration) -> Result<u64, StoreError> {
        self.try_compact(keep, age).await.map_err(|fault| fault.during(Operation::Compact))
    }

    async fn try_compact(&self, keep: u32, age: Duration) -> Result<u64, Fault> {
        // The floor rises before the rows go: no reader can miss one without being told.
        let floor = sqlx::query_scalar!(
            "WITH old AS (
                 SELECT max(c.revision) AS revision FROM change_log c, cluster_rev r
                 WHERE c.revision <= r.revision - $1 AND c.at < now() - make_interval(secs => $2)
             )
             UPDATE cluster_rev SET floor = old.revision FROM old WHERE old.revision >= floor
             RETURNING floor",
            i64::from(keep),
            age.as_secs_f64()
        )
        .fetch_optional(self.pool())
        .await?;
        // Nothing is old enough, and then nothing is written.
        let Some(floor) = floor else { return Ok(0) };
        let mut removed = 0;
        for _ in 0..BATCHES_MAX {
            let batch = sqlx::query!(
                "DELETE FROM change_log WHERE seq IN
                 (SELECT seq FROM change_log WHERE revision <= $1 ORDER BY revision, seq LIMIT $2)",
                floor,
                BATCH
            );
            match batch.execute(self.pool()).await?.rows_affected() {
                0 => break,
                rows => removed += rows,
            }
        }
        Ok(removed)
    }
}
