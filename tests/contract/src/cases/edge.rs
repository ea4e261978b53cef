//! Containers attached by hand: what the edge is connected with.

use skep_planner::swarm::{ContainerId, ServiceId};
use skep_swarm::By;

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, on_network};

cases!(
    a_container_is_attached_at_a_chosen_address_and_detached,
    a_network_that_is_not_on_the_node_is_not_found,
    an_address_that_is_taken_is_refused,
    an_address_of_another_network_is_refused,
    a_container_that_is_not_there_is_not_found,
    an_attachment_is_lost_with_its_task,
);

async fn container_of(trial: &Trial<'_>, id: &ServiceId) -> ContainerId {
    let task = trial.running(id, 1).await.remove(0);
    task.status.container_status.expect("a container").container_id
}

async fn a_container_is_attached_at_a_chosen_address_and_detached(trial: &Trial<'_>) {
    let edge = trial.create(&trial.service("edge", Act::Runs, 1)).await;
    let network = trial.create_network("net", 0).await;
    let web = trial.create(&on_network(trial.service("web", Act::Runs, 1), network.as_str())).await;
    let edge_container = container_of(trial, &edge).await;
    container_of(trial, &web).await;
    let swarm = trial.swarm();
    let chosen = trial.address(0, 7);
    swarm.connect_network(&network, &edge_container, chosen).await.expect("attached");
    let found = swarm.inspect_network(By::Id(&network)).await.expect("an answer").expect("the network");
    trial.note(&found.containers[edge_container.as_str()].ipv4_address);
    trial.note_refusal("again", swarm.connect_network(&network, &edge_container, chosen).await);
    let other = swarm.connect_network(&network, &edge_container, trial.address(0, 8)).await;
    trial.note_refusal("at another address", other);
    swarm.disconnect_network(&network, &edge_container, false).await.expect("detached");
    trial.note_refusal("detached", swarm.disconnect_network(&network, &edge_container, false).await);
    trial.note_refusal("by force", swarm.disconnect_network(&network, &edge_container, true).await);
}

async fn a_network_that_is_not_on_the_node_is_not_found(trial: &Trial<'_>) {
    let edge = trial.create(&trial.service("edge", Act::Runs, 1)).await;
    let network = trial.create_network("net", 0).await;
    let container = container_of(trial, &edge).await;
    let answer = trial.swarm().connect_network(&network, &container, trial.address(0, 7)).await;
    trial.note_refusal("not on the node", answer);
    let answer = trial.swarm().connect_network(&"nonesuch".into(), &container, trial.address(0, 7)).await;
    trial.note_refusal("nowhere", answer);
    let answer = trial.swarm().disconnect_network(&"nonesuch".into(), &container, true).await;
    trial.note_refusal("off it", answer);
}

async fn an_address_that_is_taken_is_refused(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let web = trial.create(&on_network(trial.service("web", Act::Runs, 1), network.as_str())).await;
    let one = trial.create(&trial.service("one", Act::Runs, 1)).await;
    let two = trial.create(&trial.service("two", Act::Runs, 1)).await;
    container_of(trial, &web).await;
    let (one, two) = (container_of(trial, &one).await, container_of(trial, &two).await);
    let chosen = trial.address(0, 9);
    trial.swarm().connect_network(&network, &one, chosen).await.expect("attached");
    trial.note_refusal("taken", trial.swarm().connect_network(&network, &two, chosen).await);
    trial.swarm().disconnect_network(&network, &one, false).await.expect("detached");
    trial.swarm().connect_network(&network, &two, chosen).await.expect("free again");
    trial.swarm().disconnect_network(&network, &two, false).await.expect("detached");
}

async fn an_address_of_another_network_is_refused(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let web = trial.create(&on_network(trial.service("web", Act::Runs, 1), network.as_str())).await;
    let edge = trial.create(&trial.service("edge", Act::Runs, 1)).await;
    container_of(trial, &web).await;
    let container = container_of(trial, &edge).await;
    let answer = trial.swarm().connect_network(&network, &container, trial.address(1, 7)).await;
    trial.note_refusal("outside", answer);
}

async fn a_container_that_is_not_there_is_not_found(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let web = trial.create(&on_network(trial.service("web", Act::Runs, 1), network.as_str())).await;
    container_of(trial, &web).await;
    let nobody = ContainerId::from("nonesuch");
    let swarm = trial.swarm();
    trial.note_refusal("attach", swarm.connect_network(&network, &nobody, trial.address(0, 7)).await);
    trial.note_refusal("detach", swarm.disconnect_network(&network, &nobody, false).await);
    trial.note_refusal("by force", swarm.disconnect_network(&network, &nobody, true).await);
    assert_eq!(swarm.inspect_container(&nobody).await.expect("an answer"), None);
}

async fn an_attachment_is_lost_with_its_task(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let web = trial.create(&on_network(trial.service("web", Act::Runs, 1), network.as_str())).await;
    let mut spec = trial.service("edge", Act::Runs, 1);
    let edge = trial.create(&spec).await;
    container_of(trial, &web).await;
    let before = container_of(trial, &edge).await;
    trial.swarm().connect_network(&network, &before, trial.address(0, 7)).await.expect("attached");
    spec.task_template.force_update = 1;
    trial.update(&edge, &spec).await;
    trial.update_state(&edge, skep_planner::swarm::UpdateState::Completed).await;
    let after = container_of(trial, &edge).await;
    assert_ne!(before, after);
    let found =
        trial.swarm().inspect_network(By::Id(&network)).await.expect("an answer").expect("the network");
    trial.note(format!(
        "before {}, after {}",
        found.containers.contains_key(before.as_str()),
        found.containers.contains_key(after.as_str())
    ));
}
