//! The engine's events: who is woken by which.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use skep_planner::naming::{LABEL_KIND, LABEL_NAME, LABEL_ORG, LABEL_ROLE, ROLE_EDGE};
use skep_runtime::{Priority, Shutdown};
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName, Scope};
use skep_store::Store;
use skep_swarm::{Hint, HintKind, SwarmApi};
use tokio::time::Instant;

use super::reported::Reported;
use super::{Queue, wake_all};
use crate::error::chain;
use crate::metrics::Metrics;

/// What is followed, in metrics and on the debug page.
const ENGINE_EVENTS: &str = "engine-events";

/// How long to wait before listening to the engine again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Wakes what the engine says something happened to, until shutdown. After a lost connection everything is looked at, because
/// nobody knows what was missed.
pub(crate) async fn follow_engine(
    swarm: Arc<dyn SwarmApi>,
    store: Store,
    queue: Queue,
    metrics: Metrics,
    shutdown: Shutdown,
) {
    let mut missed = false;
    loop {
        let ended = tokio::select! {
            ended = listen(&swarm, &store, &queue, &metrics, missed) => ended,
            () = shutdown.requested() => return metrics.followers.ended(ENGINE_EVENTS, "the term ended"),
        };
        metrics.followers.ended(ENGINE_EVENTS, &ended);
        tracing::info!(why = ended, "the engine's events ended; listening again");
        missed = true;
        tokio::select! {
            () = tokio::time::sleep(RECONNECT) => {}
            () = shutdown.requested() => return,
        }
    }
}

async fn listen(
    swarm: &Arc<dyn SwarmApi>,
    store: &Store,
    queue: &Queue,
    metrics: &Metrics,
    missed: bool,
) -> String {
    let mut hints = match swarm.events().await {
        Ok(hints) => hints,
        Err(error) => return chain(&error),
    };
    metrics.followers.began(ENGINE_EVENTS);
    // Only now, or what happens between the look and the stream would be missed as well. The engine is back, so whatever failed
    // because it was not may succeed at once.
    if missed && let Err(error) = wake_all(store, queue, Priority::Change).await {
        tracing::warn!(error = chain(&error), "cannot list resources");
    }
    let mut reported = Reported::default();
    loop {
        let hint = tokio::select! {
            hint = hints.next() => hint,
            keys = reported.next() => {
                for key in keys {
                    queue.wake(key, Priority::Hint);
                }
                continue;
            }
        };
        match hint {
            Some(Ok(hint)) => {
                metrics.own_writes.heard(hint.kind, &hint.id);
                wake_hint(store, queue, &hint).await;
                if hint.kind == HintKind::Container
                    && let Some(key) = by_labels(&hint)
                {
                    reported.expect(key, Instant::now());
                }
                metrics.engine.heard(&hint);
            }
            Some(Err(error)) => return chain(&error),
            None => return "the stream ended".to_owned(),
        }
    }
}

pub(crate) async fn wake_hint(store: &Store, queue: &Queue, hint: &Hint) {
    let is_edge = hint.attributes.get(LABEL_ROLE).is_some_and(|role| role == ROLE_EDGE);
    if hint.kind == HintKind::Node || is_edge {
        // A node that comes or goes, or a new task of the edge, concerns everyone.
        if let Err(error) = wake_all(store, queue, Priority::Hint).await {
            tracing::warn!(error = chain(&error), "cannot list resources");
        }
        return;
    }
    if let Some(key) = by_labels(hint).or_else(|| by_name(hint)) {
        queue.wake(key, Priority::Hint);
    }
}

/// Containers carry their owner in their labels.
fn by_labels(hint: &Hint) -> Option<ResourceKey> {
    let label = |name: &str| hint.attributes.get(name);
    let kind: Kind = label(LABEL_KIND)?.parse().ok()?;
    let name: ResourceName = label(LABEL_NAME)?.parse().ok()?;
    let org: OrgName = label(LABEL_ORG)?.parse().ok()?;
    let scope = if kind == Kind::Organization { Scope::Platform } else { Scope::Org(org) };
    ResourceKey::new(scope, kind, name).ok()
}

/// Events of the Swarm's objects carry a name only; see `skep_planner::naming` for how it is made.
fn by_name(hint: &Hint) -> Option<ResourceKey> {
    // The claim on the Swarm is the only config that we know, and nobody's.
    if hint.kind == HintKind::Config {
        return None;
    }
    let name = hint.name.as_deref()?;
    if let Some(own) = name.strip_prefix("skep-anchor-").or_else(|| name.strip_prefix("skep-")) {
        return own.parse().ok().map(|org: OrgName| ResourceKey::organization(&org));
    }
    let mut parts = name.split('_');
    let org: OrgName = parts.next()?.parse().ok()?;
    let owner: ResourceName = parts.next()?.parse().ok()?;
    let kind = match hint.kind {
        HintKind::Service => Kind::Environment,
        HintKind::Secret => Kind::Secret,
        HintKind::Node | HintKind::Network | HintKind::Config | HintKind::Container => return None,
    };
    ResourceKey::new(Scope::Org(org), kind, owner).ok()
}
