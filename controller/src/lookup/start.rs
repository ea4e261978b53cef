//! What an image starts, read from its registry: its manifest, and the configuration that the manifest names.
//!
//! Both are asked for by digest and compared with it, so nobody can put in another program than the image's own. An image for several platforms is
//! read as that of the platform that the entry program was built for, which is where it can run.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use skep_outbound::registry::{RegistryError, Repository};
use skep_planner::{Architecture, ImageStart};
use skep_schemas::ImageDigest;
use tokio::time::timeout;

/// How long it may take in all: a release does not wait for it, and is not drained without it.
const WITHIN: Duration = Duration::from_secs(10);

/// A manifest, or an index of manifests.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: ImageDigest,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// What the image of this digest starts; or why that cannot be told.
pub(super) async fn read(repository: &mut Repository, digest: &ImageDigest) -> Result<ImageStart, String> {
    match timeout(WITHIN, look(repository, digest)).await {
        Ok(Ok(Some(start))) => Ok(start),
        Ok(Ok(None)) => Err("its registry has no configuration of it that can be read".to_owned()),
        Ok(Err(error)) => Err(crate::error::chain(&error)),
        Err(_) => Err("its registry has not answered in time".to_owned()),
    }
}

async fn look(
    repository: &mut Repository,
    digest: &ImageDigest,
) -> Result<Option<ImageStart>, RegistryError> {
    let Some(mut document) = document(repository, digest).await? else { return Ok(None) };
    if let Some(of_platform) = document.manifests.iter().find(|manifest| is_ours(manifest)) {
        let Some(found) = self::document(repository, &of_platform.digest).await? else { return Ok(None) };
        document = found;
    }
    let Some(config) = document.config else { return Ok(None) };
    let blob = repository.blob(&config.digest).await?;
    let whole: Option<Value> = blob.and_then(|blob| serde_json::from_slice(&blob).ok());
    Ok(whole.and_then(|whole| ImageStart::of(whole.get("config")?)))
}

async fn document(
    repository: &mut Repository,
    digest: &ImageDigest,
) -> Result<Option<Document>, RegistryError> {
    let found = repository.manifest(digest).await?;
    Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Registries have their own words for processors.
fn is_ours(manifest: &Descriptor) -> bool {
    let ours = match Architecture::HERE {
        Architecture::X86_64 => "amd64",
        Architecture::Aarch64 => "arm64",
    };
    manifest.platform.as_ref().is_some_and(|platform| platform.os == "linux" && platform.architecture == ours)
}
