//! Who may do what.

use skep_schemas::Kind;

use super::*;

#[test]
fn nobody_may_do_nothing() {
    let refused = Principal::nobody().require(Permission::Describe, &Target::Platform(None));
    assert!(matches!(refused, Err(ApiError::Forbidden { permission: Permission::Describe, .. })));
}

fn grant(org: Option<&str>, role: Role) -> Grant {
    Grant { reach: org.map_or(Scope::Platform, |org| Scope::Org(org.parse().unwrap())), role }
}

fn token(org: Option<&str>, role: Role) -> Principal {
    Principal::bearer("t".to_owned(), grant(org, role))
}

fn within(org: &str, kind: Kind) -> Target {
    Target::Org(org.parse().unwrap(), Some(kind))
}

#[test]
fn an_organisations_token_does_within_it_what_its_role_allows_and_sees_nothing_else() {
    let deployer = token(Some("acme"), Role::Deployer);
    assert!(deployer.permits(Permission::Write, &within("acme", Kind::App)));
    assert!(
        deployer.permits(Permission::Read, &Target::of(&ResourceKey::organization(&"acme".parse().unwrap())))
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
    for permission in [Permission::Read, Permission::Confirm, Permission::ReadMetrics, Permission::Debug] {
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
                    let [lower, higher] = [0, 1].map(|at| token(org, pair[at]).permits(permission, &target));
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
                assert!(!tenant.permits(permission, &within("acme", kind)), "{role} {permission:?} {kind}");
            }
        }
        assert!(!tenant.permits(Permission::Confirm, &within("acme", Kind::App)));
    }
    assert!(token(None, Role::Admin).permits(Permission::Write, &Target::Platform(Some(Kind::Plan))));
    assert!(!token(None, Role::Viewer).permits(Permission::Write, &within("acme", Kind::App)));
}

/// Somebody with a token of several grants, which is how a person's are looked at.
fn several(grants: &[(Option<&str>, Role)]) -> Principal {
    let grants = grants.iter().map(|(org, role)| grant(*org, *role)).collect();
    Principal { grants, grant: None, ..Principal::nobody() }
}

#[test]
fn a_request_is_made_with_the_one_grant_that_permits_it_and_reaches_least() {
    let person =
        several(&[(None, Role::Viewer), (Some("acme"), Role::Deployer), (Some("globex"), Role::Viewer)]);
    let acting = |permission, target: &Target| {
        let acting = person.acting(permission, std::slice::from_ref(target));
        let allowed = acting.require(permission, target).is_ok();
        (acting.acting_as(), allowed)
    };
    let told = |role: &str, allowed| (Some(role.to_owned()), allowed);
    assert_eq!(acting(Permission::Read, &within("acme", Kind::App)), told("deployer of acme", true));
    assert_eq!(acting(Permission::Write, &within("acme", Kind::App)), told("deployer of acme", true));
    assert_eq!(acting(Permission::Read, &within("globex", Kind::App)), told("viewer of globex", true));
    assert_eq!(acting(Permission::Write, &within("globex", Kind::App)), told("viewer of globex", false));
    assert_eq!(acting(Permission::Read, &within("other", Kind::App)), told("viewer of the platform", true));
    assert_eq!(
        acting(Permission::ReadMetrics, &Target::Platform(None)),
        told("viewer of the platform", true)
    );
    assert_eq!(acting(Permission::Confirm, &Target::Platform(None)), told("viewer of the platform", false));
    let both = [within("acme", Kind::App), within("globex", Kind::App)];
    assert_eq!(person.acting(Permission::Read, &both).acting_as().as_deref(), Some("viewer of the platform"));
}

#[test]
fn a_member_of_two_organisations_finds_no_third_one_and_nothing_of_the_platform() {
    let person = several(&[(Some("acme"), Role::Owner), (Some("globex"), Role::Owner)]);
    for permission in Permission::ALL {
        let target = within("initech", Kind::App);
        let acting = person.acting(permission, std::slice::from_ref(&target));
        let refused = acting.require(permission, &target);
        let open = matches!(permission.needs(Some(Kind::App)), Needs::Anyone);
        assert!(
            matches!(refused, Err(ApiError::OutOfReach { .. })) || open && refused.is_ok(),
            "{permission:?}: {refused:?}"
        );
    }
    let everywhere = Target::Platform(Some(Kind::App));
    let acting = person.acting(Permission::Read, std::slice::from_ref(&everywhere));
    assert!(matches!(acting.require(Permission::Read, &everywhere), Err(ApiError::Forbidden { .. })));
    let plans = Target::Platform(Some(Kind::Plan));
    assert!(person.acting(Permission::Read, std::slice::from_ref(&plans)).permits(Permission::Read, &plans));
}

#[test]
fn what_a_person_does_for_himself_is_not_for_tokens_and_an_account_alone_allows_nothing_else() {
    for permission in Permission::ALL {
        for target in [within("acme", Kind::App), Target::Platform(Some(Kind::Plan)), Target::Documents] {
            let alone = several(&[]).acting(permission, std::slice::from_ref(&target));
            assert!(!alone.permits(permission, &target), "{permission:?} {target:?}");
        }
    }
    assert!(!token(None, Role::Owner).permits(Permission::BeSomebody, &Target::Platform(None)));
}
