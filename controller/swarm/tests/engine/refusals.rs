//! What engines refuse, sorted by meaning.

use secrecy::SecretSlice;
use skep_planner::swarm::{FileTarget, SecretId, SecretReference, SecretSpec, ServiceMode};
use skep_swarm::{By, Effect, LabelFilter, SwarmApi, SwarmError};
use skep_testbed::{Engine, EngineOptions, EngineVersion};

use crate::setup::{client, engine, network, on_each_engine, on_network, service, update};

on_each_engine!(
    names_that_are_taken_are_said_so,
    objects_in_use_are_not_removed,
    references_to_missing_objects_are_said_so,
    an_engine_outside_any_swarm_is_no_manager,
);

fn secret(name: &str) -> (SecretSpec, SecretSlice<u8>) {
    (SecretSpec { name: name.to_owned(), ..SecretSpec::default() }, SecretSlice::from(b"s3cret".to_vec()))
}

fn reference(id: SecretId, name: &str) -> SecretReference {
    let file = FileTarget {
        name: name.to_owned(),
        uid: "0".to_owned(),
        gid: "0".to_owned(),
        mode: 0o444,
        ..Default::default()
    };
    SecretReference { file: Some(file), secret_id: id, secret_name: name.to_owned(), ..Default::default() }
}

async fn names_that_are_taken_are_said_so(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let spec = service("web", &["sleep", "1000"]);
    client.create_service(&spec, None).await.expect("created");
    client.create_network(&network("acme", 94)).await.expect("created");
    let (token, value) = secret("token");
    client.create_secret(&token, &value).await.expect("created");
    let errors = [
        client.create_service(&spec, None).await.map(drop),
        client.create_network(&network("acme", 95)).await.map(drop),
        client.create_secret(&token, &value).await.map(drop),
    ];
    for error in errors {
        let error = error.expect_err("the name is taken");
        assert!(matches!(error, SwarmError::NameTaken { .. }), "{error:?}");
        assert_eq!(error.effect(), Effect::None);
    }
}

async fn objects_in_use_are_not_removed(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let net = client.create_network(&network("acme", 94)).await.expect("created");
    let (token, value) = secret("token");
    let token_id = client.create_secret(&token, &value).await.expect("created");
    let mut spec = on_network(service("web", &["sleep", "1000"]), &net);
    spec.mode = Some(ServiceMode::replicated(0));
    let container = spec.task_template.container_spec.as_mut().expect("a container spec");
    container.secrets = vec![reference(token_id.clone(), "token")];
    let id = client.create_service(&spec, None).await.expect("created");

    for error in [client.remove_network(&net).await, client.remove_secret(&token_id).await] {
        let error = error.expect_err("it is in use");
        assert!(matches!(error, SwarmError::InUse { .. }), "{error:?}");
    }
    spec.mode = Some(ServiceMode::global());
    let error = update(&client, &id, &spec).await.expect_err("modes do not change");
    assert!(matches!(error, SwarmError::Invalid { .. }), "{error:?}");

    client.remove_service(&id).await.expect("removed");
    client.remove_network(&net).await.expect("removed");
    client.remove_secret(&token_id).await.expect("removed");
    assert_eq!(client.list_secrets(&LabelFilter::any()).await.expect("secrets"), []);
    assert_eq!(client.inspect_network(By::Id(&net)).await.expect("an answer"), None);
    for error in [client.remove_network(&net).await, client.remove_secret(&token_id).await] {
        let error = error.expect_err("it is gone");
        assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
    }
}

async fn references_to_missing_objects_are_said_so(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let lost_network = on_network(service("one", &["sleep", "1000"]), &"nonesuch".into());
    let mut lost_secret = service("two", &["sleep", "1000"]);
    let container = lost_secret.task_template.container_spec.as_mut().expect("a container spec");
    container.secrets = vec![reference("nonesuch".into(), "token")];
    for spec in [lost_network, lost_secret] {
        let error = client.create_service(&spec, None).await.expect_err("something is missing");
        assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
        assert_eq!(error.effect(), Effect::None);
    }
    assert_eq!(client.list_services(&LabelFilter::any()).await.expect("services"), []);
}

async fn an_engine_outside_any_swarm_is_no_manager(version: EngineVersion) {
    let options = EngineOptions { standalone: true, ..EngineOptions::default() };
    let engine = Engine::start(version, options).expect("an engine");
    let client = client(&engine).await;
    let info = client.info().await.expect("info");
    assert!(!info.is_manager && info.node_id.is_none() && info.cluster_id.is_none(), "{info:?}");
    assert!(matches!(client.list_services(&LabelFilter::any()).await, Err(SwarmError::NoManager { .. })));
    let error = client.create_service(&service("web", &["true"]), None).await.expect_err("no manager");
    assert!(matches!(error, SwarmError::NoManager { .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::None);
}
