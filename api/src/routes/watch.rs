//! Watching: what is there, then every change of it, as a stream that can be resumed.
//!
//! A watch goes through up to three phases: it lists (unless it resumes), it reads the log up to now, and then it is told by the
//! hub. Whenever it finds a gap it goes back to the log. Events say what is there *now*; of several changes in quick succession
//! only the last may be seen, but the last always is.
//!
//! An SSE id is given only where everything before it has been sent; events between two ids are sent again when a client
//! resumes. Clients that select by labels must therefore be ready for a `deleted` of what they do not know.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::Event;
use http::HeaderMap;
use skep_schemas::{Revision, Uid};
use skep_store::{CHANGES_MAX, Cursor, ListPosition, ScopedStore};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::selection::Selection;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::hub::{self, Feed, Now, Seen};
use crate::limits::{PAGE_MAX, SNAPSHOT_MAX};
use crate::stream::{EventStream, Slot};
use crate::wire::{ListQuery, ResourceRef, ResourceView, WatchEvent};

/// How old the id that a client knows may become while nothing of interest happens. Well within the time that changes are
/// kept.
const BOOKMARK_AFTER: Duration = Duration::from_secs(60);

/// Opens a watch.
pub(super) async fn open(call: Call<ListQuery>, selection: Selection) -> Result<EventStream, ApiError> {
    if call.query.limit.is_some() || call.query.cursor.is_some() {
        return Err(ApiError::invalid("`limit` and `cursor` belong to lists", "leave them out"));
    }
    let slot = Slot::take(&call)?;
    let phase = match since(&call)? {
        Some(cursor) => Phase::Reading { cursor },
        None => Phase::Listing { first: None, after: None },
    };
    let known = matches!(phase, Phase::Listing { .. }).then(HashSet::new);
    let mut watch = Watch {
        app: call.app,
        store: call.store,
        selection,
        phase,
        known,
        pending: VecDeque::new(),
        told: Instant::now(),
    };
    // The first read is made before the answer, so that a cursor that is too old is a plain 410.
    watch.advance().await?;
    let events = futures::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await;
        Some((event, watch))
    });
    Ok(slot.send(events))
}

fn since(call: &Call<ListQuery>) -> Result<Option<Cursor>, ApiError> {
    let given = last_event_id(&call.headers)?.or(call.query.since.as_deref());
    given.map(str::parse).transpose().map_err(|_| {
        ApiError::invalid(
            "`since` or Last-Event-ID is not a place in the stream",
            "use one that was received, as it is",
        )
    })
}

pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let text = headers.get("last-event-id").map(|value| value.to_str()).transpose();
    text.map_err(|_| ApiError::invalid("Last-Event-ID is not text", "send the id that was received"))
}

/// Where a watch is.
enum Phase {
    /// Reads what is there, page by page. The first page's cursor is where the log is read from.
    Listing { first: Option<Cursor>, after: Option<ListPosition> },
    /// Reads the log.
    Reading { cursor: Cursor },
    /// Is told. Changes up to `joined` were read before.
    Told { cursor: Cursor, joined: Revision, feed: Receiver<Arc<Feed>> },
}

struct Watch {
    app: App,
    store: ScopedStore,
    selection: Selection,
    phase: Phase,
    /// What the client has; not known when it resumed.
    known: Option<HashSet<Uid>>,
    pending: VecDeque<Event>,
    /// When the client last got an id.
    told: Instant,
}

impl Watch {
    async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            self.advance().await?;
        }
    }

    /// Reads or waits for the next page, and turns it into events. A page without anything of interest gives none.
    async fn advance(&mut self) -> Result<(), ApiError> {
        match &mut self.phase {
            Phase::Listing { first, after } => {
                let (first, after) = (*first, after.take());
                self.list(first, after).await
            }
            Phase::Reading { cursor } => {
                let cursor = *cursor;
                self.read(cursor).await
            }
            Phase::Told { .. } => self.listen().await,
        }
    }

    async fn list(&mut self, first: Option<Cursor>, after: Option<ListPosition>) -> Result<(), ApiError> {
        let page = self.store.list(&self.selection.query(PAGE_MAX, after)).await?;
        let first = first.unwrap_or(page.cursor);
        for resource in &page.items {
            if let Some(known) = &mut self.known {
                known.insert(resource.meta.uid);
            }
            let view = ResourceView::of(resource).map_err(ApiError::internal)?;
            self.push(&WatchEvent::Added { resource: Box::new(view) }, None)?;
        }
        if self.known.as_ref().is_some_and(|known| known.len() > SNAPSHOT_MAX) {
            let problem = format!("more than {SNAPSHOT_MAX} resources are selected");
            return Err(ApiError::invalid(problem, "watch one organisation, or select by labels"));
        }
        self.phase = match page.next {
            Some(after) => Phase::Listing { first: Some(first), after: Some(after) },
            None => {
                self.push(&WatchEvent::Bookmark {}, Some(first))?;
                Phase::Reading { cursor: first }
            }
        };
        Ok(())
    }

    async fn read(&mut self, cursor: Cursor) -> Result<(), ApiError> {
        // Before reading: what is committed after the read must come from the hub.
        let feed = self.app.hub.subscribe();
        let page = self.store.changes(cursor, CHANGES_MAX).await?;
        let seen = hub::look(&self.store, &page.changes, |key| self.selection.covers(key)).await?;
        self.tell(&seen, page.cursor)?;
        self.phase = if page.more {
            Phase::Reading { cursor: page.cursor }
        } else {
            Phase::Told { cursor: page.cursor, joined: page.cursor.revision(), feed }
        };
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), ApiError> {
        let Phase::Told { cursor, joined, feed } = &mut self.phase else { return Ok(()) };
        let (at, joined) = (*cursor, *joined);
        let wait = BOOKMARK_AFTER.saturating_sub(self.told.elapsed());
        let received = match tokio::time::timeout(wait, feed.recv()).await {
            Ok(received) => received,
            Err(_) => return self.push(&WatchEvent::Bookmark {}, Some(at)),
        };
        match received.as_deref() {
            Ok(Feed::Page { cursor: end, .. }) if end.revision() <= joined => Ok(()),
            Ok(Feed::Page { seen, cursor: end }) => {
                *cursor = *end;
                // The hub reads for all: what is told here was not asked of the database in this watch's name.
                let covered = |seen: &&Seen| {
                    seen.revision > joined
                        && self.selection.covers(&seen.key)
                        && self.store.reaches(&seen.key)
                };
                let seen: Vec<Seen> = seen.iter().filter(covered).cloned().collect();
                self.tell(&seen, *end)
            }
            Ok(Feed::Gap) | Err(RecvError::Lagged(_)) => {
                self.phase = Phase::Reading { cursor: at };
                Ok(())
            }
            Err(RecvError::Closed) => Err(ApiError::internal("the hub has ended")),
        }
    }

    /// The events of a page; the last of them carries the page's end as its id.
    fn tell(&mut self, seen: &[Seen], end: Cursor) -> Result<(), ApiError> {
        let events: Vec<WatchEvent> = seen.iter().filter_map(|seen| self.event(seen)).collect();
        let last = events.len().saturating_sub(1);
        for (index, event) in events.iter().enumerate() {
            self.push(event, (index == last).then_some(end))?;
        }
        Ok(())
    }

    /// What the client is told about one resource; nothing when it never had it.
    fn event(&mut self, seen: &Seen) -> Option<WatchEvent> {
        let view = match &seen.now {
            Now::Passing => return None,
            Now::There { new, view } if self.selection.matches(&view.metadata.labels) => Some((*new, view)),
            Now::There { .. } | Now::Removed => None,
        };
        match (view, &mut self.known) {
            (Some((_, view)), Some(known)) => {
                let resource = Box::new(view.as_ref().clone());
                let first = known.insert(seen.uid);
                Some(if first { WatchEvent::Added { resource } } else { WatchEvent::Modified { resource } })
            }
            (Some((new, view)), None) => {
                let resource = Box::new(view.as_ref().clone());
                Some(if new { WatchEvent::Added { resource } } else { WatchEvent::Modified { resource } })
            }
            (None, known) => {
                let had = known.as_mut().is_none_or(|known| known.remove(&seen.uid));
                had.then(|| WatchEvent::Deleted { resource: ResourceRef::from(&seen.key), uid: seen.uid })
            }
        }
    }

    fn push(&mut self, event: &WatchEvent, id: Option<Cursor>) -> Result<(), ApiError> {
        let mut frame = Event::default().event(event.name()).json_data(event).map_err(ApiError::internal)?;
        if let Some(id) = id {
            frame = frame.id(id.to_string());
            self.told = Instant::now();
        }
        self.pending.push_back(frame);
        Ok(())
    }
}
