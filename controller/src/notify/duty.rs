//! The duty: whatever is due is sent, until nothing is.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use skep_outbound::Outbound;
use skep_runtime::{Activator, Clock, TaskDriver, TaskReport, TaskSpec};
use skep_store::{Claimed, Fence, Store, StoreError};
use tokio::time::Instant;

use super::send::Sender;
use crate::clock;
use crate::lead::{ClusterDuty, Held, OfCluster};

/// To so many targets messages are under way at once: each is a connection.
const UNDER_WAY_MAX: usize = 16;
/// How often it is asked what has become due while something is under way.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After this nothing more is claimed, and the next activation goes on: with what is under way it stays within the time limit of a task.
const CLAIMS_FOR: Duration = Duration::from_secs(20);

/// How often it is looked for messages that are due while nothing is under way; the first is sent again after five seconds.
const EVERY: Duration = Duration::from_secs(2);

/// Starts the duty.
pub(crate) fn start(tasks: &TaskDriver, held: &Arc<Held>, deliver: Deliver) -> Activator {
    let held = Arc::clone(held);
    let duty = move || OfCluster::new(deliver.clone(), Arc::clone(&held));
    tasks.start(TaskSpec::new("notify", EVERY), duty)
}

/// Sends what Notifications are to be sent.
#[derive(Clone)]
pub(crate) struct Deliver {
    sender: Sender,
    clock: Arc<dyn Clock>,
}

impl Deliver {
    /// Over this client.
    pub(crate) const fn new(outbound: Outbound, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { sender: Sender { outbound, store }, clock }
    }

    async fn deliver(&self, fence: &Fence, claimed: Claimed) -> Result<(), StoreError> {
        let attempt = self.sender.send(&claimed, clock::wall(&*self.clock)).await;
        tracing::debug!(org = %claimed.org, notification = %claimed.name, message = %claimed.message_id, ?attempt, "sent");
        self.sender.store.note_notification(fence, &claimed, &attempt).await
    }
}

impl ClusterDuty for Deliver {
    type Error = StoreError;

    async fn perform(&mut self, fence: &Fence) -> Result<TaskReport, StoreError> {
        let began = Instant::now();
        let (mut under_way, mut sent) = (FuturesUnordered::new(), 0_u64);
        loop {
            let room = UNDER_WAY_MAX.saturating_sub(under_way.len());
            if room > 0 && began.elapsed() < CLAIMS_FOR {
                let claimed = self.sender.store.claim_notifications(fence, room).await?;
                under_way.extend(claimed.into_iter().map(|claimed| self.deliver(fence, claimed)));
            }
            tokio::select! {
                noted = under_way.next() => match noted {
                    Some(noted) => {
                        noted?;
                        sent += 1;
                    }
                    None => break,
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        Ok(match sent {
            0 => TaskReport::idle(),
            sent => TaskReport::did(format!("sent {sent} messages")),
        })
    }
}
