//! The verbs of configs.

use skep_planner::swarm::{Config, ConfigId, ConfigSpec, Version};
use skep_swarm::{By, HintKind, Verb};

use super::Swarm;
use super::secrets::{check_name, in_use};
use crate::refusal::{Code, Refusal};

/// The largest content in base64: 1,024,000 bytes.
const DATA_LIMIT: usize = 1_024_000 / 3 * 4;

impl Swarm {
    /// All configs.
    pub fn list_configs(&self) -> Vec<Config> {
        self.configs.values().cloned().collect()
    }

    /// One config.
    pub fn inspect_config(&self, config: By<'_, ConfigId>) -> Option<Config> {
        match config {
            By::Id(id) => self.configs.get(id).cloned(),
            By::Name(name) => self.configs.values().find(|config| config.spec.name == name).cloned(),
        }
    }

    /// Makes a config.
    pub fn create_config(&mut self, spec: &ConfigSpec) -> Result<ConfigId, Refusal> {
        check_name(&spec.name)?;
        if spec.data.is_empty() || spec.data.len() >= DATA_LIMIT {
            let words = "config data must be larger than 0 and less than 1024000 bytes";
            return Err(Refusal::rpc(Code::InvalidArgument, words));
        }
        if self.inspect_config(By::Name(&spec.name)).is_some() {
            let words = format!("config {} already exists", spec.name);
            return Err(Refusal::rpc(Code::AlreadyExists, words));
        }
        let id = ConfigId::new(self.new_id("cfg"));
        let (version, now) = (self.next_version(), self.now.to_string());
        let mut stored = spec.clone();
        stored.extra.clear();
        let config = Config {
            id: id.clone(),
            version,
            created_at: now.clone(),
            updated_at: now,
            spec: stored,
            ..Config::default()
        };
        self.configs.insert(id.clone(), config);
        self.announce(HintKind::Config, id.as_str(), &spec.name, "create", &[]);
        self.count(Verb::CreateConfig, &spec.name);
        Ok(id)
    }

    /// Replaces the labels of a config. Its content has to be as it is.
    pub fn update_config(
        &mut self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), Refusal> {
        let Some(config) = self.configs.get(id) else { return Err(Refusal::missing("config", id)) };
        if config.spec.name != spec.name || !spec.data.is_empty() && config.spec.data != spec.data {
            return Err(Refusal::rpc(Code::InvalidArgument, "only updates to Labels are allowed"));
        }
        if config.version != version {
            return Err(Refusal::out_of_sequence());
        }
        let (next, now) = (self.next_version(), self.now.to_string());
        if let Some(config) = self.configs.get_mut(id) {
            (config.version, config.updated_at) = (next, now);
            config.spec.labels.clone_from(&spec.labels);
        }
        self.announce(HintKind::Config, id.as_str(), &spec.name, "update", &[]);
        self.count(Verb::UpdateConfig, &spec.name);
        Ok(())
    }

    /// Removes a config that no service's spec names.
    pub fn remove_config(&mut self, id: &ConfigId) -> Result<(), Refusal> {
        let Some(config) = self.configs.get(id) else { return Err(Refusal::missing("config", id)) };
        let name = config.spec.name.clone();
        let users = self.users(|container| container.configs.iter().any(|used| used.config_id == *id));
        in_use("config", &name, &users)?;
        self.configs.remove(id);
        self.next_version();
        self.announce(HintKind::Config, id.as_str(), &name, "remove", &[]);
        self.count(Verb::RemoveConfig, &name);
        Ok(())
    }
}
