//! New resources, from fewer fields than a manifest has: environments of an app, and domains of an environment.
//!
//! What was sent becomes a manifest, which is read as strictly as any, and applied only if there is none of that name.

use serde_json::{Value, json};
use skep_schemas::codes::Code;
use skep_schemas::{API_VERSION, AnySpec, Kind, ResourceKey, ResourceName};
use skep_store::Precondition;

use super::found::{found, scope};
use crate::answer::Written;
use crate::call::{Call, Json, JsonBody};
use crate::error::{About, ApiError};
use crate::manifests::OneManifest;
use crate::routes::resource;
use crate::wire::{PanelDeployMode, PanelDomain, PanelEnvironment, PanelQuery, WriteQuery};

pub(super) async fn environment(call: Call<PanelQuery, Json<PanelEnvironment>>) -> Result<Written, ApiError> {
    let app = found(&call, Kind::App).await?;
    let AnySpec::App(of_app) = &app.spec else {
        return Err(ApiError::internal("an app has another kind of spec"));
    };
    let Json(PanelEnvironment { name, region, deploy_mode, limits, env_vars, image_ref }) = &call.body;
    if *deploy_mode == PanelDeployMode::Buildpack {
        let what = "deploy_mode `buildpack`".to_owned();
        return Err(ApiError::NotServed { what, by: "Buildpack", today: None });
    }
    let mut spec = json!({ "app": app.meta.key.name(), "env": env_vars });
    if let Some(region) = region {
        spec["region"] = json!(region);
    }
    if let Some(image) = image_ref {
        spec["image"] = json!(image);
    }
    if let Some(limits) = limits {
        for process in of_app.processes.keys() {
            spec["processes"][process.as_str()] = json!({ "resources": limits });
        }
    }
    create(&call, Kind::Environment, name.clone(), spec).await
}

pub(super) async fn domain(call: Call<PanelQuery, Json<PanelDomain>>) -> Result<Written, ApiError> {
    let environment = found(&call, Kind::Environment).await?.meta.key;
    let Json(PanelDomain { name, host, process, port, tls }) = &call.body;
    let name = match name {
        Some(name) => name.clone(),
        None => named_after(host.as_str())?,
    };
    let mut spec = json!({ "host": host, "environment": environment.name(), "tls": tls });
    if let Some(process) = process {
        spec["process"] = json!(process);
    }
    if let Some(port) = port {
        spec["port"] = json!(port);
    }
    create(&call, Kind::Domain, name, spec).await
}

/// A name for whoever gives none: the host with dashes for dots.
fn named_after(host: &str) -> Result<ResourceName, ApiError> {
    host.replace('.', "-").parse().map_err(|_| {
        ApiError::invalid(format!("no name can be made of the host {host}"), "give the domain one, as `name`")
    })
}

/// A new resource, of its name and its spec.
pub(super) async fn create<B>(
    call: &Call<PanelQuery, B>,
    kind: Kind,
    name: ResourceName,
    spec: Value,
) -> Result<Written, ApiError> {
    let key = ResourceKey::new(scope(call, kind)?, kind, name).map_err(ApiError::internal)?;
    let mut metadata = json!({ "name": key.name() });
    if let Some(org) = key.org() {
        metadata["org"] = json!(org);
    }
    let document = json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec });
    let sourced = OneManifest::of_json(&document).of(key).await?;
    let written = resource::write(call, sourced, Precondition::MustNotExist, &WriteQuery::default()).await;
    written.map_err(|error| match error {
        ApiError::Exists { key } => ApiError::Refused {
            code: Code::NameTaken,
            problem: format!("there is a {key} already").into(),
            help: "give it another `name`".into(),
            about: About::Key(key),
            diagnostics: Vec::new(),
        },
        error => error,
    })
}

impl JsonBody for PanelEnvironment {
    const IS: &'static str = "an environment";
    const EXAMPLE: &'static str =
        r#"{"name": "live", "image_ref": "ghcr.io/acme/shop:2", "envVars": {"STAGE": "live"}}"#;
}

impl JsonBody for PanelDomain {
    const IS: &'static str = "a domain";
    const EXAMPLE: &'static str = r#"{"host": "www.acme.example"}"#;
}
