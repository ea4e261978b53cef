//! The variables of an environment.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use skep_api::wire::{ConfigView, ResourceView};
use skep_schemas::{Kind, Owner, ResourceKey, Role, Scope, SourceRef};
use skep_store::Actor;

use crate::operation::releasing;
use crate::panel_tenant::Tenant;
use crate::support::manifest;

const CONFIG: &str = "/v1/orgs/acme/environments/live/config";

fn values(config: &ConfigView) -> BTreeMap<&str, &str> {
    config.items.iter().map(|item| (item.name.as_str(), item.value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_and_removed_in_the_manifest_over_the_revision_that_was_read() -> Result<()> {
    let acme = Tenant::new().await?;
    let read: ConfigView = acme.ask("GET", CONFIG, None).await?.read();
    assert_eq!(values(&read), BTreeMap::from([("DEBUG", "1"), ("STAGE", "live")]));
    assert!(read.items.iter().all(|item| item.since.is_none()), "no release has them yet");
    let change = json!({"env": {"DEBUG": null, "COLOUR": "blue"}});
    let changed = acme.ask("PATCH", CONFIG, Some(change.clone())).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed: ConfigView = changed.read();
    assert_eq!(values(&changed), BTreeMap::from([("COLOUR", "blue"), ("STAGE", "live")]));
    let native = acme.native("environments/live").await?;
    assert_eq!((native.metadata.revision, &native.spec["app"]), (changed.revision, &json!("shop")));
    assert!(changed.revision > read.revision);
    assert!(acme.server.control.woken.lock().unwrap().contains(&"acme/Environment/live".to_owned()));

    // Who read something else is told, and nothing is written.
    let stale = acme.server.request("PATCH", CONFIG).header("if-match", format!("\"{}\"", read.revision));
    let stale = stale.header("content-type", "application/json").body(change.to_string().into())?;
    assert_eq!(acme.server.send(stale).await?.status, 412);
    for wrong in [json!({"env": {"1X": "no name"}}), json!({"env": {"A": 1}}), json!({"A": "b"})] {
        assert_eq!(acme.ask("PATCH", CONFIG, Some(wrong)).await?.status, 400);
    }
    assert_eq!(acme.native("environments/live").await?.metadata.revision, changed.revision);
    let none = acme.ask("GET", "/v1/orgs/acme/environments/none/config", None).await?;
    assert_eq!((none.status, none.code().as_str()), (404, "SK0601"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_a_git_source_maintains_are_changed_there_and_not_here() -> Result<()> {
    let acme = Tenant::new().await?;
    let key = ResourceKey::new(Scope::Org("acme".parse()?), Kind::Environment, "live".parse()?)?;
    let source = SourceRef { org: None, name: "infra".parse()? };
    acme.server.store.set_owner(&key, &Owner::Git { source }, &Actor::new("ann")).await?;
    let before = acme.native("environments/live").await?.metadata.revision;
    for path in [CONFIG.to_owned(), format!("{}/config", acme.live().await?)] {
        let refused = acme.ask("PATCH", &path, Some(json!({"env": {"A": "b"}}))).await?;
        assert_eq!((refused.status, refused.code().as_str()), (409, "SK0305"), "{path}");
        assert!(
            refused.text().contains("PlatformSource infra maintains acme/Environment/live"),
            "{refused:?}"
        );
        for way in
            ["change it in the repository", "skep owner acme/Environment/live --set api", "--take-over"]
        {
            assert!(refused.text().contains(way), "{way}: {refused:?}");
        }
    }
    assert_eq!(acme.native("environments/live").await?.metadata.revision, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_tells_since_which_release_it_is_so_and_whose_that_was() -> Result<()> {
    let acme = Tenant::new().await?;
    let resource: ResourceView = acme.native("environments/live").await?;
    let fence = acme.server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    let process = |env: Value| {
        json!({"web": {
            "entrypoint": null, "command": null, "workingDir": null, "env": env, "ports": [], "healthCheck": null,
            "resources": {"cpu": "500m", "memory": "64Mi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
        }})
    };
    let live = json!({"STAGE": "live", "DEBUG": "0", "URL": "https://www.acme.example/x"});
    let said = [json!({"STAGE": "test"}), json!({"STAGE": "live"}), live];
    for (version, env) in (1..).zip(said) {
        let mut plan = releasing(&resource, version, None)?;
        let content = &mut plan.release.as_mut().unwrap().content;
        content.processes = serde_json::from_value(process(env))?;
        content.references = serde_json::from_value(json!({"domain.www.url": "https://www.acme.example"}))?;
        acme.server.store.begin_plan(&fence, &plan).await?;
    }
    let read: ConfigView = acme.ask("GET", CONFIG, None).await?.read();
    let told: Vec<_> = read
        .items
        .iter()
        .map(|item| {
            (item.name.as_str(), item.since.as_ref().map(|since| (since.release, since.by.as_deref())))
        })
        .collect();
    assert_eq!(told, [("DEBUG", None), ("STAGE", Some((2, Some("ann"))))]);

    // A reference is told with what it stands for in the newest release; none is while no release has it.
    let change =
        json!({"env": {"URL": "${domain.www.url}/x", "OTHER": "${domain.www.url}", "TEXT": "$${x}"}});
    let changed: ConfigView = acme.ask("PATCH", CONFIG, Some(change)).await?.read();
    let item = |name: &str| changed.items.iter().find(|item| item.name.as_str() == name).unwrap();
    let url = item("URL");
    assert_eq!(
        (url.value.as_str(), url.resolved.as_deref()),
        ("${domain.www.url}/x", Some("https://www.acme.example/x"))
    );
    assert_eq!(url.since.as_ref().map(|since| since.release), Some(3));
    for name in ["OTHER", "TEXT"] {
        assert_eq!((&item(name).resolved, &item(name).since), (&None, &None), "{name}");
    }
    let wrong = json!({"env": {"URL": "${domian.www.url}"}});
    let wrong = acme.ask("PATCH", CONFIG, Some(wrong)).await?;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert!(wrong.text().contains("SK0127") && wrong.text().contains("/spec/env/URL"), "{wrong:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secrets_are_told_by_nobody_and_processes_that_say_another_value_are_named() -> Result<()> {
    let acme = Tenant::new().await?;
    let spec = "{app: shop, env: {STAGE: live}, secrets: [{name: key, env: KEY}], \
                processes: {web: {entrypoint: [/bin/web], env: {STAGE: mine}}}}";
    let text = manifest("Environment", "live", spec);
    let written = acme.server.put("/v1/orgs/acme/environments/live", &text).await?;
    assert_eq!(written.status, 200, "{written:?}");
    let answer = acme.ask("GET", CONFIG, None).await?;
    assert!(!answer.text().contains("a-value-of-acme"), "{answer:?}");
    let read: ConfigView = answer.read();
    assert_eq!(read.items[0].overridden_by.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["web"]);
    assert_eq!(read.secrets[0].env.as_ref().map(|name| name.as_str()), Some("KEY"));
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let change = Some(("application/json", json!({"env": {"A": "b"}}).to_string()));
    assert_eq!(acme.server.ask(&viewer, "GET", CONFIG, None).await?.status, 200);
    assert_eq!(acme.server.ask(&viewer, "PATCH", CONFIG, change).await?.code(), "SK0403");
    Ok(())
}
