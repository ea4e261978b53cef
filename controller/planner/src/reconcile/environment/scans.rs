//! Which scanners have to be asked; and of signatures and scans alike, what an image waits for, and when to look again.

use std::time::Duration;

use jiff::Timestamp;

use super::{EnvironmentDesired, ImageFailure, signatures};
use crate::blocked::Blocked;
use crate::policy::Violation;
use crate::policy::scan::{self, Asked};
use crate::policy::signature;
use crate::release::{ReleaseImage, ResolvedImage};
use crate::settings::Settings;

/// When to look again if it is past the time already: registry or scanner did not answer, or have yet to.
const RECHECK_OVERDUE: Duration = Duration::from_secs(15);

/// What signatures and scans say of an image.
pub(super) struct Examined {
    /// What of it policies do not allow.
    pub(super) violations: Vec<Violation>,
    /// What it waits for before it can be released.
    pub(super) waits: Option<Blocked>,
}

impl EnvironmentDesired {
    /// What signatures and scans say of an image at that time.
    pub(super) fn examined(&self, image: &ReleaseImage, now: Timestamp) -> Examined {
        let signed = self.signed(image);
        let waits = |resource, why| Blocked::DependencyNotReady { resource, why };
        let pinned = image.pinned();
        let of_signature = signed.open.map(|why| waits(format!("the signature of image {pinned}"), why));
        let of_scan = scan::open(&self.images, image, &self.scans, now)
            .map(|(url, why)| waits(format!("the scan of image {pinned} by {url}"), why));
        let mut violations = signed.violations;
        violations.extend(scan::violations(&self.images, image, &self.scans));
        Examined { violations, waits: of_signature.or(of_scan) }
    }
}

/// The scanners that planning has to have an answer of: about what runs or may run again, and about what would be released. `resolved` is what
/// the image of [`super::image_to_resolve`] stands for. Nothing if no rule asks for any.
pub fn scans_to_ask(
    settings: &Settings,
    desired: &EnvironmentDesired,
    resolved: Option<&Result<ResolvedImage, ImageFailure>>,
) -> Vec<Asked> {
    if desired.images.iter().all(|rules| rules.spec.scan.is_none()) || desired.environment.meta.is_deleting()
    {
        return Vec::new();
    }
    let next = signatures::next(settings, desired, resolved);
    let released = desired.releases.iter().map(|release| &release.content.image);
    scan::asked(&desired.images, released.chain(&next))
}

/// When to look again at what signatures and scans say, if nothing happens before.
pub(super) fn recheck(desired: &EnvironmentDesired, now: Timestamp) -> Option<Duration> {
    if desired.environment.meta.is_deleting() {
        return None;
    }
    let signatures = signature::again_at(&desired.images, &desired.signatures, now);
    let scans = scan::again_at(&desired.images, &desired.scans, now);
    let pause = |again: Timestamp| {
        let pause = Duration::try_from(again.duration_since(now)).unwrap_or_default();
        if pause.is_zero() { RECHECK_OVERDUE } else { pause }
    };
    signatures.into_iter().chain(scans).map(pause).min()
}
