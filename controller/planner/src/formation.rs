//! The formation of an environment: its processes, with everything merged that app, environment and plan say about them.
//!
//! The rule is one sentence: a field that the environment sets wins over the app's, variables and volumes included by name, and
//! what neither sets comes from the plan or from a default. The result is complete, so nothing after this step looks anything up.

use std::collections::BTreeMap;

use skep_schemas::kind::{
    AppSpec, EnvironmentSpec, PlanSpec, ProcessSpec, RELEASE_PHASE, Resources, ScheduleSpec,
};
use skep_schemas::{Duration, EnvName, ImageRef, ProcessName};

use crate::blocked::Blocked;
use crate::release::{ReleasePhase, ReleaseProcess, ReleaseSchedule};

/// How long an instance may take to end when nothing says otherwise; Heroku's number.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(30);

/// For how long what runs once may run when nothing says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

/// One process and how much of it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct FormationProcess {
    /// What runs; part of a release.
    pub process: ReleaseProcess,
    /// How many instances; not part of a release.
    pub instances: u32,
}

/// The formation of an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Formation {
    /// The image that all processes run.
    pub image: ImageRef,
    /// The processes that go on running.
    pub processes: BTreeMap<ProcessName, FormationProcess>,
    /// What runs once before they do.
    pub release_phase: Option<ReleasePhase>,
    /// What runs by a schedule.
    pub schedules: BTreeMap<ProcessName, ReleaseSchedule>,
}

/// Merges what app, environment and plan say. Everything that stands in the way is returned at once.
pub fn formation(
    app: &AppSpec,
    environment: &EnvironmentSpec,
    plan: Option<&PlanSpec>,
    default_resources: Resources,
) -> Result<Formation, Vec<Blocked>> {
    let mut blocked = Vec::new();
    let image = environment.image.clone().or_else(|| app.source.as_ref().map(|source| source.image.clone()));
    if image.is_none() {
        blocked.push(Blocked::ReferenceMissing {
            resource: format!("an image in App/{} or the environment", environment.app),
        });
    }
    let limits = plan.map_or(default_resources, |plan| plan.instance);
    let processes = processes(Some(app), environment, limits);
    let schedules = schedules(app, environment, limits);
    if processes.is_empty() && schedules.is_empty() {
        blocked.push(Blocked::ReferenceMissing {
            resource: format!("a process in App/{} or the environment", environment.app),
        });
    }
    let release_phase = release_phase(app, environment, limits);
    if let Some(plan) = plan {
        blocked.extend(processes.iter().flat_map(|(name, process)| quota(name, process, plan)));
        blocked.extend(release_phase.iter().flat_map(|phase| beyond(RELEASE_PHASE, &phase.process, plan)));
        let scheduled = schedules.iter();
        blocked.extend(scheduled.flat_map(|(name, one)| beyond(name.as_str(), &one.process, plan)));
    }
    blocked.extend(contradictions(app, environment));
    match image {
        Some(image) if blocked.is_empty() => Ok(Formation { image, processes, release_phase, schedules }),
        Some(_) | None => Err(blocked),
    }
}

/// The processes that app and environment have and that go on running, each with what it gets where neither says how much: these limits.
pub fn processes(
    app: Option<&AppSpec>,
    environment: &EnvironmentSpec,
    limits: Resources,
) -> BTreeMap<ProcessName, FormationProcess> {
    let inherited = app.map(|app| &app.processes);
    let names = inherited.into_iter().flat_map(BTreeMap::keys).chain(environment.processes.keys());
    let of_app = |name| inherited.and_then(|processes| processes.get(name));
    let goes_on =
        |name: &&ProcessName| name.as_str() != RELEASE_PHASE && schedule(app, environment, name).is_none();
    let names = names.filter(goes_on);
    names.map(|name| (name.clone(), process(name, of_app(name), environment, limits))).collect()
}

/// What app and environment have to run once before each roll-out.
fn release_phase(app: &AppSpec, environment: &EnvironmentSpec, limits: Resources) -> Option<ReleasePhase> {
    let (of_app, own) = (app.processes.get(RELEASE_PHASE), environment.processes.get(RELEASE_PHASE));
    let name = app.processes.keys().chain(environment.processes.keys());
    let name = name.into_iter().find(|name| name.as_str() == RELEASE_PHASE)?;
    let time_limit = [own, of_app].into_iter().flatten().find_map(|process| process.time_limit);
    Some(ReleasePhase {
        process: process(name, of_app, environment, limits).process,
        time_limit: time_limit.unwrap_or(TIME_LIMIT),
    })
}

/// When a process runs that app and environment have; `None` if it goes on running, or there is none of that name.
pub fn schedule<'a>(
    app: Option<&'a AppSpec>,
    environment: &'a EnvironmentSpec,
    name: &ProcessName,
) -> Option<&'a ScheduleSpec> {
    sides(app, environment, name).find_map(|side| side.schedule.as_ref())
}

/// What the environment says of a process, and what its app does.
fn sides<'a>(
    app: Option<&'a AppSpec>,
    environment: &'a EnvironmentSpec,
    name: &ProcessName,
) -> impl Iterator<Item = &'a ProcessSpec> + use<'a> {
    let of_app = app.and_then(|app| app.processes.get(name));
    [environment.processes.get(name), of_app].into_iter().flatten()
}

/// What app and environment have to run by a schedule.
fn schedules(
    app: &AppSpec,
    environment: &EnvironmentSpec,
    limits: Resources,
) -> BTreeMap<ProcessName, ReleaseSchedule> {
    let names = app.processes.keys().chain(environment.processes.keys());
    let scheduled = names.filter_map(|name| {
        let schedule = schedule(Some(app), environment, name)?.clone();
        let time_limit = sides(Some(app), environment, name).find_map(|side| side.time_limit);
        let process = process(name, app.processes.get(name), environment, limits).process;
        let time_limit = time_limit.unwrap_or(TIME_LIMIT);
        Some((name.clone(), ReleaseSchedule { process, schedule, time_limit }))
    });
    scheduled.collect()
}

/// What the one says of a process that cannot be because of what the other says. What one says alone its own check tells.
fn contradictions(app: &AppSpec, environment: &EnvironmentSpec) -> Vec<Blocked> {
    let mut found = Vec::new();
    for name in environment.processes.keys() {
        let of = |why| Blocked::ProcessInvalid { process: name.to_string(), why };
        let sides = || sides(Some(app), environment, name);
        if schedule(Some(app), environment, name).is_some() {
            let fields = sides().flat_map(ProcessSpec::fields_of_services);
            found.extend(fields.map(|field| of(format!("has a schedule, and so no {field}"))));
        } else if sides().any(|side| side.time_limit.is_some()) && name.as_str() != RELEASE_PHASE {
            found.push(of("has a time limit, and neither a schedule nor an end".to_owned()));
        }
    }
    found
}

/// Who owns the number of a process's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// The manifests: so many are wanted, and another number is drift.
    Declared(u32),
    /// Whoever scales the service. One, until somebody does.
    LeftToOthers,
}

/// How many instances of a process app and environment ask for; `None` when neither has it.
pub fn instances(
    app: Option<&AppSpec>,
    environment: &EnvironmentSpec,
    name: &ProcessName,
) -> Option<Instances> {
    if schedule(app, environment, name).is_some() {
        return None;
    }
    let (app, own) = (app.and_then(|app| app.processes.get(name)), environment.processes.get(name));
    app.or(own)?;
    let asked = own.and_then(|own| own.instances).or_else(|| app.and_then(|app| app.instances));
    Some(asked.map_or(Instances::LeftToOthers, Instances::Declared))
}

fn process(
    name: &ProcessName,
    app: Option<&ProcessSpec>,
    environment: &EnvironmentSpec,
    limits: Resources,
) -> FormationProcess {
    let nothing = ProcessSpec::default();
    let app = app.unwrap_or(&nothing);
    let own = environment.processes.get(name).unwrap_or(&nothing);
    let ports = own.ports.clone().or_else(|| app.ports.clone()).unwrap_or_default();
    let mut env: BTreeMap<EnvName, String> = app.env.clone();
    env.extend(environment.env.clone());
    env.extend(own.env.clone());
    if let (Some(first), Ok(port)) = (ports.first(), "PORT".parse::<EnvName>()) {
        env.entry(port).or_insert_with(|| first.port.to_string());
    }
    FormationProcess {
        process: ReleaseProcess {
            entrypoint: own.entrypoint.clone().or_else(|| app.entrypoint.clone()),
            command: own.command.clone().or_else(|| app.command.clone()),
            working_dir: own.working_dir.clone().or_else(|| app.working_dir.clone()),
            env,
            ports,
            health_check: own.health_check.clone().or_else(|| app.health_check.clone()),
            resources: own.resources.or(app.resources).unwrap_or(limits),
            volumes: own.volumes.clone().or_else(|| app.volumes.clone()).unwrap_or_default(),
            stop_grace_period: own.stop_grace_period.or(app.stop_grace_period).unwrap_or(STOP_GRACE_PERIOD),
        },
        instances: own.instances.or(app.instances).unwrap_or(1),
    }
}

fn quota(name: &ProcessName, process: &FormationProcess, plan: &PlanSpec) -> Vec<Blocked> {
    let mut blocked = beyond(name.as_str(), &process.process, plan);
    if let Some(max) = plan.max_instances
        && process.instances > max
    {
        let what = format!("process {name} asks for {} instances, the plan allows {max}", process.instances);
        blocked.push(Blocked::QuotaExceeded { what });
    }
    blocked
}

/// What an instance of a process would have beyond what a plan allows one.
pub(crate) fn beyond(name: &str, process: &ReleaseProcess, plan: &PlanSpec) -> Vec<Blocked> {
    let asked = process.resources;
    let allowed = plan.instance;
    let mut blocked = Vec::new();
    let mut exceed = |what: String| blocked.push(Blocked::QuotaExceeded { what });
    if asked.cpu > allowed.cpu {
        exceed(format!("process {name} asks for {} CPU, the plan allows {}", asked.cpu, allowed.cpu));
    }
    if asked.memory > allowed.memory {
        exceed(format!(
            "process {name} asks for {} of memory, the plan allows {}",
            asked.memory, allowed.memory
        ));
    }
    if asked.pids > allowed.pids {
        exceed(format!("process {name} asks for {} pids, the plan allows {}", asked.pids, allowed.pids));
    }
    blocked
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits() -> Resources {
        serde_json::from_value(json!({"cpu": "500m", "memory": "256Mi"})).unwrap()
    }

    #[test]
    fn the_environments_field_wins_and_variables_are_merged_by_name() {
        let app: AppSpec = serde_json::from_value(json!({
            "source": {"image": "shop:1"},
            "processes": {"web": {"command": ["serve"], "env": {"A": "app", "B": "app"}, "ports": [{"name": "http", "port": 8080}]}},
        }))
        .unwrap();
        let environment: EnvironmentSpec = serde_json::from_value(json!({
            "app": "shop", "env": {"B": "environment", "C": "environment"},
            "processes": {"web": {"instances": 3, "env": {"C": "process"}}, "worker": {"command": ["work"]}},
        }))
        .unwrap();
        let formation = formation(&app, &environment, None, limits()).unwrap();
        let web = &formation.processes["web"];
        let env: Vec<_> = web.process.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(env, ["A=app", "B=environment", "C=process", "PORT=8080"]);
        assert_eq!((web.instances, web.process.command.as_deref()), (3, Some(&["serve".to_owned()][..])));
        assert_eq!(formation.processes["worker"].instances, 1);
    }

    #[test]
    fn more_than_the_plan_allows_is_named_field_by_field() {
        let app: AppSpec =
            serde_json::from_value(json!({"source": {"image": "shop:1"}, "processes": {"web": {}}})).unwrap();
        let environment: EnvironmentSpec = serde_json::from_value(json!({
            "app": "shop", "processes": {"web": {"instances": 5, "resources": {"cpu": "2", "memory": "64Mi"}}},
        }))
        .unwrap();
        let plan: PlanSpec =
            serde_json::from_value(json!({"instance": {"cpu": "1", "memory": "128Mi"}, "maxInstances": 4}))
                .unwrap();
        let blocked = formation(&app, &environment, Some(&plan), limits()).unwrap_err();
        let texts: Vec<_> = blocked.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "process web asks for 2 CPU, the plan allows 1; ask for less, or choose a larger plan",
                "process web asks for 5 instances, the plan allows 4; ask for less, or choose a larger plan"
            ]
        );
    }
}
