//! Feature gates: what of a write needs a feature, and who has switched that off.
//!
//! A gate looks at what is new alone, so that what there is goes on, may be changed, made smaller and deleted, whatever is switched off. It is no input of
//! plans: nothing is ever stopped or removed by one.

use skep_schemas::kind::{AppSpec, DomainSpec, EnvironmentSpec};
use skep_schemas::{AnySpec, Feature, OrgName, ResourceKey, ResourceName};

use crate::quota::Specs;

/// The feature that a write needs, if it is of something new. `app` says whether an App of that name names an image; nothing if there is none.
pub fn needs(
    before: Option<&AnySpec>,
    after: &AnySpec,
    app: impl Fn(&ResourceName) -> Option<bool>,
) -> Option<Feature> {
    let sort = |spec: &AnySpec| match spec {
        AnySpec::App(spec) => Some(of_app(spec)),
        AnySpec::Environment(spec) => of_environment(spec, &app),
        AnySpec::Domain(_) => Some(Feature::CustomDomains),
        AnySpec::Organization(_)
        | AnySpec::Platform(_)
        | AnySpec::Plan(_)
        | AnySpec::IsolationTier(_)
        | AnySpec::Buildpack(_)
        | AnySpec::Stack(_)
        | AnySpec::Template(_)
        | AnySpec::Secret(_)
        | AnySpec::RegistryCredential(_)
        | AnySpec::DriftPolicy(_)
        | AnySpec::ImagePolicy(_)
        | AnySpec::NetworkPolicy(_)
        | AnySpec::Notification(_) => None,
    };
    if let (Some(AnySpec::Domain(before)), AnySpec::Domain(after)) = (before, after) {
        return has_another_host(before, after).then_some(Feature::CustomDomains);
    }
    let needed = sort(after)?;
    (before.and_then(sort) != Some(needed)).then_some(needed)
}

/// What names its image is a container, what names none is to be built.
const fn of_app(app: &AppSpec) -> Feature {
    if app.source.is_some() { Feature::Caas } else { Feature::Paas }
}

/// An environment without an image has its app's. One whose app is not there runs nothing, and the app is looked at when it comes.
fn of_environment(
    environment: &EnvironmentSpec,
    app: impl Fn(&ResourceName) -> Option<bool>,
) -> Option<Feature> {
    let names_image = environment.image.is_some() || app(&environment.app)?;
    Some(if names_image { Feature::Caas } else { Feature::Paas })
}

fn has_another_host(before: &DomainSpec, after: &DomainSpec) -> bool {
    before.host != after.host
}

/// Who has switched a feature off for an organisation: the platform, and if not that, the organisation's own resource, which the platform writes as well.
pub fn closed_by(feature: Feature, org: &OrgName, specs: &Specs) -> Option<ResourceKey> {
    let platforms = specs.iter().filter_map(|(key, spec)| match spec {
        AnySpec::Platform(platform) => Some((key, platform.features)),
        _ => None,
    });
    let organization = ResourceKey::organization(org);
    let own = specs.get_key_value(&organization).and_then(|(key, spec)| match spec {
        AnySpec::Organization(organization) => Some((key, organization.features)),
        _ => None,
    });
    let mut closed = platforms.chain(own).filter(|(_, features)| !features.has(feature));
    closed.next().map(|(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skep_schemas::{Kind, Scope};

    use super::*;

    fn spec(kind: Kind, spec: Value) -> AnySpec {
        AnySpec::from_json(kind, spec).unwrap()
    }

    fn app(source: Value) -> AnySpec {
        spec(Kind::App, json!({ "source": source, "processes": {"web": {}} }))
    }

    fn environment(app: &str, image: Value) -> AnySpec {
        spec(Kind::Environment, json!({ "app": app, "image": image }))
    }

    /// `shop` names an image and `site` none.
    fn known(name: &ResourceName) -> Option<bool> {
        match name.as_str() {
            "shop" => Some(true),
            "site" => Some(false),
            _ => None,
        }
    }

    #[test]
    fn what_is_new_needs_its_feature() {
        let image = || json!({"image": "shop:1"});
        let domain = spec(Kind::Domain, json!({"host": "www.acme.example", "environment": "live"}));
        for (after, feature) in [
            (app(image()), Some(Feature::Caas)),
            (app(Value::Null), Some(Feature::Paas)),
            (environment("shop", Value::Null), Some(Feature::Caas)),
            (environment("site", Value::Null), Some(Feature::Paas)),
            (environment("site", json!("shop:1")), Some(Feature::Caas)),
            (environment("none", Value::Null), None),
            (environment("none", json!("shop:1")), Some(Feature::Caas)),
            (domain, Some(Feature::CustomDomains)),
            (spec(Kind::Secret, json!({"value": "x"})), None),
            (spec(Kind::ImagePolicy, json!({})), None),
        ] {
            assert_eq!(needs(None, &after, known), feature, "{after:?}");
        }
    }

    #[test]
    fn what_there_is_may_be_changed_but_not_into_something_else() {
        let container = app(json!({"image": "shop:1"}));
        assert_eq!(needs(Some(&container), &app(json!({"image": "shop:2"})), known), None);
        assert_eq!(needs(Some(&app(Value::Null)), &container, known), Some(Feature::Caas));
        assert_eq!(needs(Some(&container), &app(Value::Null), known), Some(Feature::Paas));
        let built = environment("site", Value::Null);
        assert_eq!(needs(Some(&built), &environment("site", json!("shop:1")), known), Some(Feature::Caas));
        let of_shop = environment("shop", Value::Null);
        assert_eq!(needs(Some(&of_shop), &environment("shop", json!("shop:2")), known), None);
        assert_eq!(needs(Some(&built), &of_shop, known), Some(Feature::Caas));
        let domain = |host: &str, tls: &str| {
            spec(Kind::Domain, json!({"host": host, "environment": "live", "tls": tls}))
        };
        let before = domain("a.example", "off");
        assert_eq!(needs(Some(&before), &domain("a.example", "automatic"), known), None);
        assert_eq!(needs(Some(&before), &domain("b.example", "off"), known), Some(Feature::CustomDomains));
    }

    #[test]
    fn what_the_platform_has_switched_off_no_organisation_switches_on() {
        let acme: OrgName = "acme".parse().unwrap();
        let platform =
            |name: &str| ResourceKey::new(Scope::Platform, Kind::Platform, name.parse().unwrap()).unwrap();
        let features = |switches: Value| json!({ "features": switches });
        let specs = |of_platform: Value, of_org: Value| {
            Specs::from([
                (platform("default"), spec(Kind::Platform, features(of_platform))),
                (ResourceKey::organization(&acme), spec(Kind::Organization, features(of_org))),
            ])
        };
        let by = |specs: &Specs| closed_by(Feature::Caas, &acme, specs).map(|key| key.to_string());
        assert_eq!(by(&Specs::new()), None);
        assert_eq!(by(&specs(json!({}), json!({}))), None);
        assert_eq!(by(&specs(json!({}), json!({"caas": false}))).as_deref(), Some("Organization/acme"));
        let wanted = specs(json!({"caas": false}), json!({"caas": true}));
        assert_eq!(by(&wanted).as_deref(), Some("Platform/default"));
        let mut several = specs(json!({"caas": true}), json!({}));
        several.insert(platform("other"), spec(Kind::Platform, features(json!({"caas": false}))));
        assert_eq!(by(&several).as_deref(), Some("Platform/other"));
        // One organisation's switch is no other's.
        let globex: OrgName = "globex".parse().unwrap();
        let of_acme = specs(json!({}), json!({"caas": false}));
        assert_eq!(closed_by(Feature::Caas, &globex, &of_acme), None);
    }
}
