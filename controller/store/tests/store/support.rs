//! A database per test, and manifests in few words.

use std::time::Duration;

use serde_json::{Value, json};
use skep_schemas::kind::{SecretSpec, SecretValue};
use skep_schemas::{AnySpec, Kind, Labels, Manifest, OrgName, Resource, ResourceKey, Scope, Uid};
use skep_store::{
    Actor, Applied, ApplyItem, Fence, MasterKey, Precondition, Store, StoreError, StoreOptions, Writer,
};
use skep_testbed::Postgres;

/// A store on a database of its own. The server goes last.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) master_key: MasterKey,
    pub(crate) server: Postgres,
}

impl Bed {
    pub(crate) async fn new(name: &str) -> Self {
        Self::on(Postgres::shared().unwrap(), name).await
    }

    pub(crate) async fn on(server: Postgres, name: &str) -> Self {
        let url = server.create_database(name).unwrap();
        let master_key = MasterKey::generate().unwrap();
        let store = connect(&url, &master_key).await;
        store.migrate().await.unwrap();
        Self { store, url, master_key, server }
    }

    /// Runs SQL as a person with `psql` would.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.psql(&self.url, sql).unwrap()
    }

    /// Everything in the database, without what differs between two dumps of the same.
    pub(crate) fn dump(&self) -> String {
        let dump = self.server.dump(&self.url).unwrap();
        let data = dump.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\'));
        data.collect::<Vec<_>>().join("\n")
    }

    /// The last revision that was given out.
    pub(crate) fn head(&self) -> i64 {
        self.sql("SELECT revision FROM cluster_rev").parse().unwrap()
    }

    pub(crate) async fn apply(&self, manifests: &[Manifest]) -> Result<Vec<Applied>, StoreError> {
        let items: Vec<_> = manifests.iter().cloned().map(item).collect();
        self.store.apply(&items, &actor()).await
    }

    /// Applies one manifest that must be accepted.
    pub(crate) async fn applied(&self, manifest: Manifest) -> Resource {
        self.apply(&[manifest]).await.unwrap().remove(0).resource
    }

    /// Holds the controller's lease for longer than any test takes.
    pub(crate) async fn fence(&self) -> Fence {
        self.store.acquire_lease("controller", "test", Duration::from_secs(600)).await.unwrap().unwrap()
    }
}

pub(crate) async fn connect(url: &str, master_key: &MasterKey) -> Store {
    Store::connect(url, StoreOptions::new(master_key.clone())).await.unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor::new("tester")
}

pub(crate) const fn item(manifest: Manifest) -> ApplyItem {
    ApplyItem { manifest, precondition: Precondition::None, writer: Writer::Api }
}

pub(crate) fn key(org: &str, kind: Kind, name: &str) -> ResourceKey {
    let scope = if org.is_empty() { Scope::Platform } else { Scope::Org(org.parse().unwrap()) };
    ResourceKey::new(scope, kind, name.parse().unwrap()).unwrap()
}

pub(crate) fn org_name(name: &str) -> OrgName {
    name.parse().unwrap()
}

pub(crate) fn manifest(key: ResourceKey, spec: Value) -> Manifest {
    let spec = AnySpec::from_json(key.kind(), spec).unwrap();
    Manifest { key, labels: Labels::new(), annotations: Labels::new(), spec }
}

pub(crate) fn labelled(mut manifest: Manifest, label: &str, value: &str) -> Manifest {
    manifest.labels.insert(label.to_owned(), value.to_owned());
    manifest
}

pub(crate) fn org(name: &str) -> Manifest {
    manifest(key("", Kind::Organization, name), json!({}))
}

pub(crate) fn app(org: &str, name: &str, image: &str) -> Manifest {
    manifest(key(org, Kind::App, name), json!({ "source": { "image": image } }))
}

pub(crate) fn environment(org: &str, name: &str, secrets: &[&str]) -> Manifest {
    let secrets: Vec<_> = secrets.iter().map(|name| json!({ "name": name })).collect();
    manifest(key(org, Kind::Environment, name), json!({ "app": "shop", "secrets": secrets }))
}

pub(crate) fn domain(org: &str, name: &str, host: &str) -> Manifest {
    manifest(key(org, Kind::Domain, name), json!({ "host": host, "environment": "production" }))
}

pub(crate) fn secret(org: &str, name: &str, value: Option<&str>) -> Manifest {
    let value = value.map(|value| SecretValue::new(value.to_owned()));
    let spec = SecretSpec { value, ..SecretSpec::default() }.into();
    Manifest { key: key(org, Kind::Secret, name), labels: Labels::new(), annotations: Labels::new(), spec }
}

/// Removes a resource that is being deleted, as the controller does once nothing of it is left.
pub(crate) async fn finalize(bed: &Bed, fence: &Fence, uid: Uid) {
    bed.store.finalize(fence, uid).await.unwrap();
}
