//! What a registry has beside a digest that may be a signature of it.

use serde::Deserialize;
use skep_outbound::registry::{RegistryError, Repository};
use skep_planner::policy::signature::Found;
use skep_schemas::ImageDigest;
use skep_schemas::kind::Signer;

use super::judge::{Candidate, IdentityJudgement, Judgement};
use super::trust::{Annotations, Maker, Proof, TrustedRoot, told};

/// What simple signing calls its texts.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// What a manifest is that holds them, where it refers to the image.
const SIMPLE_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// What begins the type of every form of bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// Where the signature of such a text stands.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Where it is proved who made it.
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
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

/// What was found for each signer: nothing instead of a signature is a signature. Without a trusted root nothing is found of identities. An error if
/// the registry did not tell all that would have been needed.
pub(super) async fn search(
    repository: &mut Repository,
    digest: &ImageDigest,
    signers: &[Signer],
    root: Option<&TrustedRoot>,
) -> Result<Vec<(Signer, Option<Found>)>, RegistryError> {
    let found = vec![Some(Found::Nothing); signers.len()];
    let mut known = Known { digest, signers, root, looked_at: 0, found };
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
    Ok(signers.iter().cloned().zip(known.found).collect())
}

/// What is not as documents of registries are says nothing.
fn read(bytes: &[u8]) -> Option<Document> {
    serde_json::from_slice(bytes).ok()
}

/// What was found so far.
struct Known<'a> {
    digest: &'a ImageDigest,
    signers: &'a [Signer],
    root: Option<&'a TrustedRoot>,
    looked_at: usize,
    /// For each signer.
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
                for candidate in &Candidate::of_bundle(&bundle) {
                    self.learn(candidate, || Proof::of_bundle(&bundle));
                }
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
            let annotation = |name| layer.annotations.as_ref()?.get(name).map(String::as_str);
            let Some(signature) = annotation(ANNOTATION) else { continue };
            let Some(payload) = repository.blob(&layer.digest).await? else { continue };
            if let Some(candidate) = Candidate::simple(payload.to_vec(), signature) {
                let beside = Annotations {
                    certificate: annotation(CERTIFICATE),
                    chain: annotation(CHAIN),
                    log: annotation(LOG),
                    timestamp: annotation(TIMESTAMP),
                };
                self.learn(&candidate, || Proof::of_annotations(candidate.signature(), beside));
            }
        }
        Ok(())
    }

    fn learn(&mut self, candidate: &Candidate, proof: impl FnOnce() -> Result<Proof, String>) {
        self.looked_at += 1;
        let maker = self.maker(candidate, proof);
        for (signer, found) in self.signers.iter().zip(&mut self.found) {
            let Some(before) = found.take() else { continue };
            *found = match (signer, &maker) {
                (Signer::Key(key), _) => of_key(candidate.judge(self.digest, key), before),
                (Signer::Identity(identity), Some(maker)) => {
                    of_identity(candidate.judge_made(self.digest, identity, maker), before)
                }
                (Signer::Identity(_), None) => Some(before),
            };
        }
    }

    /// Who made it, if that is asked.
    fn maker(
        &self,
        candidate: &Candidate,
        proof: impl FnOnce() -> Result<Proof, String>,
    ) -> Option<Result<Maker, String>> {
        let is_open = |(signer, found): (&Signer, &Option<Found>)| {
            matches!(signer, Signer::Identity(_)) && found.is_some()
        };
        let root = self.root.filter(|_| self.signers.iter().zip(&self.found).any(is_open))?;
        let words = candidate.words(self.digest);
        let words = words.ok_or_else(|| "it is not of an image".to_owned());
        Some(words.and_then(|words| root.maker(&words, &proof()?)))
    }
}

/// What is known of a key after one more candidate.
fn of_key(judgement: Judgement, before: Found) -> Option<Found> {
    match (judgement, before) {
        (Judgement::Signs, _) => None,
        (Judgement::SignsAnother(digest), _) => Some(Found::OfAnother { digest }),
        (Judgement::Not, Found::Nothing) => Some(Found::Others { count: 1 }),
        (Judgement::Not, Found::Others { count }) => Some(Found::Others { count: count + 1 }),
        (Judgement::Not, more) => Some(more),
    }
}

/// What is known of an identity after one more candidate: what says most stays.
fn of_identity(judgement: IdentityJudgement, before: Found) -> Option<Found> {
    match (judgement, before) {
        (IdentityJudgement::Signs, _) => None,
        (IdentityJudgement::SignsAnother(digest), _) => Some(Found::OfAnother { digest }),
        (_, of_another @ Found::OfAnother { .. }) => Some(of_another),
        (IdentityJudgement::OfSomebody(Maker { subject, issuer }), _) => {
            Some(Found::OfSomebody { subject: told(&subject), issuer: told(&issuer) })
        }
        (IdentityJudgement::Unverified(why), Found::Nothing) => Some(Found::Unverified { count: 1, why }),
        (IdentityJudgement::Unverified(why), Found::Unverified { count, .. }) => {
            Some(Found::Unverified { count: count + 1, why })
        }
        (IdentityJudgement::Unverified(_), more) => Some(more),
    }
}
