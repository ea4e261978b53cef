//! The clean-up of images that nothing needs any more.
//!
//! An engine keeps every image that it ever ran, until its disk is full. Removing what no container uses would remove what a rollback needs, and
//! what somebody else put there. So the releases are asked: an image goes from here when it was released by Skep, the last release that named it
//! has been gone for a while, and none names it at this moment, of whatever organisation. The engine has the last word: what a container was
//! made of, even one that has ended, stays, and is tried again later.
//!
//! Images are an engine's own, and an engine answers for its own node alone. So this is no duty of the cluster: every server looks after the
//! engine that it talks to. What it removed or did not find there it does not ask for again while it runs.
//!
//! Guarantees: nothing is removed by force, by a tag, or while removals are on hold; what no registry knows is never removed, because there would
//! be no way to get it back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use skep_runtime::{BackgroundTask, TaskContext, TaskDriver, TaskReport, TaskSpec};
use skep_store::{LeftImage, Store, StoreError};
use skep_swarm::{SwarmApi, SwarmError};

use crate::safety::Guard;

/// How often it is looked at most, and at least.
const PERIOD_MIN: Duration = Duration::from_secs(1);
const PERIOD_MAX: Duration = Duration::from_secs(3600);
/// The most images that are considered at a time: what was left longest ago comes first.
const CONSIDERED: u32 = 1000;
/// The most that are asked to be removed at a time. Deleting layers is work for the engine's disk.
const REMOVED_AT_ONCE: usize = 50;

/// Looks after the engine, with this much time between the end of an image's last release and its removal.
pub(crate) fn start(
    tasks: &TaskDriver,
    store: &Store,
    swarm: &Arc<dyn SwarmApi>,
    guard: &Arc<Guard>,
    grace: Duration,
) {
    let (store, swarm, guard) = (store.clone(), Arc::clone(swarm), Arc::clone(guard));
    tasks.start(TaskSpec::new("remove-images", grace.clamp(PERIOD_MIN, PERIOD_MAX)), move || RemoveImages {
        store: store.clone(),
        swarm: Arc::clone(&swarm),
        guard: Arc::clone(&guard),
        grace,
        gone: HashSet::new(),
    });
}

/// Why images could not be looked after.
#[derive(Debug, thiserror::Error)]
enum RemoveImagesError {
    /// The releases could not be asked.
    #[error("cannot tell which images are still needed")]
    Store(#[from] StoreError),
    /// The engine is not there.
    #[error("the engine cannot be asked")]
    Engine(#[source] SwarmError),
}

/// Removes from this engine what no release names.
struct RemoveImages {
    store: Store,
    swarm: Arc<dyn SwarmApi>,
    guard: Arc<Guard>,
    grace: Duration,
    /// What is known not to be on this engine since it was left.
    gone: HashSet<LeftImage>,
}

/// What became of the images of one activation.
#[derive(Debug, Default)]
struct Count {
    removed: usize,
    in_use: usize,
    refused: usize,
}

impl BackgroundTask for RemoveImages {
    type Error = RemoveImagesError;

    async fn activate(&mut self, context: &TaskContext) -> Result<TaskReport, RemoveImagesError> {
        let left = self.store.left_images(self.grace, CONSIDERED).await?;
        self.gone.retain(|image| left.contains(image));
        let due: Vec<LeftImage> = left.into_iter().filter(|image| !self.gone.contains(image)).collect();
        if due.is_empty() {
            return Ok(TaskReport::idle());
        }
        if let Some(hold) = self.guard.holds().await?.first() {
            return Ok(TaskReport::did(format!(
                "{} images wait: removals are on hold ({})",
                due.len(),
                hold.id
            )));
        }
        let mut count = Count::default();
        for image in due {
            if context.is_stopping() || count.removed == REMOVED_AT_ONCE {
                break;
            }
            self.remove(image, &mut count).await?;
        }
        Ok(match count {
            Count { removed: 0, in_use: 0, refused: 0 } => TaskReport::idle(),
            Count { removed, in_use, refused } => TaskReport::did(format!(
                "removed {removed} images; {in_use} are still in use, {refused} were refused"
            )),
        })
    }
}

impl RemoveImages {
    async fn remove(&mut self, image: LeftImage, count: &mut Count) -> Result<(), RemoveImagesError> {
        // Others were removed since the question for all of them, which takes its time.
        if !self.store.is_left(&image).await? {
            return Ok(());
        }
        match self.swarm.remove_image(&image.reference.to_string()).await {
            Ok(()) => {
                tracing::info!(image = %image.reference, left_at = %image.left_at, "removed an image that no release names any more");
                count.removed += 1;
                self.gone.insert(image);
            }
            Err(SwarmError::NotFound { .. }) => {
                self.gone.insert(image);
            }
            Err(SwarmError::InUse { .. }) => count.in_use += 1,
            Err(error @ (SwarmError::Unavailable { .. } | SwarmError::Timeout { .. })) => {
                return Err(RemoveImagesError::Engine(error));
            }
            Err(error) => {
                tracing::warn!(image = %image.reference, error = %error, "the engine does not remove an image that no release names any more");
                count.refused += 1;
            }
        }
        Ok(())
    }
}
