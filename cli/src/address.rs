//! How people name resources on the command line, and how URLs name them.
//!
//! `env shop`, `env/shop` and `acme/Environment/shop` (the form in which Skep prints addresses) all name one resource; the
//! organisation comes from the address, the command line or the context, in this order.

use skep_api::wire::{ResourceRef, ResourceView};
use skep_schemas::resource::ScopeError;
use skep_schemas::{Kind, KindScope, OrgName, ResourceKey, ResourceName, Scope};

/// What a positional argument names: a kind, and perhaps a resource of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The organisation, when it is written out.
    pub(crate) org: Option<OrgName>,
    /// The kind.
    pub(crate) kind: Kind,
    /// The name.
    pub(crate) name: Option<ResourceName>,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (org, kind, name) = match parts.as_slice() {
            [kind] => (None, kind, None),
            [kind, name] => (None, kind, Some(name)),
            [org, kind, name] => (Some(org), kind, Some(name)),
            _ => return Err("write KIND, KIND/NAME or ORG/KIND/NAME".to_owned()),
        };
        let kinds = || Kind::ALL.iter().map(|kind| kind.plural()).collect::<Vec<_>>().join(", ");
        Ok(Self {
            org: org.map(|org| org.parse::<OrgName>().map_err(|e| format!("{e}; {}", e.help))).transpose()?,
            kind: kind.parse().map_err(|e| format!("{e}; there are {}", kinds()))?,
            name: name
                .map(|name| name.parse::<ResourceName>().map_err(|e| format!("{e}; {}", e.help)))
                .transpose()?,
        })
    }
}

/// Why no resource is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// The kind needs an organisation.
    #[error("{kind} belongs to an organisation, and none is named\nhelp: add --org NAME, or set SKEP_ORG")]
    OrgMissing {
        /// The kind.
        kind: Kind,
    },
    /// The kind takes none.
    #[error("{kind} is a platform resource and takes no organisation")]
    OrgRefused {
        /// The kind.
        kind: Kind,
    },
    /// A kind alone is not enough.
    #[error("which {kind}?\nhelp: name one, for example `{}/shop`", kind.plural())]
    NameMissing {
        /// The kind.
        kind: Kind,
    },
    /// Two names.
    #[error("`{first}` and `{second}` are two names")]
    TwoNames {
        /// The one.
        first: ResourceName,
        /// The other.
        second: ResourceName,
    },
}

impl Address {
    /// The address with the name that was written after it, if one was.
    pub(crate) fn with_name(mut self, name: Option<ResourceName>) -> Result<Self, AddressError> {
        match (self.name.take(), name) {
            (Some(first), Some(second)) => Err(AddressError::TwoNames { first, second }),
            (one, other) => Ok(Self { name: one.or(other), ..self }),
        }
    }

    /// Where resources of the kind are: in the organisation that is named, or else in the context's.
    pub(crate) fn scope(&self, context: Option<&OrgName>) -> Result<Scope, AddressError> {
        match (self.kind.scope(), &self.org) {
            (KindScope::Platform, None) => Ok(Scope::Platform),
            (KindScope::Platform, Some(_)) => Err(AddressError::OrgRefused { kind: self.kind }),
            (KindScope::Org, org) => match org.as_ref().or(context) {
                Some(org) => Ok(Scope::Org(org.clone())),
                None => Err(AddressError::OrgMissing { kind: self.kind }),
            },
        }
    }

    /// The one resource that is named.
    pub(crate) fn key(&self, context: Option<&OrgName>) -> Result<ResourceKey, AddressError> {
        let name = self.name.clone().ok_or(AddressError::NameMissing { kind: self.kind })?;
        ResourceKey::new(self.scope(context)?, self.kind, name).map_err(|error| match error {
            ScopeError::OrgMissing { kind } => AddressError::OrgMissing { kind },
            ScopeError::OrgForPlatformKind { kind } => AddressError::OrgRefused { kind },
        })
    }
}

/// The key of a resource in an answer; `None` when the answer contradicts itself.
pub(crate) fn key_of(view: &ResourceView) -> Option<ResourceKey> {
    key(view.metadata.org.as_ref(), view.kind, &view.metadata.name)
}

/// The key of a reference in an answer; `None` when it contradicts itself.
pub(crate) fn key_of_ref(reference: &ResourceRef) -> Option<ResourceKey> {
    key(reference.org.as_ref(), reference.kind, &reference.name)
}

fn key(org: Option<&OrgName>, kind: Kind, name: &ResourceName) -> Option<ResourceKey> {
    let scope = org.map_or(Scope::Platform, |org| Scope::Org(org.clone()));
    ResourceKey::new(scope, kind, name.clone()).ok()
}

/// The path of the resources of a kind.
pub(crate) fn collection_path(scope: &Scope, kind: Kind) -> String {
    match scope {
        Scope::Platform => format!("/v1/{}", kind.plural()),
        Scope::Org(org) => format!("/v1/orgs/{org}/{}", kind.plural()),
    }
}

/// The path of one resource.
pub(crate) fn resource_path(key: &ResourceKey) -> String {
    format!("{}/{}", collection_path(key.scope(), key.kind()), key.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, name: Option<&str>, context: Option<&str>) -> Result<String, String> {
        let address: Address = text.parse()?;
        let address = address.with_name(name.map(|name| name.parse().unwrap())).map_err(|e| e.to_string())?;
        let context = context.map(|org| org.parse().unwrap());
        address.key(context.as_ref()).map(|key| resource_path(&key)).map_err(|e| e.to_string())
    }

    #[test]
    fn all_ways_to_write_an_address_name_the_same_resource() {
        let path = "/v1/orgs/acme/environments/shop";
        for (text, name) in [
            ("env", Some("shop")),
            ("env/shop", None),
            ("Environment/shop", None),
            ("environments", Some("shop")),
            ("acme/Environment/shop", None),
        ] {
            assert_eq!(key(text, name, Some("acme")).as_deref(), Ok(path), "{text}");
        }
        assert_eq!(key("globex/env/shop", None, Some("acme")).unwrap(), "/v1/orgs/globex/environments/shop");
        assert_eq!(key("plan/small", None, Some("acme")).unwrap(), "/v1/plans/small");
    }

    #[test]
    fn addresses_that_name_nothing_say_why() {
        assert!(key("env/shop", None, None).unwrap_err().contains("add --org"));
        assert!(key("env", None, Some("acme")).unwrap_err().starts_with("which Environment?"));
        assert!(key("env/a", Some("b"), Some("acme")).unwrap_err().contains("two names"));
        assert!(key("acme/plan/small", None, None).unwrap_err().contains("takes no organisation"));
        assert!(
            key("pod", None, None)
                .unwrap_err()
                .contains("`pod` is not a kind; there are organizations, platforms, plans")
        );
        assert!(key("a/b/c/d", None, None).is_err() && key("env/Shop", None, None).is_err());
    }
}
