//! Events: the story of one resource, in few rows.

use jiff::Timestamp;
use skep_schemas::Uid;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;
use crate::time::Time;

/// The most events that a resource keeps: enough to see what led to its state, not a log.
const EVENTS_MAX: i64 = 50;
/// Longest message; longer ones are cut.
const MESSAGE_MAX: usize = 1024;

/// Is it something to worry about?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// Not as it should be.
    Warning,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
        }
    }
}

/// Something that happened to a resource, once or many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Is it something to worry about?
    pub severity: Severity,
    /// One word for programs.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
    /// How often.
    pub count: i64,
    /// When it happened first.
    pub first_at: Timestamp,
    /// When it happened last.
    pub last_at: Timestamp,
}

impl Store {
    /// Records that something happened to a resource. Equal events are counted; the oldest make room for new ones.
    pub async fn record_event(
        &self,
        fence: &Fence,
        uid: Uid,
        severity: Severity,
        reason: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let message: String = message.chars().take(MESSAGE_MAX).collect();
        self.try_record(fence, uid, severity, reason, &message)
            .await
            .map_err(|fault| fault.during(Operation::Event))
    }

    async fn try_record(
        &self,
        fence: &Fence,
        uid: Uid,
        severity: Severity,
        reason: &str,
        message: &str,
    ) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        sqlx::query!(
            "INSERT INTO event (uid, severity, reason, message)
             SELECT uid, $2, $3, $4 FROM resource WHERE uid = $1 FOR KEY SHARE
             ON CONFLICT (uid, severity, reason, md5(message))
             DO UPDATE SET count = event.count + 1, last_at = now()",
            uid.uuid(),
            severity.as_str(),
            reason,
            message
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "DELETE FROM event WHERE uid = $1 AND id IN
             (SELECT id FROM event WHERE uid = $1 ORDER BY last_at DESC, id DESC OFFSET $2)",
            uid.uuid(),
            EVENTS_MAX
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The events of a resource, the last one last.
    pub async fn events(&self, uid: Uid) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT severity, reason, message, count, first_at AS "first_at: Time", last_at AS "last_at: Time"
               FROM event WHERE uid = $1 ORDER BY last_at, id LIMIT $2"#,
            uid.uuid(),
            EVENTS_MAX
        )
        .fetch_all(self.pool())
        .await
        .map_err(|source| Fault::from(source).during(Operation::Read))?;
        let events = rows.into_iter().map(|row| Event {
            severity: if row.severity == Severity::Normal.as_str() {
                Severity::Normal
            } else {
                Severity::Warning
            },
            reason: row.reason,
            message: row.message,
            count: row.count,
            first_at: row.first_at.0,
            last_at: row.last_at.0,
        });
        Ok(events.collect())
    }
}
