//! One listener for all streams of the drift report.
//!
//! It says only that something may have changed. What changed each stream reads by itself, because each selects for itself and
//! knows what its client was told; so a hint that a stream misses among others costs it nothing.

use skep_store::{DriftBell, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The feed.
pub(crate) struct DriftFeed(watch::Sender<()>);

impl DriftFeed {
    /// Starts listening, until told to stop.
    pub(crate) fn start(store: Store, shutdown: CancellationToken) -> Self {
        let rings = watch::Sender::new(());
        let ringing = rings.clone();
        tokio::spawn(async move {
            let mut bell = DriftBell::new(store);
            let listening = async {
                loop {
                    bell.rings().await;
                    ringing.send_replace(());
                }
            };
            shutdown.run_until_cancelled(listening).await;
        });
        Self(rings)
    }

    /// Hints from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
