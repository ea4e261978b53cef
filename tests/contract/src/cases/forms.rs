//! Whole objects as they are stored, beside each other.

use serde_json::{Value, json};
use skep_planner::swarm::{NetworkCreate, ServiceSpec};
use skep_swarm::By;

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, container, on_network};

cases!(
    a_small_spec_is_stored_in_its_normal_form,
    a_spec_with_everything_is_stored_in_its_normal_form,
    an_update_is_stored_in_the_same_form_as_a_creation,
    names_of_networks_become_ids,
    a_network_is_stored_in_its_normal_form,
    a_network_that_says_nothing_gets_addresses,
    a_service_on_networks_gets_an_address_on_each,
    a_task_carries_the_spec_of_its_time,
    a_secret_is_stored_in_its_normal_form,
);

async fn stored(trial: &Trial<'_>, of: &str, spec: &ServiceSpec) {
    let id = trial.create(spec).await;
    let service = trial.inspect(&id).await;
    trial.note_json(of, &serde_json::to_value(&service.spec).expect("json"));
}

async fn a_small_spec_is_stored_in_its_normal_form(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    container(&mut spec).stop_grace_period = None;
    spec.task_template.restart_policy = None;
    stored(trial, "small", &spec).await;
}

fn everything(trial: &Trial<'_>) -> ServiceSpec {
    let mut value = serde_json::to_value(trial.service("web", Act::Runs, 0)).expect("json");
    let more = json!({
        "Labels": {"a": "", "b": "1"},
        "Mode": {"Replicated": {"Replicas": 0}},
        "UpdateConfig": {"Parallelism": 2, "Delay": 0, "Order": "start-first"},
        "RollbackConfig": {},
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishMode": "HOST", "Protocol": "UDP"}]},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": Act::Runs.image(), "Labels": {"c": "1"}, "Command": ["/bin/idle"], "Args": [],
                "Env": ["B=2", "A=1", "A=1"], "User": "1000", "Dir": "/", "Init": false, "ReadOnly": true,
                "Hostname": "web", "Groups": ["1001"], "TTY": false, "StopSignal": "SIGTERM",
                "StopGracePeriod": 0, "CapabilityAdd": ["net_admin"], "CapabilityDrop": ["ALL"],
                "Privileges": {"NoNewPrivileges": true, "Seccomp": {"Mode": "default"}, "AppArmor": {"Mode": "disabled"}},
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000, "StartInterval": 2_000_000_000, "Retries": 2},
                "Mounts": [
                    {"Type": "volume", "Source": "data", "Target": "/data", "Consistency": "default", "VolumeOptions": {"Subpath": "a", "Labels": {"a": "b"}}},
                    {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 1_048_576, "Mode": 511}},
                    {"Type": "bind", "Source": "/etc", "Target": "/etc2", "ReadOnly": true, "BindOptions": {"CreateMountpoint": true}}
                ],
                "DNSConfig": {}, "Hosts": ["10.0.0.1 other"], "Sysctls": {"net.core.somaxconn": "512"},
                "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}], "OomScoreAdj": 5
            },
            "Resources": {"Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 33_554_432, "Pids": 20}, "Reservations": {}},
            "RestartPolicy": {"Delay": 0, "Window": 0},
            "Placement": {"Constraints": ["node.role == manager"], "Preferences": [{}], "Platforms": [{"OS": "linux"}]},
            "LogDriver": {"Name": "json-file"},
            "ForceUpdate": 3
        }
    });
    if let (Value::Object(into), Value::Object(more)) = (&mut value, more) {
        into.extend(more);
    }
    serde_json::from_value(value).expect("a spec")
}

async fn a_spec_with_everything_is_stored_in_its_normal_form(trial: &Trial<'_>) {
    stored(trial, "everything", &everything(trial)).await;
}

async fn an_update_is_stored_in_the_same_form_as_a_creation(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 0)).await;
    trial.update(&id, &everything(trial)).await;
    let found = trial.inspect(&id).await;
    trial.note_json("updated", &serde_json::to_value(&found.spec).expect("json"));
    trial.note_json("before", &serde_json::to_value(&found.previous_spec).expect("json"));
}

async fn names_of_networks_become_ids(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let by_name = on_network(trial.service("web", Act::Runs, 0), &trial.name("net"));
    let id = trial.create(&by_name).await;
    let found = trial.inspect(&id).await.spec;
    assert_eq!(found.task_template.networks[0].target, network.to_string());
    let by_id = on_network(trial.service("web", Act::Runs, 0), network.as_str());
    trial.update(&id, &by_id).await;
    let found = trial.inspect(&id).await;
    assert_eq!(found.previous_spec.as_deref(), Some(&found.spec), "a name and its id are the same");
}

async fn a_network_is_stored_in_its_normal_form(trial: &Trial<'_>) {
    let id = trial.create_network("net", 0).await;
    note_network(trial, &id).await;
}

async fn note_network(trial: &Trial<'_>, id: &skep_planner::swarm::NetworkId) {
    let found = trial
        .until("an allocated network", || async {
            let found =
                trial.swarm().inspect_network(By::Id(id)).await.expect("an answer").expect("the network");
            (!found.driver.is_empty() && !found.ipam.config.is_empty()).then_some(found)
        })
        .await;
    let mut value = serde_json::to_value(&found).expect("json");
    value["Created"] = Value::Null;
    value["Options"] = Value::Null;
    trial.note_json("network", &value);
}

async fn a_network_that_says_nothing_gets_addresses(trial: &Trial<'_>) {
    let spec =
        NetworkCreate { name: trial.name("net"), driver: "overlay".to_owned(), ..NetworkCreate::default() };
    let id = trial.swarm().create_network(&spec).await.expect("made");
    let found = trial
        .until("addresses", || async {
            let found =
                trial.swarm().inspect_network(By::Id(&id)).await.expect("an answer").expect("the network");
            found.ipam.config.first().cloned()
        })
        .await;
    assert!(found.subnet.starts_with("10.0.") && found.subnet.ends_with(".0/24"), "{found:?}");
    assert_eq!(found.gateway, found.subnet.replace(".0/24", ".1"));
    trial.note(format!("range {:?}", found.ip_range));
}

async fn a_service_on_networks_gets_an_address_on_each(trial: &Trial<'_>) {
    let one = trial.create_network("one", 0).await;
    let two = trial.create_network("two", 1).await;
    let spec = on_network(on_network(trial.service("web", Act::Runs, 1), one.as_str()), two.as_str());
    let id = trial.create(&spec).await;
    let task = trial.running(&id, 1).await.remove(0);
    let found = trial.inspect(&id).await;
    let mut addresses: Vec<&str> = found.endpoint.virtual_ips.iter().map(|ip| ip.addr.as_str()).collect();
    addresses.sort_unstable();
    trial.note(format!("virtual {addresses:?}"));
    for attachment in &task.networks_attachments {
        trial.note(format!("task on {} {:?}", attachment.network.spec.name, attachment.addresses));
    }
    let container = task.status.container_status.expect("a container").container_id;
    let network = trial.swarm().inspect_network(By::Id(&one)).await.expect("an answer").expect("the network");
    let own = network.containers.get(container.as_str()).expect("the container");
    trial.note(format!("attached at {}", own.ipv4_address));
}

async fn a_task_carries_the_spec_of_its_time(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    let task = trial.running(&id, 1).await.remove(0);
    trial.note_json("task", &serde_json::to_value(&task.spec).expect("json"));
    trial.note(format!("slot {}, labels {:?}, {:?}", task.slot, task.labels, task.name));
}

async fn a_secret_is_stored_in_its_normal_form(trial: &Trial<'_>) {
    let id = trial.create_secret("token").await;
    let found = trial.swarm().inspect_secret(By::Id(&id)).await.expect("an answer").expect("the secret");
    trial.note_json("secret", &serde_json::to_value(&found.spec).expect("json"));
}
