//! Loading what the store knows about a network policy: its own side, and of the other sides what both agree on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use skep_planner::policy::isolation::Isolation;
use skep_planner::reconcile::environment::TierChoice;
use skep_planner::reconcile::network_policy::{AgreedLink, NetworkPolicyDesired};
use skep_schemas::kind::{LinkTarget, NetworkPolicySpec, OrganizationSpec};
use skep_schemas::{Kind, Resource, ResourceKey, ResourceName};
use skep_store::{Link, Snapshot, StoreError};

use crate::desired::typed;
use crate::{policies, stance};

/// A network policy, ready to be planned.
pub(crate) async fn network_policy(
    snapshot: &mut Snapshot,
    policy: Resource<NetworkPolicySpec>,
    now: Timestamp,
) -> Result<NetworkPolicyDesired, StoreError> {
    let key = policy.meta.key.clone();
    let Some(org) = key.org().cloned() else { return Err(StoreError::NotFound { key }) };
    let organization = typed::<OrganizationSpec>(snapshot, &ResourceKey::organization(&org)).await?;
    let terms = policies::terms(snapshot, organization.as_ref()).await?;
    let within = [organization.as_ref().map(|organization| &organization.meta)];
    let stance = stance::of(snapshot, &policy.meta, &within, now).await?;
    let subnet = match &organization {
        Some(organization) => snapshot.subnet(organization.meta.uid).await?,
        None => None,
    };
    let links = snapshot.links(&org).await?;
    let used = links.iter().filter(|link| link.to.organization == org).map(used_by).collect();
    let mut agreed = BTreeMap::new();
    for link in links.into_iter().filter(|link| link.policy == policy.meta.uid) {
        if let Some(isolation) = isolation(snapshot, link.tier).await? {
            let Link { alias, provider, network, subnet, .. } = link;
            agreed.insert(alias, AgreedLink { provider, network, subnet, isolation });
        }
    }
    Ok(NetworkPolicyDesired {
        allowed: terms.takes_links(),
        missing: missing(snapshot, &policy).await?,
        inventory: snapshot.inventory(policy.meta.uid).await?,
        policy,
        org,
        organization,
        subnet,
        agreed,
        used,
        stance,
    })
}

/// Where a link leads, with who uses it in place of who offers it.
fn used_by(link: &Link) -> LinkTarget {
    LinkTarget { organization: link.used_by.clone(), ..link.to.clone() }
}

/// How the other side is kept apart; none if its tier is not there any more, and then there is no link.
async fn isolation(
    snapshot: &mut Snapshot,
    tier: Option<ResourceName>,
) -> Result<Option<Isolation>, StoreError> {
    Ok(match policies::tier_choice(snapshot, tier).await? {
        TierChoice::None => Some(Isolation::standard()),
        TierChoice::Missing(_) => None,
        TierChoice::Found(tier) => Some(Isolation::by(tier.meta.key.name().as_str(), &tier.spec)),
    })
}

/// The environments that a policy offers ports of and that are not there.
async fn missing(
    snapshot: &mut Snapshot,
    policy: &Resource<NetworkPolicySpec>,
) -> Result<BTreeSet<ResourceName>, StoreError> {
    let mut missing = BTreeSet::new();
    let named: BTreeSet<&ResourceName> = policy.spec.ingress.iter().map(|rule| &rule.environment).collect();
    for name in named {
        let key = policy.meta.key.sibling(Kind::Environment, name.clone());
        let found = match &key {
            Some(key) => snapshot.get(key).await?,
            None => None,
        };
        if found.is_none() {
            missing.insert(name.clone());
        }
    }
    Ok(missing)
}
