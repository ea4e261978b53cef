//! Registries that ask who it is: what a password is needed for, and what a Swarm does without one.

use secrecy::SecretString;
use skep_planner::swarm::{ServiceId, ServiceSpec, Task, TaskState};
use skep_swarm::{By, EngineClient, ImageIdentity, RegistryAuth, SwarmApi, SwarmError, TaskFilter};
use skep_testbed::registry::locked;
use skep_testbed::{Engine, EngineOptions, EngineVersion, Recipe};

use crate::setup::{client, on_each_engine, running_task, service, soon};

on_each_engine!(
    a_registry_that_asks_who_it_is_answers_those_whom_it_lets_in,
    a_password_reaches_the_node_that_pulls_and_another_one_restarts_nothing,
);

fn auth(password: &str) -> RegistryAuth {
    RegistryAuth {
        server: locked::HOST.to_owned(),
        username: locked::USERNAME.to_owned(),
        password: SecretString::from(password),
    }
}

/// An engine whose locked registry has an image, the image's name there, and its digest.
async fn locked_up(version: EngineVersion) -> (Engine, EngineClient, String, String) {
    let options = EngineOptions { locked_registry: true, ..EngineOptions::default() };
    let engine = Engine::start(version, options).expect("an engine");
    let image = engine.publish(&Recipe::busybox().expect("a recipe"), "idle:1").expect("published");
    let client = client(&engine).await;
    (engine, client, format!("{}/idle:1", locked::HOST), image.digest)
}

async fn a_registry_that_asks_who_it_is_answers_those_whom_it_lets_in(version: EngineVersion) {
    let (_engine, client, image, digest) = locked_up(version).await;
    let wrong = auth("a wrong password");
    for credentials in [None, Some(&wrong)] {
        for reference in [image.clone(), format!("{image}@{digest}")] {
            let error = client.resolve_image(&reference, credentials).await.expect_err("it is not let in");
            assert!(matches!(error, SwarmError::Unauthorized { .. }), "{error:?}");
            assert!(!format!("{error:?}").contains("a wrong password"), "{error:?}");
        }
    }
    let right = auth(locked::PASSWORD);
    let resolved = client.resolve_image(&image, Some(&right)).await.expect("it is let in");
    assert_eq!(resolved.identity, ImageIdentity::Registry { digest });
    // One call's password is not another's.
    let error = client.resolve_image(&image, None).await.expect_err("it is not let in");
    assert!(matches!(error, SwarmError::Unauthorized { .. }), "{error:?}");
}

fn idle(name: &str, image: &str) -> ServiceSpec {
    let mut spec = service(name, &["/bin/idle"]);
    if let Some(container) = &mut spec.task_template.container_spec {
        image.clone_into(&mut container.image);
    }
    spec
}

async fn update(client: &EngineClient, id: &ServiceId, spec: &ServiceSpec, auth: &RegistryAuth) {
    soon("an update that loses no race", || async {
        let read = client.inspect_service(By::Id(id)).await.expect("an answer").expect("the service");
        match client.update_service(id, read.version, spec, Some(auth)).await {
            Ok(()) => Some(()),
            Err(SwarmError::Conflict { .. }) => None,
            Err(error) => panic!("{error:?}"),
        }
    })
    .await;
}

async fn tasks(client: &EngineClient, id: &ServiceId) -> Vec<Task> {
    client.list_tasks(&TaskFilter::of_service(id.clone())).await.expect("tasks")
}

async fn a_password_reaches_the_node_that_pulls_and_another_one_restarts_nothing(version: EngineVersion) {
    let (_engine, client, image, digest) = locked_up(version).await;
    let pinned = format!("{image}@{digest}");
    let first = idle("first", &pinned);
    let id = client.create_service(&first, None).await.expect("created");
    let refused = soon("a task that has no image", || async {
        let mut tasks = tasks(&client, &id).await.into_iter();
        tasks.find(|task| task.status.state == Some(TaskState::Rejected))
    })
    .await;
    assert!(refused.status.err.contains("No such image"), "{refused:?}");

    let right = auth(locked::PASSWORD);
    update(&client, &id, &first, &right).await;
    let running = running_task(&client, &TaskFilter::of_service(id.clone())).await;
    // Nothing that the engine tells has the password, or the user.
    let told = format!(
        "{:?}{:?}",
        client.inspect_service(By::Id(&id)).await.expect("an answer"),
        tasks(&client, &id).await
    );
    assert!(!told.contains(locked::PASSWORD) && !told.contains(locked::USERNAME), "{told}");

    // Other credentials are a change of the task's template, and a Swarm replaces no task for them that has its image.
    update(&client, &id, &first, &auth("another password")).await;
    // The manager looks at services one after the other: once this one runs, it has seen the change. And the node has the image now, so
    // that it runs whatever its registry would say: what keeps others from it is not the Swarm.
    let second = client.create_service(&idle("second", &pinned), None).await.expect("created");
    running_task(&client, &TaskFilter::of_service(second)).await;
    let now = running_task(&client, &TaskFilter::of_service(id.clone())).await;
    assert_eq!(now.id, running.id, "the task is the same");
    let wanted = tasks(&client, &id).await;
    let wanted = wanted.iter().filter(|task| task.desired_state == Some(TaskState::Running));
    assert_eq!(wanted.count(), 1, "no other task was made");

    // So the question what the image is must not be answered from what the node has.
    for reference in [&image, &pinned] {
        let error = client.resolve_image(reference, None).await.expect_err("it is not let in");
        assert!(matches!(error, SwarmError::Unauthorized { .. }), "{error:?}");
    }
}
