//! Both sides of a comparison in one form.
//!
//! The engine does not store exactly what it is sent: it names defaults, drops what is empty, and adds empty objects. A difference
//! that only says so is not a difference, and acting on it would restart tasks for ever. Each rule below names what the engine
//! does; the sources are `daemon/cluster/convert` in moby and recordings of real engines (see `swarm/fixtures`).

use crate::swarm::{
    EndpointMode, EndpointSpec, FailureAction, Known, PortProtocol, Privileges, PublishMode, ServiceMode,
    ServiceSpec, TaskSpec, UpdateConfig, UpdateOrder,
};

/// A spec in the form in which two of them can be compared. It is never sent.
pub fn service(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    // Ignored by the engine since API 1.44; ours are in the template.
    spec.networks = Vec::new();
    spec.task_template = task(&spec.task_template);
    // A missing mode is one replica.
    spec.mode.get_or_insert_with(|| ServiceMode::replicated(1));
    spec.update_config = spec.update_config.map(update);
    spec.rollback_config = spec.rollback_config.map(update);
    spec.endpoint_spec = spec.endpoint_spec.map(endpoint);
    spec
}

/// A task template in the form in which two of them can be compared.
pub fn task(spec: &TaskSpec) -> TaskSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    // Named by the engine whenever it is not.
    if spec.runtime == "container" {
        spec.runtime.clear();
    }
    if let Some(container) = &mut spec.container_spec {
        if container.isolation == "default" {
            container.isolation.clear();
        }
        // Engines before API 1.44 keep an empty object of the privileges that they cannot store, and newer ones write
        // `NoNewPrivileges: false` and nulls into it: neither says anything.
        container.privileges =
            container.privileges.take().filter(|privileges| *privileges != Privileges::default());
        // `default` is dropped by the engine.
        for mount in &mut container.mounts {
            if mount.consistency == "default" {
                mount.consistency.clear();
            }
        }
    }
    // Named by the engine as soon as there is a policy (a pointer in Go that it always sets).
    if let Some(policy) = &mut spec.restart_policy {
        policy.max_attempts.get_or_insert(0);
    }
    // An empty placement constrains nothing. The engine adds nothing to it, but other writers do.
    if spec.placement.as_ref().is_some_and(|placement| {
        placement.constraints.is_empty() && placement.preferences.is_empty() && placement.max_replicas == 0
    }) {
        spec.placement = None;
    }
    spec
}

/// The engine names these defaults as soon as the object is there.
fn update(mut config: UpdateConfig) -> UpdateConfig {
    config.failure_action.get_or_insert(FailureAction::Pause);
    config.order.get_or_insert(UpdateOrder::StopFirst);
    config
}

/// Likewise; and a list of ports without a mode means virtual addresses.
fn endpoint(mut spec: EndpointSpec) -> EndpointSpec {
    spec.mode.get_or_insert(EndpointMode::Vip);
    for port in &mut spec.ports {
        port.protocol.get_or_insert(PortProtocol::Tcp);
        port.publish_mode.get_or_insert(PublishMode::Ingress);
    }
    spec
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_newer_engine_adds_at_any_depth_is_no_difference() {
        let ours: ServiceSpec = serde_json::from_value(json!({
            "Name": "acme_shop_web",
            "TaskTemplate": {"ContainerSpec": {"Image": "shop:1", "Healthcheck": {"Test": ["CMD", "true"]},
                "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 9}}]}},
            "Mode": {"Replicated": {"Replicas": 2}},
        }))
        .unwrap();
        let live: ServiceSpec = serde_json::from_value(json!({
            "Name": "acme_shop_web", "New": 1,
            "TaskTemplate": {"New": {"a": 1}, "ContainerSpec": {"Image": "shop:1", "New": [1],
                "Healthcheck": {"Test": ["CMD", "true"], "New": true},
                "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 9, "New": 1}, "New": "x"}]}},
            "Mode": {"Replicated": {"Replicas": 2, "New": 1}},
        }))
        .unwrap();
        assert_eq!(service(&live), service(&ours));
    }
}
