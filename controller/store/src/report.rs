//! What a pass reports: a status, written only when it says something new, and events.

use std::collections::HashSet;

use serde_json::Value;
use skep_planner::Noted;
use skep_schemas::{Generation, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, StoreError};
use crate::event::{self, NewEvent, Severity};
use crate::gathered::{Answers, Fenced, Writing};
use crate::lease::Fence;
use crate::release::{self, NotedRow};
use crate::store::Store;

/// What a pass reports of one resource.
pub(crate) struct Report {
    fence: Fence,
    uid: Uid,
    status: Option<(Generation, Value)>,
    /// Told if the status was written, or if there is none.
    events: Vec<NewEvent>,
    /// Of the release that is being rolled out.
    noted: Option<NotedRow>,
}

impl Store {
    /// Reports a status. Was it written? Not when it is what is stored already, and not when the resource is gone. Which pass says it
    /// (`reconcileId`) is no difference: a status names the pass that last changed it.
    ///
    /// Times of transitions are the caller's: it keeps the stored ones where a condition says the same, or every report is new.
    pub async fn write_status(
        &self,
        fence: &Fence,
        uid: Uid,
        observed_generation: Generation,
        status: &Value,
    ) -> Result<bool, StoreError> {
        self.write_status_and_tell(fence, uid, observed_generation, status.clone(), Vec::new(), None).await
    }

    /// The same, and if it was written, these events with it; and in any case what is to be noted of the release that is being rolled out.
    pub async fn write_status_and_tell(
        &self,
        fence: &Fence,
        uid: Uid,
        observed_generation: Generation,
        status: Value,
        events: Vec<NewEvent>,
        noted: Option<&Noted>,
    ) -> Result<bool, StoreError> {
        let status = Some((observed_generation, status));
        let noted = noted.map(|noted| NotedRow::of(uid, noted)).transpose()?;
        self.report(Report { fence: fence.clone(), uid, status, events, noted }).await
    }

    /// Records that something happened to a resource, and tells nobody outside. Equal events are counted; the oldest make room for new ones.
    pub async fn record_event(
        &self,
        fence: &Fence,
        uid: Uid,
        severity: Severity,
        reason: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        let event = NewEvent { severity, reason, message, notice: None };
        self.record_events(fence, uid, vec![event]).await
    }

    /// The same for several things at once; of what has a notice, those are told who want to be.
    pub async fn record_events(
        &self,
        fence: &Fence,
        uid: Uid,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.report(Report { fence: fence.clone(), uid, status: None, events, noted: None }).await.map(drop)
    }

    async fn report(&self, report: Report) -> Result<bool, StoreError> {
        self.gathered().reports.ask(report).await
    }
}

impl Fenced for Report {
    fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// Writes these reports: of each, was a status written?
pub(crate) fn write_all<'a>(tx: &'a mut PgConnection, reports: &'a [Report]) -> Writing<'a, bool> {
    Box::pin(write(tx, reports))
}

async fn write(tx: &mut PgConnection, reports: &[Report]) -> Answers<bool> {
    let written = statuses(tx, reports).await?;
    let is_written = |report: &Report| report.status.is_some() && written.contains(&report.uid.uuid());
    let mut told = Vec::new();
    for report in reports.iter().filter(|report| report.status.is_none() || is_written(report)) {
        told.extend(report.events.iter().map(|event| (report.uid, report.fence.pass(), event)));
    }
    event::record_all(tx, &told).await?;
    let noted: Vec<&NotedRow> = reports.iter().filter_map(|report| report.noted.as_ref()).collect();
    release::note_all(tx, &noted).await?;
    Ok(reports.iter().map(|report| Ok(is_written(report))).collect())
}

/// Writes the statuses that say something new: of which resources?
async fn statuses(tx: &mut PgConnection, reports: &[Report]) -> Result<HashSet<Uuid>, Fault> {
    let mut columns: (Vec<Uuid>, Vec<i64>, Vec<Value>) = Default::default();
    for report in reports {
        let Some((generation, status)) = &report.status else { continue };
        columns.0.push(report.uid.uuid());
        columns.1.push(generation.get());
        columns.2.push(status.clone());
    }
    if columns.0.is_empty() {
        return Ok(HashSet::new());
    }
    // The rows are held so that they cannot go between the look and the write.
    let written = sqlx::query_scalar!(
        "INSERT INTO resource_status AS s (uid, observed_generation, status)
         SELECT r.uid, t.generation, t.status
         FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS t (uid, generation, status)
         JOIN resource r ON r.uid = t.uid ORDER BY r.org, r.kind, r.name FOR KEY SHARE OF r
         ON CONFLICT (uid) DO UPDATE
         SET observed_generation = excluded.observed_generation, status = excluded.status, updated_at = now()
         WHERE (s.observed_generation, s.status - 'reconcileId')
             IS DISTINCT FROM (excluded.observed_generation, excluded.status - 'reconcileId')
         RETURNING uid",
        &columns.0,
        &columns.1,
        &columns.2
    );
    Ok(written.fetch_all(tx).await?.into_iter().collect())
}
