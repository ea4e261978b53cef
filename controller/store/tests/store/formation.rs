//! How much of an environment runs, as people say it: what is refused, what ends it, and that nobody gets beyond the quota.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skep_schemas::{FormationOverride, Kind, Manifest, ProcessName, ScaleOwner, Scope};
use skep_store::{FormationChange, Scale, ScopedStore, StoreError};
use tokio::task::JoinSet;

use crate::support::{Bed, actor, item, key, manifest, org, org_name};

fn process(name: &str) -> ProcessName {
    name.parse().unwrap()
}

fn environment(name: &str, processes: &Value) -> Manifest {
    manifest(key("acme", Kind::Environment, name), json!({"app": "shop", "processes": processes}))
}

fn shop() -> Manifest {
    let spec = json!({"source": {"image": "shop:1"}, "processes": {"web": {}}});
    manifest(key("acme", Kind::App, "shop"), spec)
}

fn to(name: &str, instances: Option<u32>, owner: ScaleOwner) -> FormationChange {
    FormationChange::Scale(Scale { instances: BTreeMap::from([(process(name), instances)]), owner })
}

async fn form(
    store: &ScopedStore,
    name: &str,
    change: FormationChange,
) -> Result<FormationOverride, StoreError> {
    store.form(&key("acme", Kind::Environment, name), &change, &actor()).await
}

async fn scale(bed: &Bed, name: &str, instances: u32) -> Result<FormationOverride, StoreError> {
    form(&bed.store, "prod", to(name, Some(instances), ScaleOwner::Person)).await
}

async fn said(bed: &Bed) -> FormationOverride {
    bed.store.get(&key("acme", Kind::Environment, "prod")).await.unwrap().unwrap().meta.formation
}

#[tokio::test]
async fn a_number_that_a_manifest_says_is_refused_with_whose_it_is() {
    let bed = Bed::new("formsays").await;
    let processes = json!({"web": {"instances": 3}, "worker": {}});
    bed.apply(&[org("acme"), shop(), environment("prod", &processes)]).await.unwrap();
    let refusal = scale(&bed, "web", 5).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "acme/Environment/prod says that process web has 3 instances; that manifest is maintained by hand or by a script, and was written last by tester"
    );
    let refusal = scale(&bed, "none", 5).await.unwrap_err().to_string();
    assert_eq!(refusal, "acme/Environment/prod has no process none; it has web, worker");
    let refusal = scale(&bed, "worker", 501).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "process worker of acme/Environment/prod would have 501 instances, and no process has more than 500"
    );
    assert!(said(&bed).await.is_empty());
    let head = bed.head();
    scale(&bed, "worker", 4).await.unwrap();
    assert!(bed.head() > head, "whoever follows the changes is woken");
    assert_eq!(said(&bed).await.instances(&process("worker")), Some(4));
    let head = bed.head();
    scale(&bed, "worker", 4).await.unwrap();
    assert_eq!(bed.head(), head, "the same number again is no change");
}

#[tokio::test]
async fn a_manifest_that_begins_to_say_a_number_ends_what_was_scaled_and_one_that_does_not_leaves_it() {
    let bed = Bed::new("formyield").await;
    let free = || environment("prod", &json!({"worker": {}}));
    bed.apply(&[org("acme"), shop(), free()]).await.unwrap();
    scale(&bed, "web", 5).await.unwrap();
    scale(&bed, "worker", 4).await.unwrap();
    bed.applied(environment("prod", &json!({"worker": {"command": ["work"]}}))).await;
    assert_eq!(said(&bed).await.scale.len(), 2);
    bed.applied(environment("prod", &json!({"worker": {"instances": 1}}))).await;
    assert_eq!(said(&bed).await.scale.into_keys().collect::<Vec<_>>(), [process("web")]);
    // The app says it for all of its environments.
    let says = json!({"source": {"image": "shop:1"}, "processes": {"web": {"instances": 2}}});
    bed.applied(manifest(key("acme", Kind::App, "shop"), says)).await;
    assert!(said(&bed).await.scale.is_empty());
    let refusal = scale(&bed, "web", 5).await.unwrap_err().to_string();
    assert!(refusal.starts_with("acme/App/shop says that process web has 2 instances"), "{refusal}");
    bed.apply(&[shop(), free()]).await.unwrap();
    assert!(said(&bed).await.scale.is_empty(), "it does not come back to life");
}

#[tokio::test]
async fn an_autoscaler_changes_its_own_numbers_and_not_those_of_people() {
    let bed = Bed::new("formowner").await;
    bed.apply(&[org("acme"), shop(), environment("prod", &json!({}))]).await.unwrap();
    let auto = |instances| form(&bed.store, "prod", to("web", instances, ScaleOwner::Autoscaler));
    auto(Some(2)).await.unwrap();
    auto(Some(3)).await.unwrap();
    scale(&bed, "web", 5).await.unwrap();
    for instances in [Some(4), None] {
        let refusal = auto(instances).await.unwrap_err().to_string();
        let begins = "the number of instances of process web of acme/Environment/prod is a person's: tester said it at ";
        assert!(refusal.starts_with(begins), "{refusal}");
    }
    form(&bed.store, "prod", to("web", None, ScaleOwner::Person)).await.unwrap();
    auto(Some(4)).await.unwrap();
    assert_eq!(said(&bed).await.scale[&process("web")].owner, ScaleOwner::Autoscaler);

    // Where the platform has switched that off, it may give its number back, and say none.
    let off = json!({"features": {"autoscaling": false}});
    bed.applied(manifest(key("", Kind::Organization, "acme"), off)).await;
    let refusal = auto(Some(5)).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "acme/Environment/prod needs the feature `autoscaling`, which Organization/acme has switched off"
    );
    assert_eq!(said(&bed).await.scale[&process("web")].instances, 4, "what there is goes on");
    scale(&bed, "web", 3).await.unwrap();
    form(&bed.store, "prod", to("web", None, ScaleOwner::Autoscaler)).await.unwrap_err();
    form(&bed.store, "prod", to("web", None, ScaleOwner::Person)).await.unwrap();
}

#[tokio::test]
async fn restarts_are_counted_and_stops_are_whose_they_were_first() {
    let bed = Bed::new("formstop").await;
    bed.apply(&[org("acme"), shop(), environment("prod", &json!({"worker": {}}))]).await.unwrap();
    let ask = |change| form(&bed.store, "prod", change);
    let stop = |name: Option<&str>, reason: &str| FormationChange::Stop {
        process: name.map(process),
        reason: Some(reason.to_owned()),
    };
    ask(FormationChange::Restart(None)).await.unwrap();
    ask(FormationChange::Restart(Some(process("web")))).await.unwrap();
    let now = ask(FormationChange::Restart(None)).await.unwrap();
    assert_eq!((now.restarts(&process("web")), now.restarts(&process("worker"))), (3, 2));
    ask(stop(Some("worker"), "a leak")).await.unwrap();
    ask(stop(None, "the night")).await.unwrap();
    let now = ask(stop(None, "again")).await.unwrap();
    assert_eq!(now.stop.unwrap().reason.as_deref(), Some("the night"));
    let refusal = ask(FormationChange::Start(Some(process("worker")))).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "acme/Environment/prod is stopped as a whole, so process worker cannot be started by itself"
    );
    bed.applied(environment("prod", &json!({"worker": {"env": {"A": "1"}}}))).await;
    assert!(said(&bed).await.stopped(&process("web")).is_some(), "an apply starts nothing");
    let now = ask(FormationChange::Start(None)).await.unwrap();
    assert_eq!((now.stopped(&process("web")), now.stopped(&process("worker"))), (None, None));
    let refusal = ask(stop(Some("none"), "")).await.unwrap_err().to_string();
    assert_eq!(refusal, "acme/Environment/prod has no process none; it has web, worker");
    let verbs = "SELECT string_agg(verb, ' ' ORDER BY id) FROM audit WHERE verb ~ 'start|stop'";
    assert_eq!(bed.sql(verbs), "restart restart restart stop stop start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_scale_at_once_exactly_as_many_get_through_as_the_quota_has_room_for() {
    let bed = Bed::new("formrush").await;
    let plan =
        json!({"instance": {"cpu": "1", "memory": "64Mi"}, "maxInstances": 6, "quota": {"instances": 25}});
    let plan = manifest(key("", Kind::Plan, "small"), plan);
    let organization = manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"}));
    bed.apply(&[plan, organization, shop()]).await.unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("env-{number}")).collect();
    let environments = names.iter().map(|name| item(environment(name, &json!({"web": {}}))));
    bed.store.apply(&environments.collect::<Vec<_>>(), &actor()).await.unwrap();
    let tenant = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    // Each has one, so there is room for fifteen more: for three with five more each.
    let mut rush = JoinSet::new();
    for name in names {
        let store = tenant.clone();
        rush.spawn(async move {
            match form(&store, &name, to("web", Some(6), ScaleOwner::Person)).await {
                Ok(_) => true,
                Err(StoreError::QuotaExceeded { .. }) => false,
                Err(other) => panic!("{name}: {other:?}"),
            }
        });
    }
    assert_eq!(rush.join_all().await.into_iter().filter(|done| *done).count(), 3);
    let usage = tenant.standing(&org_name("acme")).await.unwrap().usage;
    assert_eq!(usage.get(skep_planner::quota::Counted::Instances), 25);
    // What was scaled counts when manifests are applied, too.
    let another = bed.apply(&[environment("one-more", &json!({"web": {}}))]).await;
    assert!(matches!(another, Err(StoreError::QuotaExceeded { .. })), "{another:?}");
    let refusal =
        form(&tenant, "env-0", to("web", Some(7), ScaleOwner::Person)).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "process web of acme/Environment/env-0 would have 7 instances, and Plan/small allows 6"
    );
}

#[tokio::test]
async fn an_organisation_is_suspended_by_the_platform_and_by_nobody_else() {
    let bed = Bed::new("suspend").await;
    bed.apply(&[org("acme"), shop()]).await.unwrap();
    let acme = key("", Kind::Organization, "acme");
    let head = bed.head();
    let first = bed.store.suspend(&acme, Some("the bill is open".to_owned()), &actor()).await.unwrap();
    assert!(bed.head() > head, "whoever follows the changes is woken");
    let second = bed.store.suspend(&acme, None, &actor()).await.unwrap();
    assert_eq!(first, second, "it is whose it was first");
    let tenant = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    let refused = tenant.end_suspension(&acme, &actor()).await;
    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    let stored = bed.store.get(&acme).await.unwrap().unwrap();
    assert_eq!(stored.meta.suspension, Some(first.clone()));
    assert_eq!(bed.store.end_suspension(&acme, &actor()).await.unwrap(), Some(first));
    assert_eq!(bed.store.end_suspension(&acme, &actor()).await.unwrap(), None);
    assert_eq!(
        bed.sql("SELECT string_agg(verb, ' ' ORDER BY id) FROM audit WHERE verb LIKE '%suspen%'"),
        "suspend end-suspension"
    );
}
