//! Loading for passes: environments that are wanted at the same time are read together, from one snapshot.
//!
//! What cannot be read together is read by each for itself: one row that is broken keeps no other environment from being planned.

use std::sync::Arc;
use std::time::Duration;

use skep_planner::drift::FIGHT_WINDOW;
use skep_runtime::{Clock, First, Gather, GatherBounds, Unanswered};
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Operation, Store, StoreError};

use crate::clock;
use crate::desired::{self, Desired, RELEASES_SEEN};

/// Each environment may be some ten kilobytes. A second snapshot lets some go on while another is slow. The store gives no statement longer
/// than the bound; what takes longer hangs.
const BOUNDS: GatherBounds = GatherBounds { together: 64, at_once: 2, within: Duration::from_secs(10) };

/// What a load comes to; `None` when the resource does not exist.
type Loaded = Result<Option<Desired>, StoreError>;

/// Loads what passes need.
pub(crate) struct Loader {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Of one that could not be read with others there is nothing yet.
    environments: Gather<ResourceKey, Option<Loaded>>,
}

impl Loader {
    /// A loader from this store, as of this clock's time.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (from, at) = (store.clone(), Arc::clone(&clock));
        let environments = Gather::new(BOUNDS, First::InItsFuture, move |keys: Vec<ResourceKey>| {
            let (store, clock) = (from.clone(), Arc::clone(&at));
            async move { together(&store, &*clock, &keys).await }
        });
        Self { store, clock, environments }
    }

    /// What a pass over this key needs, as it is now.
    pub(crate) async fn load(&self, key: &ResourceKey) -> Loaded {
        if key.kind() == Kind::Environment {
            match self.environments.ask(key.clone()).await {
                Ok(Some(loaded)) => return loaded,
                Ok(None) => {}
                Err(Unanswered) => return Err(StoreError::Lost { operation: Operation::Read }),
            }
        }
        let mut snapshot = self.store.snapshot().await?;
        desired::load(&mut snapshot, key, clock::wall(&*self.clock)).await
    }
}

async fn together(store: &Store, clock: &dyn Clock, keys: &[ResourceKey]) -> Vec<Option<Loaded>> {
    let opened = async {
        let mut snapshot = store.snapshot().await?;
        snapshot.read_ahead(keys, RELEASES_SEEN, FIGHT_WINDOW).await?;
        Ok(snapshot)
    };
    let mut snapshot = match opened.await {
        Ok(snapshot) => snapshot,
        Err(error) if keys.len() == 1 => return vec![Some(Err(error))],
        Err(_) => return keys.iter().map(|_| None).collect(),
    };
    let mut loaded = Vec::with_capacity(keys.len());
    for key in keys {
        let one = desired::load(&mut snapshot, key, clock::wall(clock)).await;
        // A statement that fails spoils the snapshot for those after it.
        loaded.push((one.is_ok() || keys.len() == 1).then_some(one));
    }
    loaded
}
