//! What is in use is not removed; what is not is gone at once.

use skep_planner::swarm::{ConfigReference, ConfigSpec, FileTarget};
use skep_swarm::{By, LabelFilter};

use super::cases;
use crate::arena::Act;
use crate::trial::{LABEL, Trial, container, on_network};

cases!(
    a_secret_in_a_spec_is_in_use_without_a_task,
    a_secret_that_only_the_spec_before_names_is_free,
    a_config_in_a_spec_is_in_use,
    a_network_in_a_spec_is_in_use_without_a_task,
    a_network_is_in_use_while_tasks_on_it_end,
    what_is_removed_is_not_found_again,
    a_name_is_free_at_once_after_a_removal,
);

async fn a_secret_in_a_spec_is_in_use_without_a_task(trial: &Trial<'_>) {
    let secret = trial.create_secret("token").await;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let mut spec = trial.service(name, Act::Runs, 0);
        container(&mut spec).secrets = vec![trial.reference(&secret, "token")];
        ids.push(trial.create(&spec).await);
        if name == "one" {
            trial.note_refusal("by one", trial.swarm().remove_secret(&secret).await);
        }
    }
    let answer = trial.swarm().remove_secret(&secret).await;
    assert!(matches!(answer, Err(skep_swarm::SwarmError::InUse { .. })), "{answer:?}");
    for id in ids {
        trial.swarm().remove_service(&id).await.expect("removed");
    }
    trial.swarm().remove_secret(&secret).await.expect("it is free");
}

async fn a_secret_that_only_the_spec_before_names_is_free(trial: &Trial<'_>) {
    let secret = trial.create_secret("token").await;
    let plain = trial.service("web", Act::Runs, 0);
    let mut with = plain.clone();
    container(&mut with).secrets = vec![trial.reference(&secret, "token")];
    let id = trial.create(&with).await;
    trial.update(&id, &plain).await;
    trial.swarm().remove_secret(&secret).await.expect("it is free");
}

async fn a_config_in_a_spec_is_in_use(trial: &Trial<'_>) {
    let spec = ConfigSpec { name: trial.name("conf"), data: "eA==".to_owned(), ..ConfigSpec::default() };
    let config = trial.swarm().create_config(&spec).await.expect("made");
    let file = FileTarget { name: "/conf".to_owned(), mode: 0o444, ..FileTarget::default() };
    let mut service = trial.service("web", Act::Runs, 0);
    container(&mut service).configs = vec![ConfigReference {
        file: Some(file),
        config_id: config.clone(),
        config_name: spec.name.clone(),
        ..ConfigReference::default()
    }];
    let id = trial.create(&service).await;
    trial.note_refusal("by one", trial.swarm().remove_config(&config).await);
    trial.swarm().remove_service(&id).await.expect("removed");
    trial.swarm().remove_config(&config).await.expect("it is free");
}

async fn a_network_in_a_spec_is_in_use_without_a_task(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let spec = on_network(trial.service("web", Act::Runs, 0), network.as_str());
    let id = trial.create(&spec).await;
    trial.note_refusal("by a service", trial.swarm().remove_network(&network).await);
    trial.swarm().remove_service(&id).await.expect("removed");
    trial.swarm().remove_network(&network).await.expect("it is free");
    assert_eq!(trial.swarm().inspect_network(By::Id(&network)).await.expect("an answer"), None);
}

async fn a_network_is_in_use_while_tasks_on_it_end(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let spec = on_network(trial.service("web", Act::Runs, 1), network.as_str());
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    trial.swarm().remove_service(&id).await.expect("removed");
    trial.remove_network_when_free(&network).await;
    trial
        .until("the node to let go of it", || async {
            let found = trial.swarm().inspect_network(By::Id(&network)).await.expect("an answer");
            found.is_none().then_some(())
        })
        .await;
    assert_eq!(trial.swarm().inspect_network(By::Name(&trial.name("net"))).await.expect("an answer"), None);
}

async fn what_is_removed_is_not_found_again(trial: &Trial<'_>) {
    let network = trial.create_network("net", 0).await;
    let secret = trial.create_secret("token").await;
    trial.swarm().remove_network(&network).await.expect("removed");
    trial.swarm().remove_secret(&secret).await.expect("removed");
    trial.note_refusal("network", trial.swarm().remove_network(&network).await);
    trial.note_refusal("secret", trial.swarm().remove_secret(&secret).await);
    let own = LabelFilter::any().having(LABEL);
    let secrets = trial.swarm().list_secrets(&own).await.expect("secrets");
    assert!(secrets.iter().all(|found| found.id != secret));
}

async fn a_name_is_free_at_once_after_a_removal(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 1);
    let first = trial.create(&spec).await;
    trial.running(&first, 1).await;
    trial.swarm().remove_service(&first).await.expect("removed");
    let second = trial.create(&spec).await;
    assert_ne!(first, second);
    trial.running(&second, 1).await;
    assert_eq!(trial.tasks(&first).await, [], "nobody asks for the tasks of a service that is gone");
}
