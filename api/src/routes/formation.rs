//! How much of an environment runs: shown, scaled, restarted, stopped and started; and organisations that the platform suspends.
//!
//! What is asked is written down; the loop does it. So the answer tells what there is to be, and what ran when it was last looked at.

use std::collections::BTreeSet;

use skep_planner::Release;
use skep_planner::formation::{self, Instances};
use skep_schemas::kind::{AppSpec, EnvironmentDetail, EnvironmentSpec, ProcessSpec, RELEASE_PHASE, Status};
use skep_schemas::{AnySpec, Kind, OrgName, ProcessName, Resource, ResourceKey, ResourceView};
use skep_store::{FormationChange, Scale};

use super::intervention::checked;
use super::resource::view;
use crate::access::{Access, Permission};
use crate::answer::{Document, Found};
use crate::call::{Call, Json, JsonBody, NoBody, NoQuery};
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use crate::wire::{
    FormationView, InstancesOwner, ProcessItem, ProcessRequest, ProcessType, ResourceRef, ScaleRequest,
    StopRequest, SuspendRequest,
};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const WRITE: Access = Access::Needs(Permission::Write);
    const INTERVENE: Access = Access::Needs(Permission::Intervene);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/environments/{name}/processes",
            READ,
            "listProcesses",
            "The processes of an environment, how much of each runs, and who says how much.",
            list,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/scale",
            WRITE,
            "scale",
            "Say how many instances of processes there are to be, where no manifest says it.",
            scale,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/restart",
            INTERVENE,
            "restart",
            "Replace the instances of an environment, or of one process, one after the other.",
            restart,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/stop",
            INTERVENE,
            "stop",
            "Let an environment, or one process, have no instances until it is started.",
            stop,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/start",
            INTERVENE,
            "start",
            "Let what was stopped have its instances again.",
            start,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/suspend",
            WRITE,
            "suspend",
            "Stop all that an organisation runs, until that is ended.",
            suspend,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/end-suspension",
            WRITE,
            "endSuspension",
            "Let an organisation go on.",
            end_suspension,
        ),
    ]
}

pub(crate) async fn list(call: Call<NoQuery, NoBody>) -> Result<Document<FormationView>, ApiError> {
    let key = call.address.key_of(Kind::Environment)?;
    shown(&call, &key).await
}

pub(crate) async fn scale(
    call: Call<NoQuery, Json<ScaleRequest>>,
) -> Result<Document<FormationView>, ApiError> {
    let Json(ScaleRequest { processes, owner }) = &call.body;
    if processes.is_empty() {
        return Err(ApiError::invalid(
            "no process is named",
            "say how many instances of which process, as in `{\"processes\": {\"web\": 3}}`",
        ));
    }
    let change = FormationChange::Scale(Scale { instances: processes.clone(), owner: *owner });
    form(&call, &change).await
}

pub(crate) async fn restart(
    call: Call<NoQuery, Json<ProcessRequest>>,
) -> Result<Document<FormationView>, ApiError> {
    let Json(ProcessRequest { process }) = &call.body;
    form(&call, &FormationChange::Restart(process.clone())).await
}

async fn stop(call: Call<NoQuery, Json<StopRequest>>) -> Result<Document<FormationView>, ApiError> {
    let Json(StopRequest { process, reason }) = &call.body;
    let reason = reason.as_deref().map(checked).transpose()?;
    form(&call, &FormationChange::Stop { process: process.clone(), reason }).await
}

async fn start(call: Call<NoQuery, Json<ProcessRequest>>) -> Result<Document<FormationView>, ApiError> {
    let Json(ProcessRequest { process }) = &call.body;
    form(&call, &FormationChange::Start(process.clone())).await
}

async fn form<B>(
    call: &Call<NoQuery, B>,
    change: &FormationChange,
) -> Result<Document<FormationView>, ApiError> {
    let key = of_environment(call.address.key()?)?;
    call.store.form(&key, change, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    shown(call, &key).await
}

async fn suspend(call: Call<NoQuery, Json<SuspendRequest>>) -> Result<Found, ApiError> {
    let key = of_organization(call.address.key()?)?;
    let Json(SuspendRequest { reason }) = &call.body;
    let reason = reason.as_deref().map(checked).transpose()?;
    call.store.suspend(&key, reason, &call.actor).await?;
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Found(view(&call.store, key).await?))
}

async fn end_suspension(call: Call<NoQuery, NoBody>) -> Result<Found, ApiError> {
    let key = of_organization(call.address.key()?)?;
    if call.store.end_suspension(&key, &call.actor).await?.is_none() {
        return Err(ApiError::invalid(format!("{key} is not suspended"), "nothing was changed"));
    }
    call.app.control.wake(std::slice::from_ref(&key));
    Ok(Found(view(&call.store, key).await?))
}

fn of_environment(key: ResourceKey) -> Result<ResourceKey, ApiError> {
    if key.kind() == Kind::Environment {
        return Ok(key);
    }
    Err(ApiError::invalid(
        format!("there are no instances of a {}", key.kind()),
        "name an environment; it is what runs",
    ))
}

fn of_organization(key: ResourceKey) -> Result<ResourceKey, ApiError> {
    if key.kind() == Kind::Organization {
        return Ok(key);
    }
    Err(ApiError::invalid(
        format!("a {} cannot be suspended", key.kind()),
        "name an organisation, or stop an environment",
    ))
}

/// An environment's formation, from one look at the store.
async fn shown<B>(call: &Call<NoQuery, B>, key: &ResourceKey) -> Result<Document<FormationView>, ApiError> {
    let mut snapshot = call.store.snapshot().await?;
    let environment = snapshot.get(key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let AnySpec::Environment(spec) = &environment.spec else {
        return Err(ApiError::internal("an environment has another kind of spec"));
    };
    let app = match key.sibling(Kind::App, spec.app.clone()) {
        Some(app) => snapshot.get(&app).await?,
        None => None,
    };
    let organization = match key.org().map(|org: &OrgName| ResourceKey::organization(org)) {
        Some(organization) => snapshot.get(&organization).await?,
        None => None,
    };
    let newest = snapshot.release_history(environment.meta.uid, None, 1).await?.pop();
    drop(snapshot);
    let of_app = app.as_ref().and_then(|app| match &app.spec {
        AnySpec::App(spec) => Some((app, &**spec)),
        _ => None,
    });
    let seen: Option<Status<EnvironmentDetail>> = serde_json::from_value(environment.status.clone()).ok();
    let suspended = organization.and_then(|organization| organization.meta.suspension);
    let formation = Formation {
        spec,
        app: of_app,
        newest: newest.as_ref().map(|newest| &newest.release),
        seen: seen.map(|seen| seen.detail).unwrap_or_default(),
        is_suspended: suspended.is_some(),
        environment: &environment,
    };
    let items = formation.names().into_iter().map(|name| formation.item(name)).collect();
    let resource = ResourceView::of(&environment).map_err(ApiError::internal)?;
    Ok(Document(FormationView { items, suspended, resource }))
}

/// All that is known of how much of an environment runs.
struct Formation<'a> {
    environment: &'a Resource,
    spec: &'a EnvironmentSpec,
    app: Option<(&'a Resource, &'a AppSpec)>,
    /// What runs, which need not be what the manifests say.
    newest: Option<&'a Release>,
    /// What was last reported.
    seen: EnvironmentDetail,
    is_suspended: bool,
}

impl Formation<'_> {
    fn names(&self) -> BTreeSet<&ProcessName> {
        let of_app = self.app.into_iter().flat_map(|(_, app)| app.processes.keys());
        let released = self
            .newest
            .into_iter()
            .flat_map(|newest| newest.content.processes.keys().chain(newest.content.schedules.keys()));
        let named = of_app.chain(self.spec.processes.keys()).chain(released);
        named.filter(|name| name.as_str() != RELEASE_PHASE).collect()
    }

    fn item(&self, name: &ProcessName) -> ProcessItem {
        let said = &self.environment.meta.formation;
        let seen = self.seen.processes.get(name);
        let instances = self.owner(name);
        let number = match &instances {
            InstancesOwner::Manifest { number, .. } | InstancesOwner::Scale { number, .. } => *number,
            InstancesOwner::Engine {} => seen.map_or(1, |seen| seen.desired),
            InstancesOwner::Schedule { .. } => 0,
        };
        let stopped = said.stopped(name).cloned();
        let is_stopped = self.is_suspended || stopped.is_some();
        let (command, has_ports) = self.program(name);
        let process_type = match &instances {
            InstancesOwner::Schedule { .. } => ProcessType::Cron,
            _ if has_ports => ProcessType::Web,
            _ => ProcessType::Worker,
        };
        ProcessItem {
            name: name.clone(),
            process_type,
            command,
            wanted: if is_stopped { 0 } else { number },
            running: seen.map_or(0, |seen| seen.running),
            instances,
            stopped,
            restarted: said.last_restart(name).cloned(),
        }
    }

    fn owner(&self, name: &ProcessName) -> InstancesOwner {
        let app = self.app.map(|(_, app)| app);
        let released = || self.newest.and_then(|newest| newest.content.schedules.get(name));
        let schedule = formation::schedule(app, self.spec, name).or_else(|| Some(&released()?.schedule));
        if let Some(schedule) = schedule {
            return InstancesOwner::Schedule { recurrence: schedule.recurrence() };
        }
        if let Some(Instances::Declared(number)) = formation::instances(app, self.spec, name) {
            let own = self.spec.processes.get(name).and_then(|own| own.instances);
            let says = match self.app {
                Some((app, _)) if own.is_none() => app,
                _ => self.environment,
            };
            let (resource, managed_by) = (ResourceRef::from(&says.meta.key), says.meta.managed_by.clone());
            return InstancesOwner::Manifest { number, resource, managed_by };
        }
        match self.environment.meta.formation.scale.get(name) {
            None => InstancesOwner::Engine {},
            Some(scaled) => InstancesOwner::Scale {
                number: scaled.instances,
                owner: scaled.owner,
                who: scaled.by.clone(),
                at: scaled.at,
            },
        }
    }

    /// What a process starts, and whether it listens: as it was released, or as the manifests say before it was.
    fn program(&self, name: &ProcessName) -> (Vec<String>, bool) {
        if let Some(released) = self.newest.and_then(|newest| newest.content.runnable(name)) {
            let words = [&released.entrypoint, &released.command].into_iter().flatten().flatten();
            return (words.cloned().collect(), !released.ports.is_empty());
        }
        let app = self.app.and_then(|(_, app)| app.processes.get(name));
        let sides: Vec<&ProcessSpec> = self.spec.processes.get(name).into_iter().chain(app).collect();
        let entrypoint = sides.iter().find_map(|side| side.entrypoint.as_ref());
        let command = sides.iter().find_map(|side| side.command.as_ref());
        let ports = sides.iter().find_map(|side| side.ports.as_ref());
        let words = [entrypoint, command].into_iter().flatten().flatten().cloned();
        (words.collect(), ports.is_some_and(|ports| !ports.is_empty()))
    }
}

impl JsonBody for ScaleRequest {
    const IS: &'static str = "numbers of instances";
    const EXAMPLE: &'static str = r#"{"processes": {"web": 3}}"#;
}

impl JsonBody for ProcessRequest {
    const IS: &'static str = "a process of an environment, or all";
    const EXAMPLE: &'static str = r#"{"process": "web"}` or `{}"#;
}

impl JsonBody for StopRequest {
    const IS: &'static str = "what is to be stopped";
    const EXAMPLE: &'static str = r#"{"process": "web", "reason": "why"}` or `{}"#;
}

impl JsonBody for SuspendRequest {
    const IS: &'static str = "a suspension";
    const EXAMPLE: &'static str = r#"{"reason": "why"}"#;
}
