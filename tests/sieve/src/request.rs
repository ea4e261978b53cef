//! What people ask for, by the same doors as the API: the manifest reader and the store.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use skep_api::ControlPlane;
use skep_controller::SafetySettings;
use skep_controller::local::{Local, LocalOptions};
use skep_planner::safety::RemovalLimits;
use skep_runtime::Environs;
use skep_schemas::manifest::{ReadOptions, read_str};
use skep_schemas::{Owner, ResourceKey};
use skep_store::{Actor, Applied, ApplyItem, Confirmation, DeleteItem, Intervention, Precondition, Writer};

use crate::world::{ORPHAN_GRACE, World};

/// Who asks.
fn actor() -> Actor {
    Actor::new("sieve")
}

impl World {
    /// Applies manifests.
    pub async fn apply(&mut self, yaml: &str) -> Result<Vec<Applied>> {
        let read = read_str("sieve", yaml, &ReadOptions { default_org: None });
        let read = read.map_err(|problems| anyhow!("{problems:?}"))?;
        let item = |manifest| ApplyItem { manifest, precondition: Precondition::None, writer: Writer::Api };
        let items: Vec<ApplyItem> = read.into_iter().map(|sourced| item(sourced.manifest)).collect();
        self.note("apply".to_owned());
        Ok(self.store().apply(&items, &actor()).await?)
    }

    /// Asks for deletions, all in one transaction.
    pub async fn delete(&mut self, keys: &[ResourceKey]) -> Result<()> {
        let item = |key: &ResourceKey| DeleteItem {
            key: key.clone(),
            precondition: Precondition::None,
            confirmation: Confirmation::Pending,
            deleter: Owner::Api,
        };
        let items: Vec<DeleteItem> = keys.iter().map(item).collect();
        self.note("delete".to_owned());
        self.store().delete_all(&items, &actor()).await?;
        Ok(())
    }

    /// Asks for another try of what was given up.
    pub async fn retry(&mut self, key: &ResourceKey) -> Result<()> {
        self.note(format!("retry {key}"));
        Ok(self.store().intervene(key, &Intervention::Retry, &actor()).await?)
    }

    /// Adopts what stands in the place of a resource's objects.
    pub async fn adopt(&mut self, key: &ResourceKey) -> Result<()> {
        self.note(format!("adopt {key}"));
        let answer = self.control().adopt(key, &actor(), false).await;
        let answer = answer.map_err(|error| anyhow!("{error:?}"))?;
        answer.adopted.then_some(()).with_context(|| format!("{:?} do not fit", answer.objects))
    }

    /// What the API asks of a process: of one that has no share in the work and that nothing goes wrong with.
    pub fn control(&self) -> Arc<dyn ControlPlane> {
        let local = Local::new(LocalOptions {
            name: "api".to_owned(),
            store: self.store().clone(),
            swarm: Arc::new(self.swarm().clone()),
            settings: self.settings().clone(),
            outbound: self.outbound().clone(),
            safety: SafetySettings { limits: RemovalLimits::USUAL, orphan_grace: ORPHAN_GRACE },
            environs: Environs { clock: Arc::new(self.machine()), entropy: self.entropy() },
        });
        local.control()
    }
}
