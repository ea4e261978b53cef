//! The planner alone: how many environments it plans in a second on one core, and what a compared field costs.
//!
//! What is planned is what a resync plans mostly: an environment that is as it should be, with one process that has variables, a
//! health check, a route and a running instance. The specs are what the planner itself made, and live
//! what the simulator says that an engine makes of them.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use skep_planner::drift::Stance;
use skep_planner::reconcile::Mode;
use skep_planner::reconcile::environment::{
    self, EnvironmentDesired, EnvironmentInput, EnvironmentObservation, PlanChoice, Terms, TierChoice,
};
use skep_planner::render::EngineFeatures;
use skep_planner::settings::{Architecture, NetworkPool, Settings};
use skep_planner::swarm::{Network, Service, ServiceSpec, Task};
use skep_planner::{
    InstanceId, InventoryEntry, ObjectKind, ObjectRef, Observed, Op, Plan, Release, ResolvedImage, Verdict,
    diff, naming, normalize,
};
use skep_schemas::{AnySpec, FormationOverride, Generation, Manifest, Meta, Owner, Resource, Revision, Uid};
use skep_simulator::{Behaviour, Swarm};

use crate::ground;
use crate::report::{Findings, met, time};
use crate::{simulated, usage};

/// The target.
const PLANS_PER_SECOND: f64 = 20_000.0;
/// Different environments, so that no run profits from the one before it more than a resync does.
const ENVIRONMENTS: usize = 200;
/// How often all of them are planned in one sample, and how many samples there are. The best counts: others were disturbed.
const TURNS: u32 = 20;
const SAMPLES: u32 = 9;

/// One environment with everything about it.
struct Case {
    desired: EnvironmentDesired,
    observed: EnvironmentObservation,
}

/// Measures.
pub(crate) fn measure() -> Result<Findings> {
    let settings = settings()?;
    let now: Timestamp = "2026-01-01T00:10:00Z".parse()?;
    let cases: Vec<Case> =
        (0..ENVIRONMENTS).map(|number| case(&settings, number, now)).collect::<Result<_>>()?;
    let input = |case: &Case| -> Plan {
        let Case { desired, observed } = case;
        environment::plan(&EnvironmentInput { settings: &settings, mode: Mode::Act, desired, observed, now })
    };
    for case in &cases {
        let plan = input(case);
        ensure!(plan.is_quiet() && plan.blocked.is_empty(), "a case is not converged: {plan:?}");
    }
    let plan = best(ENVIRONMENTS, || cases.iter().for_each(|case| drop(black_box(input(black_box(case))))));
    let status = best(ENVIRONMENTS, || {
        for case in &cases {
            let Case { desired, observed } = case;
            let plan = Plan::empty(
                desired.environment.meta.key.clone(),
                desired.environment.meta.uid,
                Generation::new(1),
            );
            let input = EnvironmentInput { settings: &settings, mode: Mode::Act, desired, observed, now };
            drop(black_box(environment::status(black_box(&input), &plan)));
        }
    });
    let specs: Vec<(ServiceSpec, ServiceSpec)> = cases.iter().filter_map(sides).collect();
    let fields =
        specs.first().map_or(0, |(live, _)| serde_json::to_value(live).map_or(0, |value| leaves(&value)));
    let compare = best(specs.len(), || {
        for (live, desired) in &specs {
            let (live, desired) =
                (normalize::service(black_box(live)), normalize::service(black_box(desired)));
            black_box(diff::changes(&live, &desired));
        }
    });
    let per_second = 1.0 / plan.as_secs_f64();
    let per_field = compare.div_f64(f64::from(u32::try_from(fields).unwrap_or(1)));
    let section = format!(
        "| what | measured | target | |\n|---|--:|--:|---|\n\
         | plans of a converged environment, per second and core | {per_second:.0} | ≥ {PLANS_PER_SECOND:.0} | {} |\n\
         | one plan | {} | | |\n\
         | its status | {} | | |\n\
         | normalising and comparing two service specs of {fields} fields | {} | | |\n\
         | a field compared | {} | | |\n\n\
         The best of {SAMPLES} samples over {ENVIRONMENTS} different environments, in one thread, by its time on a core.",
        met(per_second >= PLANS_PER_SECOND),
        time(plan),
        time(status),
        time(compare),
        time(per_field),
    );
    Ok(Findings::new(section))
}

/// The time of one of `count` things that a turn does.
fn best(count: usize, mut turn: impl FnMut()) -> Duration {
    // What this thread was on a core for: others may have it in between.
    let sample = |turn: &mut dyn FnMut()| {
        let before = usage::cpu_of_this_thread();
        (0..TURNS).for_each(|_| turn());
        usage::cpu_of_this_thread() - before
    };
    let fastest = (0..SAMPLES).map(|_| sample(&mut turn)).min().unwrap_or_default();
    fastest.div_f64(f64::from(TURNS) * f64::from(u32::try_from(count).unwrap_or(1)))
}

/// Fields at the ends of a value.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.values().map(leaves).sum(),
        Value::Array(items) => items.iter().map(leaves).sum(),
        _ => 1,
    }
}

fn sides(case: &Case) -> Option<(ServiceSpec, ServiceSpec)> {
    let live = case.observed.services.values().next()?.present()?;
    let applied = case.desired.inventory.iter().find_map(|entry| entry.applied.as_deref())?;
    Some((live.spec.clone(), applied.clone()))
}

fn settings() -> Result<Settings> {
    Ok(Settings {
        instance: InstanceId::new("bench"),
        pool: NetworkPool::new("10.128.0.0/12".parse()?, 26)?,
        default_resources: serde_json::from_value(json!({"cpu": "250m", "memory": "128Mi", "pids": 256}))?,
        architecture: Architecture::HERE,
        forward_image: None,
        edge: simulated::edge(),
        reach: Default::default(),
    })
}

/// An environment that runs its first release, and always did.
fn case(settings: &Settings, number: usize, now: Timestamp) -> Result<Case> {
    let mut case = before_its_first_release(number, now)?;
    let plan = environment::plan(&EnvironmentInput {
        settings,
        mode: Mode::Act,
        desired: &case.desired,
        observed: &case.observed,
        now,
    });
    let new = plan.release.with_context(|| format!("there is no release: {:?}", plan.blocked))?;
    case.desired.releases.push(Release {
        version: new.version,
        content: new.content,
        verdict: Verdict::Succeeded,
        created_at: "2026-01-01T00:00:00Z".parse()?,
        rollback_to: None,
        cancelled: None,
        timeline: None,
    });
    for step in plan.steps {
        let Op::CreateService { spec, release, .. } = step.op else { continue };
        let id = format!("service-{number}");
        let live = as_stored(&spec)?;
        let service =
            json!({"ID": id, "Version": {"Index": 10}, "CreatedAt": "2026-01-01T00:00:00Z", "Spec": live});
        let service: Service = serde_json::from_value(service)?;
        let task = json!({
            "ID": format!("task-{number}"), "ServiceID": id, "NodeID": "node-1", "Slot": 1, "Spec": live.task_template,
            "DesiredState": "running", "Status": {"State": "running", "Timestamp": "2026-01-01T00:00:05Z"},
        });
        let task: Task = serde_json::from_value(task)?;
        case.observed.tasks.insert(service.id.clone(), vec![task]);
        case.observed.services.insert(spec.name.clone(), Observed::Present(service));
        case.desired.inventory.push(InventoryEntry {
            owner: case.desired.environment.meta.uid,
            object: ObjectRef::new(ObjectKind::Service, &spec.name),
            id: Some(id),
            sent_release: release,
            address: None,
            applied: Some(spec),
        });
    }
    Ok(case)
}

/// As an engine gives it back: with what it writes by itself.
fn as_stored(spec: &ServiceSpec) -> Result<ServiceSpec> {
    let mut asked = spec.clone();
    let networks = std::mem::take(&mut asked.task_template.networks);
    let stored = Swarm::new(Behaviour::V26_1).stored_form(&asked);
    let mut stored = stored.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    stored.task_template.networks = networks;
    Ok(stored)
}

fn before_its_first_release(number: usize, now: Timestamp) -> Result<Case> {
    let variables: serde_json::Map<String, Value> =
        (0..10).map(|at| (format!("SETTING_{at}"), Value::from(format!("{number}-{at}")))).collect();
    let document = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "skep.dev/v1", "kind": kind, "metadata": {"org": "acme", "name": name}, "spec": spec});
    let digest = format!("sha256:{number:064x}");
    let image = format!("registry.example/shop@{digest}");
    let web = json!({"ports": [{"name": "http", "port": 8080}], "healthCheck": {"command": ["/bin/true"], "interval": "10s"}});
    let documents = json!([
        {"apiVersion": "skep.dev/v1", "kind": "Organization", "metadata": {"name": "acme"}, "spec": {}},
        document("App", "shop", json!({"source": {"image": image}, "processes": {"web": web}})),
        document("Environment", &format!("copy-{number}"), json!({"app": "shop", "env": variables})),
        document("Domain", &format!("copy-{number}"), json!({"host": format!("copy-{number}.example"), "environment": format!("copy-{number}"), "tls": "off"})),
    ]);
    let (mut organization, mut app, mut environment, mut domains) = (None, None, None, Vec::new());
    for manifest in ground::manifests(&documents.to_string())? {
        let (meta, spec) = stored(manifest, now);
        let status = Value::Null;
        match spec {
            AnySpec::Organization(spec) => organization = Some(Resource { meta, spec: *spec, status }),
            AnySpec::App(spec) => app = Some(Resource { meta, spec: *spec, status }),
            AnySpec::Environment(spec) => environment = Some(Resource { meta, spec: *spec, status }),
            AnySpec::Domain(spec) => domains.push(Resource { meta, spec: *spec, status }),
            _ => {}
        }
    }
    let organization = organization.context("the organisation was read")?;
    let org = "acme".parse().context("a name")?;
    let labels =
        naming::owner_labels(&InstanceId::new("bench"), &organization.meta.key, organization.meta.uid);
    let network: Network = serde_json::from_value(
        json!({"Id": "network-1", "Name": naming::network(&org), "Driver": "overlay", "Scope": "swarm", "Attachable": true, "Labels": labels}),
    )?;
    let node = json!({"ID": "node-1", "Spec": {"Role": "manager", "Availability": "active"}, "Status": {"State": "ready"}, "Description": {"Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 8_000_000_000_i64}}});
    let environment = environment.context("the environment was read")?;
    Ok(Case {
        desired: EnvironmentDesired {
            registries: Vec::new(),
            terms: Terms { plan: PlanChoice::None, tier: TierChoice::None },
            images: Vec::new(),
            scans: Default::default(),
            signatures: Default::default(),
            environment,
            org,
            organization: Some(organization),
            app,
            plan: PlanChoice::None,
            secrets: Default::default(),
            domains,
            releases: Vec::new(),
            runs: Vec::new(),
            schedules: Vec::new(),
            inventory: Vec::new(),
            stance: Stance::of_policy(None),
        },
        observed: EnvironmentObservation {
            engine: Observed::Present(EngineFeatures::of_api(1, 45)),
            network: Observed::Present(network),
            secrets: Default::default(),
            entry: Observed::Absent,
            services: Default::default(),
            runs: Default::default(),
            outputs: Default::default(),
            last_lines: None,
            tasks: Default::default(),
            containers: Default::default(),
            nodes: Observed::Present(vec![serde_json::from_value(node)?]),
            image: Some(Ok(ResolvedImage::Registry { digest: digest.parse().context("a digest")? })),
            image_start: None,
        },
    })
}

fn stored(manifest: Manifest, now: Timestamp) -> (Meta, AnySpec) {
    let meta = Meta {
        key: manifest.key,
        uid: Uid::generate(),
        labels: manifest.labels,
        annotations: manifest.annotations,
        generation: Generation::new(1),
        revision: Revision::new(1),
        finalizers: Default::default(),
        deletion_requested_at: None,
        managed_by: Owner::Api,
        created_at: now,
        updated_at: now,
        pause: None,
        retried_at: None,
        rollback: None,
        formation: FormationOverride::default(),
        suspension: None,
        changed: None,
    };
    (meta, manifest.spec)
}
