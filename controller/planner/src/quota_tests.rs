use super::*;
use serde_json::{Value, json};

fn specs(of: &[(&str, Kind, &str, Value)]) -> Specs {
    let one = |(org, kind, name, json): &(&str, Kind, &str, Value)| {
        let scope = match *org {
            "" => Scope::Platform,
            org => Scope::Org(org.parse().unwrap()),
        };
        let key = ResourceKey::new(scope, *kind, name.parse().unwrap()).unwrap();
        (key, AnySpec::from_json(*kind, json.clone()).unwrap())
    };
    of.iter().map(one).collect()
}

fn acme() -> OrgName {
    "acme".parse().unwrap()
}

fn world(instances: u32) -> Specs {
    specs(&[
        ("", Kind::Plan, "small", json!({"instance": {"cpu": "500m", "memory": "256Mi", "pids": 100}})),
        ("", Kind::Plan, "large", json!({"instance": {"cpu": "2", "memory": "1Gi"}})),
        ("", Kind::Organization, "acme", json!({"plan": "small"})),
        (
            "acme",
            Kind::App,
            "shop",
            json!({"source": {"image": "shop:1"}, "processes": {"web": {"volumes": [{"name": "data", "path": "/data"}]}}}),
        ),
        (
            "acme",
            Kind::Environment,
            "prod",
            json!({"app": "shop", "processes": {"web": {"instances": instances}, "worker": {"volumes": [{"name": "data", "path": "/d"}]}}}),
        ),
        ("acme", Kind::Environment, "big", json!({"app": "none", "plan": "large", "processes": {"web": {}}})),
        ("acme", Kind::Domain, "www", json!({"host": "www.acme.test", "environment": "prod"})),
        (
            "acme",
            Kind::NetworkPolicy,
            "links",
            json!({
                "egress": [{"as": "pay", "to": {"organization": "bank", "environment": "prod", "process": "api", "port": 80}}],
                "ingress": [{
                    "environment": "prod", "process": "web", "port": 80,
                    "from": [{"organization": "bank"}, {"organization": "other"}],
                }],
            }),
        ),
        ("other", Kind::Domain, "www", json!({"host": "www.other.test", "environment": "prod"})),
        ("other", Kind::Environment, "prod", json!({"app": "shop", "processes": {"web": {"instances": 50}}})),
    ])
}

#[test]
fn what_is_counted_is_what_a_release_would_ask_for_and_others_have_no_part_in_it() {
    let usage = Usage::of(&acme(), &world(3), &Asides::new());
    let counted: Vec<_> =
        Counted::ALL.iter().map(|one| format!("{} {one}", one.amount(usage.get(*one)))).collect();
    assert_eq!(
        counted,
        [
            "1 apps",
            "2 environments",
            "1 domains",
            "0 secrets",
            "1 volumes",
            "5 instances",
            "4 CPU",
            "2Gi memory",
            "656 pids",
            "3 links"
        ]
    );
}

#[test]
fn beyond_the_quota_is_refused_and_less_of_too_much_is_not() {
    let quota = Quota { instances: Some(4), domains: Some(1), ..Quota::default() };
    let usage = |instances| Usage::of(&acme(), &world(instances), &Asides::new());
    let said: Vec<_> = refused(&quota, &usage(2), &usage(3)).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["5 instances where 4 may be"]);
    assert_eq!(refused(&quota, &usage(1), &usage(2)), []);
    assert_eq!(refused(&quota, &usage(9), &usage(7)), []);
    assert_eq!(refused(&quota, &usage(9), &usage(9)), []);
    assert_eq!(refused(&quota, &usage(9), &usage(10)).len(), 1);
}

#[test]
fn what_was_returned_to_counts_as_far_as_it_is_more() {
    let content: ReleaseContent = serde_json::from_value(json!({
        "image": {"reference": "shop:1", "resolved": {"from": "registry", "digest": format!("sha256:{}", "a".repeat(64))}},
        "processes": {"web": process("1", "64Mi"), "old": process("2", "64Mi")},
        "secrets": [], "region": null, "restart": {}, "security": {}
    }))
    .unwrap();
    let key: ResourceKey =
        ResourceKey::new(Scope::Org(acme()), Kind::Environment, "prod".parse().unwrap()).unwrap();
    let aside = Aside { returned: Some(content), ..Aside::default() };
    let asked = Usage::of(&acme(), &world(3), &Asides::new());
    let usage = Usage::of(&acme(), &world(3), &Asides::from([(key, aside)]));
    let more = |counted| (asked.get(counted), usage.get(counted));
    // Three of web at one core and one of old at two, where three of web and one worker had half a core each.
    assert_eq!(more(Counted::Cpu), (4000, 7000));
    // The manifests' 256Mi for each are more.
    assert_eq!(asked.get(Counted::Memory), usage.get(Counted::Memory));
    assert_eq!(more(Counted::Environments), (2, 2));
}

#[test]
fn a_number_that_somebody_scaled_to_counts_where_no_manifest_says_one() {
    let key = ResourceKey::new(Scope::Org(acme()), Kind::Environment, "prod".parse().unwrap()).unwrap();
    let scaled = ["web", "worker"].map(|name| (name.parse().unwrap(), 7));
    let aside = Aside { scaled: scaled.into(), ..Aside::default() };
    let instances = |asides: &Asides| Usage::of(&acme(), &world(3), asides).get(Counted::Instances);
    // The manifest says three of web, and nothing of the worker.
    assert_eq!(instances(&Asides::from([(key, aside)])), instances(&Asides::new()) + 6);
}

fn process(cpu: &str, memory: &str) -> Value {
    json!({
        "entrypoint": null, "command": null, "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
        "resources": {"cpu": cpu, "memory": memory}, "volumes": [], "stopGracePeriod": "30s"
    })
}
