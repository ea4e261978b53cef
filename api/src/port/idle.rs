//! A control plane without a controller behind it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use skep_planner::checkup::Check;
use skep_schemas::ResourceKey;
use skep_store::{Actor, ScopedStore};

use super::{ControlPlane, LogItems, LogRequest, PortError, PreviewRequest, RegionRequest};
use crate::wire::{
    AdoptView, Binding, ComponentHealth, MetricsView, PreviewView, RegionList, TasksView, UsageView,
};

/// Looks where it is told to, previews nothing and does nothing: for whoever serves the API alone, as tests do.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdleControl;

#[async_trait]
impl ControlPlane for IdleControl {
    async fn preview(&self, _: &ScopedStore, _: PreviewRequest) -> Result<PreviewView, PortError> {
        Ok(PreviewView::default())
    }

    async fn moved(&self, _: &ScopedStore, _: &Binding) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn logs(
        &self,
        store: &ScopedStore,
        environment: &ResourceKey,
        _: LogRequest,
    ) -> Result<LogItems, PortError> {
        let found = store.get(environment).await.map_err(|source| PortError::Store { source })?;
        found.ok_or_else(|| PortError::NotFound { key: environment.clone() })?;
        Ok(Box::pin(futures::stream::empty()))
    }

    async fn metrics(
        &self,
        store: &ScopedStore,
        environment: &ResourceKey,
    ) -> Result<MetricsView, PortError> {
        let found = store.get(environment).await.map_err(|source| PortError::Store { source })?;
        found.ok_or_else(|| PortError::NotFound { key: environment.clone() })?;
        let (at, total) = (Timestamp::now(), UsageView::default());
        Ok(MetricsView { at, total, unread: 0, items: Vec::new() })
    }

    fn readiness(&self) -> Vec<ComponentHealth> {
        Vec::new()
    }

    fn tasks(&self) -> TasksView {
        TasksView::default()
    }

    async fn adopt(&self, _: &ResourceKey, _: &Actor, dry_run: bool) -> Result<AdoptView, PortError> {
        Ok(AdoptView { objects: Vec::new(), preview: PreviewView::default(), adopted: !dry_run })
    }

    fn on_hold(&self) -> Vec<String> {
        Vec::new()
    }

    async fn weigh_removals(&self) -> Result<(), PortError> {
        Ok(())
    }

    fn orphan_grace(&self) -> Duration {
        Duration::ZERO
    }

    async fn hold_confirmed(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn regions(&self, store: &ScopedStore, request: RegionRequest) -> Result<RegionList, PortError> {
        if let Some(org) = &request.org {
            let key = ResourceKey::organization(org);
            let found = store.get(&key).await.map_err(|source| PortError::Store { source })?;
            found.ok_or(PortError::NotFound { key })?;
        }
        Ok(RegionList::default())
    }

    async fn checkup(&self) -> Result<Vec<Check>, PortError> {
        Ok(Vec::new())
    }

    fn wake(&self, _: &[ResourceKey]) {}
}
