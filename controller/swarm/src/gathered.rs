//! A Swarm that puts reads which are asked at the same time into one call.
//!
//! Every pass of the loop looks at the world afresh, and hundreds of passes look at the same few things: the nodes, the network of
//! their organisation, each its own services and tasks. An engine answers a list of fifty in little more than the time of one. So a
//! read that is asked here waits for the next call of its sort, and that call carries all that are waiting ([`Gather`]). What a
//! pass sees is as fresh as before: no answer comes from a call that began before the question.
//!
//! Nothing that changes anything is gathered, and no answer is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use secrecy::SecretSlice;
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec, Task,
    Version,
};
use skep_runtime::{First, Gather, GatherBounds, Unanswered};

use crate::api::SwarmApi;
use crate::auth::RegistryAuth;
use crate::engine::{EngineInfo, ResolvedImage};
use crate::error::{Call, SwarmError};
use crate::query::{By, LabelFilter, TaskFilter};
use crate::stream::{HintStream, LogLineStream, LogQuery, LogTarget};
use crate::verb::Verb;

/// The names of so many have to fit into a URL, at up to 64 bytes each. Two calls at once, so that a slow answer does not hold up everybody. The
/// client gives up on a call before that time is over, and says why.
const BOUNDS: GatherBounds = GatherBounds { together: 48, at_once: 2, within: Duration::from_secs(120) };

/// What a call says to each question that was in it.
type Answers<K, V> = BTreeMap<K, Result<V, SwarmError>>;

/// Where questions of one sort meet; `None` is for one that the call did not answer.
struct Reads<K, V>(Gather<K, Option<Result<V, SwarmError>>>);

impl<K, V> Reads<K, V>
where
    K: Ord + Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Questions that are put by this call, each once however many ask it.
    fn new(put: impl Fn(Vec<K>) -> BoxFuture<'static, Answers<K, V>> + Send + Sync + 'static) -> Self {
        // A pass asks for several objects at once; they go into one call.
        Self(Gather::new(BOUNDS, First::InATask, move |asked: Vec<K>| {
            let distinct: BTreeSet<K> = asked.iter().cloned().collect();
            let call = put(distinct.into_iter().collect());
            async move {
                let answers = call.await;
                asked.iter().map(|question| answers.get(question).cloned()).collect()
            }
        }))
    }

    /// The answer of a call that begins after this question. `call` is what the question is called if it stays unanswered.
    async fn answer(&self, question: K, call: Call) -> Result<V, SwarmError> {
        self.0.ask(question).await.ok().flatten().unwrap_or_else(|| {
            Err(SwarmError::Unavailable { call, sent: false, source: Arc::new(Unanswered) })
        })
    }
}

/// A Swarm whose reads are gathered.
pub struct Gathered {
    inner: Arc<dyn SwarmApi>,
    services: Reads<String, Option<Service>>,
    tasks: Reads<ServiceId, Vec<Task>>,
    networks: Reads<String, Option<Network>>,
    secrets: Reads<LabelFilter, Vec<Secret>>,
    configs: Reads<String, Option<Config>>,
    nodes: Reads<(), Vec<Node>>,
}

impl Gathered {
    /// Gathers what is read from this Swarm.
    pub fn new(inner: Arc<dyn SwarmApi>) -> Self {
        let of = || Arc::clone(&inner);
        let (services, tasks, networks, secrets, configs, nodes) = (of(), of(), of(), of(), of(), of());
        Self {
            services: Reads::new(move |names| services_named(Arc::clone(&services), names).boxed()),
            tasks: Reads::new(move |ids| tasks_of(Arc::clone(&tasks), ids).boxed()),
            networks: Reads::new(move |names| networks_named(Arc::clone(&networks), names).boxed()),
            secrets: Reads::new(move |filters| secrets_like(Arc::clone(&secrets), filters).boxed()),
            configs: Reads::new(move |names| configs_named(Arc::clone(&configs), names).boxed()),
            nodes: Reads::new(move |_| all_nodes(Arc::clone(&nodes)).boxed()),
            inner,
        }
    }
}

async fn services_named(swarm: Arc<dyn SwarmApi>, names: Vec<String>) -> Answers<String, Option<Service>> {
    match swarm.services_named(&names).await {
        Ok(found) => {
            let mut found: BTreeMap<String, Service> =
                found.into_iter().map(|service| (service.spec.name.clone(), service)).collect();
            let answer = |name: String| {
                let service = found.remove(&name);
                (name, Ok(service))
            };
            names.into_iter().map(answer).collect()
        }
        Err(error) if is_of_one(&error) => {
            let alone = names.iter().map(|name| swarm.inspect_service(By::Name(name)));
            let answers = join_all(alone).await;
            names.into_iter().zip(answers).collect()
        }
        Err(error) => names.into_iter().map(|name| (name, Err(error.clone()))).collect(),
    }
}

async fn tasks_of(swarm: Arc<dyn SwarmApi>, services: Vec<ServiceId>) -> Answers<ServiceId, Vec<Task>> {
    let all = TaskFilter { services: services.clone(), ..TaskFilter::default() };
    match swarm.list_tasks(&all).await {
        Ok(tasks) => {
            let mut found: BTreeMap<ServiceId, Vec<Task>> =
                services.into_iter().map(|service| (service, Vec::new())).collect();
            for task in tasks {
                if let Some(of) = task.service_id.as_ref().and_then(|service| found.get_mut(service)) {
                    of.push(task);
                }
            }
            found.into_iter().map(|(service, tasks)| (service, Ok(tasks))).collect()
        }
        Err(error) if is_of_one(&error) => {
            let alone: Vec<_> = services.iter().cloned().map(TaskFilter::of_service).collect();
            let answers = join_all(alone.iter().map(|filter| swarm.list_tasks(filter))).await;
            services.into_iter().zip(answers).collect()
        }
        Err(error) => services.into_iter().map(|service| (service, Err(error.clone()))).collect(),
    }
}

/// Whether the trouble may lie in one of the objects that were asked for, which must not hide the others.
const fn is_of_one(error: &SwarmError) -> bool {
    matches!(error, SwarmError::Decode { .. } | SwarmError::AnswerTooLarge { .. })
}

async fn networks_named(swarm: Arc<dyn SwarmApi>, names: Vec<String>) -> Answers<String, Option<Network>> {
    let answers = join_all(names.iter().map(|name| swarm.inspect_network(By::Name(name)))).await;
    names.into_iter().zip(answers).collect()
}

async fn secrets_like(
    swarm: Arc<dyn SwarmApi>,
    filters: Vec<LabelFilter>,
) -> Answers<LabelFilter, Vec<Secret>> {
    let answers = join_all(filters.iter().map(|filter| swarm.list_secrets(filter))).await;
    filters.into_iter().zip(answers).collect()
}

async fn configs_named(swarm: Arc<dyn SwarmApi>, names: Vec<String>) -> Answers<String, Option<Config>> {
    let answers = join_all(names.iter().map(|name| swarm.inspect_config(By::Name(name)))).await;
    names.into_iter().zip(answers).collect()
}

async fn all_nodes(swarm: Arc<dyn SwarmApi>) -> Answers<(), Vec<Node>> {
    BTreeMap::from([((), swarm.list_nodes().await)])
}

#[async_trait]
impl SwarmApi for Gathered {
    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError> {
        match service {
            By::Name(name) => {
                let call = Call::on(Verb::InspectService, name);
                self.services.answer(name.to_owned(), call).await
            }
            By::Id(_) => self.inner.inspect_service(service).await,
        }
    }

    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError> {
        let only_services = TaskFilter { services: filter.services.clone(), ..TaskFilter::default() };
        if filter.services.is_empty() || *filter != only_services {
            return self.inner.list_tasks(filter).await;
        }
        let asked = filter.services.iter().map(|service| {
            let call = Call::plain(Verb::ListTasks);
            self.tasks.answer(service.clone(), call)
        });
        let answers = join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError> {
        self.nodes.answer((), Call::plain(Verb::ListNodes)).await
    }

    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError> {
        match network {
            By::Name(name) => {
                let call = Call::on(Verb::InspectNetwork, name);
                self.networks.answer(name.to_owned(), call).await
            }
            By::Id(_) => self.inner.inspect_network(network).await,
        }
    }

    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError> {
        self.secrets.answer(filter.clone(), Call::plain(Verb::ListSecrets)).await
    }

    async fn ping(&self) -> Result<(), SwarmError> {
        self.inner.ping().await
    }

    async fn info(&self) -> Result<EngineInfo, SwarmError> {
        self.inner.info().await
    }

    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError> {
        self.inner.list_services(filter).await
    }

    async fn services_named(&self, names: &[String]) -> Result<Vec<Service>, SwarmError> {
        self.inner.services_named(names).await
    }

    async fn create_service(
        &self,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError> {
        self.inner.create_service(spec, auth).await
    }

    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError> {
        self.inner.update_service(id, version, spec, auth).await
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.inner.remove_service(id).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError> {
        self.inner.list_networks(filter).await
    }

    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError> {
        self.inner.create_network(network).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.inner.remove_network(id).await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError> {
        self.inner.connect_network(network, container, address).await
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError> {
        self.inner.disconnect_network(network, container, force).await
    }

    async fn create_secret(
        &self,
        spec: &SecretSpec,
        value: &SecretSlice<u8>,
    ) -> Result<SecretId, SwarmError> {
        self.inner.create_secret(spec, value).await
    }

    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError> {
        self.inner.inspect_secret(secret).await
    }

    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError> {
        self.inner.update_secret(id, version, spec).await
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.inner.remove_secret(id).await
    }

    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError> {
        match config {
            By::Name(name) => self.configs.answer(name.to_owned(), Call::on(Verb::InspectConfig, name)).await,
            By::Id(_) => self.inner.inspect_config(config).await,
        }
    }

    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError> {
        self.inner.create_config(spec).await
    }

    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError> {
        self.inner.update_config(id, version, spec).await
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.inner.remove_config(id).await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError> {
        self.inner.list_containers(filter).await
    }

    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError> {
        self.inner.inspect_container(container).await
    }

    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        self.inner.container_stats(container).await
    }

    async fn resolve_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError> {
        self.inner.resolve_image(reference, auth).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError> {
        self.inner.remove_image(reference).await
    }

    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        self.inner.logs(target, query).await
    }

    async fn events(&self) -> Result<HintStream, SwarmError> {
        self.inner.events().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn what_many_ask_is_put_once_and_what_is_not_answered_is_told_so() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let put = Arc::clone(&calls);
        let reads: Reads<u32, u32> = Reads::new(move |questions| {
            put.lock().unwrap().push(questions.clone());
            let known = questions.into_iter().filter(|question| *question != 13);
            let answers = known.map(|question| (question, Ok(question * 2))).collect();
            async move { answers }.boxed()
        });
        let call = || Call::plain(Verb::ListServices);
        let answers = join_all([2, 1, 2, 13, 2].map(|question| reads.answer(question, call()))).await;
        let told: Vec<Option<u32>> = answers.iter().map(|answer| answer.as_ref().ok().copied()).collect();
        assert_eq!(told, [Some(4), Some(2), Some(4), None, Some(4)]);
        assert!(matches!(answers[3], Err(SwarmError::Unavailable { sent: false, .. })), "{answers:?}");
        assert_eq!(*calls.lock().unwrap(), [[1, 2, 13]]);
    }
}
