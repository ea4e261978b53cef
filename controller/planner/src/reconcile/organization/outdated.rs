//! A network that was made when its plan said otherwise. Whether it has a way out and whether it is encrypted is decided when it is
//! made, so it is removed and made anew: while no environment is on it without asking, and otherwise not at all, because every task
//! of the organisation would have to stop at once. Until then the organisation says in what it is otherwise, and everything else goes
//! on. Of a network that was adopted the difference is only reported: others may be on it.

use skep_schemas::kind::{Egress, NetworkRules};

use super::Pass;
use crate::blocked::Blocked;
use crate::inventory::{ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::swarm::Network;
use crate::{naming, render};

const WHY: &str = "its plan wants it otherwise; it is made anew";

/// The rules by which a network was made.
fn rules_of(network: &Network) -> NetworkRules {
    NetworkRules {
        egress: if network.internal { Egress::Deny } else { Egress::Allow },
        encrypted: network.options.contains_key(render::ENCRYPTED),
    }
}

impl Pass<'_> {
    /// What a network is compared with. What the plan has said since Skep made it is not somebody's change.
    pub(super) fn rules_for(&self, network: &Network) -> NetworkRules {
        if self.is_made_by_us(network) { rules_of(network) } else { self.desired.network }
    }

    /// An adopted network does not carry our labels: they cannot be put on a network.
    fn is_made_by_us(&self, network: &Network) -> bool {
        let uid = self.desired.organization.meta.uid;
        naming::is_owned_by(&network.labels, &self.settings.instance, uid)
    }

    /// Is the network being removed, to be made as the plan says now?
    pub(super) fn is_made_anew(&mut self) -> bool {
        let Observed::Present(network) = &self.observed.network else { return false };
        // Of a network that the manager has not allocated yet the engine tells no options.
        if network.driver.is_empty() || !self.is_made_by_us(network) {
            return false;
        }
        let Some(why) = difference(rules_of(network), self.desired.network) else { return false };
        if self.desired.environments == 0 {
            self.dismantle(WHY, 0);
            return true;
        }
        let object = ObjectRef::new(ObjectKind::Network, &network.name).to_string();
        self.plan.blocked.push(Blocked::NetworkOutdated { object, why });
        false
    }
}

fn difference(made: NetworkRules, wanted: NetworkRules) -> Option<String> {
    let egress = match (made.egress, wanted.egress) {
        (Egress::Allow, Egress::Deny) => Some("has a way out, which the plan denies"),
        (Egress::Deny, Egress::Allow) => Some("has no way out, which the plan allows"),
        (Egress::Allow, Egress::Allow) | (Egress::Deny, Egress::Deny) => None,
    };
    let encrypted = match (made.encrypted, wanted.encrypted) {
        (false, true) => Some("is not encrypted, as the plan says"),
        (true, false) => Some("is encrypted, which the plan does not say"),
        (true, true) | (false, false) => None,
    };
    let all: Vec<&str> = egress.into_iter().chain(encrypted).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}
