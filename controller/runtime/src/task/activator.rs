//! The bell of a background task.

use std::sync::Arc;

use tokio::sync::Notify;

/// Activates one background task. Clones ring the same bell; a bell rung many times before the task listens is rung
/// once.
#[derive(Clone, Debug, Default)]
pub struct Activator(Arc<Notify>);

impl Activator {
    /// An activator, to be given to one task.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an activation that begins after this call.
    pub fn activate(&self) {
        self.0.notify_one();
    }

    pub(super) async fn activated(&self) {
        self.0.notified().await;
    }
}
