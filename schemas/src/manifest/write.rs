//! Manifests back to JSON.

use serde_json::{Value as Json, json};

use crate::API_VERSION;
use crate::resource::{Manifest, ManifestMeta};

impl Manifest {
    /// The manifest as JSON, without the values of secrets. The form for everything that is shown, logged or compared.
    pub fn to_json(&self) -> Result<Json, serde_json::Error> {
        self.with_spec(self.spec.to_json()?)
    }

    /// The manifest as JSON **with the values of secrets**.
    ///
    /// This is the only function that exposes them. It is for the body of the request by which `skep apply` sends a manifest
    /// to the server, over a connection that nobody else reads; never log, store or print what it returns.
    pub fn to_json_with_secret_values(&self) -> Result<Json, serde_json::Error> {
        self.with_spec(self.spec.to_json_with_secret_values()?)
    }

    fn with_spec(&self, spec: Json) -> Result<Json, serde_json::Error> {
        let metadata = ManifestMeta {
            org: self.key.org().cloned(),
            name: self.key.name().clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
        };
        let metadata = serde_json::to_value(metadata)?;
        Ok(json!({ "apiVersion": API_VERSION, "kind": self.key.kind(), "metadata": metadata, "spec": spec }))
    }
}
