//! The releases of an environment: listed, and one with everything that it runs.

use skep_planner::diff::value_changes;
use skep_planner::{Release, ReleaseContent, ReleaseProcess, ReleaseVersion, Verdict};
use skep_schemas::{Kind, ResourceKey};
use skep_store::RecordedRelease;

use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, limit};
use crate::error::ApiError;
use crate::limits::{RELEASES_DEFAULT, RELEASES_MAX};
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wire::{
    OneReleaseQuery, ReleaseContentView, ReleaseDifference, ReleaseItem, ReleaseList, ReleaseProcessView,
    ReleaseQuery, ReleaseSecretVersion, ReleaseVerdict, ReleaseView,
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
    ]
}

async fn list(call: Call<ReleaseQuery>) -> Result<Document<ReleaseList>, ApiError> {
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

async fn get(call: Call<OneReleaseQuery>) -> Result<Document<ReleaseView>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let number =
        u32::try_from(call.address.number()?).map_err(|_| no_release(&key, call.address.number()))?;
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let mut find = async |number: u32| {
        let found = snapshot.release(environment.meta.uid, ReleaseVersion::new(number)).await?;
        found.ok_or_else(|| no_release(&key, Ok(i64::from(number))))
    };
    let release = find(number).await?;
    let content = content(&release.release.content);
    let difference = match call.query.against {
        Some(against) => Some(difference(against, &find(against).await?.release, &content)?),
        None => None,
    };
    Ok(Document(ReleaseView { release: item(&release), content, difference }))
}

fn no_release(key: &ResourceKey, number: Result<i64, ApiError>) -> ApiError {
    let number = number.unwrap_or_default();
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
    let json = |view: &ReleaseContentView| serde_json::to_value(view).map_err(ApiError::internal);
    let changes = value_changes(&json(&self::content(&other.content))?, &json(content)?);
    Ok(ReleaseDifference { against, changes })
}

fn item(recorded: &RecordedRelease) -> ReleaseItem {
    let RecordedRelease { release, why, decided_at } = recorded;
    ReleaseItem {
        version: release.version.get(),
        image: release.content.image.reference.to_string(),
        digest: release.content.image.digest().to_string(),
        processes: release.content.processes.keys().cloned().collect(),
        why: why.clone(),
        verdict: verdict(&release.verdict),
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
        secrets: content.secrets.iter().map(secret).collect(),
        region: content.region.clone(),
        restart: content.restart.clone(),
        security: content.security.clone(),
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
    }
}
