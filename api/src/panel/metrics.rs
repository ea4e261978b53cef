//! What an environment uses, by its own uid or by its app's.

use skep_schemas::{Kind, ResourceKey};

use super::formation;
use super::found::found;
use crate::answer::Document;
use crate::call::{Address, Call, NoBody, NoQuery};
use crate::error::ApiError;
use crate::routes::metrics;
use crate::wire::{MetricsView, PanelAppQuery, PanelQuery};

pub(super) async fn get(call: Call<PanelQuery>) -> Result<Document<MetricsView>, ApiError> {
    let key = found(&call, Kind::Environment).await?.meta.key;
    of(call, &key).await
}

pub(super) async fn of_app(call: Call<PanelAppQuery>) -> Result<Document<MetricsView>, ApiError> {
    let key = formation::environment(&call).await?;
    of(call, &key).await
}

async fn of<Q>(call: Call<Q>, key: &ResourceKey) -> Result<Document<MetricsView>, ApiError> {
    metrics::get(call.instead(Address::of(key), NoQuery {}, NoBody)).await
}
