//! What an environment ran and prints, and its return to what it ran.

use skep_schemas::{Kind, ResourceKey};

use super::formation::environment;
use super::found::{found, scope};
use crate::answer::{Document, Logs};
use crate::call::{Address, Call, Json, NoBody, NoQuery};
use crate::error::ApiError;
use crate::routes::release::no_release;
use crate::routes::{log, release, rollback};
use crate::wire::{
    LogQuery, OneReleaseQuery, PanelAppQuery, PanelLogQuery, PanelQuery, PanelReleaseQuery, ReleaseList,
    ReleaseOutputView, ReleaseQuery, ReleaseView, RollbackRequest, RollbackView,
};

/// The releases, which are the deployments as well: each is the attempt at one release.
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

/// The deployments of the environment of an app that is meant, the newest of them.
pub(super) async fn of_app(call: Call<PanelAppQuery>) -> Result<Document<ReleaseList>, ApiError> {
    let key = environment(&call).await?;
    release::list(call.instead(Address::of(&key), ReleaseQuery::default(), NoBody)).await
}

pub(super) async fn deployment(call: Call<PanelQuery>) -> Result<Document<ReleaseView>, ApiError> {
    let (key, version) = found_deployment(&call).await?;
    release::get(call.instead(Address::of(&key).numbered(version), OneReleaseQuery::default(), NoBody)).await
}

pub(super) async fn output(call: Call<PanelQuery>) -> Result<Document<ReleaseOutputView>, ApiError> {
    let (key, version) = found_deployment(&call).await?;
    release::output(call.instead(Address::of(&key).numbered(version), NoQuery {}, NoBody)).await
}

pub(super) async fn roll_back_to_deployment(
    call: Call<PanelQuery>,
) -> Result<Document<RollbackView>, ApiError> {
    let (key, version) = found_deployment(&call).await?;
    let request = Json(RollbackRequest { to: Some(version) });
    rollback::roll_back(call.instead(Address::of(&key), NoQuery {}, request)).await
}

/// The environment and the number of the release whose deployment the path names, in the organisation that the request is about.
async fn found_deployment(call: &Call<PanelQuery>) -> Result<(ResourceKey, u32), ApiError> {
    let scope = scope(call, Kind::Environment)?;
    let found = match (scope.org(), call.address.uid()) {
        (Some(org), Some(uid)) => call.store.find_deployment(org, uid).await?,
        _ => None,
    };
    let (key, version) = found.ok_or(ApiError::NoneSuch {
        problem: "there is no deployment with that uid".to_owned(),
        help: "GET the deployments of an environment to see what exists; `uid` is what a path names",
    })?;
    Ok((key, version.get()))
}

pub(super) async fn logs(call: Call<PanelLogQuery>) -> Result<Logs, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    let PanelLogQuery { process, instance, since, tail, follow, after, .. } = call.query.clone();
    let query = LogQuery { process, run: None, instance, since, tail, follow, after };
    log::read(call.instead(Address::of(&key), query, NoBody)).await
}
