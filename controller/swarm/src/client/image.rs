//! What an image reference means: the registry's answer, or the engine's own.

use serde::Deserialize;
use serde_json::Value;
use skep_planner::ImageStart;
use skep_planner::swarm::Platform;

use super::http::Http;
use super::request::Request;
use crate::auth::RegistryAuth;
use crate::engine::{ImageIdentity, ResolvedImage};
use crate::error::{Call, SwarmError};
use crate::verb::Verb;

/// The longest reference: registry, repository, tag and digest at their own limits.
const REFERENCE_LIMIT: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Distribution {
    descriptor: Descriptor,
    #[serde(default)]
    platforms: Option<Vec<WirePlatform>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// Registries spell platforms in small letters, unlike the engine elsewhere.
#[derive(Deserialize)]
struct WirePlatform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LocalImage {
    id: String,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    config: Value,
}

/// What is known of an image.
struct Found {
    identity: ImageIdentity,
    platforms: Vec<Platform>,
    start: Option<ImageStart>,
}

/// Asks the registry through the engine. When the registry cannot be asked, the engine's own image counts, if it has
/// one. A registry's no is a no: an image that was pulled for someone else must not be run by asking for it.
pub(super) async fn resolve(
    http: &Http,
    reference: &str,
    auth: Option<&RegistryAuth>,
) -> Result<ResolvedImage, SwarmError> {
    let call = Call::on(Verb::ResolveImage, reference);
    check(&call, reference)?;
    let asked = ask_registry(http, &call, reference, auth).await;
    let Found { identity, platforms, start } = match asked {
        Ok(found) => found,
        Err(
            no @ (SwarmError::Unauthorized { .. } | SwarmError::NotFound { .. } | SwarmError::Invalid { .. }),
        ) => {
            return Err(no);
        }
        Err(unasked) => match ask_engine(http, &call, reference).await {
            Ok(found) => found,
            Err(SwarmError::NotFound { .. }) => return Err(unasked),
            Err(error) => return Err(error),
        },
    };
    Ok(ResolvedImage { reference: reference.to_owned(), identity, platforms, start })
}

/// Takes the name of an image from the engine. Without force: what containers were made of stays.
pub(super) async fn remove(http: &Http, reference: &str) -> Result<(), SwarmError> {
    let call = Call::on(Verb::RemoveImage, reference);
    check(&call, reference)?;
    http.send(call, Request::delete(format!("/images/{reference}"))).await.map(drop)
}

async fn ask_registry(
    http: &Http,
    call: &Call,
    reference: &str,
    auth: Option<&RegistryAuth>,
) -> Result<Found, SwarmError> {
    let request =
        Request::get(format!("/distribution/{reference}/json")).auth(auth.map(RegistryAuth::header));
    let answer = http.look_up(call.clone(), request).await?;
    let found: Distribution = answer.decode()?;
    let platforms = found.platforms.unwrap_or_default();
    let platforms = platforms.into_iter().filter_map(|platform| known(platform.architecture, platform.os));
    let (digest, platforms) = (found.descriptor.digest, platforms.collect());
    let start = started_here(http, call, &format!("{}@{digest}", repository_of(reference))).await;
    Ok(Found { identity: ImageIdentity::Registry { digest }, platforms, start })
}

/// What an image starts, if the engine has it under that very digest. Nothing depends on it that could not be had elsewhere, so the engine's
/// troubles are no answer either.
async fn started_here(http: &Http, call: &Call, pinned: &str) -> Option<ImageStart> {
    check(call, pinned).ok()?;
    let answer = http.send(call.clone(), Request::get(format!("/images/{pinned}/json"))).await.ok()?;
    ImageStart::of(&answer.decode::<LocalImage>().ok()?.config)
}

async fn ask_engine(http: &Http, call: &Call, reference: &str) -> Result<Found, SwarmError> {
    let answer = http.send(call.clone(), Request::get(format!("/images/{reference}/json"))).await?;
    let image: LocalImage = answer.decode()?;
    let platforms = known(image.architecture, image.os).into_iter().collect();
    let digest = image.repo_digests.unwrap_or_default().iter().find_map(|known| {
        let (repository, digest) = known.split_once('@')?;
        (repository == repository_of(reference)).then(|| digest.to_owned())
    });
    let identity = match digest {
        Some(digest) => ImageIdentity::EngineDigest { digest },
        None => ImageIdentity::EngineOnly { image_id: image.id },
    };
    Ok(Found { identity, platforms, start: ImageStart::of(&image.config) })
}

/// Attestations have the platform `unknown`, which no node has.
fn known(architecture: String, os: String) -> Option<Platform> {
    let said = |word: &str| !word.is_empty() && word != "unknown";
    (said(&architecture) && said(&os)).then(|| Platform { architecture, os, ..Platform::default() })
}

/// The reference without tag and digest.
fn repository_of(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// A reference goes into a path with its slashes, so nothing else of a path may be in it.
fn check(call: &Call, reference: &str) -> Result<(), SwarmError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:@".contains(&byte);
    let sound = !reference.is_empty()
        && reference.len() <= REFERENCE_LIMIT
        && reference.bytes().all(allowed)
        && reference.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if sound {
        return Ok(());
    }
    Err(SwarmError::Invalid { call: call.clone(), message: "this is not an image reference".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_of_a_reference_has_neither_tag_nor_digest() {
        assert_eq!(repository_of("127.0.0.1:5000/a/b:v1"), "127.0.0.1:5000/a/b");
        assert_eq!(repository_of("127.0.0.1:5000/a/b"), "127.0.0.1:5000/a/b");
        assert_eq!(repository_of("a:v1@sha256:00"), "a");
    }

    #[test]
    fn a_reference_cannot_reach_another_path() {
        let call = Call::plain(Verb::ResolveImage);
        for wrong in ["", "a/../../containers", "a?x=1", "a#b", "a b", "/a", "a//b", "a%2f"] {
            assert!(check(&call, wrong).is_err(), "{wrong}");
        }
        assert!(check(&call, "registry.example:5000/a/b_c:v1.2@sha256:0f").is_ok());
    }

    #[test]
    fn a_pinned_reference_keeps_the_tag_and_gains_the_digest() {
        let image = |identity| ResolvedImage {
            reference: "r/a:v1".to_owned(),
            identity,
            platforms: Vec::new(),
            start: None,
        };
        let digest = "sha256:0f".to_owned();
        assert_eq!(image(ImageIdentity::Registry { digest }).pinned_reference(), "r/a:v1@sha256:0f");
        assert_eq!(
            image(ImageIdentity::EngineOnly { image_id: "sha256:1".to_owned() }).pinned_reference(),
            "r/a:v1"
        );
    }
}
