//! The verbs of networks, and the addresses that the managers give out on them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use skep_planner::swarm::{
    Ipam, IpamConfig, Known, Network, NetworkContainer, NetworkCreate, NetworkId, NetworkScope,
};
use skep_swarm::{By, HintKind, LabelFilter, Verb};

use super::check::check_name;
use super::{Change, NetworkRecord, Swarm};
use crate::refusal::{Code, Refusal};

/// The driver of networks that span nodes.
const OVERLAY: &str = "overlay";

impl Swarm {
    /// Networks with these labels, without their containers.
    pub fn list_networks(&self, filter: &LabelFilter) -> Vec<Network> {
        let all = self.networks.values().map(|record| &record.network);
        all.filter(|network| filter.matches(&network.labels)).cloned().collect()
    }

    /// One network, with the containers that the asked engine has on it.
    pub fn inspect_network(&self, network: By<'_, NetworkId>) -> Option<Network> {
        let record = match network {
            By::Id(id) => self.networks.get(id)?,
            By::Name(name) => self.network_named(name)?,
        };
        let mut network = record.network.clone();
        network.containers = self.attached(&network.id);
        Some(network)
    }

    pub(super) fn network_named(&self, name: &str) -> Option<&NetworkRecord> {
        self.networks.values().find(|record| record.network.name == name)
    }

    /// Makes a network.
    pub fn create_network(&mut self, spec: &NetworkCreate) -> Result<NetworkId, Refusal> {
        let id = self.store_network(spec)?;
        self.count(Verb::CreateNetwork, &spec.name);
        Ok(id)
    }

    pub(super) fn store_network(&mut self, spec: &NetworkCreate) -> Result<NetworkId, Refusal> {
        let mut spec = spec.clone();
        spec.drop_unknown();
        if self.network_named(&spec.name).is_some() {
            return Err(Refusal::new(409, format!("network with name {} already exists", spec.name)));
        }
        check_name(&spec.name)?;
        let ipam = self.ipam(spec.ipam.as_ref())?;
        let id = NetworkId::new(self.new_id("net"));
        self.next_version();
        let is_overlay = spec.driver == OVERLAY;
        if is_overlay {
            let number = (4096 + self.ids).to_string();
            spec.options.insert("com.docker.network.driver.overlay.vxlanid_list".to_owned(), number);
        }
        let network = Network {
            id: id.clone(),
            name: spec.name.clone(),
            created: self.now.to_string(),
            scope: Some(if is_overlay { NetworkScope::Swarm } else { NetworkScope::Local }),
            driver: if spec.driver.is_empty() { "bridge".to_owned() } else { spec.driver.clone() },
            enable_ipv6: spec.enable_ipv6,
            ipam,
            internal: spec.internal,
            attachable: spec.attachable,
            ingress: spec.ingress,
            options: spec.options.clone(),
            labels: spec.labels.clone(),
            ..Network::default()
        };
        let record = NetworkRecord { network, next_address: 0, is_local: !is_overlay };
        self.networks.insert(id.clone(), record);
        self.announce(HintKind::Network, id.as_str(), &spec.name, "create", &[]);
        if is_overlay {
            self.changed(Change::Network(id.clone()));
        }
        Ok(id)
    }

    /// The managers write a network once more when they have allocated it.
    pub(super) fn network_made(&mut self, id: &NetworkId) {
        let Some(name) = self.networks.get(id).map(|record| record.network.name.clone()) else { return };
        self.next_version();
        self.announce(HintKind::Network, id.as_str(), &name, "update", &[]);
    }

    /// The addresses of a network, with what the managers choose.
    fn ipam(&mut self, asked: Option<&Ipam>) -> Result<Ipam, Refusal> {
        let mut ipam = asked.cloned().unwrap_or_default();
        if ipam.driver.is_empty() {
            "default".clone_into(&mut ipam.driver);
        }
        if ipam.config.iter().all(|config| config.subnet.is_empty()) {
            // In turn, and not again soon: 10.0.0.0/24 is the routing mesh's.
            self.pools += 1;
            let subnet = format!("10.{}.{}.0/24", self.pools / 256 % 256, self.pools % 256);
            ipam.config = vec![IpamConfig { subnet, ..IpamConfig::default() }];
        }
        if !ipam.options.is_empty() {
            let serial = "com.docker.network.ipam.serial".to_owned();
            ipam.options.insert(serial, "true".to_owned());
        }
        for config in &mut ipam.config {
            config.auxiliary_addresses.clear();
            let subnet: Ipv4Net = config
                .subnet
                .parse()
                .map_err(|_| Refusal::rpc(Code::InvalidArgument, "ipam configuration: invalid subnet"))?;
            if config.gateway.is_empty() {
                // Of a range that is the first address, even where it looks like a network's own.
                let first: Option<Ipv4Net> = config.ip_range.parse().ok();
                let first = first.map_or_else(|| subnet.hosts().next(), |range| Some(range.network()));
                config.gateway = first.map(|address| address.to_string()).unwrap_or_default();
            }
        }
        Ok(ipam)
    }

    /// Removes a network that no service's spec names and no task needs.
    pub fn remove_network(&mut self, id: &NetworkId) -> Result<(), Refusal> {
        let name = self.delete_network(id)?;
        self.count(Verb::RemoveNetwork, &name);
        Ok(())
    }

    pub(super) fn delete_network(&mut self, id: &NetworkId) -> Result<String, Refusal> {
        let Some(record) = self.networks.get(id) else { return Err(Refusal::missing("network", id)) };
        let name = record.network.name.clone();
        let uses = |target: &str| target == id.as_str();
        let services = self.services.values().map(|record| &record.service);
        let mut users =
            services.filter(|service| service.spec.task_template.networks.iter().any(|at| uses(&at.target)));
        if let Some(user) = users.next() {
            let words = format!("network {id} is in use by service {}", user.id);
            return Err(Refusal::rpc(Code::FailedPrecondition, words));
        }
        let mut tasks = self.tasks.values().filter(|record| {
            record.is_wanted_running()
                && !record.is_over()
                && record.task.spec.networks.iter().any(|at| uses(&at.target))
        });
        if let Some(user) = tasks.next() {
            let words = format!("network {id} is in use by task {}", user.task.id);
            return Err(Refusal::rpc(Code::FailedPrecondition, words));
        }
        self.leave_remnant(id, &name);
        self.networks.remove(id);
        self.next_version();
        self.announce(HintKind::Network, id.as_str(), &name, "remove", &[]);
        Ok(name)
    }

    /// The next free address of a network with its prefix length, as the managers give them out: in turn, within its range.
    pub(super) fn allocate_address(&mut self, id: &NetworkId) -> Option<String> {
        let taken = self.taken_addresses(id);
        let record = self.networks.get_mut(id)?;
        let config = record.network.ipam.config.first()?;
        let subnet: Ipv4Net = config.subnet.parse().ok()?;
        let range: Ipv4Net = config.ip_range.parse().unwrap_or(subnet);
        let gateway: Option<Ipv4Addr> = config.gateway.parse().ok();
        let size = 1_u32.checked_shl(u32::from(32 - range.prefix_len())).unwrap_or(u32::MAX);
        for _ in 0..size {
            let offset = record.next_address % size;
            record.next_address = record.next_address.wrapping_add(1);
            let address = Ipv4Addr::from(u32::from(range.network()).wrapping_add(offset));
            let is_edge = address == subnet.network() || address == subnet.broadcast();
            if !is_edge && Some(address) != gateway && !taken.contains(&address) {
                return Some(format!("{address}/{}", subnet.prefix_len()));
            }
        }
        None
    }

    /// What the asked engine has on a network.
    fn attached(&self, id: &NetworkId) -> std::collections::BTreeMap<String, NetworkContainer> {
        let containers = self.containers.values().filter(|record| record.is_running());
        let attached = containers.filter_map(|record| {
            let address = record.networks.get(id)?;
            let container = NetworkContainer {
                name: record.name.clone(),
                endpoint_id: format!("endpoint-{}-{}", record.id, id),
                ipv4_address: address.clone(),
                ..NetworkContainer::default()
            };
            Some((record.id.to_string(), container))
        });
        attached.collect()
    }
}
