//! The releases of an environment: listed, one with everything that it runs, and its image given to another environment.

use skep_planner::diff::value_changes;
use skep_planner::{
    FieldChange, LastLines, Release, ReleaseContent, ReleaseProcess, ReleaseVersion, ResolvedImage, Verdict,
    release::ReleaseSchedule,
};
use skep_schemas::kind::{EnvironmentSpec, RELEASE_PHASE};
use skep_schemas::{AnySpec, ImageRef, Kind, Manifest, Meta, Resource, ResourceKey};
use skep_store::{ApplyItem, Precondition, RecordedRelease, Writer};

use super::deployment;
use super::resource::shown;
use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoBody, NoQuery, limit};
use crate::error::ApiError;
use crate::limits::{RELEASES_DEFAULT, RELEASES_MAX};
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use crate::wire::{
    OneReleaseQuery, PromoteRequest, PromotionView, ReleaseContentView, ReleaseDifference, ReleaseItem,
    ReleaseList, ReleaseOutputView, ReleasePhaseView, ReleaseProcessView, ReleaseQuery, ReleaseScheduleView,
    ReleaseSecretVersion, ReleaseVerdict, ReleaseView,
};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/environments/{name}/releases",
            READ,
            "listReleases",
            "The releases of an environment, newest first.",
            list,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/environments/{name}/releases/{id}",
            READ,
            "getRelease",
            "One release with everything that it runs, and what differs from another.",
            get,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/environments/{name}/releases/{id}/output",
            Access::Needs(Permission::ReadLogs),
            "getReleaseOutput",
            "The last lines of what a release failed by: of an instance, or of its release phase.",
            output,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/environments/{name}/releases/{id}/cancel",
            Access::Needs(Permission::Write),
            "cancelRelease",
            "Cancel a release that is being rolled out: what ran before it runs again.",
            cancel,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/promote",
            Access::Needs(Permission::Write),
            "promoteRelease",
            "Give an environment the image that another one of its app runs, by its digest.",
            promote,
        ),
    ]
}

pub(crate) async fn list(call: Call<ReleaseQuery>) -> Result<Document<ReleaseList>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let limit = limit(call.query.limit, RELEASES_DEFAULT, RELEASES_MAX)?;
    let before = call.query.before.map(ReleaseVersion::new);
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    let releases = snapshot.release_history(environment.meta.uid, before, limit).await?;
    let items: Vec<ReleaseItem> = releases.iter().map(item).collect();
    // Numbers begin at one and have no gaps at the end.
    let next = items.last().map(|last| last.version).filter(|version| *version > 1);
    let is_full = u32::try_from(items.len()).is_ok_and(|length| length >= limit);
    Ok(Document(ReleaseList { items, next: next.filter(|_| is_full) }))
}

pub(crate) async fn get(call: Call<OneReleaseQuery>) -> Result<Document<ReleaseView>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let asked = call.address.number()?;
    let number = u32::try_from(asked).map_err(|_| no_release(&key, asked))?;
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let mut find = async |number: u32| {
        let found = snapshot.release(environment.meta.uid, ReleaseVersion::new(number)).await?;
        found.ok_or_else(|| no_release(&key, number.into()))
    };
    let release = find(number).await?;
    let content = content(&release.release.content);
    let difference = match call.query.against {
        Some(against) => Some(difference(against, &find(against).await?.release, &content)?),
        None => None,
    };
    Ok(Document(ReleaseView { release: item(&release), content, difference }))
}

/// They are no part of the release: whoever may read that need not be one who may read what is printed.
pub(crate) async fn output(call: Call<NoQuery>) -> Result<Document<ReleaseOutputView>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let asked = call.address.number()?;
    let version = ReleaseVersion::new(u32::try_from(asked).map_err(|_| no_release(&key, asked))?);
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let uid = environment.meta.uid;
    let release = snapshot.release(uid, version).await?.ok_or_else(|| no_release(&key, asked))?;
    if let Some(LastLines { process, output }) = snapshot.last_lines(uid, version).await? {
        return Ok(Document(ReleaseOutputView { process, text: output.text, gap: output.gap }));
    }
    let failed = release.release.verdict.failure().is_some();
    let phase = match release.phase.filter(|_| failed) {
        Some(phase) => snapshot.run_output(uid, phase.run).await?,
        None => None,
    };
    let printed = phase.ok_or_else(|| ApiError::NoneSuch {
        problem: format!("nothing is kept of what release {version} of {key} printed"),
        help: "the last lines are kept of a release that fails; `skep logs` has what runs prints",
    })?;
    let process = RELEASE_PHASE.parse().map_err(ApiError::internal)?;
    Ok(Document(ReleaseOutputView { process, text: printed.text, gap: printed.gap }))
}

/// What is asked for is written down; the loop does it. So the release is told as it is before that.
async fn cancel(call: Call<NoQuery, NoBody>) -> Result<Document<ReleaseItem>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let asked = call.address.number()?;
    let version = ReleaseVersion::new(u32::try_from(asked).map_err(|_| no_release(&key, asked))?);
    call.store.cancel_release(&key, version, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let found = snapshot.release(environment.meta.uid, version).await?;
    Ok(Document(item(&found.ok_or_else(|| no_release(&key, asked))?)))
}

/// The manifest of the one environment gets the image of the other; config, secrets and everything else are its own. It is written like any
/// other manifest, so policies and whoever maintains it have their say.
async fn promote(call: Call<NoQuery, Json<PromoteRequest>>) -> Result<Document<PromotionView>, ApiError> {
    let Json(PromoteRequest { from, release }) = &call.body;
    let key = call.address.key()?;
    if key.kind() != Kind::Environment {
        return Err(ApiError::invalid(
            format!("there is nothing to promote to a {}", key.kind()),
            "name an environment; it is what has releases",
        ));
    }
    let source_key = key.sibling(Kind::Environment, from.clone()).ok_or_else(|| outside(&key))?;
    let mut snapshot = call.store.snapshot().await?;
    let target = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let source =
        snapshot.get(&source_key).await?.ok_or_else(|| ApiError::NotFound { key: source_key.clone() })?;
    let chosen = match release {
        Some(number) => {
            let found = snapshot.release(source.meta.uid, ReleaseVersion::new(*number)).await?;
            found.map(|found| found.release).ok_or_else(|| no_release(&source_key, i64::from(*number)))?
        }
        None => {
            let known = snapshot.releases(source.meta.uid, 1).await?;
            let newest = known.into_iter().find(|release| release.verdict == Verdict::Succeeded);
            newest.ok_or_else(|| ApiError::NoneSuch {
                problem: format!("no release of {source_key} has succeeded yet"),
                help: "wait until one has, or name one",
            })?
        }
    };
    drop(snapshot);
    let image = by_digest(&chosen)?;
    let spec = given(&source, &target, &image)?;
    let Meta { labels, annotations, revision, .. } = target.meta;
    let manifest = Manifest { key: key.clone(), labels, annotations, spec };
    let precondition = Precondition::Revision(revision);
    let item = ApplyItem { manifest, precondition, writer: Writer::Api };
    let applied = call.store.apply(&[item], &call.actor).await?;
    let one = applied.first().ok_or_else(|| ApiError::internal("an apply of one item answered nothing"))?;
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Document(PromotionView {
        from: from.clone(),
        release: chosen.version.get(),
        image: image.to_string(),
        action: shown(one)?.action,
    }))
}

fn outside(key: &ResourceKey) -> ApiError {
    ApiError::internal(format!("{key} is in no organisation"))
}

/// The image of a release so that it is the same one elsewhere.
fn by_digest(release: &Release) -> Result<ImageRef, ApiError> {
    let image = &release.content.image;
    match &image.resolved {
        ResolvedImage::Registry { digest } => Ok(image.reference.pinned(digest.clone())),
        ResolvedImage::Engine { .. } => Err(ApiError::invalid(
            format!(
                "image {} is in no registry, so another environment cannot be given the same",
                image.reference
            ),
            "push it, and release it from there",
        )),
    }
}

/// The spec of the target with that image.
fn given(source: &Resource, target: &Resource, image: &ImageRef) -> Result<AnySpec, ApiError> {
    let (AnySpec::Environment(source), AnySpec::Environment(target)) = (&source.spec, &target.spec) else {
        return Err(ApiError::internal("an environment has another kind of spec"));
    };
    if source.app != target.app {
        return Err(ApiError::invalid(
            format!("the one is an environment of app {} and the other of app {}", source.app, target.app),
            "promote between environments of one app",
        ));
    }
    let spec = EnvironmentSpec { image: Some(image.clone()), ..(**target).clone() };
    Ok(AnySpec::Environment(Box::new(spec)))
}

impl JsonBody for PromoteRequest {
    const IS: &'static str = "what to promote";
    const EXAMPLE: &'static str = r#"{"from": "staging"}"#;
}

pub(crate) fn no_release(key: &ResourceKey, number: i64) -> ApiError {
    ApiError::NoneSuch {
        problem: format!("{key} has no release v{number}"),
        help: "see those that it has with `skep releases`",
    }
}

fn difference(
    against: u32,
    other: &Release,
    content: &ReleaseContentView,
) -> Result<ReleaseDifference, ApiError> {
    Ok(ReleaseDifference { against, changes: differing(&self::content(&other.content), content)? })
}

/// What is different in the second of two contents.
pub(super) fn changes(from: &ReleaseContent, to: &ReleaseContent) -> Result<Vec<FieldChange>, ApiError> {
    differing(&content(from), &content(to))
}

fn differing(from: &ReleaseContentView, to: &ReleaseContentView) -> Result<Vec<FieldChange>, ApiError> {
    let json = |view: &ReleaseContentView| serde_json::to_value(view).map_err(ApiError::internal);
    Ok(value_changes(&json(from)?, &json(to)?))
}

fn item(recorded: &RecordedRelease) -> ReleaseItem {
    let RecordedRelease { release, why, decided_at, made_by, uid, phase: _ } = recorded;
    let (state, timeline) = deployment::told(recorded);
    ReleaseItem {
        version: release.version.get(),
        uid: *uid,
        image: release.content.image.reference.to_string(),
        digest: release.content.image.digest().to_string(),
        processes: release.content.processes.keys().cloned().collect(),
        why: why.clone(),
        rollback_to: release.rollback_to.map(ReleaseVersion::get),
        made_by: made_by.clone(),
        verdict: verdict(&release.verdict),
        state,
        timeline,
        cancelled_by: release.cancelled.as_ref().map(|cancelled| cancelled.by.clone()),
        reason: release.verdict.failure().map(str::to_owned),
        created_at: release.created_at,
        decided_at: *decided_at,
    }
}

fn content(content: &ReleaseContent) -> ReleaseContentView {
    let secret = |secret: &skep_planner::ReleaseSecret| {
        let version = ReleaseSecretVersion {
            name: secret.name.clone(),
            version: secret.version,
            env: secret.env.clone(),
        };
        (secret.file.clone(), version)
    };
    ReleaseContentView {
        image: content.image.pinned(),
        processes: content.processes.iter().map(|(name, of)| (name.clone(), process(of))).collect(),
        release_phase: content
            .release_phase
            .as_ref()
            .map(|phase| ReleasePhaseView { process: process(&phase.process), time_limit: phase.time_limit }),
        schedules: content.schedules.iter().map(|(name, one)| (name.clone(), scheduled(one))).collect(),
        references: content.references.iter().map(|(of, is)| (of.to_string(), is.clone())).collect(),
        secrets: content.secrets.iter().map(secret).collect(),
        region: content.region.clone(),
        restart: content.restart.clone(),
        security: content.security.clone(),
    }
}

fn scheduled(scheduled: &ReleaseSchedule) -> ReleaseScheduleView {
    ReleaseScheduleView {
        process: process(&scheduled.process),
        schedule: scheduled.schedule.clone(),
        time_limit: scheduled.time_limit,
    }
}

fn process(process: &ReleaseProcess) -> ReleaseProcessView {
    let ReleaseProcess {
        entrypoint,
        command,
        working_dir,
        env,
        ports,
        health_check,
        resources,
        volumes,
        stop_grace_period,
    } = process.clone();
    ReleaseProcessView {
        entrypoint,
        command,
        working_dir,
        env,
        ports,
        health_check,
        resources,
        volumes,
        stop_grace_period,
    }
}

/// How a release went, as it is told.
pub(super) const fn verdict(verdict: &Verdict) -> ReleaseVerdict {
    match verdict {
        Verdict::Pending => ReleaseVerdict::Pending,
        Verdict::Succeeded => ReleaseVerdict::Succeeded,
        Verdict::RolledBack { .. } => ReleaseVerdict::RolledBack,
        Verdict::Failed { .. } => ReleaseVerdict::Failed,
        Verdict::Superseded => ReleaseVerdict::Superseded,
        Verdict::Cancelled { .. } => ReleaseVerdict::Cancelled,
    }
}
