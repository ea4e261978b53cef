//! Attaching containers of the asked engine to networks: what the edge is connected with.
//!
//! A network of the Swarm is on a node only while something there is on it. What a manager does not know is who was attached by
//! hand: it removes a network from under such a container, and the node keeps a remnant that nobody can delete.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use skep_planner::swarm::{ContainerId, NetworkId};
use skep_swarm::{HintKind, Verb};

use super::Swarm;
use super::agenda::Due;
use crate::behaviour::Behaviour;
use crate::refusal::Refusal;

impl Swarm {
    /// Attaches a container of the asked engine to a network at this address.
    pub fn connect_network(
        &mut self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), Refusal> {
        let Some(record) = self.containers.get(container) else {
            return Err(Refusal::new(404, format!("No such container: {container}")));
        };
        let found = self.networks.get(network).filter(|found| found.is_local);
        let Some(found) = found else { return Err(Refusal::missing("network", network)) };
        let name = found.network.name.clone();
        if record.networks.contains_key(network) {
            let words = format!("endpoint with name {} already exists in network {name}", record.name);
            return Err(Refusal::new(403, words));
        }
        let subnets = found.network.ipam.config.iter().filter_map(|config| config.subnet.parse().ok());
        let subnet = subnets.into_iter().find(|subnet: &Ipv4Net| subnet.contains(&address));
        let Some(subnet) = subnet else {
            // The older one does not say whose fault it is, so that callers cannot know whether it took effect.
            return Err(match self.behaviour {
                Behaviour::V20_10 => Refusal::new(
                    500,
                    format!("Invalid address {address}: It does not belong to any of this network's subnets"),
                ),
                Behaviour::V26_1 => Refusal::new(
                    400,
                    format!(
                        "invalid endpoint settings:\nno configured subnet or ip-range contain the IP address {address}"
                    ),
                ),
            });
        };
        if self.taken_addresses(network).contains(&address) {
            return Err(Refusal::new(403, "Address already in use"));
        }
        let container_name = record.name.clone();
        if let Some(record) = self.containers.get_mut(container) {
            record.networks.insert(network.clone(), format!("{address}/{}", subnet.prefix_len()));
        }
        self.announce_attachment(network, &name, container, "connect");
        self.count(Verb::ConnectNetwork, &format!("{name} {container_name}"));
        Ok(())
    }

    /// Detaches a container of the asked engine from a network; `force` also when the container is gone.
    pub fn disconnect_network(
        &mut self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), Refusal> {
        let name = match (self.networks.get(network), self.remnants.get(network)) {
            (Some(found), _) => found.network.name.clone(),
            (None, Some(name)) => name.clone(),
            (None, None) => return Err(self.not_connected(container, network.as_str())),
        };
        let Some(record) = self.containers.get_mut(container) else {
            if force {
                return Err(Refusal::missing("endpoint", container));
            }
            return Err(Refusal::new(404, format!("No such container: {container}")));
        };
        let container_name = record.name.clone();
        if record.networks.remove(network).is_none() {
            return Err(self.not_connected(container, &name));
        }
        self.announce_attachment(network, &name, container, "disconnect");
        self.count(Verb::DisconnectNetwork, &format!("{name} {container_name}"));
        self.let_go_later(network);
        Ok(())
    }

    fn not_connected(&self, container: &ContainerId, network: &str) -> Refusal {
        if self.network_named(network).is_some() {
            return Refusal::new(404, format!("container {container} is not connected to network {network}"));
        }
        Refusal::new(500, format!("container {container} is not connected to the network {network}"))
    }

    /// Networks that were removed while a container was still attached by hand: the node never lets go of them.
    pub fn remnants(&self) -> impl Iterator<Item = &str> {
        self.remnants.values().map(String::as_str)
    }

    /// The addresses by which a container is on its networks, by the networks' names.
    pub fn addresses_of(&self, container: &ContainerId) -> std::collections::BTreeMap<String, String> {
        let attached = self.containers.get(container).into_iter().flat_map(|record| &record.networks);
        attached
            .filter_map(|(id, address)| Some((self.networks.get(id)?.network.name.clone(), address.clone())))
            .collect()
    }

    /// The address of a container on a network.
    pub fn address_on(&self, container: &ContainerId, network: &NetworkId) -> Option<Ipv4Addr> {
        let address = self.containers.get(container)?.networks.get(network)?;
        address.split('/').next()?.parse().ok()
    }

    pub(super) fn leave_remnant(&mut self, network: &NetworkId, name: &str) {
        let mut by_hand = self.containers.values().filter(|record| record.networks.contains_key(network));
        if by_hand.any(|record| !self.manages(record.task.as_ref(), network)) {
            self.remnants.insert(network.clone(), name.to_owned());
        }
    }

    /// Whether the managers put the container of this task on this network.
    fn manages(&self, task: Option<&skep_planner::swarm::TaskId>, network: &NetworkId) -> bool {
        let task = task.and_then(|id| self.tasks.get(id));
        task.is_some_and(|record| record.task.spec.networks.iter().any(|at| at.target == network.as_str()))
    }

    pub(super) fn taken_addresses(&self, network: &NetworkId) -> BTreeSet<Ipv4Addr> {
        let plain = |address: &str| address.split('/').next().and_then(|plain| plain.parse().ok());
        let tasks = self.tasks.values().filter(|record| !record.is_over());
        let of_tasks = tasks.flat_map(|record| &record.task.networks_attachments);
        let of_tasks = of_tasks
            .filter(|attachment| attachment.network.id == *network)
            .flat_map(|attachment| attachment.addresses.iter());
        let containers = self.containers.values().filter(|record| record.is_running());
        let of_containers = containers.filter_map(|record| record.networks.get(network));
        let services = self.services.values().flat_map(|record| &record.service.endpoint.virtual_ips);
        let of_services = services.filter(|ip| ip.network_id == *network).map(|ip| &ip.addr);
        of_tasks.chain(of_containers).chain(of_services).filter_map(|address| plain(address)).collect()
    }

    /// When nothing on the asked node is on the network any more, its engine lets go of it.
    pub(super) fn let_go_later(&mut self, network: &NetworkId) {
        self.due_in(self.pace.letting_go, Due::LetGo(network.clone()));
    }

    pub(super) fn let_go(&mut self, network: &NetworkId) {
        let mut attached = self.containers.values();
        let is_used = attached.any(|record| record.is_running() && record.networks.contains_key(network));
        if let Some(record) = self.networks.get_mut(network).filter(|_| !is_used) {
            record.is_local = record.network.driver != "overlay";
        }
    }

    fn announce_attachment(
        &mut self,
        network: &NetworkId,
        name: &str,
        container: &ContainerId,
        action: &str,
    ) {
        let said = [("container", container.to_string()), ("type", "overlay".to_owned())];
        self.announce(HintKind::Network, network.as_str(), name, action, &said);
    }
}
