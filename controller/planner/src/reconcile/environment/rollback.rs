//! Is the environment returned to a former release, and to what exactly?
//!
//! A rollback holds for as long as the manifests ask for what they asked for when it was made, and ends when they ask for something else: that is
//! released like any change. Two things tell that they still ask for the same: neither the environment nor its app was written since; or they
//! were, and a release of what they say would be the one that was returned from (a new number of instances, say, or a note).
//!
//! What runs is the former release as it was, image by digest, config, and the versions of secrets. A secret that was given a new value *after* the
//! rollback is the exception: whoever replaces a value that leaked must be able to rely on it. What the platform says holds in any case: how the
//! organisation is kept apart, what its images must be, how much an instance may have. So a return leads nowhere that a release could not.

use skep_schemas::Rollback;

use super::target::ungranted;
use super::{EnvironmentDesired, PlanChoice};
use crate::blocked::Blocked;
use crate::formation;
use crate::release::{Release, ReleaseContent, ReleaseSecret, ReleaseVersion};

/// What the manifests ask for: the content of a release, or what stands in its way.
pub(super) type Asked = Result<ReleaseContent, Vec<Blocked>>;

/// The rollback that stands, if nobody wrote the environment or its app since: then it need not even be known what they ask for.
pub(super) fn untouched(desired: &EnvironmentDesired) -> Option<&Rollback> {
    let rollback = desired.environment.meta.rollback.as_ref()?;
    let app_generation = desired.app.as_ref().map(|app| app.meta.generation);
    let same = rollback.generation == desired.environment.meta.generation
        && rollback.app_generation == app_generation;
    same.then_some(rollback)
}

/// The rollback that stands although something was written: what is asked for now is what was asked for then, or cannot be told.
pub(super) fn holding<'a>(desired: &'a EnvironmentDesired, asked: &Asked) -> Option<&'a Rollback> {
    let rollback = desired.environment.meta.rollback.as_ref()?;
    let Ok(asked) = asked else { return Some(rollback) };
    let instead_of = release(desired, rollback.instead_of)?;
    is_same_wish(asked, &instead_of.content).then_some(rollback)
}

/// New values of secrets are no new wish.
fn is_same_wish(asked: &ReleaseContent, before: &ReleaseContent) -> bool {
    let mounts = |content: &ReleaseContent| -> Vec<_> {
        content.secrets.iter().map(|one| (one.name.clone(), one.file.clone(), one.env.clone())).collect()
    };
    let without = |content: &ReleaseContent| ReleaseContent { secrets: Vec::new(), ..content.clone() };
    mounts(asked) == mounts(before) && without(asked) == without(before)
}

/// What runs under a rollback.
pub(super) fn content(desired: &EnvironmentDesired, rollback: &Rollback) -> Asked {
    let refused = ungranted(desired);
    if !refused.is_empty() {
        return Err(refused);
    }
    let Some(to) = release(desired, rollback.to) else {
        let resource = format!("release {} of it", ReleaseVersion::new(rollback.to));
        return Err(vec![Blocked::ReferenceMissing { resource }]);
    };
    let mut content = to.content.clone();
    if let Some(instead_of) = release(desired, rollback.instead_of) {
        content.secrets.iter_mut().for_each(|secret| renew(desired, instead_of, secret));
    }
    if let PlanChoice::Found(plan) = &desired.plan {
        let beyond = |(name, process)| formation::beyond(name, process, &plan.spec);
        let beyond: Vec<Blocked> = content.runnables().flat_map(beyond).collect();
        if !beyond.is_empty() {
            return Err(beyond);
        }
    }
    // For the same reason for which nothing else is released with it.
    desired.pull_as(&content.image.reference).map_err(|why| vec![why])?;
    Ok(content)
}

/// Gives a secret the value that it has now if that came after the rollback.
fn renew(desired: &EnvironmentDesired, instead_of: &Release, secret: &mut ReleaseSecret) {
    let then = instead_of.content.secrets.iter().find(|known| known.name == secret.name);
    let Some((then, now)) = then.zip(desired.secrets.get(&secret.name)) else { return };
    if now.version > then.version {
        (secret.version, secret.object) = (now.version, now.object.clone());
    }
}

fn release(desired: &EnvironmentDesired, number: u32) -> Option<&Release> {
    desired.releases.iter().find(|release| release.version.get() == number)
}

/// The release that the rollback returned from; what the manifests ask for is compared with it.
pub(super) fn instead_of(desired: &EnvironmentDesired) -> Option<&Release> {
    release(desired, desired.environment.meta.rollback.as_ref()?.instead_of)
}
