//! The forwarder of a link: one task of Skep's on the networks of both organisations, which carries one port one way.
//!
//! It takes connections on its address in the using organisation's network alone, and makes them to addresses in the offering one's alone, so
//! that what either calls its processes, and what else the node reaches, decides nothing.

use ipnet::Ipv4Net;
use skep_schemas::kind::LinkTarget;
use skep_schemas::{OrgName, ResourceKey, ResourceName, Uid};

use super::EngineFeatures;
use super::service::restricted_privileges;
use crate::constraint::Constraints;
use crate::naming::{self, InstanceId};
use crate::swarm::{
    ContainerSpec, EndpointMode, EndpointSpec, Limits, Nanos, NetworkAttachmentConfig, Placement, Resources,
    ServiceMode, ServiceSpec, TaskSpec,
};

/// Where the program is in its image, which is Skep's own.
pub const FORWARD_PROGRAM: &str = "/usr/local/bin/skep-forward";
/// Nobody: a user that owns nothing.
const USER: &str = "65534:65534";
/// What it may use: buffers of as many connections as it takes at once, and two threads.
const MEMORY: i64 = 64 << 20;
const CPU_NANOS: i64 = 500_000_000;
const PIDS: i64 = 16;

/// A forwarder.
pub struct ForwardInput<'a> {
    /// Whose objects these are.
    pub instance: &'a InstanceId,
    /// The image with the program.
    pub image: &'a str,
    /// The organisation that uses the link.
    pub org: &'a OrgName,
    /// Its NetworkPolicy.
    pub key: &'a ResourceKey,
    /// The policy's identity.
    pub uid: Uid,
    /// The name of the link there.
    pub alias: &'a ResourceName,
    /// Where it leads.
    pub to: &'a LinkTarget,
    /// The network of the organisation that uses it, and its addresses.
    pub from: (&'a str, Ipv4Net),
    /// The network of the organisation that offers it, and its addresses.
    pub within: (&'a str, Ipv4Net),
    /// Where it may run.
    pub constraints: &'a Constraints,
    /// What the engine can do.
    pub engine: EngineFeatures,
}

/// The whole service. Equal inputs give equal specs.
pub fn forward_spec(input: &ForwardInput<'_>) -> ServiceSpec {
    let to = input.to;
    let mut labels = naming::owner_labels(input.instance, input.key, input.uid);
    labels.insert(naming::LABEL_LINK_TO.to_owned(), to.organization.to_string());
    let constraints = input.constraints.rendered();
    let attachment = |network: &str, aliases: Vec<String>| NetworkAttachmentConfig {
        target: network.to_owned(),
        aliases,
        ..NetworkAttachmentConfig::default()
    };
    let args = [
        ("--port", to.port.to_string()),
        ("--from", input.from.1.to_string()),
        ("--to", naming::process_on_network(&to.organization, &to.environment, &to.process)),
        ("--within", input.within.1.to_string()),
    ];
    ServiceSpec {
        name: naming::forwarder(input.org, input.alias),
        labels,
        task_template: TaskSpec {
            container_spec: Some(ContainerSpec {
                image: input.image.to_owned(),
                command: vec![FORWARD_PROGRAM.to_owned()],
                args: args.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect(),
                user: USER.to_owned(),
                privileges: input.engine.privileges.then(restricted_privileges),
                read_only: true,
                stop_grace_period: Some(Nanos::from_secs(10)),
                capability_drop: vec!["ALL".to_owned()],
                ..ContainerSpec::default()
            }),
            resources: Some(Resources {
                limits: Some(Limits {
                    nano_cpus: CPU_NANOS,
                    memory_bytes: MEMORY,
                    pids: PIDS,
                    ..Limits::default()
                }),
                ..Resources::default()
            }),
            placement: (!constraints.is_empty()).then(|| Placement { constraints, ..Placement::default() }),
            networks: vec![
                attachment(input.from.0, vec![naming::link_address(input.alias)]),
                attachment(input.within.0, Vec::new()),
            ],
            ..TaskSpec::default()
        },
        mode: Some(ServiceMode::replicated(1)),
        endpoint_spec: Some(EndpointSpec {
            mode: Some(EndpointMode::DnsRoundRobin),
            ..EndpointSpec::default()
        }),
        ..ServiceSpec::default()
    }
}
