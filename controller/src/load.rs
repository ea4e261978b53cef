//! Loading for passes: environments that are wanted at the same time are read together, from one snapshot.
//!
//! What cannot be read together is read by each for itself: one row that is broken keeps no other environment from being planned.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use skep_planner::drift::FIGHT_WINDOW;
use skep_runtime::{Clock, First, Gather, GatherBounds, Unanswered};
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Operation, Snapshot, Store, StoreError};

use crate::clock;
use crate::desired::{self, Desired, RELEASES_SEEN};
use crate::unchanged::rows;

/// Each environment may be some ten kilobytes. One snapshot at a time: with a second one each carries half as many, and costs as much. The
/// store gives no statement longer than the bound; what takes longer hangs.
const BOUNDS: GatherBounds = GatherBounds { together: 64, at_once: 1, within: Duration::from_secs(10) };

/// What a pass plans from.
pub(crate) struct Loaded {
    /// What is wanted.
    pub(crate) desired: Desired,
    /// The print of the rows that it rests on, of the same moment, if that was asked for.
    pub(crate) rows: Option<u64>,
}

/// What a load comes to; `None` when the resource does not exist.
type Answer = Result<Option<Loaded>, StoreError>;

/// What is asked for.
#[derive(Clone)]
struct Asked {
    key: ResourceKey,
    /// With the print of the rows.
    printed: bool,
}

/// Loads what passes need.
pub(crate) struct Loader {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Of one that could not be read with others there is nothing yet.
    environments: Gather<Asked, Option<Answer>>,
}

impl Loader {
    /// A loader from this store, as of this clock's time.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (from, at) = (store.clone(), Arc::clone(&clock));
        let environments = Gather::new(BOUNDS, First::InItsFuture, move |asked: Vec<Asked>| {
            let (store, clock) = (from.clone(), Arc::clone(&at));
            async move { together(&store, &*clock, &asked).await }
        });
        Self { store, clock, environments }
    }

    /// What a pass over this key needs, as it is now; of an environment with the print of its rows, if `printed`.
    pub(crate) async fn load(&self, key: &ResourceKey, printed: bool) -> Answer {
        let asked = Asked { key: key.clone(), printed: printed && key.kind() == Kind::Environment };
        if key.kind() == Kind::Environment {
            match self.environments.ask(asked.clone()).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => {}
                Err(Unanswered) => return Err(StoreError::Lost { operation: Operation::Read }),
            }
        }
        let mut snapshot = self.store.snapshot().await?;
        let asked = [asked];
        let prints = prints(&mut snapshot, &asked).await?;
        let [Asked { key, .. }] = &asked;
        one(&mut snapshot, key, &prints, &*self.clock).await
    }
}

async fn together(store: &Store, clock: &dyn Clock, asked: &[Asked]) -> Vec<Option<Answer>> {
    let keys: Vec<ResourceKey> = asked.iter().map(|asked| asked.key.clone()).collect();
    let opened = async {
        let mut snapshot = store.snapshot().await?;
        snapshot.read_ahead(&keys, RELEASES_SEEN, FIGHT_WINDOW).await?;
        let prints = prints(&mut snapshot, asked).await?;
        Ok((snapshot, prints))
    };
    let (mut snapshot, prints) = match opened.await {
        Ok(opened) => opened,
        Err(error) if keys.len() == 1 => return vec![Some(Err(error))],
        Err(_) => return keys.iter().map(|_| None).collect(),
    };
    let mut loaded = Vec::with_capacity(keys.len());
    for key in &keys {
        let one = one(&mut snapshot, key, &prints, clock).await;
        // A statement that fails spoils the snapshot for those after it.
        loaded.push((one.is_ok() || keys.len() == 1).then_some(one));
    }
    loaded
}

async fn one(
    snapshot: &mut Snapshot,
    key: &ResourceKey,
    prints: &HashMap<ResourceKey, u64>,
    clock: &dyn Clock,
) -> Answer {
    let desired = desired::load(snapshot, key, clock::wall(clock)).await?;
    Ok(desired.map(|desired| Loaded { desired, rows: prints.get(key).copied() }))
}

/// The prints that were asked for.
async fn prints(snapshot: &mut Snapshot, asked: &[Asked]) -> Result<HashMap<ResourceKey, u64>, StoreError> {
    let asked = asked.iter().filter(|asked| asked.printed);
    let environments: Vec<ResourceKey> = asked.map(|asked| asked.key.clone()).collect();
    if environments.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(rows::of_environments(&snapshot.prints_around(&environments).await?))
}
