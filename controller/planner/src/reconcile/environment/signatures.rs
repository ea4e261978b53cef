//! Which signatures have to be looked for.

use skep_schemas::ImageRef;
use skep_schemas::kind::Signer;

use super::{EnvironmentDesired, ImageFailure, target};
use crate::policy::signature::{self, Signed};
use crate::release::{ReleaseImage, ResolvedImage};
use crate::settings::Settings;

/// What has to be looked for: digests, the image that leads to each, and the signers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignaturesToCheck {
    /// The digests, each with a reference by which its registry is asked.
    pub signed: Vec<(Signed, ImageRef)>,
    /// Whose signatures.
    pub signers: Vec<Signer>,
}

/// The signatures that planning has to know: of what runs or may run again, and of what would be released. `resolved` is what the image of
/// [`super::image_to_resolve`] stands for. Nothing if no rule asks for any.
pub fn signatures_to_check(
    settings: &Settings,
    desired: &EnvironmentDesired,
    resolved: Option<&Result<ResolvedImage, ImageFailure>>,
) -> SignaturesToCheck {
    let signers = signature::signers(&desired.images);
    if signers.is_empty() || desired.environment.meta.is_deleting() {
        return SignaturesToCheck::default();
    }
    let next = next(settings, desired, resolved);
    let released = desired.releases.iter().map(|release| &release.content.image);
    let mut signed: Vec<(Signed, ImageRef)> = Vec::new();
    for image in released.chain(&next) {
        let Some(one) = Signed::of(image) else { continue };
        if !signed.iter().any(|(known, _)| *known == one) {
            signed.push((one, image.reference.clone()));
        }
    }
    SignaturesToCheck { signed, signers }
}

/// The image that would be released, once it is known what it stands for.
pub(super) fn next(
    settings: &Settings,
    desired: &EnvironmentDesired,
    resolved: Option<&Result<ResolvedImage, ImageFailure>>,
) -> Option<ReleaseImage> {
    match resolved {
        Some(Ok(resolved)) => target::formation(settings, desired).ok().map(|formation| ReleaseImage {
            reference: formation.image,
            resolved: resolved.clone(),
            start: None,
        }),
        Some(Err(_)) | None => None,
    }
}
