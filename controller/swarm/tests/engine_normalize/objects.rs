//! Networks and secrets as Skep renders them, and what a person makes of them.

use serde_json::{Value, json};
use skep_planner::diff;
use skep_planner::render::{network_spec, secret_spec};
use skep_planner::settings::OrgSubnet;
use skep_planner::swarm::{Network, NetworkCreate, Secret};
use skep_planner::{FieldChange, InstanceId};
use skep_schemas::kind::{Egress, NetworkRules};
use skep_schemas::{OrgName, ResourceKey, Uid};
use skep_testbed::EngineVersion;

use crate::docker::Docker;

fn pointers(changes: &[FieldChange]) -> Vec<&str> {
    changes.iter().map(|change| change.pointer.as_str()).collect()
}

fn org() -> OrgName {
    "wire".parse().expect("a name")
}

pub(crate) fn a_rendered_secret_and_its_edit_by_hand_are_told_apart(version: EngineVersion) {
    let docker = Docker::start(version);
    let key = ResourceKey::organization(&org());
    let desired = secret_spec(&InstanceId::new("test"), &key, Uid::generate(), "wire_token_1");
    let mut sent = serde_json::to_value(&desired).expect("JSON");
    sent["Data"] = json!("eA==");
    let id = docker.create("secrets", &sent).expect("created");
    let difference = || {
        let live: Secret = serde_json::from_value(docker.get(&format!("/secrets/{id}"))).expect("a secret");
        diff::secret(&live, &desired)
    };
    assert_eq!(difference(), []);
    let mut by_hand = docker.get(&format!("/secrets/{id}"))["Spec"].take();
    by_hand["Labels"]["by"] = json!("hand");
    docker.update("secrets", &id, &by_hand).expect("updated");
    assert_eq!(pointers(&difference()), ["/Labels/by"]);
    by_hand["Labels"] = json!({});
    docker.update("secrets", &id, &by_hand).expect("updated");
    let missing: Vec<String> =
        desired.labels.keys().map(|label| format!("/Labels/{}", diff::escape(label))).collect();
    assert_eq!(pointers(&difference()), missing);
    // Nothing else of a secret can be edited: some of it is taken and forgotten, some is refused.
    by_hand["Templating"] = json!({"Name": "golang"});
    docker.update("secrets", &id, &by_hand).expect("taken");
    assert_eq!(pointers(&difference()), missing);
    by_hand["Name"] = json!("wire_other");
    let refusal = docker.update("secrets", &id, &by_hand).expect_err("refused");
    assert!(refusal.contains("only updates to Labels are allowed"), "{refusal}");
}

pub(crate) fn a_rendered_network_and_another_of_its_name_are_told_apart(version: EngineVersion) {
    let docker = Docker::start(version);
    let key = ResourceKey::organization(&org());
    let subnet = OrgSubnet::new("10.201.0.0/24".parse().expect("a subnet"));
    let (instance, uid) = (InstanceId::new("test"), Uid::generate());
    let rendered = |rules| network_spec(&instance, &org(), &key, uid, subnet, rules);
    let desired = rendered(NetworkRules::default());
    let sent = serde_json::to_value(&desired).expect("JSON");
    let difference = |edited: &Value, desired: &NetworkCreate| {
        let id = docker.create("networks", edited).unwrap_or_else(|error| panic!("{error}: {edited}"));
        // Right after it was made, when nothing is allocated, and then.
        let soon = docker.get(&format!("/networks/{id}"));
        let later = docker.network(&id);
        docker.remove("networks", &id);
        [soon, later].map(|live| {
            let live: Network = serde_json::from_value(live).expect("a network");
            diff::network(&live, desired)
        })
    };
    let strict = rendered(NetworkRules { egress: Egress::Deny, encrypted: true });
    let strict_sent = serde_json::to_value(&strict).expect("JSON");
    assert_eq!(difference(&strict_sent, &strict), [vec![], vec![]]);
    assert_eq!(pointers(&difference(&strict_sent, &desired)[1]), ["/Internal", "/Options/encrypted"]);
    let difference = |edited: &Value| difference(edited, &desired);
    assert_eq!(difference(&sent), [vec![], vec![]]);
    for (pointer, value) in [
        ("/Labels/by", json!("hand")),
        ("/Attachable", json!(false)),
        ("/Internal", json!(true)),
        ("/EnableIPv6", json!(true)),
        ("/Options/encrypted", json!("")),
        ("/IPAM/Config/0/Subnet", json!("10.201.0.0/23")),
        ("/IPAM/Config/0/IPRange", json!("10.201.0.64/26")),
        ("/IPAM/Options/a", json!("b")),
    ] {
        let mut edited = sent.clone();
        assert!(diff::set_at(&mut edited, pointer, Some(value)), "{pointer}");
        let [_, later] = difference(&edited);
        assert_eq!(pointers(&later), [pointer]);
    }
}
