//! Runs: asked for, listed, stopped, and what they printed.
//!
//! What is asked for is written down; the loop starts it. So the answer tells which run it is, and not how it went.

use skep_planner::{RunEnd, RunNumber};
use skep_schemas::{Duration, Kind, ResourceKey};
use skep_store::{RecordedRun, RunRequest, Snapshot};

use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoBody, NoQuery, limit};
use crate::error::ApiError;
use crate::limits::{RELEASES_DEFAULT, RELEASES_MAX};
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use crate::wire::{RunAsked, RunList, RunOutputView, RunQuery, RunState, RunView};

/// For how long a run may run when nothing says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(3600);
/// The longest that may be asked for.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most arguments of a run; keeps its spec far below the engine's limit.
const ARGUMENTS_MAX: usize = 256;
/// The most bytes of its arguments, likewise.
const COMMAND_BYTES_MAX: usize = 64 << 10;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const WRITE: Access = Access::Needs(Permission::Write);
    vec![
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/runs",
            WRITE,
            "askRun",
            "Run a command once, in the image, config and secrets of the release that runs.",
            ask,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/{kind}/{name}/runs",
            READ,
            "listRuns",
            "The runs of an environment, newest first.",
            list,
        ),
        Route::new(Get, "/v1/orgs/{org}/{kind}/{name}/runs/{id}", READ, "getRun", "One run.", get),
        Route::new(
            Get,
            "/v1/orgs/{org}/{kind}/{name}/runs/{id}/output",
            Access::Needs(Permission::ReadLogs),
            "getRunOutput",
            "The end of what a run printed, once it is over.",
            output,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/runs/{id}/stop",
            WRITE,
            "stopRun",
            "Stop a run.",
            stop,
        ),
    ]
}

pub(crate) async fn ask(call: Call<NoQuery, Json<RunAsked>>) -> Result<Document<RunView>, ApiError> {
    let key = of_environment(call.address.key()?)?;
    let request = request(&call.body.0)?;
    let run = call.store.ask_run(&key, &request, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Document(view(run)))
}

pub(crate) async fn list(call: Call<RunQuery>) -> Result<Document<RunList>, ApiError> {
    let key = of_environment(call.address.key()?)?;
    let limit = limit(call.query.limit, RELEASES_DEFAULT, RELEASES_MAX)?;
    let before = call.query.before.map(RunNumber::new);
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    let runs = snapshot.runs(environment.meta.uid, before, limit).await?;
    let items: Vec<RunView> = runs.into_iter().map(view).collect();
    let next = items.last().map(|last| last.number).filter(|number| *number > 1);
    let is_full = u32::try_from(items.len()).is_ok_and(|length| length >= limit);
    Ok(Document(RunList { items, next: next.filter(|_| is_full) }))
}

pub(crate) async fn get(call: Call<NoQuery>) -> Result<Document<RunView>, ApiError> {
    let (_, _, _, run) = named(&call).await?;
    Ok(Document(view(run)))
}

pub(crate) async fn output(call: Call<NoQuery>) -> Result<Document<RunOutputView>, ApiError> {
    let (mut snapshot, key, uid, run) = named(&call).await?;
    let number = run.run.number;
    let output = snapshot.run_output(uid, number).await?.ok_or_else(|| {
        let problem = format!("run {number} of {key} is not over");
        ApiError::invalid(problem, "follow what it prints, or ask again when it is over")
    })?;
    Ok(Document(RunOutputView { text: output.text, gap: output.gap }))
}

pub(crate) async fn stop(call: Call<NoQuery, NoBody>) -> Result<Document<RunView>, ApiError> {
    let (snapshot, key, uid, run) = named(&call).await?;
    drop(snapshot);
    let number = run.run.number;
    if run.run.end.is_none() && call.store.stop_run(&key, number, &call.actor).await? {
        call.app.control.wake(std::slice::from_ref(&key));
    }
    let now = call.store.snapshot().await?.run(uid, number).await?;
    Ok(Document(view(now.unwrap_or(run))))
}

/// The run that the path names, with its environment's key and uid, in the snapshot that it was read from.
async fn named<B>(
    call: &Call<NoQuery, B>,
) -> Result<(Snapshot, ResourceKey, skep_schemas::Uid, RecordedRun), ApiError> {
    let key = of_environment(call.address.key()?)?;
    let asked = call.address.number()?;
    let none = || ApiError::NoneSuch {
        problem: format!("{key} has no run {asked}"),
        help: "see those that it has with `skep runs`",
    };
    let number = RunNumber::new(u32::try_from(asked).map_err(|_| none())?);
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let uid = environment.meta.uid;
    let run = snapshot.run(uid, number).await?.ok_or_else(none)?;
    Ok((snapshot, key, uid, run))
}

fn of_environment(key: ResourceKey) -> Result<ResourceKey, ApiError> {
    if key.kind() == Kind::Environment {
        return Ok(key);
    }
    let problem = format!("{key} has no runs: it is no environment");
    Err(ApiError::invalid(problem, "name an environment"))
}

fn request(asked: &RunAsked) -> Result<RunRequest, ApiError> {
    let RunAsked { process, command, resources, time_limit } = asked;
    let command = command.as_deref().unwrap_or_default();
    if command.len() > ARGUMENTS_MAX || command.iter().map(String::len).sum::<usize>() > COMMAND_BYTES_MAX {
        return Err(ApiError::invalid(
            "the command is too long",
            format!("use at most {ARGUMENTS_MAX} arguments and {} KiB", COMMAND_BYTES_MAX >> 10),
        ));
    }
    if command.iter().any(|argument| argument.contains('\0')) {
        return Err(ApiError::invalid(
            "an argument contains a NUL character",
            "remove it: no program can receive one",
        ));
    }
    let time_limit = time_limit.unwrap_or(TIME_LIMIT);
    if time_limit < Duration::from_secs(1) || time_limit > TIME_LIMIT_MAX {
        let problem = format!("{time_limit} is no time that a run may have");
        return Err(ApiError::invalid(problem, format!("ask for `1s` to `{TIME_LIMIT_MAX}`")));
    }
    Ok(RunRequest {
        process: process.clone(),
        command: (!command.is_empty()).then(|| command.to_vec()),
        resources: *resources,
        time_limit,
    })
}

pub(super) fn view(recorded: RecordedRun) -> RunView {
    let RecordedRun { run, made_by } = recorded;
    let (state, ended_at) = match &run.end {
        Some((end, at)) => (ended(end), Some(*at)),
        None if run.started_at.is_some() => (RunState::Running, None),
        None => (RunState::Starting, None),
    };
    let failed = run.end.as_ref().and_then(|(end, _)| end.reason()).map(str::to_owned);
    RunView {
        number: run.number.get(),
        purpose: run.purpose.as_str().to_owned(),
        release: run.release.get(),
        process: run.process,
        command: run.command,
        resources: run.resources,
        time_limit: run.time_limit,
        slot: run.slot,
        made_by,
        state,
        reason: failed.or(run.waits),
        exit_code: run.end.as_ref().and_then(|(end, _)| end.exit_code()),
        created_at: run.created_at,
        started_at: run.started_at,
        ended_at,
    }
}

const fn ended(end: &RunEnd) -> RunState {
    match end {
        RunEnd::Succeeded => RunState::Succeeded,
        RunEnd::Failed { .. } => RunState::Failed,
        RunEnd::TimedOut { .. } => RunState::TimedOut,
        RunEnd::Stopped { .. } => RunState::Stopped,
    }
}

impl JsonBody for RunAsked {
    const IS: &'static str = "a run";
    const EXAMPLE: &'static str =
        r#"{"process": "web", "command": ["migrate", "--all"], "timeLimit": "10m"}"#;
}
