//! Both sides of a comparison in one form.
//!
//! The engine does not store exactly what it is sent: it names defaults, drops what is empty, and adds empty objects. A difference
//! that only says so is not a difference, and acting on it would restart tasks for ever. Each rule below names what the engine
//! does; the sources are `daemon/cluster/convert` in moby and recordings of real engines (see `swarm/fixtures`).

use crate::swarm::{
    EndpointMode, EndpointSpec, Extra, FailureAction, PortProtocol, Privileges, PublishMode, ServiceMode,
    ServiceSpec, TaskSpec, UpdateConfig, UpdateOrder,
};

/// A spec in the form in which two of them can be compared. It is never sent.
pub fn service(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.extra = Extra::new();
    // Ignored by the engine since API 1.44; ours are in the template.
    spec.networks = Vec::new();
    spec.task_template = task(&spec.task_template);
    if let Some(ServiceMode::Replicated(mode)) = &mut spec.mode {
        mode.extra = Extra::new();
    }
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
    spec.extra = Extra::new();
    // Named by the engine whenever it is not.
    if spec.runtime == "container" {
        spec.runtime.clear();
    }
    if let Some(container) = &mut spec.container_spec {
        container.extra = Extra::new();
        if container.isolation == "default" {
            container.isolation.clear();
        }
        // Engines before API 1.44 keep an empty object of the privileges that they cannot store, and newer ones write
        // `NoNewPrivileges: false` and nulls into it: neither says anything.
        if container
            .privileges
            .as_ref()
            .is_some_and(|privileges| without_extra(privileges) == Privileges::default())
        {
            container.privileges = None;
        }
        // `default` is dropped by the engine.
        for mount in &mut container.mounts {
            if mount.consistency == "default" {
                mount.consistency.clear();
            }
        }
    }
    // Named by the engine as soon as there is a policy (a pointer in Go that it always sets).
    if let Some(policy) = &mut spec.restart_policy {
        policy.extra = Extra::new();
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

fn without_extra(privileges: &Privileges) -> Privileges {
    Privileges { extra: Extra::new(), ..privileges.clone() }
}

/// The engine names these defaults as soon as the object is there.
fn update(mut config: UpdateConfig) -> UpdateConfig {
    config.extra = Extra::new();
    config.failure_action.get_or_insert(FailureAction::Pause);
    config.order.get_or_insert(UpdateOrder::StopFirst);
    config
}

/// Likewise; and a list of ports without a mode means virtual addresses.
fn endpoint(mut spec: EndpointSpec) -> EndpointSpec {
    spec.extra = Extra::new();
    spec.mode.get_or_insert(EndpointMode::Vip);
    for port in &mut spec.ports {
        port.protocol.get_or_insert(PortProtocol::Tcp);
        port.publish_mode.get_or_insert(PublishMode::Ingress);
    }
    spec
}
