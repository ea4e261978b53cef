//! What image references mean.

use skep_swarm::{Effect, ImageIdentity, SwarmApi, SwarmError, TaskFilter};
use skep_testbed::{EngineVersion, Recipe};

use crate::setup::{IMAGE, engine, on_each_engine, running_task, service, soon};

on_each_engine!(
    a_reference_is_resolved_by_its_registry_or_by_the_engine,
    an_image_is_removed_by_its_digest_when_no_container_was_made_of_it,
);

async fn an_image_is_removed_by_its_digest_when_no_container_was_made_of_it(version: EngineVersion) {
    let (engine, client) = engine(version).await;
    let published = engine.publish(&Recipe::web("one").expect("a recipe"), "web:one").expect("published");
    let (repository, digest) = (published.reference.replace(":one", ""), &published.digest);
    let name = format!("{repository}@{digest}");
    let has = || engine.docker(&["image", "inspect", &name]).expect("an answer").status.success();
    // Only the registry has it now, as with what was built elsewhere.
    engine.docker_ok(&["rmi", &published.reference]).expect("its name is taken away");
    let absent = client.remove_image(&name).await.expect_err("it was not pulled yet");
    assert!(matches!(absent, SwarmError::NotFound { .. }), "{absent:?}");

    let mut spec = service("web", &[]);
    if let Some(container) = &mut spec.task_template.container_spec {
        container.image = format!("{}@{digest}", published.reference);
    }
    let id = client.create_service(&spec, None).await.expect("created");
    let filter = TaskFilter::of_service(id.clone());
    let task = running_task(&client, &filter).await;
    let container = task.status.container_status.expect("a container").container_id;
    let in_use = client.remove_image(&name).await.expect_err("a container runs it");
    assert!(matches!(in_use, SwarmError::InUse { .. }), "{in_use:?}");
    engine.docker_ok(&["tag", &name, "mine:1"]).expect("somebody tags it");

    client.remove_service(&id).await.expect("removed");
    soon("its container to be gone", || async {
        client.inspect_container(&container).await.expect("an answer").is_none().then_some(())
    })
    .await;
    client.remove_image(&name).await.expect("nothing is made of it any more");
    assert!(!has(), "the engine knows it by that name no more");
    engine.docker_ok(&["image", "inspect", "mine:1"]).expect("what somebody else calls it stays");

    engine.docker_ok(&["rmi", "mine:1"]).expect("until somebody else takes it away");

    engine.docker_ok(&["pull", &name]).expect("it is pulled again");
    let stopped = engine.docker_ok(&["create", &name]).expect("a container that does not run");
    let in_use = client.remove_image(&name).await.expect_err("a container was made of it");
    assert!(matches!(in_use, SwarmError::InUse { .. }), "{in_use:?}");
    engine.docker_ok(&["rm", &stopped]).expect("removed");
    client.remove_image(&name).await.expect("nothing is made of it any more");
}

async fn a_reference_is_resolved_by_its_registry_or_by_the_engine(version: EngineVersion) {
    let (engine, client) = engine(version).await;
    let published = engine.publish(&Recipe::web("one").expect("a recipe"), "web:one").expect("published");
    let resolved = client.resolve_image(&published.reference, None).await.expect("resolved");
    assert_eq!(resolved.identity, ImageIdentity::Registry { digest: published.digest.clone() });
    assert_eq!(resolved.pinned_reference(), format!("{}@{}", published.reference, published.digest));
    assert_eq!(
        (resolved.platforms[0].os.as_str(), resolved.platforms[0].architecture.as_str()),
        ("linux", "amd64")
    );

    let pinned = client.resolve_image(&resolved.pinned_reference(), None).await.expect("resolved");
    assert_eq!(pinned.identity, resolved.identity);

    let local = client.resolve_image(IMAGE, None).await.expect("the engine has it");
    let ImageIdentity::EngineOnly { image_id } = &local.identity else { panic!("{local:?}") };
    assert!(image_id.starts_with("sha256:"));
    assert_eq!(local.pinned_reference(), IMAGE);

    let error =
        client.resolve_image("127.0.0.1:5000/missing:v1", None).await.expect_err("the registry says no");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
    let error = client.resolve_image("127.0.0.1:5999/missing:v1", None).await.expect_err("nobody has it");
    assert!(matches!(error, SwarmError::Other { .. }), "{error:?}");
    assert!(
        error.to_string().contains("connection refused"),
        "the registry's failure is what is told: {error}"
    );
    assert_eq!(error.effect(), Effect::None);
}
