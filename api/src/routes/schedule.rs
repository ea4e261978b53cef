//! Schedules: when they run next, how the last run went, and what was missed.

use jiff::Timestamp;
use skep_planner::release::{Release, ReleaseSchedule, Verdict};
use skep_schemas::{Kind, ProcessName};

use super::run::view;
use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, NoBody, NoQuery};
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wire::{MissedView, ScheduleList, ScheduleView};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    vec![Route::new(
        Get,
        "/v1/orgs/{org}/environments/{name}/schedules",
        Access::Needs(Permission::Read),
        "listSchedules",
        "What an environment runs by a schedule: when next, how the last run went, and what was missed.",
        list,
    )]
}

pub(crate) async fn list(call: Call<NoQuery, NoBody>) -> Result<Document<ScheduleList>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let releases = snapshot.releases(environment.meta.uid, 1).await?;
    let mut followed = snapshot.schedules(environment.meta.uid).await?;
    drop(snapshot);
    let succeeded = |release: &&Release| release.verdict == Verdict::Succeeded;
    let Some(release) = releases.iter().find(succeeded) else {
        return Ok(Document(ScheduleList::default()));
    };
    let now = Timestamp::now();
    let one = |(process, scheduled): (&ProcessName, &ReleaseSchedule)| {
        let recurrence = scheduled.schedule.recurrence();
        // What is known of another recurrence is over.
        let found = followed.remove(process).filter(|found| found.mark.recurrence == recurrence);
        let (since, missed) = found.as_ref().map_or((None, 0), |found| (Some(found.since), found.missed));
        let last_missed = found.as_ref().and_then(|found| found.last_missed.clone());
        ScheduleView {
            process: process.clone(),
            schedule: scheduled.schedule.clone(),
            time_limit: scheduled.time_limit,
            release: release.version.get(),
            next: scheduled.schedule.next_after(now),
            stopped: environment.meta.formation.stopped(process).cloned(),
            since,
            missed,
            last_missed: last_missed.map(|(at, why)| MissedView { at, why }),
            last_run: found.and_then(|found| found.last_run).map(view),
        }
    };
    let items = release.content.schedules.iter().map(one).collect();
    Ok(Document(ScheduleList { items }))
}
