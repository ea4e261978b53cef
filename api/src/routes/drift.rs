//! The drift report: a list, or a stream of what there is and every change of it.
//!
//! A stream reads whenever the feed hints. Serial numbers are given out before their transactions end, so a record may appear
//! with a lower number than one that was read before; every read therefore begins [`OVERLAP`] numbers earlier, and what was seen
//! in that form before is passed over.

use std::collections::{HashMap, HashSet, VecDeque};

use axum::response::sse::Event;
use skep_schemas::ResourceKey;
use skep_store::{DriftFilter, DriftOutcome as Outcome, DriftRecord, Noticed, ScopedStore};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::answer::DriftOrWatch;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::limits::{DRIFT_MAX, DRIFT_PACE};
use crate::stream::{EventStream, Slot};
use crate::wire::{
    DriftEvent, DriftList, DriftNoticed, DriftObject, DriftOutcome, DriftQuery, DriftView, ResourceRef,
    drift_ending,
};

/// By how many serial numbers a record may come late: more than all transactions that are under way at once change.
const OVERLAP: u32 = 256;

/// Records of one read of a stream: the overlap and a storm. A stream that falls behind by more begins anew.
const READ_MAX: u32 = 1_000;

pub(super) async fn list(call: Call<DriftQuery>) -> Result<DriftOrWatch, ApiError> {
    let limit = call::limit(call.query.limit, DRIFT_MAX, DRIFT_MAX)?;
    let selection = Selection::of(&call);
    if call.query.watch {
        return watch(call, selection, limit).await.map(DriftOrWatch::Watch);
    }
    let records = call.store.list_drift(&selection.filter(selection.open, limit)).await?;
    if records.is_empty() {
        require_org(&call).await?;
    }
    Ok(DriftOrWatch::List(DriftList { items: records.into_iter().map(view).collect() }))
}

/// The report outlives what it tells of, so an organisation is asked for only when there is nothing to tell of it.
async fn require_org(call: &Call<DriftQuery>) -> Result<(), ApiError> {
    let Some(org) = call.address.org() else { return Ok(()) };
    let key = ResourceKey::organization(org);
    let found = call.store.get(&key).await?;
    found.map(drop).ok_or(ApiError::NotFound { key })
}

/// Which differences a request is about.
#[derive(Debug, Clone)]
struct Selection {
    /// Organisation, kind and name: they never change.
    place: DriftFilter,
    /// What may change while a stream lives, and is checked for each record.
    class: Option<crate::wire::DriftClass>,
    response: Option<crate::wire::DriftResponse>,
    open: Option<bool>,
}

impl Selection {
    fn of(call: &Call<DriftQuery>) -> Self {
        let DriftQuery { kind, name, class, response, open, limit: _, watch: _ } = call.query.clone();
        let place = DriftFilter { org: call.address.org().cloned(), kind, name, ..DriftFilter::default() };
        Self { place, class, response, open }
    }

    /// As the store is asked.
    fn filter(&self, open: Option<bool>, limit: u32) -> DriftFilter {
        let Self { place, class, response, .. } = self.clone();
        DriftFilter { class, response, open, limit, ..place }
    }

    fn selects(&self, record: &DriftRecord) -> bool {
        self.class.is_none_or(|class| class == record.class)
            && self.response.is_none_or(|response| response == record.response)
            && self.open.is_none_or(|open| open == record.ended.is_none())
    }
}

async fn watch(call: Call<DriftQuery>, selection: Selection, limit: u32) -> Result<EventStream, ApiError> {
    let slot = Slot::take(&call)?;
    require_org(&call).await?;
    let follow = Follow::begin(&call.app, call.store.clone(), selection, limit).await?;
    let events = futures::stream::unfold(follow, |mut follow| async move {
        let event = follow.next().await;
        Some((event, follow))
    });
    Ok(slot.send(events))
}

/// A stream and what its client knows.
struct Follow {
    store: ScopedStore,
    selection: Selection,
    rings: Receiver<()>,
    /// The highest serial that was read.
    last: i64,
    /// In what form records were seen of late, by id.
    seen: HashMap<i64, i64>,
    /// The records that stand as far as the client knows.
    standing: HashSet<i64>,
    pending: VecDeque<Event>,
    /// Not before then is the report read again.
    rested: Instant,
}

impl Follow {
    async fn begin(
        app: &App,
        store: ScopedStore,
        selection: Selection,
        limit: u32,
    ) -> Result<Self, ApiError> {
        // Before reading: what is committed after the read must be told of.
        let mut rings = app.drift.subscribe();
        rings.mark_unchanged();
        let mut follow = Self {
            store,
            selection,
            rings,
            last: 0,
            seen: HashMap::new(),
            standing: HashSet::new(),
            pending: VecDeque::new(),
            rested: Instant::now() + DRIFT_PACE,
        };
        // What is there already, and not selected or beyond the limit, is no change.
        let newest = DriftFilter { limit: OVERLAP, ..follow.selection.place.clone() };
        for record in follow.store.list_drift(&newest).await? {
            follow.note(&record);
        }
        let both =
            [true, false].into_iter().filter(|open| follow.selection.open.is_none_or(|one| one == *open));
        for open in both.collect::<Vec<_>>() {
            let filter = follow.selection.filter(Some(open), limit);
            for record in follow.store.list_drift(&filter).await?.into_iter().rev() {
                follow.seen.insert(record.id, record.serial);
                follow.tell(record)?;
            }
        }
        follow.push(&DriftEvent::Bookmark {})?;
        Ok(follow)
    }

    async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            self.rings.changed().await.map_err(|_| ApiError::internal("the drift feed has ended"))?;
            sleep_until(self.rested).await;
            self.rings.mark_unchanged();
            self.read().await?;
            self.rested = Instant::now() + DRIFT_PACE;
        }
    }

    /// Reads what changed, and tells it in the order in which it did.
    async fn read(&mut self) -> Result<(), ApiError> {
        let before = self.last;
        let after = before.saturating_sub(i64::from(OVERLAP));
        let filter = DriftFilter { after: Some(after), limit: READ_MAX, ..self.selection.place.clone() };
        let records = self.store.list_drift(&filter).await?;
        let full = usize::try_from(READ_MAX).is_ok_and(|max| records.len() >= max);
        if full && records.last().is_some_and(|oldest| oldest.serial > before) {
            return Err(ApiError::CursorExpired);
        }
        for record in records.into_iter().rev() {
            if self.note(&record) && (self.selection.selects(&record) || self.standing.contains(&record.id)) {
                self.tell(record)?;
            }
        }
        let floor = self.last.saturating_sub(i64::from(OVERLAP));
        self.seen.retain(|_, serial| *serial > floor);
        Ok(())
    }

    /// Is the record new in this form?
    fn note(&mut self, record: &DriftRecord) -> bool {
        self.last = self.last.max(record.serial);
        self.seen.insert(record.id, record.serial) != Some(record.serial)
    }

    fn tell(&mut self, record: DriftRecord) -> Result<(), ApiError> {
        if record.ended.is_none() {
            self.standing.insert(record.id);
        } else {
            self.standing.remove(&record.id);
        }
        self.push(&DriftEvent::Drift { drift: Box::new(view(record)) })
    }

    fn push(&mut self, event: &DriftEvent) -> Result<(), ApiError> {
        let frame = Event::default().event(event.name()).json_data(event).map_err(ApiError::internal)?;
        self.pending.push_back(frame);
        Ok(())
    }
}

fn view(record: DriftRecord) -> DriftView {
    let outcome = record.ended.map(|(outcome, _)| match outcome {
        Outcome::Corrected => DriftOutcome::Corrected,
        Outcome::Ended => DriftOutcome::Ended,
    });
    // A clock that was set back in between makes no negative time.
    let millis = record.stood_for().map(|stood| u64::try_from(stood.as_millis()).unwrap_or(0));
    DriftView {
        id: record.id,
        serial: record.serial,
        resource: ResourceRef::from(&record.key),
        object: DriftObject { kind: record.object.kind.as_str().to_owned(), name: record.object.name },
        pointer: record.pointer,
        class: record.class,
        desired: record.desired,
        live: record.live,
        response: record.response,
        noticed: match record.noticed {
            Noticed::Event => DriftNoticed::Event,
            Noticed::Change => DriftNoticed::Change,
            Noticed::Resync => DriftNoticed::Resync,
        },
        first_seen: record.first_seen,
        last_seen: record.last_seen,
        outcome,
        ended_at: record.ended.map(|(_, at)| at),
        millis,
        ending: drift_ending(record.response, outcome.zip(millis)),
    }
}
