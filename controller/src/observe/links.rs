//! Looking at the forwarders of links, for whoever uses them and for the networks that they are on.

use futures::future::join_all;
use skep_planner::Observed;
use skep_planner::naming::{LABEL_KIND, LABEL_LINK_TO, LABEL_ORG};
use skep_planner::reconcile::network_policy::{NetworkPolicyDesired, NetworkPolicyObservation};
use skep_planner::reconcile::organization::OrganizationDesired;
use skep_planner::swarm::ServiceId;
use skep_schemas::Kind;
use skep_swarm::{By, LabelFilter};

use super::{Observer, observed, unknown};
use crate::error::chain;

impl Observer {
    /// How many forwarders of links are on an organisation's network: its own and those of others. Nobody asks where it does not matter.
    pub(super) async fn links(&self, desired: &OrganizationDesired) -> Observed<u64> {
        if !desired.may_dismantle() {
            return Observed::Absent;
        }
        let org = desired.org.as_str();
        let own = LabelFilter::any().with(LABEL_ORG, org).with(LABEL_KIND, Kind::NetworkPolicy.as_str());
        let others = LabelFilter::any().with(LABEL_LINK_TO, org);
        match futures::try_join!(self.swarm.list_services(&own), self.swarm.list_services(&others)) {
            Ok((own, others)) => {
                Observed::Present(u64::try_from(own.len().saturating_add(others.len())).unwrap_or(u64::MAX))
            }
            Err(error) => unknown(&error),
        }
    }

    /// Everything that planning a network policy needs to see.
    pub(crate) async fn network_policy(&self, desired: &NetworkPolicyDesired) -> NetworkPolicyObservation {
        let names = desired.services_to_observe();
        let networks = join_all(desired.networks_to_observe().into_iter().map(async |name| {
            let found = observed(self.swarm.inspect_network(By::Name(&name)).await);
            (name, found)
        }));
        let (engine, networks, services) = futures::join!(self.engine(), networks, self.services(&names));
        let ids: Vec<ServiceId> = services
            .values()
            .filter_map(|service| service.present().map(|service| service.id.clone()))
            .collect();
        match self.tasks(ids).await {
            Ok(tasks) => {
                let networks = networks.into_iter().collect();
                NetworkPolicyObservation { engine, networks, services, tasks }
            }
            Err(error) => NetworkPolicyObservation::unknown(desired, &chain(&error)),
        }
    }
}
