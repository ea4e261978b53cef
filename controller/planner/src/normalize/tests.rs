use serde_json::{Value, json};

use super::*;
use crate::diff;

/// What stands for one element or member.
fn concrete(pointer: &str) -> String {
    pointer.replace('*', "0")
}

#[test]
fn a_row_stands_once_and_the_objects_around_it_have_rows_too() {
    for table in [&SERVICE_TREE, &NETWORK_TREE, &SECRET_TREE] {
        assert!(table.at("").is_some());
    }
    let mut seen = std::collections::BTreeSet::new();
    for field in SERVICE.iter().chain(CONTAINER) {
        assert!(seen.insert(field.pointer), "{} stands twice", field.pointer);
        if let Some((around, _)) = field.pointer.rsplit_once('/').filter(|(around, _)| !around.is_empty()) {
            assert!(seen.contains(around), "{around} has no row before {}", field.pointer);
        }
    }
}

#[test]
fn every_literal_of_a_row_can_be_read_and_is_of_its_kind() {
    for field in SERVICE.iter().chain(CONTAINER).chain(NETWORK).chain(SECRET) {
        let fits = |value: &Value| match field.kind {
            Kind::Object | Kind::Tag | Kind::Map => value.is_object(),
            Kind::List => value.is_array(),
            Kind::Text => value.is_string(),
            Kind::Number | Kind::Nanos => value.is_i64(),
            Kind::Ratio => value.is_number(),
            Kind::Flag => value.is_boolean(),
            Kind::Word(words) => value.as_str().is_some_and(|word| words.known.contains(&word)),
        };
        if let Absent::Is(_) | Absent::Written(_) = field.absent {
            assert!(
                field.meaning().is_some_and(|meaning| fits(&meaning)),
                "the default of {}",
                field.pointer
            );
        }
        if !field.example.is_empty() {
            let example = field.example().expect(field.pointer);
            assert!(fits(&example), "the example of {}", field.pointer);
            assert_ne!(Some(example), field.meaning(), "the example of {} is the default", field.pointer);
        }
    }
}

/// A service spec with that value (null: nothing) at that pointer, and one element in every list on the way.
fn with(pointer: &str, value: &Value) -> ServiceSpec {
    // What is there already, so that one value is one difference.
    let config = json!({"Parallelism": 1, "Delay": 1});
    let mut spec =
        json!({"TaskTemplate": {"ContainerSpec": {}}, "UpdateConfig": config, "RollbackConfig": config});
    let mut around = String::new();
    let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        around = format!("{around}/{}", if *token == "*" { "0" } else { token });
        if next == Some(&"*") && SERVICE_TREE.field(&around).is_some_and(|field| field.kind == Kind::List) {
            let element = match SERVICE_TREE.field(&format!("{around}/0")).map(|field| field.kind) {
                Some(Kind::List) => json!([]),
                Some(Kind::Text) => json!(""),
                _ => json!({}),
            };
            assert!(diff::set_at(&mut spec, &around, Some(json!([element]))), "{around}");
        }
    }
    let value = Some(value.clone()).filter(|value| !value.is_null());
    if value.is_some() || !pointer.ends_with("/*") {
        assert!(diff::set_at(&mut spec, &around, value), "{around}");
    }
    // What it stands in is there in any case.
    if let Some((parent, _)) =
        around.rsplit_once('/').filter(|(parent, _)| diff::value_at(&spec, parent).is_none())
    {
        assert!(diff::set_at(&mut spec, parent, Some(json!({}))), "{parent}");
    }
    serde_json::from_value(spec).expect("a spec")
}

#[test]
fn every_row_is_known_to_the_types_and_its_example_is_a_difference_at_that_place() {
    for field in SERVICE.iter().chain(CONTAINER) {
        let Some(example) = field.example() else { continue };
        let set = with(field.pointer, &example);
        let mut known = set.clone();
        known.drop_unknown();
        assert_eq!(known, set, "{} is not known to the types", field.pointer);
        let unset = with(field.pointer, &Value::Null);
        let changes = diff::changes(&service(&set), &service(&unset));
        if field.owner == Owner::Swarm {
            assert_eq!(changes, [], "{} is compared", field.pointer);
            continue;
        }
        let place = concrete(field.pointer);
        assert!(!changes.is_empty(), "{} is not compared", field.pointer);
        for change in changes {
            let within = change.pointer == place || change.pointer.starts_with(&format!("{place}/"));
            assert!(within, "{} instead of {place}", change.pointer);
        }
    }
}

#[test]
fn a_default_that_is_spelled_out_is_no_difference() {
    for field in SERVICE.iter().chain(CONTAINER) {
        let spelled = match (field.absent, field.kind) {
            (Absent::Is(_) | Absent::Written(_), _) => field.meaning(),
            (Absent::Open, _) | (_, Kind::Word(_)) => None,
            (Absent::Empty, Kind::Object | Kind::Map) => Some(json!({})),
            (Absent::Empty, Kind::List) => Some(json!([])),
            (Absent::Empty, Kind::Text) => Some(json!("")),
            (Absent::Empty, Kind::Number | Kind::Nanos | Kind::Ratio) => Some(json!(0)),
            (Absent::Empty, Kind::Flag) => Some(json!(false)),
            (Absent::Empty, Kind::Tag) => None,
        };
        let Some(spelled) = spelled else { continue };
        let (set, unset) = (with(field.pointer, &spelled), with(field.pointer, &Value::Null));
        assert_eq!(service(&set), service(&unset), "{} {spelled}", field.pointer);
        assert_eq!(service(&service(&set)), service(&set), "{} {spelled}", field.pointer);
    }
}

#[test]
fn a_word_in_another_case_is_the_same_word_where_the_engine_says_so() {
    for field in SERVICE.iter().chain(CONTAINER) {
        let (Kind::Word(words), Some(example)) = (field.kind, field.example()) else { continue };
        let odd = json!(example.as_str().expect("a word").to_uppercase());
        let (set, other) = (with(field.pointer, &example), with(field.pointer, &odd));
        assert_eq!(service(&set) == service(&other), words.any_case, "{}", field.pointer);
    }
}

#[test]
fn a_change_shows_the_default_that_an_absent_field_means() {
    let live = json!({"TaskTemplate": {"ContainerSpec": {"StopGracePeriod": 1}},
        "UpdateConfig": {"Order": "start-first"}});
    let live: ServiceSpec = serde_json::from_value(live).unwrap();
    let desired: ServiceSpec =
        serde_json::from_value(json!({"TaskTemplate": {"ContainerSpec": {}}})).unwrap();
    let changes = diff::changes(&service(&live), &service(&desired));
    let shown: Vec<_> = changes.into_iter().map(|change| (change.pointer, change.from, change.to)).collect();
    let change = |pointer: &str, from: Value, to: Value| (pointer.to_owned(), Some(from), Some(to));
    assert_eq!(
        shown,
        [
            change("/TaskTemplate/ContainerSpec/StopGracePeriod", json!(1), json!(10_000_000_000_u64)),
            change("/UpdateConfig/Order", json!("start-first"), json!("stop-first")),
            // Without a config one task is replaced at a time, with one that does not say it all are.
            change("/UpdateConfig/Parallelism", json!(0), json!(1)),
        ]
    );
}

#[test]
fn what_a_newer_engine_adds_at_any_depth_is_no_difference() {
    let ours: ServiceSpec = serde_json::from_value(json!({
        "Name": "acme_shop_web",
        "TaskTemplate": {"ContainerSpec": {"Image": "shop:1", "Healthcheck": {"Test": ["CMD", "true"]},
            "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 9}}]}},
        "Mode": {"Replicated": {"Replicas": 2}},
    }))
    .unwrap();
    let live: ServiceSpec = serde_json::from_value(json!({
        "Name": "acme_shop_web", "New": 1,
        "TaskTemplate": {"New": {"a": 1}, "ContainerSpec": {"Image": "shop:1", "New": [1],
            "Healthcheck": {"Test": ["CMD", "true"], "New": true},
            "Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 9, "New": 1}, "New": "x"}]},
            "Resources": {"Reservations": {"GenericResources": [{"New": 1}]}}},
        "Mode": {"Replicated": {"Replicas": 2, "New": 1}},
    }))
    .unwrap();
    let changes = diff::changes(&service(&live), &service(&ours));
    let pointers: Vec<&str> = changes.iter().map(|change| change.pointer.as_str()).collect();
    // That there is one is a difference; what it says is not known.
    assert_eq!(pointers, ["/TaskTemplate/Resources/Reservations/GenericResources"]);
}

#[test]
fn a_network_is_compared_without_what_the_manager_allocated() {
    let desired: NetworkCreate = serde_json::from_value(json!({"Name": "acme", "Driver": "overlay",
        "Attachable": true, "Labels": {"skep.dev/org": "acme"},
        "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25"}]}}))
    .unwrap();
    let mut live = json!({"Id": "n", "Name": "acme", "Driver": "overlay", "Scope": "swarm", "Attachable": true,
        "EnableIPv4": true, "EnableIPv6": false, "Internal": false, "Ingress": false, "ConfigOnly": false,
        "ConfigFrom": {"Network": ""}, "Created": "2026-11-20T18:33:42Z", "Peers": [{"Name": "p", "IP": "1.2.3.4"}],
        "IPAM": {"Driver": "default", "Options": null,
            "Config": [{"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.129"}]},
        "Options": {"com.docker.network.driver.overlay.vxlanid_list": "4097"},
        "Labels": {"skep.dev/org": "acme"}, "Containers": {"c": {"Name": "x"}}, "New": 1});
    let compared = |live: &Value| {
        let live: Network = serde_json::from_value(live.clone()).unwrap();
        diff::network(&live, &desired).into_iter().map(|change| change.pointer).collect::<Vec<_>>()
    };
    assert_eq!(compared(&live), Vec::<String>::new());
    for (pointer, value) in [
        ("/Labels/skep.dev~1org", json!("other")),
        ("/IPAM/Config/0/Subnet", json!("10.0.1.0/24")),
        ("/IPAM/Config/0/IPRange", json!("10.0.0.0/25")),
        ("/Options/encrypted", json!("")),
        ("/Internal", json!(true)),
        ("/EnableIPv6", json!(true)),
        ("/EnableIPv4", json!(false)),
        ("/Attachable", json!(false)),
        ("/ConfigOnly", json!(true)),
        ("/ConfigFrom/Network", json!("template")),
        ("/Ingress", json!(true)),
        ("/Scope", json!("local")),
        ("/Driver", json!("bridge")),
        ("/IPAM/Driver", json!("other")),
        ("/IPAM/Options/a", json!("b")),
    ] {
        let mut edited = live.clone();
        assert!(diff::set_at(&mut edited, pointer, Some(value)), "{pointer}");
        assert_eq!(compared(&edited), [pointer]);
    }
    // Not allocated yet.
    live["Driver"] = json!("");
    live["IPAM"] = json!({"Driver": "", "Options": null, "Config": null});
    live["Options"] = Value::Null;
    assert_eq!(compared(&live), Vec::<String>::new());
}

#[test]
fn a_secret_is_compared_by_all_but_its_value() {
    let desired: SecretSpec =
        serde_json::from_value(json!({"Name": "a", "Labels": {"skep.dev/org": "acme"}})).unwrap();
    let compared = |spec: Value| {
        let live: Secret = serde_json::from_value(json!({"ID": "s", "Spec": spec})).unwrap();
        diff::secret(&live, &desired).into_iter().map(|change| change.pointer).collect::<Vec<_>>()
    };
    let labels = json!({"skep.dev/org": "acme"});
    assert_eq!(compared(json!({"Name": "a", "Labels": labels, "Driver": {}})), Vec::<String>::new());
    assert_eq!(compared(json!({"Name": "a", "Labels": {}})), ["/Labels/skep.dev~1org"]);
    assert_eq!(compared(json!({"Name": "b", "Labels": labels})), ["/Name"]);
    assert_eq!(
        compared(json!({"Name": "a", "Labels": labels, "Driver": {"Name": "vault"}})),
        ["/Driver/Name"]
    );
    let templated = json!({"Name": "a", "Labels": labels, "Templating": {"Name": "golang"}});
    assert_eq!(compared(templated), ["/Templating/Name"]);
}

#[test]
fn specs_that_are_alike_at_a_glance_differ_in_no_field() {
    let base: ServiceSpec =
        serde_json::from_value(json!({"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "a"}}}))
            .unwrap();
    let mut alike = 0;
    for field in SERVICE.iter().chain(CONTAINER) {
        let Some(example) = field.example() else { continue };
        let mut edited = serde_json::to_value(&base).unwrap();
        diff::set_at(&mut edited, &concrete(field.pointer), Some(example));
        let Ok(edited) = serde_json::from_value::<ServiceSpec>(edited) else { continue };
        assert!(services_are_alike(&edited, &edited), "{}", field.pointer);
        // The other way round a default that is spelled out may be told by the fields only.
        if services_are_alike(&base, &edited) {
            alike += 1;
            let changes = diff::changes(&service(&base), &service(&edited));
            assert_eq!(changes, [], "{}", field.pointer);
        }
    }
    assert!(alike > 0, "some fields are Swarm's own");
}
