//! One reader of the change log for all watches.
//!
//! The hub follows the log, reads each changed resource once, and hands both to every open watch. A watch that finds a gap (it
//! was too slow, or the hub could not read) reads the log by itself from where it stands; so the hub saves work and is never
//! needed for a watch to be right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skep_schemas::{ResourceKey, Revision, Uid};
use skep_store::{Change, ChangeOp, Cursor, Page, ScopedStore, Store, StoreError, WatchEvent, Watcher};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::wire::ResourceView;

/// Pages that a slow watch may be behind before it has to read by itself.
const PAGES_MAX: usize = 64;

/// What happened to one resource in a page of changes.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) key: ResourceKey,
    pub(crate) uid: Uid,
    /// The last of its changes in the page.
    pub(crate) revision: Revision,
    pub(crate) now: Now,
}

/// What is there after the changes.
#[derive(Debug, Clone)]
pub(crate) enum Now {
    /// It is gone.
    Removed,
    /// It is there. Was it created in this page?
    There { new: bool, view: Arc<ResourceView> },
    /// It is gone, and a later page will tell so.
    Passing,
}

/// What watches are told.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// The next page, up to the cursor.
    Page { seen: Vec<Seen>, cursor: Cursor },
    /// Pages were left out.
    Gap,
}

/// The hub.
pub(crate) struct Hub {
    feed: broadcast::Sender<Arc<Feed>>,
    following: AtomicBool,
}

impl Hub {
    /// Starts following, until told to stop.
    pub(crate) fn start(store: Store, metrics: Metrics, shutdown: CancellationToken) -> Arc<Self> {
        let hub =
            Arc::new(Self { feed: broadcast::Sender::new(PAGES_MAX), following: AtomicBool::new(false) });
        let following = hub.clone();
        tokio::spawn(async move {
            shutdown.run_until_cancelled(following.follow(store, metrics)).await;
        });
        hub
    }

    /// The pages from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Feed>> {
        self.feed.subscribe()
    }

    /// Has it found the log?
    pub(crate) fn is_following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    async fn follow(&self, store: Store, metrics: Metrics) {
        let mut watcher = Watcher::new(store.clone());
        loop {
            let event = watcher.next().await;
            self.following.store(true, Ordering::Relaxed);
            let feed = match event {
                // Nobody is there to be told.
                WatchEvent::Changes(_) if self.feed.receiver_count() == 0 => continue,
                WatchEvent::Changes(page) => {
                    metrics.delivered(page.oldest);
                    read(&store, &page).await.unwrap_or_else(|error| {
                        tracing::warn!(%error, "changed resources cannot be read; watches read by themselves");
                        Feed::Gap
                    })
                }
                WatchEvent::Relist { .. } => Feed::Gap,
            };
            // Fails when the last watch has just ended, which is no failure.
            let _ = self.feed.send(Arc::new(feed));
        }
    }
}

/// A page with what is there now.
async fn read(store: &Store, page: &Page) -> Result<Feed, StoreError> {
    Ok(Feed::Page { seen: look(store, &page.changes, |_| true).await?, cursor: page.cursor })
}

/// What is there after some changes, for the resources that are of interest: one look for each, in the order of their last
/// changes.
pub(crate) async fn look(
    store: &ScopedStore,
    changes: &[Change],
    wanted: impl Fn(&ResourceKey) -> bool,
) -> Result<Vec<Seen>, StoreError> {
    let mut last: BTreeMap<Uid, (usize, bool)> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate().filter(|(_, change)| wanted(&change.key)) {
        let entry = last.entry(change.uid).or_default();
        *entry = (index, entry.1 || change.op == ChangeOp::Created);
    }
    let mut order: Vec<(usize, bool)> = last.into_values().collect();
    order.sort_unstable();
    let mut seen = Vec::with_capacity(order.len());
    for (index, new) in order {
        let Some(Change { revision, key, uid, op, .. }) = changes.get(index) else { continue };
        let now = match op {
            ChangeOp::Removed => Now::Removed,
            ChangeOp::Created | ChangeOp::Spec | ChangeOp::Meta | ChangeOp::Status | ChangeOp::Deleting => {
                match store.get(key).await? {
                    Some(resource) if resource.meta.uid == *uid => {
                        let view = ResourceView::of(&resource).map_err(|why| StoreError::Corrupt {
                            what: key.to_string(),
                            why: why.to_string(),
                        })?;
                        Now::There { new, view: Arc::new(view) }
                    }
                    Some(_) | None => Now::Passing,
                }
            }
        };
        seen.push(Seen { key: key.clone(), uid: *uid, revision: *revision, now });
    }
    Ok(seen)
}
