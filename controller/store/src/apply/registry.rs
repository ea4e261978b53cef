//! One credential for each registry of an organisation: with two, nobody could say with which one an image is pulled.
//!
//! A unique index holds it, against rows that are written by hand and writers at the same time, too. Asking first only serves the answer, which
//! then says who has the registry.

use skep_schemas::kind::RegistryCredentialSpec;
use skep_schemas::{AnySpec, Manifest};
use sqlx::PgConnection;

use crate::error::{Fault, StoreError, violated};

/// The index.
const ONE_FOR_EACH: &str = "resource_registry";

/// The registry that a manifest asks for, if it is a credential for one.
fn wanted(manifest: &Manifest) -> Option<&RegistryCredentialSpec> {
    match &manifest.spec {
        AnySpec::RegistryCredential(spec) => Some(spec),
        _ => None,
    }
}

/// Has another credential of the organisation the registry that this one asks for?
pub(super) async fn check(tx: &mut PgConnection, manifest: &Manifest) -> Result<(), Fault> {
    let (Some(spec), Some(org)) = (wanted(manifest), manifest.key.org()) else { return Ok(()) };
    let other = sqlx::query_scalar!(
        "SELECT name FROM resource
         WHERE org = $1 AND kind = 'RegistryCredential' AND spec->>'registry' = $2 AND name <> $3",
        org.as_str(),
        spec.registry.as_str(),
        manifest.key.name().as_str()
    );
    match other.fetch_optional(tx).await? {
        Some(by) => Err(taken(manifest, spec, Some(by)).into()),
        None => Ok(()),
    }
}

/// What a write of this manifest has violated.
pub(super) fn fault(manifest: &Manifest, error: sqlx::Error) -> Fault {
    match (wanted(manifest), violated(&error)) {
        (Some(spec), Some(ONE_FOR_EACH)) => taken(manifest, spec, None).into(),
        _ => error.into(),
    }
}

fn taken(manifest: &Manifest, spec: &RegistryCredentialSpec, by: Option<String>) -> StoreError {
    StoreError::RegistryTaken { key: manifest.key.clone(), registry: spec.registry.clone(), by }
}
