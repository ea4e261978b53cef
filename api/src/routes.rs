//! The route table: every path and method that the server knows, with what it needs and what it does.
//!
//! Adding a route is adding a row; router, permissions, OpenAPI and the test that walks all routes follow.

mod audit;
mod batch;
pub(crate) mod config;
mod deployment;
mod doctor;
mod drift;
mod event;
mod feature;
pub(crate) mod formation;
mod identity;
mod intervention;
mod journal;
pub(crate) mod log;
mod master_key;
pub(crate) mod metrics;
mod notification;
mod owner;
mod quota;
pub(crate) mod region;
pub(crate) mod release;
pub(crate) mod resource;
pub(crate) mod rollback;
pub(crate) mod run;
mod safety;
mod schedule;
mod secret;
mod selection;
mod server;
mod token;
mod watch;

use crate::access::{Access, Permission};
use crate::panel;
use crate::route::Route;
use crate::route::Verb::{Delete, Get, Post, Put};
use crate::ui;

/// Every route.
pub(crate) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const WRITE: Access = Access::Needs(Permission::Write);
    const DELETE: Access = Access::Needs(Permission::Delete);
    const CONFIRM: Access = Access::Needs(Permission::Confirm);
    const LOGS: Access = Access::Needs(Permission::ReadLogs);
    const METRICS: Access = Access::Needs(Permission::ReadMetrics);
    const DEBUG: Access = Access::Needs(Permission::Debug);
    const INTERVENE: Access = Access::Needs(Permission::Intervene);
    const DESCRIBE: Access = Access::Needs(Permission::Describe);
    const AUDIT: Access = Access::Needs(Permission::ReadAudit);
    const MASTER_KEY: Access = Access::Needs(Permission::ManageMasterKey);
    const DIAGNOSE: Access = Access::Needs(Permission::Diagnose);
    const IN_ORG: &str = "/v1/orgs/{org}/{kind}";
    const ONE_IN_ORG: &str = "/v1/orgs/{org}/{kind}/{name}";
    const ALL: &str = "/v1/{kind}";
    const ONE: &str = "/v1/{kind}/{name}";
    let mut routes = vec![
        Route::new(
            Get,
            IN_ORG,
            READ,
            "listOrgResources",
            "List or watch one kind in an organisation.",
            resource::list,
        ),
        Route::new(
            Get,
            ONE_IN_ORG,
            READ,
            "getOrgResource",
            "Read a resource of an organisation.",
            resource::get,
        ),
        Route::new(
            Put,
            ONE_IN_ORG,
            WRITE,
            "putOrgResource",
            "Create or change a resource of an organisation.",
            resource::put,
        ),
        Route::new(
            Delete,
            ONE_IN_ORG,
            DELETE,
            "deleteOrgResource",
            "Delete a resource of an organisation.",
            resource::delete,
        ),
        Route::new(
            Get,
            ALL,
            READ,
            "listResources",
            "List or watch one kind, over all organisations.",
            resource::list,
        ),
        Route::new(Get, ONE, READ, "getResource", "Read a platform resource.", resource::get),
        Route::new(Put, ONE, WRITE, "putResource", "Create or change a platform resource.", resource::put),
        Route::new(Delete, ONE, DELETE, "deleteResource", "Delete a platform resource.", resource::delete),
        Route::new(
            Post,
            "/v1/delete",
            DELETE,
            "deleteBatch",
            "Delete several resources in one transaction.",
            safety::delete,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/adopt",
            WRITE,
            "adoptOrgResource",
            "Make objects under a resource's names its own that Skep did not make.",
            safety::adopt,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/adopt",
            WRITE,
            "adoptResource",
            "Make objects under a platform resource's names its own that Skep did not make.",
            safety::adopt,
        ),
        Route::new(Get, "/v1/holds", READ, "listHolds", "What is on hold, and why.", safety::holds),
        Route::new(
            Post,
            "/v1/holds/{id}/confirm",
            CONFIRM,
            "confirmHold",
            "Let go on what is on hold.",
            safety::confirm,
        ),
        Route::new(
            Get,
            "/v1/orphans",
            READ,
            "listOrphans",
            "Objects in the Swarm that Skep made and nothing refers to.",
            safety::orphans,
        ),
        Route::new(Post, "/v1/apply", WRITE, "apply", "Apply manifests, all of them or none.", batch::apply),
        Route::new(
            Post,
            "/v1/plan",
            READ,
            "plan",
            "Tell what manifests would change, and write nothing.",
            batch::plan,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/events",
            READ,
            "listOrgEvents",
            "What happened in an organisation.",
            event::of_org,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/{kind}/{name}/events",
            READ,
            "listOrgResourceEvents",
            "What happened to a resource of an organisation.",
            event::of_resource,
        ),
        Route::new(
            Get,
            "/v1/{kind}/{name}/events",
            READ,
            "listResourceEvents",
            "What happened to a platform resource.",
            event::of_resource,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/environments/{name}/logs",
            LOGS,
            "readLogs",
            "What an environment's processes print.",
            log::read,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/{kind}/{name}/plans",
            READ,
            "listOrgResourcePlans",
            "What was done for a resource of an organisation, newest first.",
            journal::list,
        ),
        Route::new(
            Get,
            "/v1/{kind}/{name}/plans",
            READ,
            "listResourcePlans",
            "What was done for a platform resource, newest first.",
            journal::list,
        ),
        Route::new(
            Get,
            "/debug/tasks",
            DEBUG,
            "getTasks",
            "What the server is doing right now.",
            server::tasks,
        ),
        Route::new(
            Get,
            "/v1/drift",
            READ,
            "listDrift",
            "What somebody else changed, everywhere.",
            drift::list,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/drift",
            READ,
            "listOrgDrift",
            "What somebody else changed in an organisation.",
            drift::list,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/pause",
            INTERVENE,
            "pauseOrgResource",
            "Change nothing of a resource, and of what is part of it, for a while.",
            intervention::pause,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/resume",
            INTERVENE,
            "resumeOrgResource",
            "End a pause.",
            intervention::resume,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/retry",
            INTERVENE,
            "retryOrgResource",
            "Try again what was given up.",
            intervention::retry,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/pause",
            INTERVENE,
            "pauseResource",
            "Change nothing in an organisation for a while.",
            intervention::pause,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/resume",
            INTERVENE,
            "resumeResource",
            "End a pause of an organisation.",
            intervention::resume,
        ),
        Route::new(
            Post,
            "/v1/{kind}/{name}/retry",
            INTERVENE,
            "retryResource",
            "Try again what was given up for an organisation.",
            intervention::retry,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/quota",
            READ,
            "getOrgQuota",
            "What an organisation has, and what its plan lets it have.",
            quota::get,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/features",
            READ,
            "getOrgFeatures",
            "Which features an organisation has, and who has switched off what it has not.",
            feature::get,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/audit",
            AUDIT,
            "searchOrgAudit",
            "Who did what in an organisation, and what was denied.",
            audit::search,
        ),
        Route::new(
            Get,
            "/v1/audit",
            AUDIT,
            "searchAudit",
            "Who did what, and what was denied, everywhere.",
            audit::search,
        ),
        Route::new(
            Get,
            "/v1/audit/chain",
            AUDIT,
            "getAuditChain",
            "The audit in order, with what shows whether it was changed.",
            audit::chain,
        ),
        Route::new(
            Get,
            "/v1/doctor",
            DIAGNOSE,
            "getDoctor",
            "Whether the installation is as it has to be; one step of the examination.",
            doctor::get,
        ),
        Route::new(
            Get,
            "/v1/master-key",
            MASTER_KEY,
            "getMasterKey",
            "Which master key is in force, and what others are needed for.",
            master_key::get,
        ),
        Route::new(
            Post,
            "/v1/master-key/rotate",
            MASTER_KEY,
            "rotateMasterKey",
            "Put a master key in force, and wrap a batch of data keys anew.",
            master_key::rotate,
        ),
        Route::new(Get, "/v1/whoami", DESCRIBE, "whoAmI", "Who asks, and what that allows.", token::whoami),
        Route::new(Get, "/v1/version", DESCRIBE, "getVersion", "Which server this is.", server::version),
        Route::new(Get, "/openapi.json", DESCRIBE, "getDescription", "This document.", server::openapi),
        Route::new(Get, "/metrics", METRICS, "getMetrics", "What the server counts.", server::metrics),
        Route::new(Get, "/healthz", Access::Open, "getHealth", "Does the process live?", server::healthz),
        Route::new(
            Get,
            "/readyz",
            Access::Open,
            "getReadiness",
            "Can the server do its work, and what is missing?",
            server::readyz,
        ),
    ];
    routes.extend(config::table());
    routes.extend(region::table());
    routes.extend(release::table());
    routes.extend(rollback::table());
    routes.extend(run::table());
    routes.extend(notification::table());
    routes.extend(owner::table());
    routes.extend(schedule::table());
    routes.extend(formation::table());
    routes.extend(metrics::table());
    routes.extend(secret::table());
    routes.extend(token::table());
    routes.extend(identity::table());
    routes.extend(ui::table());
    routes.extend(panel::table());
    routes
}
