//! An engine, a client of it, and the objects most tests need.

use std::future::Future;
use std::time::{Duration, Instant};

use skep_planner::swarm::{
    ContainerSpec, Ipam, IpamConfig, NetworkAttachmentConfig, NetworkCreate, NetworkId, ServiceId,
    ServiceMode, ServiceSpec, Task, TaskSpec, TaskState, Version,
};
use skep_swarm::{By, ClientOptions, EngineAddress, EngineClient, SwarmApi, SwarmError, TaskFilter};
use skep_testbed::{Engine, EngineOptions, EngineVersion, Recipe};

/// The image the services of these tests run; its registry refuses at once, so that no test waits for one.
pub(crate) const IMAGE: &str = "127.0.0.1:5999/busybox:v1";

/// How long anything an engine does by itself may take on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Makes one test per engine release of functions that take the release.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod v20_10 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(skep_testbed::EngineVersion::V20_10).await;
            })*
        }
        mod v26_1 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(skep_testbed::EngineVersion::V26_1).await;
            })*
        }
    };
}
pub(crate) use on_each_engine;

/// A manager of its own swarm that has [`IMAGE`], and a client of it.
pub(crate) async fn engine(version: EngineVersion) -> (Engine, EngineClient) {
    let engine = Engine::start(version, EngineOptions::default()).expect("an engine");
    engine.import(&Recipe::busybox().expect("a recipe"), IMAGE).expect("an image");
    let client = client(&engine).await;
    (engine, client)
}

/// A client of an engine over its socket.
pub(crate) async fn client(engine: &Engine) -> EngineClient {
    client_with(EngineAddress::unix(engine.socket()), ClientOptions::default()).await
}

pub(crate) async fn client_with(address: EngineAddress, options: ClientOptions) -> EngineClient {
    EngineClient::new(address, options).await.expect("a client")
}

/// A service of one task that runs these words.
pub(crate) fn service(name: &str, command: &[&str]) -> ServiceSpec {
    let container = ContainerSpec {
        image: IMAGE.to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        ..ContainerSpec::default()
    };
    ServiceSpec {
        name: name.to_owned(),
        task_template: TaskSpec { container_spec: Some(container), ..TaskSpec::default() },
        mode: Some(ServiceMode::replicated(1)),
        ..ServiceSpec::default()
    }
}

/// The same service on a network.
pub(crate) fn on_network(mut spec: ServiceSpec, network: &NetworkId) -> ServiceSpec {
    let attachment = NetworkAttachmentConfig { target: network.to_string(), ..Default::default() };
    spec.task_template.networks.push(attachment);
    spec
}

/// A network `10.<second>.0.0/24` whose upper half the manager allocates from.
pub(crate) fn network(name: &str, second: u8) -> NetworkCreate {
    let subnet = IpamConfig {
        subnet: format!("10.{second}.0.0/24"),
        ip_range: format!("10.{second}.0.128/25"),
        gateway: format!("10.{second}.0.1"),
        ..IpamConfig::default()
    };
    NetworkCreate {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        attachable: true,
        ipam: Some(Ipam { driver: "default".to_owned(), config: vec![subnet], ..Ipam::default() }),
        ..NetworkCreate::default()
    }
}

/// Looks until there is an answer, and fails the test when there is none soon.
pub(crate) async fn soon<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Updates a service as it is now, and says from which version. The manager itself writes to a new service while it allocates
/// addresses, so the version that a test has read may be old by the time it is used: that conflict is not the one under test.
pub(crate) async fn update(
    client: &EngineClient,
    id: &ServiceId,
    spec: &ServiceSpec,
) -> Result<Version, SwarmError> {
    let started = Instant::now();
    loop {
        let read = client.inspect_service(By::Id(id)).await.expect("an answer").expect("the service");
        match client.update_service(id, read.version, spec, None).await {
            Ok(()) => return Ok(read.version),
            Err(SwarmError::Conflict { .. }) if started.elapsed() < SOON => {}
            Err(error) => return Err(error),
        }
    }
}

/// The first task of the filter that runs.
pub(crate) async fn running_task(client: &EngineClient, filter: &TaskFilter) -> Task {
    soon("a running task", || async {
        let tasks = client.list_tasks(filter).await.expect("tasks");
        tasks.into_iter().find(|task| task.status.state == Some(TaskState::Running))
    })
    .await
}
