//! Who asks, what may be asked, and where that is decided.
//!
//! Every route declares an [`Access`]; the runner refuses before the handler sees the request. A [`Permission`] is always
//! asked for together with the [`Target`] it is exercised on; [`Principal::permits`] compares what that takes
//! ([`Permission::needs`]) with what the principal was given, and nothing else decides.

mod permission;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName, Role, Scope};

use crate::error::ApiError;
use crate::limits::TOKEN_MAX;

use permission::Needs;
pub(crate) use permission::Permission;

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: anyone may know whether the server lives, and load a page that holds no data.
    Open,
    /// A token with this permission.
    Needs(Permission),
}

/// What a permission is exercised on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Something in an organisation, or the organisation itself.
    Org(OrgName, Option<Kind>),
    /// Something of the platform, and with it all organisations.
    Platform(Option<Kind>),
    /// Not known before the body is read: the handler asks again for each document.
    Documents,
}

impl Target {
    /// A resource.
    pub(crate) fn of(key: &ResourceKey) -> Self {
        Self::at(key.org(), Some(key.kind()), Some(key.name()))
    }

    /// What a path or a reference names. An organisation's own resource is in its reach, although it is one of the platform.
    pub(crate) fn at(org: Option<&OrgName>, kind: Option<Kind>, name: Option<&ResourceName>) -> Self {
        let own =
            name.filter(|_| kind == Some(Kind::Organization)).and_then(|name| OrgName::try_from(name).ok());
        match org.cloned().or(own) {
            Some(org) => Self::Org(org, kind),
            None => Self::Platform(kind),
        }
    }

    /// The organisation, if it is one's.
    pub(crate) const fn org(&self) -> Option<&OrgName> {
        match self {
            Self::Org(org, _) => Some(org),
            Self::Platform(_) | Self::Documents => None,
        }
    }

    pub(crate) const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Org(_, kind) | Self::Platform(kind) => *kind,
            Self::Documents => None,
        }
    }
}

/// What a principal was given: so much, there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Where.
    pub(crate) reach: Scope,
    /// How much.
    pub(crate) role: Role,
}

impl Grant {
    fn covers(&self, target: &Target) -> bool {
        match (&self.reach, target) {
            (Scope::Platform, _) => true,
            (Scope::Org(own), Target::Org(org, _)) => own == org,
            (Scope::Org(_), Target::Platform(_) | Target::Documents) => false,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The name, for the log and the audit: that of a token of an organisation stands behind the organisation's.
    pub(crate) name: String,
    /// What it was given; nobody was given anything.
    pub(crate) grant: Option<Grant>,
}

impl Principal {
    /// Whoever sent no token.
    pub(crate) fn nobody() -> Self {
        Self { name: "-".to_owned(), grant: None }
    }

    /// The one place where it is decided who may do what.
    pub(crate) fn permits(&self, permission: Permission, target: &Target) -> bool {
        let Some(grant) = &self.grant else { return false };
        if *target == Target::Documents {
            return true;
        }
        match permission.needs(target.kind()) {
            Needs::AnyToken => true,
            Needs::Within(role) => grant.covers(target) && grant.role >= role,
            Needs::OnPlatform(role) => grant.reach == Scope::Platform && grant.role >= role,
        }
    }

    /// Refuses what is not permitted. What lies in an organisation out of reach does not exist for whoever asks: the answer is
    /// the same whether there is such an organisation or not.
    pub(crate) fn require(&self, permission: Permission, target: &Target) -> Result<(), ApiError> {
        if self.permits(permission, target) {
            return Ok(());
        }
        match (&self.grant, target) {
            (Some(grant), Target::Org(org, _)) if !grant.covers(target) => {
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
}

impl From<skep_store::Principal> for Principal {
    fn from(known: skep_store::Principal) -> Self {
        let skep_store::Principal { name, reach, role } = known;
        let name = match &reach {
            Scope::Platform => name,
            Scope::Org(org) => format!("{org}/{name}"),
        };
        Self { name, grant: Some(Grant { reach, role }) }
    }
}

/// The token of a request. Only the header counts: a URL ends up in logs and histories.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<SecretString, ApiError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    // Two fields could be read differently by a proxy and by us.
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(ApiError::Unauthorized) };
    let text = field.to_str().map_err(|_| ApiError::Unauthorized)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::Unauthorized)?;
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > TOKEN_MAX {
        return Err(ApiError::Unauthorized);
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn of(values: &[&str]) -> Result<SecretString, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers)
    }

    #[test]
    fn only_one_bearer_token_of_a_sensible_length_is_a_token() {
        assert_eq!(of(&["Bearer abc"]).unwrap().expose_secret(), "abc");
        assert_eq!(of(&["bearer  abc"]).unwrap().expose_secret(), "abc");
        let long = format!("Bearer {}", "x".repeat(TOKEN_MAX + 1));
        for wrong in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"], &[&long]]
        {
            assert!(matches!(of(wrong), Err(ApiError::Unauthorized)), "{wrong:?}");
        }
    }

    #[test]
    fn nobody_may_do_nothing() {
        let refused = Principal::nobody().require(Permission::Describe, &Target::Platform(None));
        assert!(matches!(refused, Err(ApiError::Forbidden { permission: Permission::Describe, .. })));
    }

    fn token(org: Option<&str>, role: Role) -> Principal {
        let reach = org.map_or(Scope::Platform, |org| Scope::Org(org.parse().unwrap()));
        Principal { name: "t".to_owned(), grant: Some(Grant { reach, role }) }
    }

    fn within(org: &str, kind: Kind) -> Target {
        Target::Org(org.parse().unwrap(), Some(kind))
    }

    #[test]
    fn an_organisations_token_does_within_it_what_its_role_allows_and_sees_nothing_else() {
        let deployer = token(Some("acme"), Role::Deployer);
        assert!(deployer.permits(Permission::Write, &within("acme", Kind::App)));
        assert!(
            deployer
                .permits(Permission::Read, &Target::of(&ResourceKey::organization(&"acme".parse().unwrap())))
        );
        let refused = |permission, target: &Target| deployer.require(permission, target).unwrap_err();
        assert!(matches!(
            refused(Permission::Delete, &within("acme", Kind::App)),
            ApiError::Forbidden { permission: Permission::Delete, .. }
        ));
        for org in ["globex", "nowhere"] {
            let ApiError::OutOfReach { key, .. } = refused(Permission::Read, &within(org, Kind::App)) else {
                panic!("what is out of reach does not exist")
            };
            assert_eq!(key, ResourceKey::organization(&org.parse().unwrap()));
        }
        for permission in [Permission::Read, Permission::Confirm, Permission::ReadMetrics, Permission::Debug]
        {
            assert!(matches!(refused(permission, &Target::Platform(None)), ApiError::Forbidden { .. }));
        }
        assert!(
            deployer.permits(Permission::Read, &Target::Platform(Some(Kind::Plan))),
            "the catalogue is everyone's"
        );
    }

    #[test]
    fn a_higher_role_may_whatever_a_lower_one_may() {
        let targets = Kind::ALL.iter().map(|kind| within("acme", *kind)).chain([Target::Platform(None)]);
        for target in targets {
            for permission in Permission::ALL {
                for pair in Role::ALL.windows(2) {
                    for org in [Some("acme"), None] {
                        let [lower, higher] =
                            [0, 1].map(|at| token(org, pair[at]).permits(permission, &target));
                        assert!(higher || !lower, "{permission:?} on {target:?} of {pair:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_concerns_all_organisations_takes_a_role_on_the_platform() {
        for role in Role::ALL {
            let tenant = token(Some("acme"), role);
            for kind in [Kind::Organization, Kind::Plan] {
                for permission in [Permission::Write, Permission::Delete] {
                    assert!(
                        !tenant.permits(permission, &within("acme", kind)),
                        "{role} {permission:?} {kind}"
                    );
                }
            }
            assert!(!tenant.permits(Permission::Confirm, &within("acme", Kind::App)));
        }
        assert!(token(None, Role::Admin).permits(Permission::Write, &Target::Platform(Some(Kind::Plan))));
        assert!(!token(None, Role::Viewer).permits(Permission::Write, &within("acme", Kind::App)));
    }
}
