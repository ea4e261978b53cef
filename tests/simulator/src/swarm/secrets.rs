//! The verbs of secrets. Their values are checked for size and forgotten: nothing reads them back.

use secrecy::{ExposeSecret, SecretSlice};
use skep_planner::swarm::{Secret, SecretId, SecretSpec, Version};
use skep_swarm::{By, HintKind, LabelFilter, Verb};

use super::{Swarm, form};
use crate::refusal::{Code, Refusal};

/// The largest value, plus one.
const VALUE_LIMIT: usize = 512_000;

/// The longest name of a secret or config.
const NAME_LIMIT: usize = 64;

impl Swarm {
    /// Secrets with these labels.
    pub fn list_secrets(&self, filter: &LabelFilter) -> Vec<Secret> {
        self.secrets.values().filter(|secret| filter.matches(&secret.spec.labels)).cloned().collect()
    }

    /// One secret.
    pub fn inspect_secret(&self, secret: By<'_, SecretId>) -> Option<Secret> {
        let id = match secret {
            By::Id(id) => id,
            By::Name(name) => self.secret_names.get(name)?,
        };
        self.secrets.get(id).cloned()
    }

    /// Makes a secret.
    pub fn create_secret(&mut self, spec: &SecretSpec, value: &SecretSlice<u8>) -> Result<SecretId, Refusal> {
        check_name(&spec.name)?;
        if let Some(driver) = &spec.driver {
            let named =
                driver.get("Name").and_then(|name| name.as_str()).is_some_and(|name| !name.is_empty());
            let words =
                if named { "the driver's plugin is not there" } else { "secret driver must have a name" };
            return Err(Refusal::rpc(Code::InvalidArgument, words));
        }
        let length = value.expose_secret().len();
        if length == 0 || length >= VALUE_LIMIT {
            let words = format!("secret data must be larger than 0 and less than {VALUE_LIMIT} bytes");
            return Err(Refusal::rpc(Code::InvalidArgument, words));
        }
        if self.secret_names.contains_key(&spec.name) {
            let words = format!("secret {} already exists", spec.name);
            return Err(Refusal::rpc(Code::AlreadyExists, words));
        }
        let id = SecretId::new(self.new_id("sec"));
        let (version, now) = (self.next_version(), self.now.to_string());
        let mut stored = spec.clone();
        stored.extra.clear();
        stored.templating.iter_mut().for_each(form::passed_through);
        let secret = Secret {
            id: id.clone(),
            version,
            created_at: now.clone(),
            updated_at: now,
            spec: stored,
            ..Secret::default()
        };
        self.secret_names.insert(spec.name.clone(), id.clone());
        self.secrets.insert(id.clone(), secret);
        self.announce(HintKind::Secret, id.as_str(), &spec.name, "create", &[]);
        self.count(Verb::CreateSecret, &spec.name);
        Ok(id)
    }

    /// Replaces the labels of a secret. Everything else in the spec is passed over in silence, but for the name.
    pub fn update_secret(
        &mut self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), Refusal> {
        let Some(secret) = self.secrets.get(id) else { return Err(Refusal::missing("secret", id)) };
        if secret.spec.name != spec.name {
            return Err(Refusal::rpc(Code::InvalidArgument, "only updates to Labels are allowed"));
        }
        if secret.version != version {
            return Err(Refusal::out_of_sequence());
        }
        self.relabel_secret(id, spec.labels.clone());
        self.count(Verb::UpdateSecret, &spec.name);
        Ok(())
    }

    pub(super) fn relabel_secret(&mut self, id: &SecretId, labels: skep_planner::swarm::Labels) {
        let (next, now) = (self.next_version(), self.now.to_string());
        let Some(secret) = self.secrets.get_mut(id) else { return };
        (secret.version, secret.updated_at, secret.spec.labels) = (next, now, labels);
        let name = secret.spec.name.clone();
        self.announce(HintKind::Secret, id.as_str(), &name, "update", &[]);
    }

    /// Removes a secret that no service's spec names.
    pub fn remove_secret(&mut self, id: &SecretId) -> Result<(), Refusal> {
        let name = self.delete_secret(id)?;
        self.count(Verb::RemoveSecret, &name);
        Ok(())
    }

    pub(super) fn delete_secret(&mut self, id: &SecretId) -> Result<String, Refusal> {
        let Some(secret) = self.secrets.get(id) else { return Err(Refusal::missing("secret", id)) };
        let name = secret.spec.name.clone();
        let users = self.users(|container| container.secrets.iter().any(|used| used.secret_id == *id));
        in_use("secret", &name, &users)?;
        self.secrets.remove(id);
        self.secret_names.remove(&name);
        self.next_version();
        self.announce(HintKind::Secret, id.as_str(), &name, "remove", &[]);
        Ok(name)
    }

    /// The names of services whose container is like this.
    pub(super) fn users(&self, uses: impl Fn(&skep_planner::swarm::ContainerSpec) -> bool) -> Vec<String> {
        let services = self.services.values().map(|record| &record.service.spec);
        let users = services.filter(|spec| spec.task_template.container_spec.as_ref().is_some_and(&uses));
        users.map(|spec| spec.name.clone()).collect()
    }
}

/// Refuses to remove what services use.
pub(super) fn in_use(kind: &str, name: &str, users: &[String]) -> Result<(), Refusal> {
    if users.is_empty() {
        return Ok(());
    }
    let services = if users.len() == 1 { "service" } else { "services" };
    let words = format!("{kind} '{name}' is in use by the following {services}: {}", users.join(", "));
    Err(Refusal::rpc(Code::InvalidArgument, words))
}

/// The names that secrets and configs can have.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::rpc(Code::InvalidArgument, "name must be provided"));
    }
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let sound = name.len() <= NAME_LIMIT
        && name.bytes().all(inner)
        && edge(name.bytes().next())
        && edge(name.bytes().last());
    if sound {
        return Ok(());
    }
    let words = "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]";
    Err(Refusal::rpc(Code::InvalidArgument, words))
}
