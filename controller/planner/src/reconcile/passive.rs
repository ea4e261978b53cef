//! Kinds without objects of their own in the Swarm: App and Plan. They are ready as soon as they are written; what depends on them
//! reads them from the store.

use jiff::Timestamp;
use serde_json::Value;
use skep_schemas::Meta;
use skep_schemas::kind::Status;

use super::Assessment;
use super::conditions::Conditions;

/// The status of such a resource.
pub fn status<D: Default>(meta: &Meta, previous: &Value, now: Timestamp) -> Assessment<D> {
    let mut conditions = Conditions::new(previous, meta.generation, now);
    conditions.ready("recorded");
    let status = Status::new(meta.generation, meta.revision, conditions.into_vec(), D::default());
    Assessment { status, recheck: None }
}
