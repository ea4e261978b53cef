//! Which resources a list or a watch is about.

use skep_schemas::selector::Selector;
use skep_schemas::{Kind, KindScope, Labels, ResourceKey, Scope};
use skep_store::{ListPosition, ListQuery as StoreQuery, ScopeFilter};

use crate::call::Address;
use crate::error::ApiError;
use crate::wire::ListQuery;

/// One kind, in some scope, with some labels.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    kind: Kind,
    scope: ScopeFilter,
    selector: Selector,
}

impl Selection {
    /// What a request asks for.
    pub(super) fn of(address: &Address, query: &ListQuery) -> Result<Self, ApiError> {
        let kind = address.kind()?;
        let selector = query.label_selector.as_deref().unwrap_or_default().parse();
        let selector = selector
            .map_err(|error: skep_schemas::ScalarError| ApiError::invalid(error.problem, error.help))?;
        let scope = match (address.org(), kind.scope()) {
            (Some(org), _) => ScopeFilter::Org(org.clone()),
            (None, KindScope::Platform) => ScopeFilter::Platform,
            (None, KindScope::Org) => ScopeFilter::All,
        };
        Ok(Self { kind, scope, selector })
    }

    /// As the store is asked.
    pub(super) fn query(&self, limit: u32, after: Option<ListPosition>) -> StoreQuery {
        let Self { kind, scope, selector } = self.clone();
        StoreQuery { kind: Some(kind), scope, selector, limit, after }
    }

    /// Where the page before ended, as its `next` said.
    pub(super) fn position(&self, cursor: &str) -> Result<ListPosition, ApiError> {
        let key = self.key(cursor).filter(|key| self.covers(key));
        key.map(ListPosition::after).ok_or_else(|| {
            ApiError::invalid("`cursor` is not of this list", "use the `next` of the page before, as it is")
        })
    }

    fn key(&self, cursor: &str) -> Option<ResourceKey> {
        let mut parts = cursor.rsplitn(3, '/');
        let (name, kind, org) = (parts.next()?, parts.next()?, parts.next());
        let scope = org.map_or(Ok(Scope::Platform), |org| org.parse().map(Scope::Org)).ok()?;
        let key = ResourceKey::new(scope, self.kind, name.parse().ok()?).ok()?;
        (kind == self.kind.as_str()).then_some(key)
    }

    /// Is the key one of those that can be selected, whatever its labels?
    pub(super) fn covers(&self, key: &ResourceKey) -> bool {
        key.kind() == self.kind
            && match &self.scope {
                ScopeFilter::All => true,
                ScopeFilter::Platform => key.org().is_none(),
                ScopeFilter::Org(org) => key.org() == Some(org),
            }
    }

    /// Do the labels fit?
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.selector.matches(labels)
    }
}
