//! Each verb as its request.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, NodeId, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec,
    Task, Version,
};

use super::idle::ended_by_silence;
use super::info::Info;
use super::request::{Filters, Request, escaped};
use super::{EngineClient, events, image, logs, secret};
use crate::api::SwarmApi;
use crate::auth::RegistryAuth;
use crate::engine::{EngineInfo, ResolvedImage};
use crate::error::{Call, SwarmError};
use crate::query::{By, LabelFilter, TaskFilter};
use crate::stream::{HintStream, LogLineStream, LogQuery, LogTarget};
use crate::verb::Verb;

/// What the engine answers to a creation, whatever the case of the field.
#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID", alias = "Id")]
    id: String,
}

/// Asks the engine to look for the name first; newer engines always do.
#[derive(Serialize)]
struct CreateNetwork<'a> {
    #[serde(flatten)]
    network: &'a NetworkCreate,
    #[serde(rename = "CheckDuplicate")]
    check_duplicate: bool,
}

fn body_of<T: Serialize>(call: &Call, value: &T) -> Result<Bytes, SwarmError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| SwarmError::Invalid { call: call.clone(), message: error.to_string() })
}

/// An answer that says the object is not there is no error when that was the question.
fn found<T>(answer: Result<T, SwarmError>) -> Result<Option<T>, SwarmError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(SwarmError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The engine also finds by the beginning of an id; only the object that was meant counts.
fn is_meant<Id: AsRef<str> + PartialEq>(by: &By<'_, Id>, id: &Id, name: &str) -> bool {
    match by {
        By::Id(meant) => *meant == id,
        By::Name(meant) => *meant == name,
    }
}

impl EngineClient {
    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        verb: Verb,
        path: &str,
        filters: &Filters,
    ) -> Result<Vec<T>, SwarmError> {
        let answer = self.http.send(Call::plain(verb), Request::get(path).filters(filters)).await?;
        // An engine with nothing to list may say null.
        Ok(answer.decode::<Option<Vec<T>>>()?.unwrap_or_default())
    }

    /// Fails for this call unless the Swarm has a leader. Asked before and after each look at networks: of these alone an engine
    /// leaves out in silence what it cannot ask its managers for, and says `not found` of a network that is there.
    async fn managers_answer(&self, call: &Call) -> Result<(), SwarmError> {
        let nobody = Filters::default().with("id", vec!["none".to_owned()]);
        self.http.send(call.clone(), Request::get("/nodes").filters(&nobody)).await.map(drop)
    }

    async fn remove(&self, verb: Verb, kind: &str, id: &str) -> Result<(), SwarmError> {
        let request = Request::delete(format!("/{kind}/{}", escaped(id)));
        self.http.send(Call::on(verb, id), request).await.map(drop)
    }
}

#[async_trait]
impl SwarmApi for EngineClient {
    async fn ping(&self) -> Result<(), SwarmError> {
        self.http.negotiate(&Call::plain(Verb::Ping)).await.map(drop)
    }

    async fn info(&self) -> Result<EngineInfo, SwarmError> {
        let call = Call::plain(Verb::Info);
        let info: Info = self.http.send(call.clone(), Request::get("/info")).await?.decode()?;
        Ok(info.into_engine(self.http.version(&call).await?))
    }

    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError> {
        self.list(Verb::ListServices, "/services", &Filters::labels(filter)).await
    }

    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError> {
        let call = Call::on(Verb::InspectService, service);
        let request = Request::get(format!("/services/{}", escaped(service.as_str())));
        let answer = found(self.http.send(call, request).await)?;
        let object: Option<Service> = answer.map(|answer| answer.decode()).transpose()?;
        Ok(object.filter(|object| is_meant(&service, &object.id, &object.spec.name)))
    }

    async fn services_named(&self, names: &[String]) -> Result<Vec<Service>, SwarmError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // The engine's filter is the beginning of a name, in any case.
        let filters = Filters::default().with("name", names.to_vec());
        let mut found = self.list::<Service>(Verb::ListServices, "/services", &filters).await?;
        found.retain(|service| names.contains(&service.spec.name));
        Ok(found)
    }

    async fn create_service(
        &self,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError> {
        let call = Call::on(Verb::CreateService, &spec.name);
        let request =
            Request::post("/services/create", body_of(&call, spec)?).auth(auth.map(RegistryAuth::header));
        let created: Created = self.http.send(call, request).await?.decode()?;
        Ok(ServiceId::from(created.id))
    }

    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateService, format_args!("{} ({id})", spec.name));
        let request =
            Request::post(format!("/services/{}/update", escaped(id.as_str())), body_of(&call, spec)?)
                .query("version", &version.index.to_string())
                .auth(auth.map(RegistryAuth::header));
        self.http.send(call, request).await.map(drop)
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.remove(Verb::RemoveService, "services", id.as_str()).await
    }

    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError> {
        let filters = Filters::labels(&filter.labels)
            .with("node", filter.node.iter().map(NodeId::to_string).collect())
            .with("desired-state", filter.desired_states.iter().map(ToString::to_string).collect())
            .with("_up-to-date", filter.up_to_date.iter().map(ToString::to_string).collect());
        let of = |services: &[ServiceId]| {
            let services = services.iter().map(ServiceId::to_string).collect();
            filters.clone().with("service", services)
        };
        let tasks = match self.list::<Task>(Verb::ListTasks, "/tasks", &of(&filter.services)).await {
            // The engine looks each service up and fails the list for one that is gone. With a single one that means no tasks;
            // among several it hides the others, which are then asked for one by one.
            Err(SwarmError::NotFound { .. }) => {
                let mut tasks = Vec::new();
                for service in filter.services.iter().filter(|_| filter.services.len() > 1) {
                    let alone = of(std::slice::from_ref(service));
                    match self.list::<Task>(Verb::ListTasks, "/tasks", &alone).await {
                        Err(SwarmError::NotFound { .. }) => {}
                        found => tasks.extend(found?),
                    }
                }
                tasks
            }
            answer => answer?,
        };
        let wanted = |task: &Task| {
            filter.services.is_empty()
                || task.service_id.as_ref().is_some_and(|id| filter.services.contains(id))
        };
        Ok(tasks.into_iter().filter(wanted).collect())
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError> {
        self.list(Verb::ListNodes, "/nodes", &Filters::default()).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError> {
        let call = Call::plain(Verb::ListNetworks);
        self.managers_answer(&call).await?;
        let networks = self.list(Verb::ListNetworks, "/networks", &Filters::labels(filter)).await?;
        self.managers_answer(&call).await?;
        Ok(networks)
    }

    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError> {
        let call = Call::on(Verb::InspectNetwork, network);
        let request = || Request::get(format!("/networks/{}", escaped(network.as_str())));
        let mut answer = found(self.http.send(call.clone(), request()).await)?;
        if answer.is_none() {
            // Absent is only what the managers could have told of.
            self.managers_answer(&call).await?;
            answer = found(self.http.send(call.clone(), request()).await)?;
            self.managers_answer(&call).await?;
        }
        let object: Option<Network> = answer.map(|answer| answer.decode()).transpose()?;
        Ok(object.filter(|object| is_meant(&network, &object.id, &object.name)))
    }

    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError> {
        let call = Call::on(Verb::CreateNetwork, &network.name);
        let body = body_of(&call, &CreateNetwork { network, check_duplicate: true })?;
        let created: Created =
            self.http.send(call, Request::post("/networks/create", body)).await?.decode()?;
        Ok(NetworkId::from(created.id))
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.remove(Verb::RemoveNetwork, "networks", id.as_str()).await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::ConnectNetwork, format_args!("{network}, container {container}"));
        let body = json!({
            "Container": container,
            "EndpointConfig": {"IPAMConfig": {"IPv4Address": address}},
        });
        let path = format!("/networks/{}/connect", escaped(network.as_str()));
        let request = Request::post(path, body_of(&call, &body)?);
        self.http.send(call, request).await.map(drop)
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::DisconnectNetwork, format_args!("{network}, container {container}"));
        let body = json!({"Container": container, "Force": force});
        let path = format!("/networks/{}/disconnect", escaped(network.as_str()));
        let request = Request::post(path, body_of(&call, &body)?);
        self.http.send(call, request).await.map(drop)
    }

    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError> {
        self.list(Verb::ListSecrets, "/secrets", &Filters::labels(filter)).await
    }

    async fn create_secret(
        &self,
        spec: &SecretSpec,
        value: &SecretSlice<u8>,
    ) -> Result<SecretId, SwarmError> {
        let call = Call::on(Verb::CreateSecret, &spec.name);
        let body = secret::create_body(spec, value)
            .map_err(|error| SwarmError::Invalid { call: call.clone(), message: error.to_string() })?;
        let created: Created =
            self.http.send(call, Request::post("/secrets/create", body)).await?.decode()?;
        Ok(SecretId::from(created.id))
    }

    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError> {
        let call = Call::on(Verb::InspectSecret, secret);
        let request = Request::get(format!("/secrets/{}", escaped(secret.as_str())));
        let answer = found(self.http.send(call, request).await)?;
        let object: Option<Secret> = answer.map(|answer| answer.decode()).transpose()?;
        Ok(object.filter(|object| is_meant(&secret, &object.id, &object.spec.name)))
    }

    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateSecret, format_args!("{} ({id})", spec.name));
        let request =
            Request::post(format!("/secrets/{}/update", escaped(id.as_str())), body_of(&call, spec)?)
                .query("version", &version.index.to_string());
        self.http.send(call, request).await.map(drop)
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.remove(Verb::RemoveSecret, "secrets", id.as_str()).await
    }

    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError> {
        let call = Call::on(Verb::InspectConfig, config);
        let request = Request::get(format!("/configs/{}", escaped(config.as_str())));
        let answer = found(self.http.send(call, request).await)?;
        let object: Option<Config> = answer.map(|answer| answer.decode()).transpose()?;
        Ok(object.filter(|object| is_meant(&config, &object.id, &object.spec.name)))
    }

    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError> {
        let call = Call::on(Verb::CreateConfig, &spec.name);
        let body = body_of(&call, spec)?;
        let created: Created =
            self.http.send(call, Request::post("/configs/create", body)).await?.decode()?;
        Ok(ConfigId::from(created.id))
    }

    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateConfig, format_args!("{} ({id})", spec.name));
        let path = format!("/configs/{}/update", escaped(id.as_str()));
        let request = Request::post(path, body_of(&call, spec)?).query("version", &version.index.to_string());
        self.http.send(call, request).await.map(drop)
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.remove(Verb::RemoveConfig, "configs", id.as_str()).await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError> {
        self.list(Verb::ListContainers, "/containers/json?all=true", &Filters::labels(filter)).await
    }

    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError> {
        let call = Call::on(Verb::InspectContainer, container);
        let request = Request::get(format!("/containers/{}/json", escaped(container.as_str())));
        let answer = found(self.http.send(call, request).await)?;
        let object: Option<Container> = answer.map(|answer| answer.decode()).transpose()?;
        Ok(object.filter(|object| object.id == *container))
    }

    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        let call = Call::on(Verb::ContainerStats, container);
        // Of one shot: the engine would otherwise wait for a second reading.
        let request = Request::get(format!("/containers/{}/stats", escaped(container.as_str())))
            .query("stream", "false")
            .query("one-shot", "true");
        found(self.http.send(call, request).await)?.map(|answer| answer.decode()).transpose()
    }

    async fn resolve_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError> {
        image::resolve(&self.http, reference, auth).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError> {
        image::remove(&self.http, reference).await
    }

    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        let (kind, id) = match target {
            LogTarget::Service(id) => ("services", id.as_str()),
            LogTarget::Task(id) => ("tasks", id.as_str()),
        };
        let call = Call::on(Verb::ReadLogs, format_args!("{kind}/{id}"));
        let mut request = Request::get(format!("/{kind}/{}/logs", escaped(id)))
            .query("stdout", "true")
            .query("stderr", "true")
            .query("timestamps", "true")
            .query("details", "true")
            .query("follow", if query.follow { "true" } else { "false" })
            .query("tail", &query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()));
        if let Some(since) = query.since {
            request = request.query("since", &since.to_string());
        }
        let body = self.http.open(&call, request).await?;
        let options = self.http.options();
        let idle = if query.follow { options.logs_idle } else { options.request_timeout };
        Ok(ended_by_silence(logs::lines(body, call.clone()), idle, call))
    }

    async fn events(&self) -> Result<HintStream, SwarmError> {
        let call = Call::plain(Verb::FollowEvents);
        let hints = events::hints(&self.http, call.clone()).await?;
        Ok(ended_by_silence(hints, self.http.options().events_idle, call))
    }
}
