//! Resources as a server would answer them, for the tests of this crate.

use serde_json::{Value, json};
use skep_api::wire::ResourceView;
use skep_schemas::Kind;

/// When everything in the fixtures happened.
pub(crate) const NOW: &str = "2026-03-01T12:00:00Z";

/// The uid of the n-th resource.
pub(crate) fn uid(n: u8) -> String {
    format!("00000000-0000-7000-8000-0000000000{n:02x}")
}

/// A resource of `acme` (or of the platform) in some generation.
pub(crate) fn resource(
    kind: Kind,
    name: &str,
    generation: i64,
    spec: &Value,
    status: &Value,
) -> ResourceView {
    let org = match kind.scope() {
        skep_schemas::KindScope::Platform => Value::Null,
        skep_schemas::KindScope::Org => json!("acme"),
    };
    let view = json!({
        "apiVersion": "skep.dev/v1",
        "kind": kind,
        "metadata": {
            "org": org, "name": name, "uid": uid(1), "generation": generation, "revision": 10 + generation,
            "managedBy": {"by": "api"}, "createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-01T11:00:00Z",
        },
        "spec": spec,
        "status": status,
    });
    serde_json::from_value(view).unwrap()
}

/// A condition of a generation.
pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str, generation: i64) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": "2026-03-01T11:30:00Z",
    })
}

/// The environment `shop` with `updated` of 2 instances of `web` in the wanted release. `worker` follows when both are.
pub(crate) fn environment(
    generation: i64,
    observed: i64,
    updated: u32,
    conditions: &[Value],
) -> ResourceView {
    let spec = json!({"app": "shop", "image": "registry.example.com/shop:1.4"});
    let worker = if updated == 2 {
        json!({"desired": 1, "running": 1, "updated": 1, "service": "acme_shop_worker"})
    } else {
        json!({
            "desired": 1, "running": 0, "updated": 0, "service": "acme_shop_worker",
            "lastError": {"message": "image not found on any node", "at": "2026-03-01T11:40:00Z"},
        })
    };
    let status = json!({
        "observedGeneration": observed,
        "conditions": conditions,
        "release": {
            "version": 3,
            "image": "registry.example.com/shop:1.4@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
            "createdAt": "2026-03-01T11:00:00Z",
        },
        "processes": {
            "web": {"desired": 2, "running": 2, "updated": updated, "service": "acme_shop_web"},
            "worker": worker,
        },
        "urls": ["https://shop.example.com"],
    });
    resource(Kind::Environment, "shop", generation, &spec, &status)
}

/// The environment `shop`, converged.
pub(crate) fn ready(generation: i64) -> ResourceView {
    environment(
        generation,
        generation,
        2,
        &[condition("Ready", "True", "Converged", "2 of 2 instances run", generation)],
    )
}

/// The environment `shop`, rolling out.
pub(crate) fn rolling_out(generation: i64, updated: u32) -> ResourceView {
    let conditions = [
        condition("Ready", "False", "RollingOut", "tasks are being replaced", generation),
        condition("Progressing", "True", "RollingOut", "tasks are being replaced", generation),
    ];
    environment(generation, generation, updated, &conditions)
}

/// The environment `shop`, stalled after a roll-back.
pub(crate) fn stalled(generation: i64) -> ResourceView {
    let message = "release v3 failed its health check; v2 runs again";
    let conditions = [
        condition("Ready", "False", "RolledBack", message, generation),
        condition("Stalled", "True", "RolledBack", message, generation),
    ];
    environment(generation, generation, 0, &conditions)
}
