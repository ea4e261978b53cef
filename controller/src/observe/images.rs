//! What registries and scanners say of images: what one stands for, who signed it, and whether it may run.

use skep_planner::policy::scan::ScanFacts;
use skep_planner::policy::signature::SignatureFacts;
use skep_planner::reconcile::Mode;
use skep_planner::reconcile::environment::{self, EnvironmentDesired, EnvironmentObservation, ImageFailure};
use skep_planner::{Settings, pull};
use skep_schemas::ImageRef;

use super::Observer;
use crate::lookup::Found;
use crate::scan;
use crate::signature::Asker;

impl Observer {
    /// What the image stands for that has to be resolved before planning.
    pub(super) async fn image(
        &self,
        desired: &EnvironmentDesired,
        wanted: Option<ImageRef>,
    ) -> Option<Result<Found, ImageFailure>> {
        let reference = wanted?;
        if let Some(why) = not_applied(desired, &reference) {
            return Some(Err(ImageFailure::NoAnswer { why }));
        }
        // Not asked for when there is no password.
        let pull = desired.pull_as(&reference).ok()?;
        Some(self.lookups.look_up(&desired.org, &desired.environment.meta.key, &reference, pull).await)
    }

    /// What is known of the signatures that planning has to know, after a moment of looking for them.
    pub(crate) async fn signatures(
        &self,
        settings: &Settings,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
    ) -> SignatureFacts {
        let wanted = environment::signatures_to_check(settings, desired, observed.image.as_ref());
        let meta = &desired.environment.meta;
        let asker = Asker { org: &desired.org, key: &meta.key, retried_at: meta.retried_at };
        let pull = |reference: &ImageRef| match not_applied(desired, reference) {
            Some(why) => Err(why),
            None => desired.pull_as(reference).map_err(|blocked| blocked.to_string()),
        };
        self.signatures.look(&asker, &wanted, pull).await
    }

    /// What is known of the scans that planning has to know, after a moment of asking for them; nobody is asked for a preview.
    pub(crate) async fn scans(
        &self,
        settings: &Settings,
        mode: Mode,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
    ) -> ScanFacts {
        let wanted = environment::scans_to_ask(settings, desired, observed.image.as_ref());
        let meta = &desired.environment.meta;
        let (org, retried_at) = (&desired.org, meta.retried_at);
        let asker = scan::Asker { org, key: &meta.key, secrets: &desired.secrets, retried_at, mode };
        self.scans.ask(&asker, &wanted).await
    }
}

/// Why a registry is not asked with the credential that the organisation has for it: it is in a preview alone.
fn not_applied(desired: &EnvironmentDesired, reference: &ImageRef) -> Option<String> {
    let access = pull::access(&desired.registries, reference).filter(|access| !access.stored)?;
    let name = access.credential.meta.key.name();
    Some(format!("RegistryCredential/{name} is not applied yet, and a registry is told only what is"))
}
