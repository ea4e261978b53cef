//! What holds for the platform as a whole: the Platform called `default`.

use serde_json::{Value, json};
use skep_schemas::{API_VERSION, Kind, ResourceKey, ResourceName, Scope};
use skep_store::Precondition;

use super::config::merge;
use crate::answer::Written;
use crate::call::{Call, Json, JsonBody};
use crate::error::ApiError;
use crate::manifests::OneManifest;
use crate::routes::resource;
use crate::wire::{PanelQuery, PanelSettings, WriteQuery};

/// The one that the panel knows.
const NAME: &str = "default";

/// Changes some of its settings, as RFC 7396 merges them; makes it where there is none yet.
pub(super) async fn settings(call: Call<PanelQuery, Json<PanelSettings>>) -> Result<Written, ApiError> {
    let name: ResourceName = NAME.parse().map_err(ApiError::internal)?;
    let key = ResourceKey::new(Scope::Platform, Kind::Platform, name).map_err(ApiError::internal)?;
    let stored = call.store.get(&key).await?;
    let mut spec = match &stored {
        Some(stored) => stored.spec.to_json().map_err(ApiError::internal)?,
        None => json!({}),
    };
    merge(&mut spec, &json!({ "features": Value::Object(call.body.0.features.clone()) }));
    let mut metadata = json!({ "name": NAME });
    if let Some(stored) = &stored {
        metadata["labels"] = json!(stored.meta.labels);
        metadata["annotations"] = json!(stored.meta.annotations);
    }
    let document =
        json!({ "apiVersion": API_VERSION, "kind": Kind::Platform, "metadata": metadata, "spec": spec });
    let sourced = OneManifest::of_json(&document).of(key).await?;
    let precondition = match &stored {
        Some(stored) => Precondition::Revision(stored.meta.revision),
        None => Precondition::MustNotExist,
    };
    resource::write(&call, sourced, precondition, &WriteQuery::default()).await
}

impl JsonBody for PanelSettings {
    const IS: &'static str = "a change of what holds for the platform";
    const EXAMPLE: &'static str = r#"{"features": {"customDomains": false}}"#;
}
