//! Configs: found by name, made once, and changed only from the version that was read.

use skep_planner::swarm::ConfigSpec;
use skep_swarm::{By, Effect, SwarmApi, SwarmError};
use skep_testbed::EngineVersion;

use crate::setup::{engine, on_each_engine};

on_each_engine!(
    a_config_is_made_once_and_its_labels_change_only_from_the_version_that_was_read,
    a_config_of_a_similar_name_or_the_beginning_of_an_id_is_not_found,
);

fn spec(name: &str, owner: &str) -> ConfigSpec {
    let labels = [("owner".to_owned(), owner.to_owned())].into_iter().collect();
    ConfigSpec { name: name.to_owned(), labels, data: "bWluZQ==".to_owned(), ..ConfigSpec::default() }
}

async fn a_config_is_made_once_and_its_labels_change_only_from_the_version_that_was_read(
    version: EngineVersion,
) {
    let (_engine, client) = engine(version).await;
    assert_eq!(client.inspect_config(By::Name("claim")).await.expect("an answer"), None);
    let id = client.create_config(&spec("claim", "a")).await.expect("created");
    let taken = client.create_config(&spec("claim", "b")).await.expect_err("the name is taken");
    assert!(matches!(taken, SwarmError::NameTaken { .. }), "{taken:?}");
    assert_eq!(taken.effect(), Effect::None);

    let read = client.inspect_config(By::Name("claim")).await.expect("an answer").expect("the config");
    assert_eq!((&read.id, &read.spec), (&id, &spec("claim", "a")));
    client.update_config(&id, read.version, &spec("claim", "b")).await.expect("updated");
    let stale = client.update_config(&id, read.version, &spec("claim", "c")).await.expect_err("stale");
    assert!(matches!(stale, SwarmError::Conflict { .. }), "{stale:?}");
    let now = client.inspect_config(By::Id(&id)).await.expect("an answer").expect("the config");
    assert_eq!(now.spec.labels["owner"], "b");
    assert!(now.version > read.version);

    client.remove_config(&id).await.expect("removed");
    let gone = client.remove_config(&id).await.expect_err("it is gone");
    assert!(matches!(gone, SwarmError::NotFound { .. }), "{gone:?}");
}

async fn a_config_of_a_similar_name_or_the_beginning_of_an_id_is_not_found(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let id = client.create_config(&spec("claim", "a")).await.expect("created");
    for other in ["clai", "claim2", &id.as_str()[..8]] {
        assert_eq!(client.inspect_config(By::Name(other)).await.expect("an answer"), None, "{other}");
    }
}
