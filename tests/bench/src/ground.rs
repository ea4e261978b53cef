//! What is measured on: an engine, a database server that is durable, and ways to ask both.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::SecretString;
use skep_schemas::{Manifest, Owner, ReadOptions, manifest};
use skep_store::{
    Actor, ApplyItem, Confirmation, DeleteItem, MasterKey, Precondition, Store, StoreOptions, Writer,
};
use skep_swarm::{ClientOptions, EngineAddress, EngineClient};
use skep_testbed::{
    Engine, EngineOptions, EngineVersion, Postgres, PostgresOptions, Recipe, wait, wait_until,
};
use tokio::runtime::Runtime;

use crate::statements;
use crate::usage::{self, Cpu};

/// What secrets are sealed with; no secret is measured.
pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a wait looks. A look costs a client's start, some milliseconds of a CPU.
const LOOK: Duration = Duration::from_millis(250);

/// An engine, a database and their clients.
pub(crate) struct Ground {
    /// The engine.
    pub(crate) engine: Engine,
    /// The database server.
    pub(crate) postgres: Postgres,
    /// The database.
    pub(crate) database: String,
    /// The image of everything, by digest: nobody has to ask a registry for it.
    pub(crate) image: String,
    /// The image of the anchors.
    pub(crate) anchor: String,
    /// Where asynchronous things run.
    pub(crate) runtime: Runtime,
    engine_pid: u32,
    postgres_pid: u32,
}

/// What the engine and the database server have used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// The engine, with everything that it started.
    pub(crate) engine: Cpu,
    /// The database server, with all connections.
    pub(crate) postgres: Cpu,
}

impl Ground {
    /// Starts everything, with an empty database.
    pub(crate) fn start(version: EngineVersion) -> Result<Self> {
        let engine = Engine::start(version, EngineOptions::default())?;
        let image = engine.publish(&Recipe::busybox()?, "anchor:1")?;
        let settings = statements::SETTINGS.map(str::to_owned).to_vec();
        let postgres = Postgres::start_with(PostgresOptions { durable: true, settings })?;
        let database = postgres.create_database("bench")?;
        statements::install(&postgres, &database)?;
        let engine_dir = engine.dir().display().to_string();
        let port = postgres.base_url().rsplit_once(':').context("the server has a port")?.1.to_owned();
        Ok(Self {
            engine_pid: usage::find(&["dockerd", &engine_dir])?,
            postgres_pid: usage::find(&["postgres", &format!("port={port}")])?,
            anchor: image.reference.clone(),
            image: format!("{}@{}", image.reference, image.digest),
            runtime: Runtime::new().context("start a runtime")?,
            engine,
            postgres,
            database,
        })
    }

    /// From now on an empty database of this name.
    pub(crate) fn use_another_database(&mut self, name: &str) -> Result<()> {
        self.database = self.postgres.create_database(name)?;
        statements::install(&self.postgres, &self.database)
    }

    /// The store, as another process sees it.
    pub(crate) fn store(&self) -> Result<Store> {
        let key = MasterKey::parse(&SecretString::from(KEY)).context("the key is one")?;
        let connected = self.runtime.block_on(Store::connect(&self.database, StoreOptions::new(key)));
        connected.context("connect to the database")
    }

    /// A client of the engine that may have so many calls under way.
    pub(crate) fn client(&self, calls: usize) -> Result<EngineClient> {
        let options =
            ClientOptions { concurrent_calls: calls, idle_connections: calls, ..ClientOptions::default() };
        let address = EngineAddress::unix(self.engine.socket());
        self.runtime.block_on(EngineClient::new(address, options)).context("reach the engine")
    }

    /// What the engine and the database server have used so far.
    pub(crate) fn used(&self) -> Result<Used> {
        Ok(Used {
            engine: usage::cpu_of_tree(self.engine_pid)?,
            postgres: usage::cpu_of_tree(self.postgres_pid)?,
        })
    }

    /// Commits manifests.
    pub(crate) fn apply(&self, store: &Store, manifests: &[Manifest]) -> Result<()> {
        let item = |manifest: &Manifest| ApplyItem {
            manifest: manifest.clone(),
            precondition: Precondition::None,
            writer: Writer::Api,
        };
        for batch in manifests.chunks(skep_store::APPLY_MAX) {
            let items: Vec<ApplyItem> = batch.iter().map(item).collect();
            self.runtime.block_on(store.apply(&items, &Actor::new("bench"))).context("apply")?;
        }
        Ok(())
    }

    /// Asks for the deletion of manifests' resources, and waits until they are gone.
    pub(crate) fn delete(&self, store: &Store, manifests: &[Manifest]) -> Result<()> {
        let item = |manifest: &Manifest| DeleteItem {
            key: manifest.key.clone(),
            precondition: Precondition::None,
            confirmation: Confirmation::Given,
            deleter: Owner::Api,
        };
        for batch in manifests.chunks(skep_store::APPLY_MAX) {
            let items: Vec<DeleteItem> = batch.iter().map(item).collect();
            self.runtime.block_on(store.delete_all(&items, &Actor::new("bench"))).context("delete")?;
        }
        self.wait(
            "deleted resources to be gone",
            "SELECT count(*) = 0 FROM resource WHERE deletion_requested_at IS NOT NULL",
        )
    }

    /// Waits until a query says `t`.
    pub(crate) fn wait(&self, what: &str, sql: &str) -> Result<()> {
        let mut last = std::time::Instant::now();
        wait_until(what, PATIENCE, || {
            if last.elapsed() < LOOK {
                return wait::ready(false, "not looked yet");
            }
            let answer = self.ask(sql)?;
            last = std::time::Instant::now();
            wait::ready(answer == "t", &answer)
        })
    }

    /// What a query answers.
    pub(crate) fn ask(&self, sql: &str) -> Result<String> {
        self.postgres.psql(&self.database, sql)
    }
}

/// Reads manifests.
pub(crate) fn manifests(text: &str) -> Result<Vec<Manifest>> {
    let read = manifest::read_json("bench", text, &ReadOptions::default());
    let read = read.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(read.into_iter().map(|sourced| sourced.manifest).collect())
}

/// The root of the repository.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
