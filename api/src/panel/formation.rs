//! How much of an environment runs: shown, scaled and restarted, by its own uid or by its app's.

use std::collections::BTreeMap;

use skep_schemas::{AnySpec, Kind, ResourceKey, ScaleOwner};

use super::found::found;
use crate::answer::Document;
use crate::call::{Address, Call, Json, JsonBody, NoBody, NoQuery};
use crate::error::ApiError;
use crate::routes::formation;
use crate::wire::{FormationView, PanelAppQuery, PanelQuery, PanelScale, ProcessRequest, ScaleRequest};

/// The process that is meant where none is named.
const WEB: &str = "web";

pub(super) async fn processes(call: Call<PanelQuery>) -> Result<Document<FormationView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    formation::list(call.instead(Address::of(&key), NoQuery {}, NoBody)).await
}

pub(super) async fn scale(
    call: Call<PanelQuery, Json<PanelScale>>,
) -> Result<Document<FormationView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    scale_to(call, &key).await
}

pub(super) async fn restart(call: Call<PanelQuery>) -> Result<Document<FormationView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    restart_all(call, &key).await
}

pub(super) async fn scale_app(
    call: Call<PanelAppQuery, Json<PanelScale>>,
) -> Result<Document<FormationView>, ApiError> {
    let key = environment(&call).await?;
    scale_to(call, &key).await
}

pub(super) async fn restart_app(call: Call<PanelAppQuery>) -> Result<Document<FormationView>, ApiError> {
    let key = environment(&call).await?;
    restart_all(call, &key).await
}

async fn scale_to<Q>(
    call: Call<Q, Json<PanelScale>>,
    key: &ResourceKey,
) -> Result<Document<FormationView>, ApiError> {
    let Json(PanelScale { replicas, process }) = &call.body;
    let process = process.clone().map_or_else(|| WEB.parse(), Ok).map_err(ApiError::internal)?;
    let processes = BTreeMap::from([(process, Some(*replicas))]);
    let request = Json(ScaleRequest { processes, owner: ScaleOwner::Panel });
    formation::scale(call.instead(Address::of(key), NoQuery {}, request)).await
}

async fn restart_all<Q>(call: Call<Q>, key: &ResourceKey) -> Result<Document<FormationView>, ApiError> {
    let request = Json(ProcessRequest::default());
    formation::restart(call.instead(Address::of(key), NoQuery {}, request)).await
}

/// The environment of an app that is meant: the one that the request names, or the only one.
pub(super) async fn environment<B>(call: &Call<PanelAppQuery, B>) -> Result<ResourceKey, ApiError> {
    let app = found(call, Kind::App).await?.meta.key;
    let referrers = call.store.snapshot().await?.referrers(&app).await?;
    let environments = referrers.into_iter().filter(|it| matches!(it.spec, AnySpec::Environment(_)));
    let keys: Vec<ResourceKey> = environments.map(|environment| environment.meta.key).collect();
    let named = |key: &&ResourceKey| call.query.environment.as_ref().is_none_or(|name| key.name() == name);
    let mut meant = keys.iter().filter(named);
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(ApiError::NoneSuch {
            problem: format!("{app} has no such environment"),
            help: "GET /api/caas/containers lists those that there are, with their apps",
        }),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = keys.iter().map(|key| key.name().as_str()).collect();
            Err(ApiError::invalid(
                format!("{app} has several environments: {}", names.join(", ")),
                "name one of them, as in `?environment=production`",
            ))
        }
    }
}

impl JsonBody for PanelScale {
    const IS: &'static str = "a number of instances";
    const EXAMPLE: &'static str = r#"{"replicas": 3, "process": "web"}"#;
}
