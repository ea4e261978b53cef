//! The optimistic lock, what cannot change, and what each write leaves behind.

use skep_planner::swarm::{ConfigSpec, ServiceMode, Version};
use skep_swarm::{By, SwarmError};

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, container, on_network};

cases!(
    a_version_that_is_not_the_latest_is_a_conflict,
    of_two_writers_of_one_version_one_wins,
    a_write_that_changes_nothing_is_a_write,
    a_service_keeps_its_name,
    a_service_keeps_its_kind_of_mode,
    a_service_that_is_gone_is_not_updated,
    a_wrong_reference_is_refused_before_an_old_version,
    scaling_counts_as_the_spec_before,
    labels_of_a_secret_change_and_nothing_else_does,
    labels_of_a_config_change_and_nothing_else_does,
    a_spec_too_large_for_the_log_is_refused,
);

async fn a_version_that_is_not_the_latest_is_a_conflict(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    spec.labels.insert("a".to_owned(), "1".to_owned());
    let stale = trial.update(&id, &spec).await;
    for (of, version) in [
        ("an older one", stale),
        ("none", Version { index: 0 }),
        ("a future one", Version { index: u64::MAX >> 1 }),
    ] {
        let answer = trial.swarm().update_service(&id, version, &spec, None).await;
        trial.note_refusal(of, answer);
    }
}

async fn of_two_writers_of_one_version_one_wins(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    trial.update(&id, &spec).await;
    trial.arena().rest(std::time::Duration::from_millis(500)).await;
    let version = trial.inspect(&id).await.version;
    let write = || trial.swarm().update_service(&id, version, &spec, None);
    let answers = futures::future::join_all([write(), write(), write(), write()]).await;
    let lost = answers.iter().filter(|answer| matches!(answer, Err(SwarmError::Conflict { .. }))).count();
    trial.note(format!("{lost} of {} lose", answers.len()));
}

async fn a_write_that_changes_nothing_is_a_write(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    container(&mut spec).env = vec!["A=1".to_owned()];
    trial.update(&id, &spec).await;
    trial.update_state(&id, skep_planner::swarm::UpdateState::Completed).await;
    let before = trial.inspect(&id).await;
    trial.update(&id, &spec).await;
    let after = trial.inspect(&id).await;
    trial.note(format!("moved {}, status {:?}", after.version > before.version, after.update_status));
    let previous = after.previous_spec.expect("a spec before");
    assert_eq!(*previous, after.spec, "the spec before is what was there");
    assert_ne!(before.previous_spec.as_deref(), Some(&after.spec));
}

async fn a_service_keeps_its_name(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    let version = trial.update(&id, &spec).await;
    spec.name = trial.name("other");
    let version = Version { index: version.index + 1 };
    trial.note_refusal("another name", trial.swarm().update_service(&id, version, &spec, None).await);
}

async fn a_service_keeps_its_kind_of_mode(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    spec.mode = Some(ServiceMode::global());
    let version = trial.inspect(&id).await.version;
    trial.note_refusal("global", trial.swarm().update_service(&id, version, &spec, None).await);
}

async fn a_service_that_is_gone_is_not_updated(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    let version = trial.inspect(&id).await.version;
    trial.swarm().remove_service(&id).await.expect("removed");
    trial.note_refusal("update", trial.swarm().update_service(&id, version, &spec, None).await);
    trial.note_refusal("removal", trial.swarm().remove_service(&id).await);
    assert_eq!(trial.swarm().inspect_service(By::Id(&id)).await.expect("an answer"), None);
}

async fn a_wrong_reference_is_refused_before_an_old_version(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    let old = Version { index: 1 };
    let lost = on_network(spec.clone(), "nonesuch");
    trial.note_refusal("a network", trial.swarm().update_service(&id, old, &lost, None).await);
    let mut lost = spec.clone();
    container(&mut lost).secrets = vec![trial.reference(&"nonesuch".into(), "token")];
    trial.note_refusal("a secret", trial.swarm().update_service(&id, old, &lost, None).await);
    let mut renamed = spec.clone();
    renamed.name = trial.name("other");
    trial.note_refusal("a name", trial.swarm().update_service(&id, old, &renamed, None).await);
    let mut global = spec;
    global.mode = Some(ServiceMode::global());
    trial.note_refusal("a mode", trial.swarm().update_service(&id, old, &global, None).await);
}

async fn scaling_counts_as_the_spec_before(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    assert_eq!(trial.inspect(&id).await.previous_spec, None);
    trial.running(&id, 1).await;
    spec.mode = Some(ServiceMode::replicated(2));
    trial.update(&id, &spec).await;
    trial.running(&id, 2).await;
    let found = trial.inspect(&id).await;
    assert_eq!(found.update_status, None, "scaling is no roll-out");
    assert_eq!(found.previous_spec.and_then(|spec| spec.mode), Some(ServiceMode::replicated(1)));
}

async fn labels_of_a_secret_change_and_nothing_else_does(trial: &Trial<'_>) {
    let id = trial.create_secret("token").await;
    let found = trial.swarm().inspect_secret(By::Id(&id)).await.expect("an answer").expect("the secret");
    let mut spec = found.spec.clone();
    spec.labels.insert("by".to_owned(), "hand".to_owned());
    trial.swarm().update_secret(&id, found.version, &spec).await.expect("updated");
    let after = trial.swarm().inspect_secret(By::Id(&id)).await.expect("an answer").expect("the secret");
    assert_eq!(after.spec.labels, spec.labels);
    assert!(after.version > found.version);
    trial.note_refusal("stale", trial.swarm().update_secret(&id, found.version, &spec).await);
    spec.name = trial.name("other");
    trial.note_refusal("name", trial.swarm().update_secret(&id, after.version, &spec).await);
    trial.note_refusal("gone", trial.swarm().update_secret(&"nonesuch".into(), after.version, &spec).await);
}

async fn labels_of_a_config_change_and_nothing_else_does(trial: &Trial<'_>) {
    let mut spec = ConfigSpec { name: trial.name("conf"), data: "eA==".to_owned(), ..ConfigSpec::default() };
    let id = trial.swarm().create_config(&spec).await.expect("made");
    let found = trial.swarm().inspect_config(By::Id(&id)).await.expect("an answer").expect("the config");
    trial.note_json("made", &serde_json::to_value(&found.spec).expect("json"));
    spec.labels.insert("by".to_owned(), "hand".to_owned());
    trial.swarm().update_config(&id, found.version, &spec).await.expect("updated");
    trial.note_refusal("stale", trial.swarm().update_config(&id, found.version, &spec).await);
    let after = trial.swarm().inspect_config(By::Id(&id)).await.expect("an answer").expect("the config");
    trial.note_json("updated", &serde_json::to_value(&after.spec).expect("json"));
    spec.data = "eQ==".to_owned();
    trial.note_refusal("content", trial.swarm().update_config(&id, after.version, &spec).await);
    trial.swarm().remove_config(&id).await.expect("removed");
    trial.note_refusal("again", trial.swarm().remove_config(&id).await);
}

async fn a_spec_too_large_for_the_log_is_refused(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let half = format!("A={}", "x".repeat(900_000));
    container(&mut spec).env = vec![half];
    let id = trial.create(&spec).await;
    let version = trial.inspect(&id).await.version;
    spec.labels.insert("a".to_owned(), "1".to_owned());
    trial.note_refusal("twice", trial.swarm().update_service(&id, version, &spec, None).await);
}
