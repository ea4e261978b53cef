//! Events: the story of one resource, in few rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_schemas::{OrgName, ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::notification::{self, Notice, Told};
use crate::row::key_of_columns;
use crate::scoped::ScopedStore;
use crate::time::Time;

/// The most events that a resource keeps: enough to see what led to its state, not a log.
const EVENTS_MAX: i64 = 50;
/// The most events of an organisation that are told at once.
const ORG_EVENTS_MAX: u32 = 1000;
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
    /// The pass that said so last.
    pub reconcile_id: Option<String>,
}

/// Something that happened, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Is it something to worry about?
    pub severity: Severity,
    /// One word for programs.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
    /// What it is for those outside; none if they are not told.
    pub notice: Option<Notice>,
}

/// Records what happened to resources, and has those told who want to be. Equal events are counted; the oldest make room for new ones.
pub(crate) async fn record_all(
    tx: &mut PgConnection,
    events: &[(Uid, Option<&str>, &NewEvent)],
) -> Result<(), Fault> {
    // What is the same is told once: a statement cannot change a row twice.
    let distinct: BTreeMap<(Uuid, &str, &str, String), Option<&str>> = events
        .iter()
        .map(|(uid, pass, event)| {
            let message = shortened(&event.message);
            ((uid.uuid(), event.severity.as_str(), event.reason.as_str(), message), *pass)
        })
        .collect();
    if distinct.is_empty() {
        return Ok(());
    }
    let uids: Vec<Uuid> = distinct.keys().map(|(uid, ..)| *uid).collect();
    let severities: Vec<String> = distinct.keys().map(|(_, severity, ..)| (*severity).to_owned()).collect();
    let reasons: Vec<String> = distinct.keys().map(|(_, _, reason, _)| (*reason).to_owned()).collect();
    let messages: Vec<String> = distinct.keys().map(|(.., message)| message.clone()).collect();
    let passes: Vec<Option<String>> = distinct.values().map(|pass| pass.map(str::to_owned)).collect();
    sqlx::query!(
        "INSERT INTO event (uid, severity, reason, message, reconcile_id)
         SELECT r.uid, t.severity, t.reason, t.message, t.pass
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS t (uid, severity, reason, message, pass)
         JOIN resource r ON r.uid = t.uid FOR KEY SHARE OF r
         ON CONFLICT (uid, severity, reason, md5(message))
         DO UPDATE SET count = event.count + 1, last_at = now(), reconcile_id = excluded.reconcile_id",
        &uids,
        &severities,
        &reasons,
        &messages,
        &passes as _
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "DELETE FROM event WHERE id IN
             (SELECT old.id FROM (SELECT DISTINCT uid FROM unnest($1::uuid[]) AS uid) told CROSS JOIN LATERAL
                 (SELECT id FROM event WHERE uid = told.uid ORDER BY last_at DESC, id DESC OFFSET $2) old)",
        &uids,
        EVENTS_MAX
    )
    .execute(&mut *tx)
    .await?;
    let told: Vec<Told<'_>> = events
        .iter()
        .filter_map(|(uid, _, event)| Some(Told { uid: *uid, event, notice: event.notice? }))
        .collect();
    notification::enqueue_all(tx, &told).await
}

/// A message as it is kept.
pub(crate) fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_MAX).collect()
}

impl ScopedStore {
    /// The events of a resource, the last one last.
    pub async fn events(&self, uid: Uid) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"SELECT r.org, r.kind, r.name, severity, reason, message, count,
                      first_at AS "first_at: _", last_at AS "last_at: _", reconcile_id
               FROM event JOIN resource r USING (uid) WHERE uid = $1 ORDER BY last_at, id LIMIT $2"#,
            uid.uuid(),
            EVENTS_MAX
        );
        let found = async { rows.fetch_all(&mut *self.reader().await?).await }.await;
        let rows = found.map_err(|source| Fault::from(source).during(Operation::Read))?;
        Ok(rows.into_iter().map(EventRow::into_event).collect())
    }

    /// The latest events of an organisation and of everything in it, the last one last.
    pub async fn org_events(
        &self,
        org: &OrgName,
        limit: u32,
    ) -> Result<Vec<(ResourceKey, Event)>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"SELECT r.org, r.kind, r.name, severity, reason, message, count,
                      first_at AS "first_at: _", last_at AS "last_at: _", reconcile_id
               FROM event JOIN resource r USING (uid)
               WHERE r.org = $1 OR (r.org = '' AND r.kind = 'Organization' AND r.name = $1)
               ORDER BY last_at DESC, id DESC LIMIT $2"#,
            org.as_str(),
            i64::from(limit.min(ORG_EVENTS_MAX))
        );
        let found = async { rows.fetch_all(&mut *self.reader().await?).await }.await;
        let rows = found.map_err(|source| Fault::from(source).during(Operation::Read))?;
        let keyed = |row: EventRow| Ok((key_of_columns(&row.org, &row.kind, &row.name)?, row.into_event()));
        rows.into_iter().rev().map(keyed).collect()
    }
}

/// An event and whose it is.
struct EventRow {
    org: String,
    kind: String,
    name: String,
    severity: String,
    reason: String,
    message: String,
    count: i64,
    first_at: Time,
    last_at: Time,
    reconcile_id: Option<String>,
}

impl EventRow {
    fn into_event(self) -> Event {
        let normal = self.severity == Severity::Normal.as_str();
        Event {
            severity: if normal { Severity::Normal } else { Severity::Warning },
            reason: self.reason,
            message: self.message,
            count: self.count,
            first_at: self.first_at.0,
            last_at: self.last_at.0,
            reconcile_id: self.reconcile_id,
        }
    }
}
