//! The variables of an environment: told with where they come from, set and removed.
//!
//! They stand in `env` of its manifest, and nowhere else. A change is made in that one place of the manifest that was read, and applied like
//! any other over its revision: the reader, policies and whoever maintains the environment have their say, and the loop makes the release.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_schemas::kind::EnvironmentSpec;
use skep_schemas::{AnySpec, EnvName, Kind, Resource, ValueTemplate};
use skep_store::{Precondition, RecordedRelease};

use super::resource::{self, Condition, condition};
use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::limits::RELEASES_DEFAULT;
use crate::manifests::OneManifest;
use crate::route::Route;
use crate::route::Verb::{Get, Patch};
use crate::wire::{
    ConfigChange, ConfigItem, ConfigSecret, ConfigSince, ConfigView, ResourceView, WriteQuery,
};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const PATH: &str = "/v1/orgs/{org}/environments/{name}/config";
    vec![
        Route::new(
            Get,
            PATH,
            Access::Needs(Permission::Read),
            "getConfig",
            "The variables of an environment, and since which release they are so.",
            get,
        ),
        Route::new(
            Patch,
            PATH,
            Access::Needs(Permission::Write),
            "changeConfig",
            "Set and remove variables of an environment.",
            change,
        ),
    ]
}

async fn get(call: Call) -> Result<Document<ConfigView>, ApiError> {
    let environment = environment(&call).await?;
    Ok(Document(view(&call, &environment).await?))
}

async fn change(call: Call<NoQuery, Json<ConfigChange>>) -> Result<Document<ConfigView>, ApiError> {
    let environment = environment(&call).await?;
    let key = &environment.meta.key;
    match condition(&call.headers, key)? {
        Condition::None | Condition::MustExist => {}
        Condition::Revision(revision) if revision == environment.meta.revision => {}
        Condition::Revision(_) => return Err(ApiError::Stale { key: key.clone() }),
        Condition::MustNotExist => return Err(ApiError::Exists { key: key.clone() }),
    }
    let spec = changed(spec(&environment)?, &call.body.0.env);
    write(&call, &environment, json(&spec)?).await?;
    let environment = self::environment(&call).await?;
    Ok(Document(view(&call, &environment).await?))
}

async fn environment<Q, B>(call: &Call<Q, B>) -> Result<Resource, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    call.store.get(&key).await?.ok_or(ApiError::NotFound { key })
}

/// The variables, and what its releases tell of them.
async fn view<Q, B>(call: &Call<Q, B>, environment: &Resource) -> Result<ConfigView, ApiError> {
    let mut snapshot = call.store.snapshot().await?;
    let releases = snapshot.release_history(environment.meta.uid, None, RELEASES_DEFAULT).await?;
    drop(snapshot);
    let spec = spec(environment)?;
    let items = spec.env.iter().map(|(name, value)| ConfigItem {
        name: name.clone(),
        value: value.clone(),
        resolved: released(&releases, name, value).filter(|released| released != value),
        since: released(&releases, name, value).and_then(|released| since(&releases, name, &released)),
        overridden_by: spec
            .processes
            .iter()
            .filter(|(_, process)| process.env.get(name).is_some_and(|own| own != value))
            .map(|(process, _)| process.clone())
            .collect(),
    });
    let secrets = spec.secrets.iter().map(|mount| ConfigSecret {
        secret: mount.name.clone(),
        file: mount.file.clone(),
        env: mount.env.clone(),
    });
    Ok(ConfigView { revision: environment.meta.revision, items: items.collect(), secrets: secrets.collect() })
}

/// What the processes of the newest release get for a value of the manifest; none if that release is not of this value.
fn released(releases: &[RecordedRelease], name: &EnvName, value: &str) -> Option<String> {
    let newest = &releases.first()?.release.content;
    let released = ValueTemplate::parse(value).ok()?.resolved(&newest.references)?;
    let mut processes = newest.processes.values();
    processes.any(|process| process.env.get(name) == Some(&released)).then_some(released)
}

/// The first of the newest releases in a row that have a value.
fn since(releases: &[RecordedRelease], name: &EnvName, value: &str) -> Option<ConfigSince> {
    let has = |recorded: &&RecordedRelease| {
        let mut processes = recorded.release.content.processes.values();
        processes.any(|process| process.env.get(name).is_some_and(|found| found == value))
    };
    let row = releases.iter().take_while(has).count();
    let first = releases.get(row.checked_sub(1)?)?;
    let release = first.release.version.get();
    Some(ConfigSince {
        release,
        by: first.made_by.clone(),
        at: first.release.created_at,
        or_earlier: row == releases.len() && release > 1,
    })
}

/// The spec with variables set and removed.
pub(crate) fn changed(spec: &EnvironmentSpec, change: &BTreeMap<EnvName, Option<String>>) -> EnvironmentSpec {
    let mut spec = spec.clone();
    for (name, value) in change {
        match value {
            Some(value) => drop(spec.env.insert(name.clone(), value.clone())),
            None => drop(spec.env.remove(name)),
        }
    }
    spec
}

/// The spec of an environment.
pub(crate) fn spec(environment: &Resource) -> Result<&EnvironmentSpec, ApiError> {
    match &environment.spec {
        AnySpec::Environment(spec) => Ok(spec),
        _ => Err(ApiError::internal("an environment has another kind of spec")),
    }
}

/// A spec as its manifest has it.
pub(crate) fn json(spec: &EnvironmentSpec) -> Result<Value, ApiError> {
    serde_json::to_value(spec).map_err(ApiError::internal)
}

/// Applies the manifest of an environment with another spec, over the revision that was read.
pub(crate) async fn write<Q, B>(
    call: &Call<Q, B>,
    environment: &Resource,
    spec: Value,
) -> Result<ResourceView, ApiError> {
    let stored = ResourceView::of(environment).map_err(ApiError::internal)?;
    let document = serde_json::to_value(ResourceView { spec, status: None, ..stored });
    let document = document.map_err(ApiError::internal)?;
    let sourced = OneManifest::of_json(&document).of(environment.meta.key.clone()).await?;
    let precondition = Precondition::Revision(environment.meta.revision);
    Ok(resource::write(call, sourced, precondition, &WriteQuery::default()).await?.resource)
}

impl JsonBody for ConfigChange {
    const IS: &'static str = "a change of variables";
    const EXAMPLE: &'static str = r#"{"env": {"STAGE": "live", "DEBUG": null}}"#;
}
