//! A request in the name of one grant: who acts, as the audit tells of it, and how far the store reaches.
//!
//! All three are made together, so that none of them can speak of another grant than the others.

use skep_store::{Actor, Origin, ScopedStore};

use crate::access::{Permission, Principal, Target};
use crate::app::App;
use crate::error::ApiError;

/// Who acts, and how far that reaches.
#[derive(Clone)]
pub(crate) struct Acting {
    /// Who.
    pub(crate) principal: Principal,
    /// The same as the audit tells of it.
    pub(crate) actor: Actor,
    /// The store, as far as that reaches.
    pub(crate) store: ScopedStore,
}

impl Acting {
    /// With the grant that fits what is asked. Whether it is permitted is not decided here.
    pub(crate) fn new(app: &App, principal: Principal, origin: Origin) -> Self {
        let origin = Origin { acting_as: principal.acting_as(), ..origin };
        let actor = Actor::new(&principal.name).with_origin(origin);
        let store = app.store_of(&principal);
        Self { principal, actor, store }
    }

    /// As a call has them.
    pub(crate) const fn of(principal: Principal, actor: Actor, store: ScopedStore) -> Self {
        Self { principal, actor, store }
    }

    /// With the grant that permits this on all of these. A person who may each of it, but by different grants, is told to ask for one
    /// organisation at a time: a transaction reaches as far as one grant.
    pub(crate) fn on_all(
        self,
        app: &App,
        permission: Permission,
        targets: &[Target],
    ) -> Result<Self, ApiError> {
        let principal = self.principal.acting(permission, targets);
        for target in targets {
            let alone = principal.acting(permission, std::slice::from_ref(target));
            alone.require(permission, target)?;
        }
        if !targets.iter().all(|target| principal.permits(permission, target)) {
            return Err(ApiError::invalid(
                "the documents belong to organisations that you are a member of one by one",
                "send those of one organisation at a time",
            ));
        }
        if principal.grant == self.principal.grant {
            return Ok(self);
        }
        let actor = self.actor.in_role(principal.acting_as().as_deref());
        let store = app.store_of(&principal);
        Ok(Self { principal, actor, store })
    }
}
