//! The releases of an environment.

use skep_planner::{Release, Verdict};
use skep_schemas::Kind;

use crate::answer::Document;
use crate::call::{Call, NoQuery};
use crate::error::ApiError;
use crate::limits::RELEASES_MAX;
use crate::wire::{ReleaseItem, ReleaseList, ReleaseVerdict};

pub(super) async fn list(call: Call<NoQuery>) -> Result<Document<ReleaseList>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    let releases = snapshot.releases(environment.meta.uid, RELEASES_MAX).await?;
    Ok(Document(ReleaseList { items: releases.iter().map(item).collect() }))
}

fn item(release: &Release) -> ReleaseItem {
    ReleaseItem {
        version: release.version.get(),
        image: release.content.image.reference.to_string(),
        digest: release.content.image.digest().to_string(),
        processes: release.content.processes.keys().cloned().collect(),
        verdict: verdict(&release.verdict),
        reason: release.verdict.failure().map(str::to_owned),
        created_at: release.created_at,
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
