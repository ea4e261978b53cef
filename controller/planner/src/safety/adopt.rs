//! Adoption: may an object that Skep did not make become one of its own?
//!
//! What cannot be changed in place has to fit already. A service's spec is replaced as a whole, all but its mode; of a network
//! nothing can be changed; a secret's value can be neither read nor changed. Once adopted, an object is the resource's own by its
//! id, and the next reconcile makes it what it should be, labels included.

use crate::settings::OrgSubnet;
use crate::swarm::{Network, NetworkScope, Service, ServiceMode};

/// Why a secret cannot be adopted.
pub const SECRET_UNFIT: &str = "a secret's value cannot be read, so nobody can tell whether it is the wanted one: remove it, and \
                                Skep makes its own";

/// May this service be adopted? In words why not.
pub fn adopt_service(service: &Service) -> Result<(), String> {
    match &service.spec.mode {
        None | Some(ServiceMode::Replicated(_)) => Ok(()),
        Some(_) => Err("it is not in replicated mode, and the mode of a service cannot be changed: remove it, and Skep makes \
                        its own"
            .to_owned()),
    }
}

/// May this network be adopted as that of an organisation with this subnet? In words why not.
pub fn adopt_network(network: &Network, subnet: Option<OrgSubnet>) -> Result<(), String> {
    let Some(subnet) = subnet else {
        return Err("the organisation has no subnet yet, so nothing can be compared".to_owned());
    };
    let mut misfits = Vec::new();
    if network.driver != "overlay" || network.scope != Some(NetworkScope::Swarm) {
        misfits.push(format!("its driver is {}, not overlay", network.driver));
    }
    if !network.attachable {
        misfits.push("it is not attachable, so the edge cannot be connected to it".to_owned());
    }
    if network.internal || network.ingress {
        misfits.push("it is internal, or the routing mesh's".to_owned());
    }
    let (wanted, range) = (subnet.net().to_string(), subnet.task_range().to_string());
    match network.ipam.config.as_slice() {
        [only] if only.subnet == wanted && only.ip_range == range => {}
        [only] => misfits.push(format!(
            "its subnet is {} with tasks in {}, not {wanted} with tasks in {range}",
            only.subnet,
            if only.ip_range.is_empty() { "all of it" } else { &only.ip_range }
        )),
        other => misfits.push(format!("it has {} subnets, not one", other.len())),
    }
    if misfits.is_empty() {
        return Ok(());
    }
    Err(format!(
        "nothing of a network can be changed, and {}: remove it, and Skep makes its own",
        misfits.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{Ipam, IpamConfig, ServiceSpec};

    fn service(mode: Option<ServiceMode>) -> Service {
        Service { spec: ServiceSpec { mode, ..ServiceSpec::default() }, ..Service::default() }
    }

    fn network(subnet: &str, ip_range: &str, attachable: bool) -> Network {
        let config =
            IpamConfig { subnet: subnet.to_owned(), ip_range: ip_range.to_owned(), ..IpamConfig::default() };
        Network {
            driver: "overlay".to_owned(),
            scope: Some(NetworkScope::Swarm),
            attachable,
            ipam: Ipam { config: vec![config], ..Ipam::default() },
            ..Network::default()
        }
    }

    #[test]
    fn a_service_is_adopted_in_replicated_mode_alone() {
        assert!(adopt_service(&service(None)).is_ok());
        assert!(adopt_service(&service(Some(ServiceMode::replicated(3)))).is_ok());
        assert!(adopt_service(&service(Some(ServiceMode::global()))).unwrap_err().contains("mode"));
    }

    #[test]
    fn a_network_has_to_be_what_would_have_been_made_and_every_misfit_is_named() {
        let subnet = Some(OrgSubnet::new("10.128.4.0/22".parse().unwrap()));
        assert_eq!(adopt_network(&network("10.128.4.0/22", "10.128.6.0/23", true), subnet), Ok(()));
        let why = adopt_network(&network("10.9.0.0/24", "", false), subnet).unwrap_err();
        for part in ["not attachable", "10.9.0.0/24 with tasks in all of it", "10.128.4.0/22"] {
            assert!(why.contains(part), "{why}");
        }
        assert!(adopt_network(&network("10.128.4.0/22", "10.128.6.0/23", true), None).is_err());
    }
}
