//! Variables and image of an environment, and any other part of its spec. All of it stands in its manifest, which is read, changed in that
//! one place, and applied like any other over the revision that was read: the reader, policies and whoever maintains it have their say.

use serde_json::{Map, Value};
use skep_schemas::Kind;
use skep_schemas::kind::EnvironmentSpec;

use super::found::found;
use crate::answer::{Document, Found};
use crate::call::{Call, Json, JsonBody};
use crate::error::ApiError;
use crate::routes::config::{changed, json, spec, write};
use crate::wire::{PanelConfig, PanelConfigChange, PanelDeploy, PanelPatch, PanelQuery};

pub(super) async fn get(call: Call<PanelQuery>) -> Result<Document<PanelConfig>, ApiError> {
    let environment = found(&call, Kind::Environment).await?;
    Ok(Document(PanelConfig { env: spec(&environment)?.env.clone() }))
}

pub(super) async fn patch(
    call: Call<PanelQuery, Json<PanelConfigChange>>,
) -> Result<Document<PanelConfig>, ApiError> {
    let environment = found(&call, Kind::Environment).await?;
    let spec = changed(spec(&environment)?, &call.body.0.env);
    write(&call, &environment, json(&spec)?).await?;
    Ok(Document(PanelConfig { env: spec.env }))
}

/// Another image for an environment. The loop makes the release.
pub(super) async fn deploy(call: Call<PanelQuery, Json<PanelDeploy>>) -> Result<Found, ApiError> {
    let environment = found(&call, Kind::Environment).await?;
    let Json(PanelDeploy { image_ref }) = &call.body;
    let spec = EnvironmentSpec { image: Some(image_ref.clone()), ..spec(&environment)?.clone() };
    write(&call, &environment, json(&spec)?).await.map(Found)
}

/// Some fields of the spec, as RFC 7396 merges them.
pub(super) async fn merge_patch(call: Call<PanelQuery, Json<PanelPatch>>) -> Result<Found, ApiError> {
    let environment = found(&call, Kind::Environment).await?;
    let mut merged = json(spec(&environment)?)?;
    merge(&mut merged, &Value::Object(call.body.0.spec.clone()));
    write(&call, &environment, merged).await.map(Found)
}

/// Changes a value as a merge patch says.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    let mut fields = match target.take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
    *target = Value::Object(fields);
}

impl JsonBody for PanelConfigChange {
    const IS: &'static str = "a change of variables";
    const EXAMPLE: &'static str = r#"{"env": {"STAGE": "live", "DEBUG": null}}"#;
}

impl JsonBody for PanelPatch {
    const IS: &'static str = "a change of a spec";
    const EXAMPLE: &'static str = r#"{"spec": {"region": "eu", "image": null}}"#;
}

impl JsonBody for PanelDeploy {
    const IS: &'static str = "a deployment of an image";
    const EXAMPLE: &'static str = r#"{"image_ref": "ghcr.io/acme/shop:2"}"#;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_merged_as_rfc_7396_says() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} {patch}");
        }
    }
}
