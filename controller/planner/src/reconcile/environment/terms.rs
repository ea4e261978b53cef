//! What the platform grants an organisation: its plan, and how that plan keeps it apart. Nothing that the organisation writes changes it.

use skep_schemas::kind::{IsolationLevel, IsolationTierSpec, PlanSpec};
use skep_schemas::{Resource, ResourceName, Revision};

use super::PlanChoice;
use crate::blocked::Blocked;
use crate::policy::isolation::Isolation;

/// What the platform grants an organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The organisation's plan.
    pub plan: PlanChoice,
    /// The plan's tier.
    pub tier: TierChoice,
}

/// The isolation tier that a plan names.
#[derive(Debug, Clone, PartialEq)]
pub enum TierChoice {
    /// None.
    None,
    /// One that does not exist.
    Missing(ResourceName),
    /// This one.
    Found(Box<Resource<IsolationTierSpec>>),
}

impl Terms {
    /// The organisation's plan with its name.
    pub fn own_plan(&self) -> Option<(&ResourceName, &PlanSpec)> {
        match &self.plan {
            PlanChoice::Found(plan) => Some((plan.meta.key.name(), &plan.spec)),
            PlanChoice::None | PlanChoice::Missing(_) => None,
        }
    }

    /// How the organisation is kept apart. What is named and not there says nothing, and is not taken for permission.
    pub fn isolation(&self) -> Result<Isolation, Blocked> {
        match (&self.plan, &self.tier) {
            (PlanChoice::Missing(name), _) => {
                Err(Blocked::ReferenceMissing { resource: format!("Plan/{name}") })
            }
            (_, TierChoice::Missing(name)) => {
                Err(Blocked::ReferenceMissing { resource: format!("IsolationTier/{name}") })
            }
            (_, TierChoice::Found(tier)) => Ok(Isolation::by(tier.meta.key.name().as_str(), &tier.spec)),
            (_, TierChoice::None) => Ok(Isolation::standard()),
        }
    }

    /// May the organisation have links with others? Its plan has to say so, and a dedicated tier, too. (`takes_links` of `migrations/0024_links.sql` says
    /// the same of the organisation on the other side.)
    pub fn takes_links(&self) -> bool {
        let links = self.own_plan().and_then(|(_, plan)| plan.quota.as_ref()).and_then(|quota| quota.links);
        let tier = match &self.tier {
            TierChoice::None => true,
            TierChoice::Missing(_) => false,
            TierChoice::Found(tier) => tier.spec.level != IsolationLevel::Dedicated || tier.spec.links,
        };
        links.is_some_and(|links| links > 0) && tier
    }

    /// The newest transaction among those that wrote them.
    pub fn revision(&self) -> Option<Revision> {
        let plan = match &self.plan {
            PlanChoice::Found(plan) => Some(plan.meta.revision),
            PlanChoice::None | PlanChoice::Missing(_) => None,
        };
        let tier = match &self.tier {
            TierChoice::Found(tier) => Some(tier.meta.revision),
            TierChoice::None | TierChoice::Missing(_) => None,
        };
        plan.into_iter().chain(tier).max()
    }
}
