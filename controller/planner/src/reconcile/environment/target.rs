//! Which release should run?

use skep_schemas::ImageRef;
use skep_schemas::kind::SecuritySpec;

use super::phase::{self, Phase};
use super::references::{self, Resolved};
use super::rollback::{self, Asked};
use super::verdict;
use super::{EnvironmentDesired, EnvironmentInput, ImageFailure, PlanChoice};
use crate::blocked::Blocked;
use crate::formation::{self, Formation};
use crate::plan::{NewRelease, Plan, VerdictChange};
use crate::policy::{self, Violation};
use crate::pull::PullAs;
use crate::reconcile::Mode;
use crate::release::{
    Release, ReleaseContent, ReleaseImage, ReleaseProcess, ReleaseSecret, ReleaseVersion, Verdict,
};
use crate::settings::Settings;

/// The release that should run.
#[derive(Debug)]
pub(super) struct Target {
    /// Its number.
    pub(super) version: ReleaseVersion,
    /// What it runs.
    pub(super) content: ReleaseContent,
    /// It failed or was cancelled, and there is no release to return to.
    pub(super) given_up: bool,
}

/// The formation that the manifests ask for now.
pub(super) fn formation(
    settings: &Settings,
    desired: &EnvironmentDesired,
) -> Result<Formation, Vec<Blocked>> {
    let Some(app) = &desired.app else {
        let resource = format!("App/{}", desired.environment.spec.app);
        return Err(vec![Blocked::ReferenceMissing { resource }]);
    };
    let refused = ungranted(desired);
    if !refused.is_empty() {
        return Err(refused);
    }
    let plan = match &desired.plan {
        PlanChoice::None => None,
        PlanChoice::Missing(name) => {
            return Err(vec![Blocked::ReferenceMissing { resource: format!("Plan/{name}") }]);
        }
        PlanChoice::Found(plan) => Some(&plan.spec),
    };
    formation::formation(&app.spec, &desired.environment.spec, plan, settings.default_resources)
}

/// What the platform does not grant: nothing new is released before that is another.
pub(super) fn ungranted(desired: &EnvironmentDesired) -> Vec<Blocked> {
    let isolation = desired.terms.isolation().err();
    let other_plan =
        policy::plan::violation(desired.terms.own_plan(), desired.environment.spec.plan.as_ref());
    let other_plan = other_plan.map(|violation| Blocked::denied(violation, false));
    isolation.into_iter().chain(other_plan).collect()
}

/// The release that should run. Makes a new one when what is asked for, by the manifests or by a rollback, differs from the newest, and
/// records the verdict on the newest when it has become known. While something stands in the way of a new one, which is then in `plan.blocked`, it
/// is the one that stands: a manifest that cannot be released is no way to be left alone by drift, tiers and policies. `None` if there is none.
pub(super) fn target(input: &EnvironmentInput<'_>, plan: &mut Plan) -> Option<Target> {
    plan.rollback = input.desired.environment.meta.rollback.as_ref().map(|rollback| rollback.since);
    let (wanted, to) = match rollback::untouched(input.desired) {
        Some(rollback) => (rollback::content(input.desired, rollback), Some(rollback.to)),
        None => {
            let asked = asked(input);
            match rollback::holding(input.desired, &asked) {
                Some(rollback) => {
                    plan.blocked.extend(asked.err().into_iter().flatten());
                    (rollback::content(input.desired, rollback), Some(rollback.to))
                }
                None => {
                    plan.ends_rollback = plan.rollback.is_some();
                    (asked, None)
                }
            }
        }
    };
    match wanted {
        Ok(content) => released(input, content, to.map(ReleaseVersion::new), plan),
        Err(blocked) => {
            plan.blocked.extend(blocked);
            standing(input, plan)
        }
    }
}

/// What a release would run that does what the manifests say now.
fn asked(input: &EnvironmentInput<'_>) -> Asked {
    let formation = formation(input.settings, input.desired)?;
    // What was released before it was forbidden can be compared; anything else is not even looked up.
    if input.desired.released_image(&formation.image).is_none() {
        let security = &input.desired.environment.spec.security;
        let forbidden = forbidden(input, &formation.image, security);
        if !forbidden.is_empty() {
            return Err(denied(forbidden));
        }
    }
    candidate(input, formation)
}

/// What is wrong with an image, and with what its containers may do, so that it is not released.
fn forbidden(input: &EnvironmentInput<'_>, image: &ImageRef, security: &SecuritySpec) -> Vec<Violation> {
    let mut forbidden = input.desired.violations(image, security);
    forbidden.retain(Violation::forbids);
    forbidden.extend(input.desired.asked_inside(input.settings, image));
    forbidden
}

/// A release of this content, which is the newest or a new one; the one that stands while a new one may not be.
fn released(
    input: &EnvironmentInput<'_>,
    content: ReleaseContent,
    rollback_to: Option<ReleaseVersion>,
    plan: &mut Plan,
) -> Option<Target> {
    let newest = input.desired.releases.first();
    if newest.is_some_and(|newest| newest.content == content && !is_retried(input, newest)) {
        return standing(input, plan);
    }
    let mut forbidden = forbidden(input, &content.image.reference, &content.security);
    let examined = input.desired.examined(&content.image, input.now);
    forbidden.extend(examined.violations.into_iter().filter(Violation::forbids));
    if !forbidden.is_empty() {
        plan.blocked.extend(denied(forbidden));
        return standing(input, plan);
    }
    if let Some(waits) = examined.waits {
        plan.blocked.push(waits);
        return standing(input, plan);
    }
    let version = newest.map_or(ReleaseVersion::FIRST, |newest| newest.version.next());
    let why = why(newest, &content, rollback_to);
    let is_again = newest.is_some_and(|newest| newest.content == content);
    // Of who asked for another try the audit tells.
    let made_by = if is_again { None } else { input.desired.author(&content, rollback_to) };
    plan.release = Some(NewRelease { version, content: content.clone(), why, rollback_to, made_by });
    plan.phase = phase::due(version, &content);
    if plan.phase.is_some() && input.mode == Mode::Act {
        return before(input);
    }
    Some(Target { version, content, given_up: false })
}

/// Why there is a new release, in a few words.
fn why(newest: Option<&Release>, content: &ReleaseContent, rollback_to: Option<ReleaseVersion>) -> String {
    match (newest, rollback_to) {
        (None, _) => "first release".to_owned(),
        (Some(newest), _) if newest.content == *content => {
            let what = if newest.cancelled.is_some() { "was cancelled" } else { "failed" };
            format!("{} {what}; somebody asked to try it again", newest.version)
        }
        (Some(newest), Some(to)) if newest.rollback_to == Some(to) => {
            format!("{}; otherwise as {to}", differences(&newest.content, content))
        }
        (Some(_), Some(to)) => format!("rollback to {to}"),
        (Some(newest), None) => differences(&newest.content, content),
    }
}

fn denied(forbidden: Vec<Violation>) -> Vec<Blocked> {
    forbidden.into_iter().map(|violation| Blocked::denied(violation, false)).collect()
}

/// The release that stands, whatever the manifests ask for: kept as it should be, and stopped if a policy says so.
fn standing(input: &EnvironmentInput<'_>, plan: &mut Plan) -> Option<Target> {
    let target = existing(input, input.desired.releases.first()?, plan)?;
    plan.blocked.extend(stopping(input, &target));
    Some(target)
}

/// The policies that stop what a target runs.
fn stopping(input: &EnvironmentInput<'_>, target: &Target) -> Vec<Blocked> {
    let found = input.desired.violations_of(&target.content).into_iter();
    found.filter(Violation::stops).map(|violation| Blocked::denied(violation, true)).collect()
}

/// The newest release should run, unless it failed, or its release phase has not passed yet.
fn existing(input: &EnvironmentInput<'_>, newest: &Release, plan: &mut Plan) -> Option<Target> {
    let verdict = match (&newest.verdict, &newest.cancelled) {
        (Verdict::Pending, Some(cancelled)) => cancelled.verdict(),
        (Verdict::Pending, None) => match phase::of(input, newest) {
            Phase::Passed => verdict::verdict(input, newest),
            Phase::Failed(why) => verdict::failed(input, why),
            Phase::Open(_) => return before(input),
            Phase::Due(run) => {
                plan.phase = Some(run);
                return before(input);
            }
        },
        (known, _) => known.clone(),
    };
    if verdict.is_final() && !newest.verdict.is_final() {
        plan.verdicts.push(VerdictChange { release: newest.version, verdict: verdict.clone() });
    }
    let good = last_good(input.desired);
    let Some(blocked) = not_to_run(newest.version, &verdict, good.is_some()) else {
        return Some(Target::of(newest));
    };
    plan.blocked.push(blocked);
    // Without a release to go back to, the failed one stays as it is: taking it away would not help anyone find out why. One that was never sent
    // is not sent now.
    match good {
        Some(good) => Some(Target::of(good)),
        None if matches!(phase::of(input, newest), Phase::Passed) => {
            Some(Target { given_up: true, ..Target::of(newest) })
        }
        None => None,
    }
}

/// That the newest release is not to run, if it is not.
fn not_to_run(release: ReleaseVersion, verdict: &Verdict, rolled_back: bool) -> Option<Blocked> {
    let why = verdict.failure()?.to_owned();
    Some(match verdict {
        Verdict::Cancelled { .. } => Blocked::ReleaseCancelled { release, rolled_back, why },
        _ => Blocked::ReleaseFailed { release, rolled_back, why },
    })
}

/// What runs until the release phase of the newest release is over.
fn before(input: &EnvironmentInput<'_>) -> Option<Target> {
    last_good(input.desired).map(Target::of)
}

impl Target {
    fn of(release: &Release) -> Self {
        Self { version: release.version, content: release.content.clone(), given_up: false }
    }
}

/// Did somebody ask to try the failed release again, after it was made? One that was cancelled: after that.
fn is_retried(input: &EnvironmentInput<'_>, newest: &Release) -> bool {
    let asked = input.desired.environment.meta.retried_at;
    let since = newest.cancelled.as_ref().map_or(newest.created_at, |cancelled| cancelled.at);
    newest.verdict.failure().is_some() && asked.is_some_and(|asked| asked > since)
}

/// The newest release that worked.
pub(super) fn last_good(desired: &EnvironmentDesired) -> Option<&Release> {
    desired.releases.iter().find(|release| release.verdict == Verdict::Succeeded)
}

/// The same, once nothing is known to forbid its image.
fn candidate(input: &EnvironmentInput<'_>, mut formation: Formation) -> Asked {
    let desired = input.desired;
    let spec = &desired.environment.spec;
    let mut blocked = Vec::new();
    let mut secrets = Vec::new();
    for mount in &spec.secrets {
        match super::secret_facts(desired, mount) {
            Some(facts) => secrets.push(ReleaseSecret {
                name: mount.name.clone(),
                version: facts.version,
                object: facts.object.clone(),
                file: mount.file_name().to_owned(),
                env: mount.env.clone(),
            }),
            None => blocked.push(Blocked::SecretMissing { name: mount.name.to_string() }),
        }
    }
    secrets.sort_by(|a, b| a.file.cmp(&b.file));
    let references = references::resolve(input, &mut formation).unwrap_or_else(|why| {
        blocked.extend(why);
        Resolved::new()
    });
    let image = image(input, &formation).map_err(|why| blocked.push(why)).ok();
    let image_tells = image.as_ref().is_none_or(|image| image.start.is_some());
    if spec.secrets.iter().any(|mount| mount.env.is_some()) && !image_tells {
        let starts = |process: &ReleaseProcess| process.entrypoint.as_ref().is_some_and(|e| !e.is_empty());
        let services = formation.processes.iter().map(|(name, one)| (name, &one.process));
        let scheduled = formation.schedules.iter().map(|(name, one)| (name, &one.process));
        let silent = services.chain(scheduled).filter(|(_, process)| !starts(process));
        blocked.extend(silent.map(|(name, _)| Blocked::EntryPointMissing { process: name.to_string() }));
    }
    match image {
        Some(image) if blocked.is_empty() => Ok(ReleaseContent {
            image,
            processes: formation
                .processes
                .into_iter()
                .map(|(name, process)| (name, process.process))
                .collect(),
            release_phase: formation.release_phase,
            schedules: formation.schedules,
            references,
            secrets,
            region: spec.region.clone(),
            restart: spec.restart.clone(),
            security: spec.security.clone(),
        }),
        Some(_) | None => Err(blocked),
    }
}

fn image(input: &EnvironmentInput<'_>, formation: &Formation) -> Result<ReleaseImage, Blocked> {
    let reference = formation.image.clone();
    // Before anything else: without its password no node could pull what is released.
    let pull = input.desired.pull_as(&reference)?;
    if let Some(known) = input.desired.released_image(&reference) {
        return Ok(known.clone());
    }
    let credential = match &pull {
        PullAs::Credential(credential) => Some(&**credential),
        PullAs::Nobody => None,
    };
    match &input.observed.image {
        Some(Ok(resolved)) => {
            let start = input.observed.image_start.clone();
            Ok(ReleaseImage { reference, resolved: resolved.clone(), start })
        }
        Some(Err(ImageFailure::Refused { why })) => {
            Err(Blocked::ImageUnresolved { image: reference.to_string(), why: why.clone() })
        }
        Some(Err(ImageFailure::Denied { why })) => Err(Blocked::RegistryDenied {
            registry: reference.registry(),
            image: reference.to_string(),
            credential: credential.map(|credential| credential.name.to_string()),
            why: why.clone(),
        }),
        Some(Err(ImageFailure::NoAnswer { why })) => {
            Err(Blocked::Unobserved { what: format!("image {reference}"), why: why.clone() })
        }
        None => Err(Blocked::Unobserved {
            what: format!("image {reference}"),
            why: "it was not looked up".to_owned(),
        }),
    }
}

/// What is different between two releases, in a few words.
fn differences(old: &ReleaseContent, new: &ReleaseContent) -> String {
    let mut parts = Vec::new();
    if old.image != new.image {
        parts.push(if old.image.reference == new.image.reference { "image digest" } else { "image" });
    }
    let env = |content: &ReleaseContent| {
        content.processes.values().map(|process| process.env.clone()).collect::<Vec<_>>()
    };
    if env(old) != env(new) || old.references != new.references {
        parts.push("config");
    }
    // The environment's variables are the phase's as well, and told already.
    let is_config = env(old) != env(new);
    let phase = |content: &ReleaseContent| {
        let mut phase = content.release_phase.clone();
        phase.iter_mut().filter(|_| is_config).for_each(|phase| phase.process.env.clear());
        phase
    };
    if phase(old) != phase(new) {
        parts.push("release phase");
    }
    let schedules = |content: &ReleaseContent| {
        let mut schedules = content.schedules.clone();
        schedules.values_mut().filter(|_| is_config).for_each(|one| one.process.env.clear());
        schedules
    };
    if schedules(old) != schedules(new) {
        parts.push("schedules");
    }
    if old.secrets != new.secrets {
        parts.push("secrets");
    }
    let without_env = |content: &ReleaseContent| {
        let mut processes = content.processes.clone();
        processes.values_mut().for_each(|process| process.env.clear());
        processes
    };
    if without_env(old) != without_env(new) {
        parts.push("processes");
    }
    if old.region != new.region {
        parts.push("region");
    }
    if old.restart != new.restart {
        parts.push("restart policy");
    }
    if old.security != new.security {
        parts.push("security");
    }
    format!("changed: {}", parts.join(", "))
}
