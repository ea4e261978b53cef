//! The server about itself: health, readiness, metrics, version, description.

use std::time::Duration;

use prometheus_client::encoding::text::encode;

use crate::answer::{Document, MetricsText, Prepared, Ready};
use crate::call::Call;
use crate::error::ApiError;
use crate::wire::{ComponentHealth, Health, Readiness, TasksView, VersionView};

/// How long the database may take to answer a readiness check, which is asked every few seconds.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn healthz(_: Call) -> Result<Document<Health>, ApiError> {
    Ok(Document(Health { alive: true }))
}

pub(super) async fn readyz(call: Call) -> Result<Ready, ApiError> {
    let reached =
        matches!(tokio::time::timeout(DATABASE_PATIENCE, call.app.reach_database()).await, Ok(Ok(())));
    let database = ComponentHealth {
        name: "database".to_owned(),
        ready: reached,
        detail: (!reached).then(|| "it does not answer".to_owned()),
    };
    let following = call.app.hub.is_following();
    let watch = ComponentHealth {
        name: "watch".to_owned(),
        ready: following,
        detail: (!following).then(|| "the change log was not found yet".to_owned()),
    };
    let mut components = vec![database, watch];
    components.extend(call.app.control.readiness());
    let ready = components.iter().all(|component| component.ready);
    Ok(Ready(Readiness { ready, components }))
}

pub(super) async fn metrics(call: Call) -> Result<MetricsText, ApiError> {
    let mut text = String::new();
    encode(&mut text, &call.app.registry).map_err(ApiError::internal)?;
    Ok(MetricsText(text))
}

pub(super) async fn tasks(call: Call) -> Result<Document<TasksView>, ApiError> {
    Ok(Document(call.app.control.tasks()))
}

pub(super) async fn version(_: Call) -> Result<Document<VersionView>, ApiError> {
    Ok(Document(VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: skep_schemas::API_VERSION.to_owned(),
    }))
}

pub(super) async fn openapi(call: Call) -> Result<Prepared, ApiError> {
    Ok(Prepared(call.app.openapi.clone()))
}
