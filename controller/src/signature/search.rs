//! What a registry has beside a digest that may be a signature of it.

use serde::Deserialize;
use skep_outbound::registry::{RegistryError, Repository};
use skep_planner::policy::signature::Found;
use skep_schemas::{ImageDigest, PublicKey};

use super::judge::{Candidate, Judgement};

/// What simple signing calls its texts.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// What a manifest is that holds them, where it refers to the image.
const SIMPLE_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// What begins the type of every form of bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// Where the signature of such a text stands.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The most that is looked at of one digest. Each costs a request or two; who signs more often leaves the older ones out.
const CANDIDATES_MAX: usize = 32;

/// A manifest or an index, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    media_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: ImageDigest,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// What was found for each key: nothing instead of a signature is a signature. An error if the registry did not tell all that would have been needed.
pub(super) async fn search(
    repository: &mut Repository,
    digest: &ImageDigest,
    keys: &[PublicKey],
) -> Result<Vec<(PublicKey, Option<Found>)>, RegistryError> {
    let mut known = Known { digest, keys, looked_at: 0, found: vec![Some(Found::Nothing); keys.len()] };
    let tag = format!("{}.sig", digest.as_str().replacen(':', "-", 1));
    let tagged = repository.tagged(&tag).await?;
    if let Some(manifest) = tagged.as_deref().and_then(read) {
        known.simple(repository, &manifest).await?;
    }
    if !known.is_settled() {
        let index = repository.referrers(digest).await?;
        let referrers = index.as_deref().and_then(read).map(|index| index.manifests).unwrap_or_default();
        for referrer in referrers {
            if known.is_settled() {
                break;
            }
            known.referrer(repository, &referrer).await?;
        }
    }
    Ok(keys.iter().cloned().zip(known.found).collect())
}

/// What is not as documents of registries are says nothing.
fn read(bytes: &[u8]) -> Option<Document> {
    serde_json::from_slice(bytes).ok()
}

/// What was found so far.
struct Known<'a> {
    digest: &'a ImageDigest,
    keys: &'a [PublicKey],
    looked_at: usize,
    /// For each key.
    found: Vec<Option<Found>>,
}

impl Known<'_> {
    /// Is there nothing more to be learnt, or was enough looked at?
    fn is_settled(&self) -> bool {
        self.found.iter().all(Option::is_none) || self.looked_at >= CANDIDATES_MAX
    }

    async fn referrer(
        &mut self,
        repository: &mut Repository,
        referrer: &Descriptor,
    ) -> Result<(), RegistryError> {
        let of_type = |kind: &str| kind.starts_with(BUNDLE) || kind == SIMPLE_ARTIFACT;
        // Some registries do not say of what type it is.
        if referrer.artifact_type.as_deref().is_some_and(|kind| !of_type(kind)) {
            return Ok(());
        }
        let Some(manifest) = repository.manifest(&referrer.digest).await? else { return Ok(()) };
        let Some(manifest) = read(&manifest) else { return Ok(()) };
        let config = manifest.config.as_ref().map(|config| config.media_type.as_str());
        match manifest.artifact_type.as_deref().or(config) {
            Some(kind) if kind.starts_with(BUNDLE) => self.bundles(repository, &manifest).await,
            Some(SIMPLE_ARTIFACT) => self.simple(repository, &manifest).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn bundles(
        &mut self,
        repository: &mut Repository,
        manifest: &Document,
    ) -> Result<(), RegistryError> {
        for layer in manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE)) {
            if self.is_settled() {
                break;
            }
            if let Some(bundle) = repository.blob(&layer.digest).await? {
                Candidate::of_bundle(&bundle).iter().for_each(|candidate| self.learn(candidate));
            }
        }
        Ok(())
    }

    async fn simple(
        &mut self,
        repository: &mut Repository,
        manifest: &Document,
    ) -> Result<(), RegistryError> {
        for layer in manifest.layers.iter().filter(|layer| layer.media_type == SIMPLE) {
            if self.is_settled() {
                break;
            }
            let signature = layer.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION));
            let Some(signature) = signature else { continue };
            let Some(payload) = repository.blob(&layer.digest).await? else { continue };
            if let Some(candidate) = Candidate::simple(payload.to_vec(), signature) {
                self.learn(&candidate);
            }
        }
        Ok(())
    }

    fn learn(&mut self, candidate: &Candidate) {
        self.looked_at += 1;
        for (key, found) in self.keys.iter().zip(&mut self.found) {
            let Some(before) = found else { continue };
            *found = match (candidate.judge(self.digest, key), before) {
                (Judgement::Signs, _) => None,
                (Judgement::SignsAnother(digest), _) => Some(Found::OfAnother { digest }),
                (Judgement::Not, Found::Nothing) => Some(Found::Others { count: 1 }),
                (Judgement::Not, Found::Others { count }) => Some(Found::Others { count: *count + 1 }),
                (Judgement::Not, of_another @ Found::OfAnother { .. }) => Some(of_another.clone()),
            };
        }
    }
}
