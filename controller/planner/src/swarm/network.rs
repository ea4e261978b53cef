//! Networks, as a manager or the node of a task sees them.

use std::collections::BTreeMap;

use super::id::NetworkId;
use super::wire::Labels;

wire_struct! {
    /// A network. Nothing of it can be changed after creation, labels included.
    pub struct Network {
        @id NetworkId = "Id";
        /// Unique in the Swarm.
        name: String = "Name",
        /// When it was created, RFC 3339.
        created: String = "Created",
        /// Whether it is the Swarm's or this engine's.
        scope: Option<NetworkScope> = "Scope",
        /// `overlay`, `bridge`, …
        driver: String = "Driver",
        /// Whether it carries IPv4; not said before API 1.47.
        enable_ipv4: Option<bool> = "EnableIPv4",
        /// Whether it carries IPv6.
        enable_ipv6: bool = "EnableIPv6",
        /// Its addresses.
        ipam: Ipam = "IPAM",
        /// Whether it has no way out.
        internal: bool = "Internal",
        /// Whether containers outside services may join.
        attachable: bool = "Attachable",
        /// Whether it is the routing mesh's.
        ingress: bool = "Ingress",
        /// Whether it is a mere template for networks of one engine.
        config_only: bool = "ConfigOnly",
        /// The template that it is made from.
        config_from: NetworkTemplate = "ConfigFrom",
        /// What is attached **on the engine that was asked**; only inspection says it. Keyed by container id, with
        /// other keys (`lb-…`, `ep-…`) for the engine's own endpoints.
        containers: BTreeMap<String, NetworkContainer> = "Containers",
        /// Driver options; the engine adds the VXLAN id.
        options: Labels = "Options",
        /// Its labels.
        labels: Labels = "Labels",
        /// Nodes that have it, as the asked engine knows.
        peers: Vec<NetworkPeer> = "Peers",
    }
}

wire_enum! {
    /// Whose a network is.
    pub enum NetworkScope {
        /// The Swarm's.
        Swarm = "swarm",
        /// One engine's.
        Local = "local",
        /// Of an outside store.
        Global = "global",
    }
}

wire_struct! {
    /// The network whose settings another one has.
    pub struct NetworkTemplate {
        /// Its name.
        network: String = "Network",
    }
}

wire_struct! {
    /// Address management of a network.
    pub struct Ipam {
        /// The driver, `default`.
        driver: String = "Driver",
        /// Its options.
        options: Labels = "Options",
        /// Its subnets.
        config: Vec<IpamConfig> = "Config",
    }
}

wire_struct! {
    /// One subnet of a network.
    pub struct IpamConfig {
        /// The subnet.
        subnet: String = "Subnet",
        /// The part of it the manager allocates from.
        ip_range: String = "IPRange",
        /// The gateway; taken inside the range when not said.
        gateway: String = "Gateway",
        /// Reserved addresses, by name.
        auxiliary_addresses: Labels = "AuxiliaryAddresses",
    }
}

wire_struct! {
    /// A container on a network.
    pub struct NetworkContainer {
        /// Its name.
        name: String = "Name",
        /// Its endpoint.
        endpoint_id: String = "EndpointID",
        /// Hardware address.
        mac_address: String = "MacAddress",
        /// Address with prefix length.
        ipv4_address: String = "IPv4Address",
        /// Address with prefix length.
        ipv6_address: String = "IPv6Address",
    }
}

wire_struct! {
    /// A node that has a network.
    pub struct NetworkPeer {
        /// Its name among peers.
        name: String = "Name",
        /// Its address.
        ip: String = "IP",
    }
}

wire_struct! {
    /// What a network shall be, for creation.
    pub struct NetworkCreate {
        /// Unique in the Swarm.
        name: String = "Name",
        /// `overlay` for a network of the Swarm.
        driver: String = "Driver",
        /// Whether it has no way out.
        internal: bool = "Internal",
        /// Whether containers outside services may join.
        attachable: bool = "Attachable",
        /// Whether it is the routing mesh's.
        ingress: bool = "Ingress",
        /// Whose it shall be; follows from the driver when not said.
        scope: Option<NetworkScope> = "Scope",
        /// Whether it carries IPv4, API 1.47; it does when not said.
        enable_ipv4: Option<bool> = "EnableIPv4",
        /// Whether it carries IPv6.
        enable_ipv6: bool = "EnableIPv6",
        /// Whether it is a mere template for networks of one engine.
        config_only: bool = "ConfigOnly",
        /// The template that it is made from.
        config_from: Option<NetworkTemplate> = "ConfigFrom",
        /// Its addresses; the Swarm's pool when not said.
        ipam: Option<Ipam> = "IPAM",
        /// Driver options.
        options: Labels = "Options",
        /// Its labels.
        labels: Labels = "Labels",
    }
}
