//! The service of a run: what it runs, on what ground, and why there is none.

use std::collections::BTreeMap;

use super::release_of;
use crate::formation;
use crate::inventory::ObjectRef;
use crate::plan::Plan;
use crate::pull::PullAs;
use crate::reconcile::environment::ground::ground;
use crate::reconcile::environment::target::Target;
use crate::reconcile::environment::{EnvironmentInput, PlanChoice};
use crate::release::ReleaseContent;
use crate::render::{ServiceInput, run_spec};
use crate::run::Run;
use crate::step::{Cost, Op, Step};

/// Why the service of a run is not made.
pub(super) enum NotNow {
    /// It will not be.
    Refused(String),
    /// Something may pass.
    Waits(String),
}

/// The step that makes the service of a run.
pub(super) fn made(input: &EnvironmentInput<'_>, run: &Run, object: &ObjectRef) -> Result<Step, NotNow> {
    let desired = input.desired;
    let release = release_of(desired, run)
        .ok_or_else(|| NotNow::Refused(format!("release {} is not kept any more", run.release)))?;
    let content = content(run, &release.content).map_err(NotNow::Refused)?;
    if desired.is_stopped(&content) {
        return Err(NotNow::Refused(format!("a policy forbids what release {} runs", run.release)));
    }
    if let PlanChoice::Found(plan) = &desired.plan {
        let beyond = content
            .processes
            .iter()
            .flat_map(|(name, process)| formation::beyond(name.as_str(), process, &plan.spec));
        if let Some(beyond) = beyond.into_iter().next() {
            return Err(NotNow::Refused(beyond.to_string()));
        }
    }
    let target = Target { version: release.version, content, given_up: false };
    let meta = &desired.environment.meta;
    // What a run lacks is no matter of the environment's.
    let mut aside = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    let Some(ground) = ground(input, &target, &mut aside) else {
        let lasting = aside.blocked.iter().find(|blocked| !blocked.passes_by_itself());
        let why = lasting.or(aside.blocked.first()).map(ToString::to_string).unwrap_or_default();
        return Err(if lasting.is_some() { NotNow::Refused(why) } else { NotNow::Waits(why) });
    };
    // `content` has this one process.
    let process = &target.content.processes[&run.process];
    let spec = run_spec(
        &ServiceInput {
            settings: input.settings,
            org: &desired.org,
            key: &meta.key,
            uid: meta.uid,
            name: &run.process,
            process,
            content: &target.content,
            release: release.version,
            instances: 1,
            stopped: None,
            restarts: 0,
            rollout: &desired.environment.spec.rollout,
            network: &ground.network,
            secrets: &ground.secrets,
            entry: ground.entry.as_ref(),
            constraints: &ground.constraints,
            routes: &[],
            credential: match &ground.pull {
                PullAs::Credential(credential) => Some(&**credential),
                PullAs::Nobody => None,
            },
            engine: ground.engine,
        },
        run.number,
    );
    let op = Op::CreateService { spec: Box::new(spec), release: None, pull: ground.pull };
    let why = format!("run {} in release {}", run.number, run.release);
    Ok(Step::new(object.clone(), op, why, Cost::Create))
}

/// What a run runs: its process as the release has it, with its own command and limits. It has no volume of a process that may be writing to it.
fn content(run: &Run, release: &ReleaseContent) -> Result<ReleaseContent, String> {
    let process = release.runnable(&run.process);
    let mut process =
        process.cloned().ok_or_else(|| format!("release {} has no process {}", run.release, run.process))?;
    process.command = run.command.clone().or(process.command);
    process.resources = run.resources;
    process.health_check = None;
    process.volumes.clear();
    Ok(ReleaseContent { processes: BTreeMap::from([(run.process.clone(), process)]), ..release.clone() })
}
