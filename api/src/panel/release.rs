//! What an environment ran and prints, and its return to what it ran.

use skep_schemas::Kind;

use super::found::found;
use crate::answer::{Document, Logs};
use crate::call::{Address, Call, Json, NoBody, NoQuery};
use crate::error::ApiError;
use crate::routes::release::no_release;
use crate::routes::{log, release, rollback};
use crate::wire::{
    LogQuery, PanelLogQuery, PanelQuery, PanelReleaseQuery, ReleaseList, ReleaseQuery, RollbackRequest,
    RollbackView,
};

/// The releases, and as long as nothing else is told of them, the deployments: each is the attempt at one release.
pub(super) async fn list(call: Call<PanelReleaseQuery>) -> Result<Document<ReleaseList>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    let PanelReleaseQuery { before, limit, .. } = call.query;
    release::list(call.instead(Address::of(&key), ReleaseQuery { before, limit }, NoBody)).await
}

pub(super) async fn roll_back(call: Call<PanelQuery>) -> Result<Document<RollbackView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    let asked = call.address.number()?;
    let to = u32::try_from(asked).map_err(|_| no_release(&key, asked))?;
    let request = Json(RollbackRequest { to: Some(to) });
    rollback::roll_back(call.instead(Address::of(&key), NoQuery {}, request)).await
}

pub(super) async fn logs(call: Call<PanelLogQuery>) -> Result<Logs, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    let PanelLogQuery { process, instance, since, tail, follow, after, .. } = call.query.clone();
    let query = LogQuery { process, run: None, instance, since, tail, follow, after };
    log::read(call.instead(Address::of(&key), query, NoBody)).await
}
