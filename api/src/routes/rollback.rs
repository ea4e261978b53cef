//! Returning an environment to a former release, and ending that.
//!
//! What is asked for is written down; the loop makes the release. So the answer tells what it will be, and not how it went.

use skep_planner::{Release, ReleaseVersion, Verdict};
use skep_schemas::{Kind, ResourceKey};
use skep_store::RecordedRelease;

use super::release::{changes, no_release};
use super::resource::view;
use crate::access::{Access, Permission};
use crate::answer::{Document, Found};
use crate::call::{Call, Json, JsonBody, NoBody, NoQuery};
use crate::error::ApiError;
use crate::limits::RELEASES_MAX;
use crate::route::Route;
use crate::route::Verb::Post;
use crate::wire::{RollbackRequest, RollbackView};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const WRITE: Access = Access::Needs(Permission::Write);
    vec![
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/rollback",
            WRITE,
            "rollBack",
            "Return an environment to a former release, until its manifests ask for something else.",
            roll_back,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/end-rollback",
            WRITE,
            "endRollback",
            "Let an environment be what its manifests ask for again.",
            end,
        ),
    ]
}

pub(crate) async fn roll_back(
    call: Call<NoQuery, Json<RollbackRequest>>,
) -> Result<Document<RollbackView>, ApiError> {
    let Json(RollbackRequest { to }) = &call.body;
    let key = of_environment(call.address.key()?)?;
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let uid = environment.meta.uid;
    // Who names one has no need of all the others.
    let (limit, named) = match to {
        Some(number) => (1, snapshot.release(uid, ReleaseVersion::new(*number)).await?),
        None => (RELEASES_MAX, None),
    };
    let releases = snapshot.release_history(uid, None, limit).await?;
    drop(snapshot);
    let releases: Vec<Release> =
        releases.into_iter().map(|RecordedRelease { release, .. }| release).collect();
    let newest = releases.first().ok_or_else(|| ApiError::NoneSuch {
        problem: format!("{key} has no release yet"),
        help: "wait until it has one",
    })?;
    let chosen = match to {
        Some(number) => {
            let named = named.as_ref().ok_or_else(|| no_release(&key, i64::from(*number)))?;
            &named.release
        }
        None => before_running(&releases).ok_or_else(|| ApiError::NoneSuch {
            problem: format!("{key} has no earlier release that succeeded and ran something else"),
            help: "see those that it has with `skep releases`, and name one",
        })?,
    };
    if chosen.version == newest.version {
        return Err(ApiError::invalid(
            format!("{} is the newest release of {key}", chosen.version),
            "name an earlier one; a release that failed is tried again with `skep retry`",
        ));
    }
    let rollback = call.store.roll_back(&key, chosen.version, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Document(RollbackView {
        from: newest.version.get(),
        to: rollback.to,
        instead_of: rollback.instead_of,
        changes: changes(&newest.content, &chosen.content)?,
        resource: view(&call.store, key).await?,
    }))
}

async fn end(call: Call<NoQuery, NoBody>) -> Result<Found, ApiError> {
    let key = of_environment(call.address.key()?)?;
    if call.store.end_rollback(&key, &call.actor).await?.is_none() {
        return Err(ApiError::invalid(
            format!("{key} is not rolled back"),
            "nothing was changed; it is what its manifests ask for already",
        ));
    }
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Found(view(&call.store, key).await?))
}

/// The newest release that succeeded before what runs now, and that ran something else.
fn before_running(releases: &[Release]) -> Option<&Release> {
    let running = releases
        .iter()
        .find(|release| release.verdict == Verdict::Succeeded || release.verdict == Verdict::Pending)?;
    let is_good = |release: &&Release| release.verdict == Verdict::Succeeded;
    let mut earlier = releases.iter().filter(|release| release.version < running.version).filter(is_good);
    earlier.find(|release| release.content != running.content)
}

fn of_environment(key: ResourceKey) -> Result<ResourceKey, ApiError> {
    if key.kind() == Kind::Environment {
        return Ok(key);
    }
    Err(ApiError::invalid(
        format!("there is no former release of a {}", key.kind()),
        "name an environment; it is what has releases",
    ))
}

impl JsonBody for RollbackRequest {
    const IS: &'static str = "a rollback";
    const EXAMPLE: &'static str = r#"{"to": 41}"#;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(version: u32, image: &str, verdict: Verdict) -> Release {
        let id = format!("sha256:{}", "a".repeat(64));
        let content = json!({
            "image": {"reference": image, "resolved": {"from": "engine", "id": id}},
            "processes": {}, "secrets": [], "region": null, "restart": {}, "security": {},
        });
        Release {
            version: ReleaseVersion::new(version),
            content: serde_json::from_value(content).unwrap(),
            verdict,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            rollback_to: None,
            cancelled: None,
            timeline: None,
        }
    }

    #[test]
    fn without_a_number_it_is_the_last_good_release_that_ran_something_else() {
        let failed = || Verdict::RolledBack { reason: "unhealthy".to_owned() };
        let found = |releases: &[Release]| before_running(releases).map(|found| found.version.get());
        let first = || release(1, "shop:1", Verdict::Succeeded);
        let second = || release(2, "shop:2", Verdict::Succeeded);
        assert_eq!(found(&[second(), first()]), Some(1));
        // What failed does not run: the one before it does.
        assert_eq!(found(&[release(3, "shop:3", failed()), second(), first()]), Some(1));
        assert_eq!(found(&[release(3, "shop:3", Verdict::Pending), second(), first()]), Some(2));
        // Going back twice goes back twice.
        assert_eq!(found(&[release(3, "shop:1", Verdict::Succeeded), second(), first()]), Some(2));
        let same = release(3, "shop:2", Verdict::Succeeded);
        assert_eq!(found(&[same, second(), first()]), Some(1));
        assert_eq!(found(&[first()]), None);
        assert_eq!(found(&[release(2, "shop:2", Verdict::Superseded), first()]), None);
    }
}
