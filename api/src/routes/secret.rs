//! Secrets beyond their manifests: versions, where they are used, rotation and the return to a former value.

use secrecy::ExposeSecret;
use skep_schemas::kind::SECRET_VALUE_MAX;
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Rotated, SecretHistory};

use super::release::verdict;
use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use crate::wire::{
    ResourceView, RestoreSecret, RotateSecret, SecretObjectView, SecretOrigin, SecretReleaseView,
    SecretRotated, SecretUseView, SecretVersionList, SecretVersionView, SecretWhere,
};

/// The routes of secrets beyond their manifests.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const ROTATE: Access = Access::Needs(Permission::RotateSecrets);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/secrets/{name}/versions",
            READ,
            "listSecretVersions",
            "The values that a secret had, without them: who made each, when, and which releases have it.",
            versions,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/secrets/{name}/where",
            READ,
            "getSecretUse",
            "Which environments, processes and releases use which version of a secret.",
            used,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/secrets/{name}/rotate",
            ROTATE,
            "rotateSecret",
            "Give a secret another value: this one, or another random one.",
            rotate,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/secrets/{name}/restore",
            ROTATE,
            "restoreSecret",
            "Make a former value of a secret the current one again.",
            restore,
        ),
    ]
}

impl JsonBody for RotateSecret {
    const IS: &'static str = "another value for a secret";
    const EXAMPLE: &'static str = r#"{"value": "the new value"}` or, for one that is made at random, `{}"#;
    const IS_SECRET: bool = true;
}

impl JsonBody for RestoreSecret {
    const IS: &'static str = "a former version of a secret";
    const EXAMPLE: &'static str = r#"{"version": 1}"#;
}

pub(super) async fn versions(call: Call<NoQuery>) -> Result<Document<SecretVersionList>, ApiError> {
    let history = history(&call).await?;
    let current = history.versions.first().map(|version| version.version);
    let items = history.versions.into_iter().map(|version| {
        let (origin, restored_from) = match version.origin {
            skep_store::SecretOrigin::Written => (SecretOrigin::Written, None),
            skep_store::SecretOrigin::Generated => (SecretOrigin::Generated, None),
            skep_store::SecretOrigin::Restored { from } => (SecretOrigin::Restored, Some(from)),
        };
        let uses = history.uses.iter().filter(|used| used.version == version.version);
        let mut releases: Vec<SecretReleaseView> = uses
            .map(|used| SecretReleaseView {
                environment: used.environment.clone(),
                release: used.release.get(),
                verdict: verdict(&used.verdict),
            })
            .collect();
        // An environment may have one secret under several file names.
        releases.dedup();
        SecretVersionView {
            version: version.version,
            current: current == Some(version.version),
            origin,
            restored_from,
            created_at: version.created_at,
            made_by: version.made_by,
            releases,
        }
    });
    Ok(Document(SecretVersionList { items: items.collect() }))
}

pub(super) async fn used(call: Call<NoQuery>) -> Result<Document<SecretWhere>, ApiError> {
    let SecretHistory { versions, uses, objects, referrers, .. } = history(&call).await?;
    let uses = uses.into_iter().map(|used| SecretUseView {
        environment: used.environment,
        release: used.release.get(),
        verdict: verdict(&used.verdict),
        version: used.version,
        object: used.object,
        file: used.file,
        processes: used.processes,
        running: used.sent,
        needed: used.needed,
    });
    let objects =
        objects.into_iter().map(|object| SecretObjectView { name: object.name, version: object.version });
    Ok(Document(SecretWhere {
        current: versions.first().map(|version| version.version),
        environments: referrers,
        uses: uses.collect(),
        objects: objects.collect(),
    }))
}

pub(super) async fn rotate(
    call: Call<NoQuery, Json<RotateSecret>>,
) -> Result<Document<SecretRotated>, ApiError> {
    let key = call.address.key_of(Kind::Secret)?;
    let Json(RotateSecret { value }) = &call.body;
    if let Some(length) = value.as_ref().map(|value| value.expose_secret().len())
        && !(1..=SECRET_VALUE_MAX).contains(&length)
    {
        return Err(ApiError::invalid(
            format!("a value of {length} bytes is none that can be stored"),
            format!("send 1 to {SECRET_VALUE_MAX} bytes"),
        ));
    }
    let rotated = call.store.rotate_secret(&key, value.as_ref(), &call.actor).await?;
    answer(&call, key, rotated).await
}

pub(super) async fn restore(
    call: Call<NoQuery, Json<RestoreSecret>>,
) -> Result<Document<SecretRotated>, ApiError> {
    let key = call.address.key_of(Kind::Secret)?;
    let Json(RestoreSecret { version }) = call.body;
    let rotated = call.app.restore_secret(&call.store, &key, version, &call.actor).await?;
    answer(&call, key, rotated).await
}

async fn answer<B>(
    call: &Call<NoQuery, B>,
    key: ResourceKey,
    rotated: Rotated,
) -> Result<Document<SecretRotated>, ApiError> {
    call.app.control.wake(std::slice::from_ref(&key));
    let resource = call.store.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    let resource = ResourceView::of(&resource).map_err(ApiError::internal)?;
    Ok(Document(SecretRotated { version: rotated.version, resource }))
}

async fn history(call: &Call<NoQuery>) -> Result<SecretHistory, ApiError> {
    let key = call.address.key_of(Kind::Secret)?;
    call.store.secret_history(&key).await?.ok_or(ApiError::NotFound { key })
}
