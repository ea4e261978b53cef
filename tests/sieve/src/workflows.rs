//! The workflows.

use serde_json::json;
use skep_planner::naming::{LABEL_ROLE, ROLE_EDGE};
use skep_simulator::{Program, Swarm};

use crate::workflow::{Act, Base, Workflow};

const ACME: &str = include_str!("../workflows/acme.yaml");
const GLOBEX: &str = include_str!("../workflows/globex.yaml");
const STAGING: &str = include_str!("../workflows/staging.yaml");
const WORKER: &str = include_str!("../workflows/worker.yaml");
const IMAGE_2: &str = include_str!("../workflows/image-2.yaml");
const IMAGE_3: &str = include_str!("../workflows/image-3.yaml");
const IMAGE_BROKEN: &str = include_str!("../workflows/image-broken.yaml");
const PORTS: &str = include_str!("../workflows/ports.yaml");
const SECRET_2: &str = include_str!("../workflows/secret-2.yaml");
const SCALED: &str = include_str!("../workflows/scaled.yaml");
const PROD: &str = include_str!("../workflows/prod.yaml");
const NO_SECRET: &str = include_str!("../workflows/no-secret.yaml");
const RENAMED_APP: &str = include_str!("../workflows/renamed-app.yaml");
const RENAMED_ENVIRONMENT: &str = include_str!("../workflows/renamed-environment.yaml");
const MOVED_DOMAIN: &str = include_str!("../workflows/moved-domain.yaml");

/// A Swarm with a proxy at its edge, and nothing of Skep's.
pub const NOTHING: Base = Base { name: "nothing", hands: edge, manifests: &[] };
/// One organisation with an app, a secret, an environment and a domain.
pub const SMALL: Base = Base { name: "small", hands: edge, manifests: &[ACME] };
/// The same with a second environment.
pub const TWO: Base = Base { name: "two", hands: edge, manifests: &[ACME, STAGING] };
/// The same with a second process, which has a volume.
pub const WITH_WORKER: Base = Base { name: "with_worker", hands: edge, manifests: &[ACME, WORKER] };
/// A Swarm in which somebody has made by hand what Skep would make.
pub const BY_HAND: Base = Base { name: "by_hand", hands: by_hand, manifests: &[] };

/// All of them.
pub const ALL: &[Workflow] = &[
    Workflow { name: "create", base: &NOTHING, acts: &[Act::Apply(ACME)] },
    Workflow { name: "update-image", base: &SMALL, acts: &[Act::Apply(IMAGE_2)] },
    Workflow { name: "rotate-secret", base: &SMALL, acts: &[Act::Apply(SECRET_2)] },
    Workflow {
        name: "rename-app",
        base: &SMALL,
        acts: &[Act::Apply(RENAMED_APP), Act::Delete(&["acme/App/shop"])],
    },
    Workflow {
        name: "rename-environment",
        base: &SMALL,
        acts: &[Act::Apply(RENAMED_ENVIRONMENT), Act::Delete(&["acme/Environment/prod"])],
    },
    Workflow { name: "change-ports", base: &SMALL, acts: &[Act::Apply(PORTS)] },
    Workflow { name: "scale", base: &SMALL, acts: &[Act::Apply(SCALED), Act::Rest, Act::Apply(PROD)] },
    Workflow { name: "move-domain", base: &TWO, acts: &[Act::Apply(MOVED_DOMAIN)] },
    Workflow { name: "delete-organization", base: &SMALL, acts: &[Act::Delete(&["Organization/acme"])] },
    Workflow { name: "failed-release", base: &SMALL, acts: &[Act::Apply(IMAGE_BROKEN)] },
    Workflow {
        name: "failed-release-mended",
        base: &SMALL,
        acts: &[Act::Apply(IMAGE_BROKEN), Act::Rest, Act::Apply(IMAGE_2)],
    },
    Workflow {
        name: "adopt",
        base: &BY_HAND,
        acts: &[Act::Apply(ACME), Act::For(8), Act::Adopt("acme/Environment/prod")],
    },
    Workflow { name: "two-organizations", base: &NOTHING, acts: &[Act::Apply(ACME), Act::Apply(GLOBEX)] },
    Workflow {
        name: "change-under-the-feet",
        base: &SMALL,
        acts: &[
            Act::Apply(IMAGE_2),
            Act::Steps(8),
            Act::Apply(IMAGE_3),
            Act::Steps(5),
            Act::Apply(SCALED),
            Act::Steps(3),
            Act::Delete(&["acme/Domain/shop"]),
        ],
    },
    Workflow { name: "add-worker-with-volume", base: &SMALL, acts: &[Act::Apply(WORKER)] },
    Workflow { name: "remove-worker", base: &WITH_WORKER, acts: &[Act::Apply(PROD)] },
    Workflow {
        name: "remove-secret",
        base: &SMALL,
        acts: &[Act::Apply(NO_SECRET), Act::Delete(&["acme/Secret/token"])],
    },
    Workflow { name: "correct-drift", base: &SMALL, acts: &[Act::Hand(edit_by_hand)] },
];

/// The workflow of this name.
pub fn by_name(name: &str) -> Option<&'static Workflow> {
    ALL.iter().find(|workflow| workflow.name == name)
}

/// The proxy at the edge: one task on the node that Skep talks to. And an image that is never healthy.
fn edge(swarm: &mut Swarm) {
    swarm.set_program("shop:broken", Program::unhealthy("503"));
    add(
        swarm,
        json!({
            "Name": "edge",
            "Labels": { LABEL_ROLE: ROLE_EDGE },
            "TaskTemplate": {
                "ContainerSpec": { "Image": "edge:1" },
                "Placement": { "Constraints": ["node.role==manager"] },
            },
            "Mode": { "Replicated": { "Replicas": 1 } },
        }),
    );
}

fn by_hand(swarm: &mut Swarm) {
    edge(swarm);
    add(
        swarm,
        json!({
            "Name": "acme_prod_web",
            "TaskTemplate": { "ContainerSpec": { "Image": "shop:0" } },
            "Mode": { "Replicated": { "Replicas": 1 } },
        }),
    );
}

/// Somebody changes a variable and the number of tasks of a service that runs.
fn edit_by_hand(swarm: &mut Swarm) {
    let edited = swarm.edit_service("acme_prod_web", |spec| {
        if let Some(container) = &mut spec.task_template.container_spec {
            container.env.push("LOG_LEVEL=debug".to_owned());
        }
    });
    drop(edited);
}

/// Makes a service by hand. One that is refused is not there, and the workflow without a fault shows it.
fn add(swarm: &mut Swarm, spec: serde_json::Value) {
    if let Ok(spec) = serde_json::from_value(spec) {
        drop(swarm.add_service(&spec));
    }
}
