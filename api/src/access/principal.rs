//! Who asks, and what that allows.
//!
//! A token has one grant. A person may have several, one for each organisation and one of the platform, and acts with one of them at a
//! time: the one that permits what is asked, and of several the one that reaches least. So what a request can touch is what it is about,
//! whatever else the person may do elsewhere.

use skep_schemas::{ResourceKey, Role, Scope};
use skep_store::{Grant, Person, SessionId};

use super::Target;
use super::permission::{Needs, Permission};
use crate::error::ApiError;

fn covers(grant: &Grant, target: &Target) -> bool {
    match (&grant.reach, target) {
        (Scope::Platform, _) => true,
        (Scope::Org(own), Target::Org(org, _)) => own == org,
        (Scope::Org(_), Target::Platform(_) | Target::Documents) => false,
    }
}

/// Somebody who is a person, and in which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// Who.
    pub(crate) person: Person,
    /// The session; none for one who comes with somebody else's word each time.
    pub(crate) session: Option<SessionId>,
    /// Who vouches for the person now, without a session.
    pub(crate) issuer: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The name, for the log and the audit: a person's address; that of a token of an organisation stands behind the organisation's.
    pub(crate) name: String,
    /// The person, if it is one.
    pub(crate) own: Option<Own>,
    /// Everything that was given.
    pub(crate) grants: Vec<Grant>,
    /// What this request is made with; nobody was given anything.
    pub(crate) grant: Option<Grant>,
}

impl Principal {
    /// Whoever sent no token.
    pub(crate) fn nobody() -> Self {
        Self { name: "-".to_owned(), own: None, grants: Vec::new(), grant: None }
    }

    /// Was no token sent?
    pub(crate) const fn is_nobody(&self) -> bool {
        self.own.is_none() && self.grants.is_empty()
    }

    /// Whoever has a token.
    pub(crate) fn bearer(name: String, grant: Grant) -> Self {
        Self { name, own: None, grants: vec![grant.clone()], grant: Some(grant) }
    }

    /// A person for whom somebody vouches. Of a membership and a role that comes with the token, the greater one counts.
    pub(crate) fn vouched(issuer: String, person: Person, members: Vec<Grant>, told: Vec<Grant>) -> Self {
        let mut grants = members;
        for grant in told {
            match grants.iter_mut().find(|known| known.reach == grant.reach) {
                Some(known) => known.role = known.role.max(grant.role),
                None => grants.push(grant),
            }
        }
        let name = person.email.to_string();
        Self { name, own: Some(Own { person, session: None, issuer: Some(issuer) }), grants, grant: None }
    }

    /// The same, acting with the grant that fits best.
    #[must_use]
    pub(crate) fn acting(&self, permission: Permission, targets: &[Target]) -> Self {
        let with = |grant: &Grant| Self { grant: Some(grant.clone()), ..self.clone() };
        let permits = |grant: &&Grant| {
            let acting = with(grant);
            targets.iter().all(|target| acting.permits(permission, target))
        };
        let narrow_first = || {
            let (platform, orgs): (Vec<_>, Vec<_>) =
                self.grants.iter().partition(|grant| grant.reach == Scope::Platform);
            orgs.into_iter().chain(platform)
        };
        let covering = |grant: &&Grant| targets.iter().all(|target| covers(grant, target));
        let best = narrow_first().find(permits).or_else(|| narrow_first().find(covering));
        // With a single grant it is that one in any case, for what is told of it.
        let only = || self.grants.first().filter(|_| self.grants.len() == 1);
        Self { grant: best.or_else(only).cloned(), ..self.clone() }
    }

    /// The one place where it is decided who may do what.
    pub(crate) fn permits(&self, permission: Permission, target: &Target) -> bool {
        let needs = match target {
            // Asked again for each.
            Target::Documents => Needs::AnyRole,
            Target::Org(..) | Target::Platform(_) => permission.needs(target.kind()),
        };
        match (needs, &self.grant) {
            (Needs::Person, _) => self.own.is_some(),
            (Needs::Anyone, None) => self.own.is_some(),
            (Needs::Anyone | Needs::AnyRole, Some(_)) => true,
            (Needs::Within(role), Some(grant)) => covers(grant, target) && grant.role >= role,
            (Needs::OnPlatform(role), Some(grant)) => grant.reach == Scope::Platform && grant.role >= role,
            (Needs::AnyRole | Needs::Within(_) | Needs::OnPlatform(_), None) => false,
        }
    }

    /// Refuses what is not permitted. What lies in an organisation out of reach does not exist for whoever asks: the answer is
    /// the same whether there is such an organisation or not.
    pub(crate) fn require(&self, permission: Permission, target: &Target) -> Result<(), ApiError> {
        if self.permits(permission, target) {
            return Ok(());
        }
        match target {
            Target::Org(org, _) if !self.grant.as_ref().is_some_and(|grant| covers(grant, target)) => {
                Err(ApiError::OutOfReach { key: ResourceKey::organization(org), permission })
            }
            _ => Err(ApiError::Forbidden { permission, target: target.clone() }),
        }
    }

    /// In which role, and where, for the audit.
    pub(crate) fn acting_as(&self) -> Option<String> {
        let Grant { reach, role } = self.grant.as_ref()?;
        Some(match reach {
            Scope::Platform => format!("{role} of the platform"),
            Scope::Org(org) => format!("{role} of {org}"),
        })
    }

    /// Nobody gives out more than he has.
    pub(crate) fn may_give(&self, role: Role) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.role >= role)
    }

    /// The role that this request is made with.
    pub(crate) fn role(&self) -> Result<Role, ApiError> {
        self.grant
            .as_ref()
            .map(|grant| grant.role)
            .ok_or_else(|| ApiError::internal("whoever was admitted has a grant"))
    }

    /// The person who asks.
    pub(crate) fn own(&self) -> Result<&Own, ApiError> {
        self.own
            .as_ref()
            .ok_or_else(|| ApiError::internal("what a person does for himself was asked by nobody"))
    }

    /// Is this the same, with at least the grant that the other one acts with?
    pub(crate) fn still_is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.own == other.own
            && other.grant.as_ref().is_none_or(|grant| self.grants.contains(grant))
    }
}

impl From<skep_store::Principal> for Principal {
    fn from(known: skep_store::Principal) -> Self {
        match known {
            skep_store::Principal::Token { name, grant } => {
                let name = match &grant.reach {
                    Scope::Platform => name,
                    Scope::Org(org) => format!("{org}/{name}"),
                };
                Self::bearer(name, grant)
            }
            skep_store::Principal::Person { id, session, email, display_name, grants } => Self {
                name: email.to_string(),
                own: Some(Own { person: Person { id, email, display_name }, session, issuer: None }),
                grants,
                grant: None,
            },
        }
    }
}

#[cfg(test)]
#[path = "principal_tests.rs"]
mod tests;
