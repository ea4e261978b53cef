//! What is told of changes.

use std::time::Duration;

use futures::StreamExt as _;
use skep_planner::swarm::{ConfigSpec, ServiceMode, UpdateState};
use skep_swarm::{By, Hint, HintKind, HintStream};

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, container};

cases!(
    a_service_is_told_of_from_creation_to_removal,
    a_roll_out_is_told_step_by_step,
    a_scaling_says_from_what_to_what,
    secrets_and_configs_are_told_of,
    a_network_is_told_of,
    containers_of_tasks_are_told_of_with_their_service,
);

/// How long something may take to be told.
const PATIENCE: Duration = Duration::from_secs(60);
/// Looks for a marker before there is another.
const TICKS: usize = 40;
/// The object by which a stream is heard to hear.
const MARKER: &str = "marker";

/// A stream that hears. An engine answers that it listens a moment before it does (moby's `getEvents` sends the head of its answer before it
/// subscribes), so what happens at once after the answer may be told to nobody.
async fn listening(trial: &Trial<'_>) -> HintStream {
    let mut stream = trial.swarm().events().await.expect("events");
    let marker = ConfigSpec { name: trial.name(MARKER), data: "eA==".to_owned(), ..ConfigSpec::default() };
    let end = trial.arena().clock() + PATIENCE;
    loop {
        let id = trial.swarm().create_config(&marker).await.expect("made");
        trial.swarm().remove_config(&id).await.expect("removed");
        for _ in 0..TICKS {
            while let Some(hint) = futures::FutureExt::now_or_never(stream.next()).flatten() {
                let hint = hint.expect("a hint");
                if hint.action == "remove" && hint.id == id.to_string() {
                    return stream;
                }
            }
            trial.arena().tick().await;
        }
        assert!(trial.arena().clock() < end, "the stream hears nothing");
    }
}

/// The hints about this case's own objects, until one of them is the last.
async fn hints(trial: &Trial<'_>, stream: &mut HintStream, last: impl Fn(&Hint) -> bool) -> Vec<Hint> {
    let mut heard = Vec::new();
    let end = trial.arena().clock() + PATIENCE;
    loop {
        while let Some(hint) = futures::FutureExt::now_or_never(stream.next()).flatten() {
            let hint = hint.expect("a hint");
            let is_own = |name: &String| name.contains(&trial.name("")) && *name != trial.name(MARKER);
            if !hint.name.as_ref().is_some_and(is_own) {
                continue;
            }
            let is_last = last(&hint);
            heard.push(hint);
            if is_last {
                return heard;
            }
        }
        assert!(trial.arena().clock() < end, "the last was not told: {heard:?}");
        trial.arena().tick().await;
    }
}

fn told(hint: &Hint) -> String {
    let attributes = hint.attributes.iter().filter(|(key, _)| key.contains('.') || *key == "exitCode");
    let attributes: Vec<String> = attributes.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{:?} {} {} {attributes:?}", hint.kind, hint.action, hint.name.clone().unwrap_or_default())
}

async fn a_service_is_told_of_from_creation_to_removal(trial: &Trial<'_>) {
    let mut stream = listening(trial).await;
    let mut spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    spec.labels.insert("a".to_owned(), "1".to_owned());
    trial.update(&id, &spec).await;
    trial.swarm().remove_service(&id).await.expect("removed");
    for hint in hints(trial, &mut stream, |hint| hint.action == "remove").await {
        assert_eq!(hint.id, id.to_string());
        trial.note(told(&hint));
    }
}

async fn a_roll_out_is_told_step_by_step(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    spec.update_config = Some(skep_planner::swarm::UpdateConfig {
        monitor: skep_planner::swarm::Nanos::from_secs(1),
        ..Default::default()
    });
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    let mut stream = listening(trial).await;
    Act::RunsToo.image().clone_into(&mut container(&mut spec).image);
    trial.update(&id, &spec).await;
    trial.update_state(&id, UpdateState::Completed).await;
    let is_last =
        |hint: &Hint| hint.attributes.get("updatestate.new").is_some_and(|state| state == "completed");
    for hint in hints(trial, &mut stream, is_last).await {
        if hint.kind == HintKind::Service {
            trial.note(told(&hint));
        }
    }
}

async fn a_scaling_says_from_what_to_what(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    trial.arena().rest(Duration::from_millis(500)).await;
    let mut stream = listening(trial).await;
    spec.mode = Some(ServiceMode::replicated(1));
    trial.update(&id, &spec).await;
    for hint in hints(trial, &mut stream, |hint| hint.kind == HintKind::Service).await {
        trial.note(told(&hint));
    }
}

async fn secrets_and_configs_are_told_of(trial: &Trial<'_>) {
    let mut stream = listening(trial).await;
    let id = trial.create_secret("token").await;
    let found = trial.swarm().inspect_secret(By::Id(&id)).await.expect("an answer").expect("the secret");
    trial.swarm().update_secret(&id, found.version, &found.spec).await.expect("updated");
    trial.swarm().remove_secret(&id).await.expect("removed");
    for hint in hints(trial, &mut stream, |hint| hint.action == "remove").await {
        trial.note(told(&hint));
    }
    let spec = ConfigSpec { name: trial.name("conf"), data: "eA==".to_owned(), ..ConfigSpec::default() };
    let id = trial.swarm().create_config(&spec).await.expect("made");
    trial.swarm().remove_config(&id).await.expect("removed");
    for hint in hints(trial, &mut stream, |hint| hint.action == "remove").await {
        trial.note(told(&hint));
    }
}

async fn a_network_is_told_of(trial: &Trial<'_>) {
    let mut stream = listening(trial).await;
    let id = trial.create_network("net", 0).await;
    let mut heard = hints(trial, &mut stream, |hint| hint.action == "update").await;
    trial.swarm().remove_network(&id).await.expect("removed");
    heard.extend(hints(trial, &mut stream, |hint| hint.action == "remove").await);
    let mut actions: Vec<String> =
        heard.iter().map(|hint| format!("{:?} {}", hint.kind, hint.action)).collect();
    actions.dedup();
    trial.note(format!("{actions:?}"));
    assert!(heard.iter().all(|hint| hint.id == id.to_string()));
}

async fn containers_of_tasks_are_told_of_with_their_service(trial: &Trial<'_>) {
    let mut stream = listening(trial).await;
    let id = trial.create(&trial.once("web", Act::Exits)).await;
    let heard = hints(trial, &mut stream, |hint| hint.action == "die").await;
    for hint in heard.iter().filter(|hint| hint.kind == HintKind::Container) {
        assert_eq!(hint.service_id(), Some(id.clone()));
        assert!(hint.task_id().is_some());
        trial.note(format!("{} exit {:?}", hint.action, hint.attributes.get("exitCode")));
    }
}
