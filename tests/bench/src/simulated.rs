//! A server over a simulated Swarm: more environments than an engine holds.
//!
//! Everything is the product's own but the engine: scheduler, leases, store, API. The Swarm is in the server's process, so its share
//! of the memory has to be known ([`share`]) and taken off.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use secrecy::SecretString;
use skep_api::{Issuers, ServeOptions};
use skep_controller::serve::Started;
use skep_controller::{SafetySettings, ServeConfig};
use skep_planner::policy::reach::Reach;
use skep_planner::safety::RemovalLimits;
use skep_planner::settings::{AnchorImage, EdgeSettings, NetworkPool};
use skep_planner::swarm::ServiceSpec;
use skep_simulator::{Behaviour, SimSwarm, Swarm};
use skep_store::MasterKey;
use tokio::signal::unix::{SignalKind, signal};

use crate::ground::{Ground, KEY};
use crate::server::{LISTENS, TOKEN};
use crate::usage;

/// The part of the command line that starts it; people do not.
pub(crate) const WORD: &str = "serve-simulated";
/// The variable that names its database.
pub(crate) const DATABASE: &str = "SKEP_BENCH_DATABASE";
/// How often what is due in the Swarm happens.
const TICK: Duration = Duration::from_millis(5);

/// Serves until it is told to stop.
pub(crate) fn serve() -> Result<()> {
    let database = std::env::var(DATABASE).context("the database is named")?;
    tokio::runtime::Runtime::new().context("start a runtime")?.block_on(async {
        let mut swarm = Swarm::new(Behaviour::V26_1);
        swarm.advance_to(Timestamp::now());
        let swarm = SimSwarm::new(swarm);
        let clock = tokio::spawn(keep_time(swarm.clone()));
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let stop = async move {
            terminate.recv().await;
        };
        let served = skep_controller::serve::run_over(Arc::new(swarm), config(database)?, stop, announce);
        let ended = served.await.context("serve");
        clock.abort();
        ended
    })
}

async fn keep_time(swarm: SimSwarm) {
    loop {
        tokio::time::sleep(TICK).await;
        swarm.with(|swarm| swarm.advance_to(Timestamp::now()));
    }
}

fn announce(started: Started) {
    use secrecy::ExposeSecret;
    if let Some(token) = started.bootstrap_token {
        println!("{TOKEN}{}", token.expose_secret());
    }
    println!("{LISTENS}{}", started.address);
}

fn config(database: String) -> Result<ServeConfig> {
    Ok(ServeConfig {
        database_url: SecretString::from(database),
        keys: MasterKey::parse(&SecretString::from(KEY)).context("the key is one")?.into(),
        docker_host: String::new(),
        docker_cert_path: None,
        listen: "127.0.0.1:0".parse()?,
        issuers: Arc::new(Issuers::none()),
        serve: ServeOptions { tls: None, allow_plain_remote: false },
        pool: NetworkPool::new("10.128.0.0/9".parse()?, 22).context("a pool")?,
        edge: edge(),
        forward_image: None,
        resync: Duration::from_secs(3600),
        reach: Reach::default(),
        trusted_root: None,
        loki: None,
        image_grace: None,
        safety: SafetySettings { limits: RemovalLimits::USUAL, orphan_grace: Duration::from_secs(86_400) },
    })
}

/// An edge as installations have it.
pub(crate) fn edge() -> EdgeSettings {
    EdgeSettings {
        http_entrypoint: "web".to_owned(),
        https_entrypoint: "websecure".to_owned(),
        certificate_resolver: None,
        public_http_port: 80,
        public_https_port: 443,
        drain: None,
        anchor: AnchorImage { image: "skep/pause:1".to_owned(), args: Vec::new() },
    }
}

/// The memory that a simulated Swarm takes with the services of this ground's database, each made once and changed never.
pub(crate) fn share(ground: &Ground) -> Result<u64> {
    let specs = ground.ask("SELECT applied FROM inventory WHERE kind = 'service' AND applied IS NOT NULL")?;
    let mut swarm = Swarm::new(Behaviour::V26_1);
    let before = usage::resident(std::process::id())?;
    for network in ground.ask("SELECT name FROM inventory WHERE kind = 'network'")?.lines() {
        let network = skep_planner::swarm::NetworkCreate { name: network.to_owned(), ..Default::default() };
        swarm.add_network(&network).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    }
    for spec in specs.lines() {
        let mut spec: ServiceSpec = serde_json::from_str(spec).context("a spec")?;
        // The ids of networks are others here; what is stored of them is as long.
        spec.task_template.networks.clear();
        swarm.add_service(&spec).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    }
    swarm.settle();
    Ok(usage::resident(std::process::id())?.saturating_sub(before))
}
