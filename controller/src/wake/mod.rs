//! What wakes keys: changes in the store, events of the engine, and nothing else but the periodic resync.
//!
//! A wake-up carries a key and no meaning (invariant I7). All of these are hints: the store's are complete and ordered, the
//! engine's are known to get lost, and both only decide how soon a resource is looked at, not what is done. The store is followed
//! here, the engine in [`engine`].

mod engine;
mod reported;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use skep_runtime::{Environs, Priority, QueueOptions, Shutdown, WorkQueue};
use skep_schemas::{Kind, OrgName, ResourceKey};
use skep_store::{Change, ChangeOp, Store, StoreError, WatchEvent, Watcher};

use crate::error::chain;
use crate::lead::Held;
use crate::metrics::Metrics;

pub(crate) use engine::{follow_engine, wake_hint};

/// The queue of a process, fair between organisations.
pub(crate) type Work = WorkQueue<ResourceKey, Option<OrgName>>;

/// The resources to look at. It takes only those of the shards that this process holds: the holders of the others hear of the
/// same changes.
#[derive(Clone)]
pub(crate) struct Queue {
    put: Arc<dyn Fn(ResourceKey, Priority) + Send + Sync>,
    held: Arc<Held>,
}

impl Queue {
    /// A queue for what is held, with this way into it.
    pub(crate) fn new(put: impl Fn(ResourceKey, Priority) + Send + Sync + 'static, held: Arc<Held>) -> Self {
        Self { put: Arc::new(put), held }
    }

    /// Wakes a key, if it is of a shard that is held.
    pub(crate) fn wake(&self, key: ResourceKey, priority: Priority) {
        if self.takes(&key) {
            (self.put)(key, priority);
        }
    }

    /// Is it of a shard that is held?
    fn takes(&self, key: &ResourceKey) -> bool {
        self.held.has(key)
    }
}

/// An empty queue for workers.
pub(crate) fn work(options: QueueOptions, environs: &Environs) -> Work {
    WorkQueue::new(options, Arc::clone(&environs.clock), fairness_group)
}

/// What is followed, in metrics and on the debug page.
const CHANGES: &str = "changes";

/// How often the numbers of a watch are shown while no change comes. Longer than any one look at the log takes, because a look
/// that is cut off is begun again.
const SHOW_EVERY: Duration = Duration::from_secs(30);

/// The organisation that a key competes as; platform resources compete as one more.
pub(crate) fn fairness_group(key: &ResourceKey) -> Option<OrgName> {
    match key.kind() {
        Kind::Organization => OrgName::try_from(key.name()).ok(),
        _ => key.org().cloned(),
    }
}

/// Wakes what the store says has changed, until shutdown.
pub(crate) async fn follow_store(store: Store, queue: Queue, metrics: Metrics, shutdown: Shutdown) {
    metrics.followers.began(CHANGES);
    let mut watcher = Watcher::new(store.clone());
    loop {
        let event = tokio::select! {
            event = watcher.next() => event,
            () = tokio::time::sleep(SHOW_EVERY) => {
                metrics.watch.stats(watcher.stats());
                continue;
            }
            () = shutdown.requested() => return metrics.followers.ended(CHANGES, "the term ended"),
        };
        metrics.watch.stats(watcher.stats());
        match event {
            WatchEvent::Changes(page) => {
                if let Err(error) = wake_changes(&store, &queue, &page.changes).await {
                    // The resync wakes them too.
                    tracing::warn!(error = chain(&error), "cannot find who depends on changes");
                }
                metrics.watch.page(&page);
            }
            WatchEvent::Relist { .. } => {
                if let Err(error) = wake_all(&store, &queue, Priority::Resync).await {
                    tracing::warn!(error = chain(&error), "cannot list resources");
                }
            }
        }
    }
}

/// Wakes what changed and then, found by one query, those that depend on it: a thousand changes of one organisation must not make
/// the next change of another wait for a thousand answers.
pub(crate) async fn wake_changes(store: &Store, queue: &Queue, changes: &[Change]) -> Result<(), StoreError> {
    for change in changes {
        wake_change(queue, change);
    }
    let changed: BTreeSet<&ResourceKey> = changes.iter().map(|change| &change.key).collect();
    let changed: Vec<ResourceKey> = changed.into_iter().cloned().collect();
    let mut referring = store.referring(&changed).await?;
    wake_each(queue, &referring);
    let policies = changes.iter().filter(|change| {
        change.op != ChangeOp::Status && is_of_all(change.key.kind()) && queue.takes(&change.key)
    });
    let mut orgs: BTreeSet<OrgName> = policies.filter_map(|change| fairness_group(&change.key)).collect();
    // An organisation hands its plan down to environments that name none, and those do not refer to it.
    // A tier is a plan's.
    let plans = of_kind(&referring, Kind::Plan);
    if changed_of(changes, Kind::IsolationTier) && !plans.is_empty() {
        referring.extend(store.referring(&plans).await?);
    }
    if changed_of(changes, Kind::Plan) || changed_of(changes, Kind::IsolationTier) {
        let with_plan = referring.iter().filter(|key| key.kind() == Kind::Organization && queue.takes(key));
        orgs.extend(with_plan.filter_map(fairness_group));
    }
    // Nor do environments refer to credentials, whose passwords are values of Secrets, or to policies that sign with one.
    if changes.iter().any(|change| change.key.kind() == Kind::Secret && change.op != ChangeOp::Status) {
        let with_password = referring.iter().filter(|key| opens_secrets(key.kind()) && queue.takes(key));
        orgs.extend(with_password.filter_map(fairness_group));
    }
    for org in &orgs {
        wake_org(store, queue, org).await?;
    }
    wake_returned_to(store, queue, changes).await?;
    wake_links(store, queue, changes, &referring).await
}

/// Wakes the Secrets whose former values an environment may need again since it was returned to a former release.
async fn wake_returned_to(store: &Store, queue: &Queue, changes: &[Change]) -> Result<(), StoreError> {
    let written = changes.iter().filter(|change| change.op == ChangeOp::Meta).map(|change| &change.key);
    let environments: BTreeSet<&ResourceKey> =
        written.filter(|key| key.kind() == Kind::Environment && queue.takes(key)).collect();
    if environments.is_empty() {
        return Ok(());
    }
    let environments: Vec<ResourceKey> = environments.into_iter().cloned().collect();
    wake_each(queue, &store.secrets_returned_to(&environments).await?);
    Ok(())
}

/// Wakes the policies on both sides of links that a change may have made or ended. The other side may be of another shard than what
/// changed, so everybody looks for all of them.
async fn wake_links(
    store: &Store,
    queue: &Queue,
    changes: &[Change],
    referring: &[ResourceKey],
) -> Result<(), StoreError> {
    let decides = |change: &&Change| match (change.key.kind(), change.op) {
        (Kind::Organization | Kind::NetworkPolicy, op) => op != ChangeOp::Status,
        (Kind::Environment, op) => {
            matches!(op, ChangeOp::Created | ChangeOp::Deleting | ChangeOp::Removed)
        }
        _ => false,
    };
    let changed = changes.iter().filter(decides).map(|change| &change.key);
    let under_a_plan = changed_of(changes, Kind::Plan) || changed_of(changes, Kind::IsolationTier);
    let organizations = referring.iter().filter(|key| under_a_plan && key.kind() == Kind::Organization);
    let orgs: BTreeSet<OrgName> = changed.chain(organizations).filter_map(fairness_group).collect();
    if orgs.is_empty() {
        return Ok(());
    }
    wake_each(queue, &store.linked(&orgs).await?);
    Ok(())
}

/// Does a resource of this kind say something about everything in its organisation?
const fn is_of_all(kind: Kind) -> bool {
    match kind {
        Kind::Organization | Kind::DriftPolicy | Kind::ImagePolicy | Kind::RegistryCredential => true,
        Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template
        | Kind::Secret
        | Kind::App
        | Kind::Environment
        | Kind::Domain
        | Kind::NetworkPolicy
        | Kind::Notification => false,
    }
}

/// May a resource of this kind have something asked with the value of a Secret, for everything in its organisation?
const fn opens_secrets(kind: Kind) -> bool {
    matches!(kind, Kind::RegistryCredential | Kind::ImagePolicy)
}

/// Was something of this kind written, and not only spoken of?
fn changed_of(changes: &[Change], kind: Kind) -> bool {
    changes.iter().any(|change| change.key.kind() == kind && change.op != ChangeOp::Status)
}

fn of_kind(keys: &[ResourceKey], kind: Kind) -> Vec<ResourceKey> {
    keys.iter().filter(|key| key.kind() == kind).cloned().collect()
}

fn wake_change(queue: &Queue, change: &Change) {
    match change.op {
        // Our own writes; those who depend on this resource may go on now. A roll-out that is over lets go of former values of
        // secrets.
        ChangeOp::Status => {
            for secret in change.refs.iter().filter(|key| key.kind() == Kind::Secret) {
                queue.wake(secret.clone(), Priority::Hint);
            }
        }
        ChangeOp::Removed => {
            if let Some(org) = change.key.org() {
                queue.wake(ResourceKey::organization(org), Priority::Change);
            }
            wake_each(queue, &change.refs);
        }
        ChangeOp::Created | ChangeOp::Spec | ChangeOp::Meta | ChangeOp::Deleting => {
            queue.wake(change.key.clone(), Priority::Change);
            wake_each(queue, &change.refs);
        }
    }
}

/// Wakes everything of an organisation that has objects: its policy or a pause of it concerns them all.
async fn wake_org(store: &Store, queue: &Queue, org: &OrgName) -> Result<(), StoreError> {
    queue.wake(ResourceKey::organization(org), Priority::Change);
    let mut snapshot = store.snapshot().await?;
    for kind in [Kind::Secret, Kind::Environment, Kind::NetworkPolicy] {
        for resource in snapshot.list_org(org, kind).await? {
            queue.wake(resource.meta.key, Priority::Change);
        }
    }
    Ok(())
}

fn wake_each(queue: &Queue, keys: &[ResourceKey]) {
    for key in keys {
        queue.wake(key.clone(), Priority::Change);
    }
}

/// Wakes every resource.
pub(crate) async fn wake_all(store: &Store, queue: &Queue, priority: Priority) -> Result<(), StoreError> {
    for key in keys_where(store, |_| true).await? {
        queue.wake(key, priority);
    }
    Ok(())
}

/// The keys of those resources, what others depend on first.
pub(crate) async fn keys_where(
    store: &Store,
    wanted: impl Fn(&ResourceKey) -> bool,
) -> Result<Vec<ResourceKey>, StoreError> {
    let mut snapshot = store.snapshot().await?;
    let mut keys = Vec::new();
    for kind in Kind::ALL {
        let mut after = None;
        loop {
            let page = snapshot.keys(*kind, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            keys.extend(page.into_iter().map(|entry| entry.key).filter(&wanted));
        }
    }
    Ok(keys)
}
