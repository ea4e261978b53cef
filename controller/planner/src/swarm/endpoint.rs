//! How a service is reached: ports, and whether its name resolves to a virtual address or to its tasks.

use super::id::NetworkId;

wire_struct! {
    /// What is asked for.
    pub struct EndpointSpec {
        /// Virtual address or task addresses.
        mode: Option<EndpointMode> = "Mode",
        /// Published ports.
        ports: Vec<PortConfig> = "Ports",
    }
}

wire_struct! {
    /// What the Swarm allocated.
    pub struct Endpoint {
        /// The spec the allocation is for.
        spec: Option<EndpointSpec> = "Spec",
        /// Ports with the numbers really published.
        ports: Vec<PortConfig> = "Ports",
        /// One virtual address per network, none with `dnsrr`.
        virtual_ips: Vec<VirtualIp> = "VirtualIPs",
    }
}

wire_enum! {
    /// What a service's name resolves to.
    pub enum EndpointMode {
        /// One virtual address, balanced in the kernel.
        Vip = "vip",
        /// The addresses of its tasks.
        DnsRoundRobin = "dnsrr",
    }
}

wire_struct! {
    /// One published port.
    pub struct PortConfig {
        /// A name, informative only.
        name: String = "Name",
        /// Transport; the engine turns a word it does not know into `tcp`.
        protocol: Option<PortProtocol> = "Protocol",
        /// The port inside the container.
        target_port: u32 = "TargetPort",
        /// The port outside; zero lets the engine choose.
        published_port: u32 = "PublishedPort",
        /// Where it is published; the engine turns a word it does not know into `ingress`, on every node.
        publish_mode: Option<PublishMode> = "PublishMode",
    }
}

wire_enum! {
    /// Transport of a port.
    pub enum PortProtocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// SCTP.
        Sctp = "sctp",
    }
}

wire_enum! {
    /// Where a port is published.
    pub enum PublishMode {
        /// On every node, through the routing mesh.
        Ingress = "ingress",
        /// On the node a task runs on.
        Host = "host",
    }
}

wire_struct! {
    /// The virtual address of a service on one network.
    pub struct VirtualIp {
        /// The network.
        network_id: NetworkId = "NetworkID",
        /// Address with prefix length.
        addr: String = "Addr",
    }
}
