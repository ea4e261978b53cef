//! Policies at admission: what is forbidden is refused with the batch, whoever brings the policy.

use serde_json::{Value, json};
use skep_schemas::{Kind, Manifest};
use skep_store::StoreError;

use crate::support::{Bed, app, key, manifest, org};

fn policy(name: &str, spec: Value) -> Manifest {
    manifest(key("acme", Kind::ImagePolicy, name), spec)
}

fn running(image: &str, instances: u32) -> Manifest {
    let spec = json!({"app": "shop", "image": image, "processes": {"web": {"instances": instances}}});
    manifest(key("acme", Kind::Environment, "production"), spec)
}

fn refusal(result: Result<impl std::fmt::Debug, StoreError>) -> String {
    match result {
        Err(error @ StoreError::PolicyDenied { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_policy_forbids_is_refused_with_its_whole_batch() {
    let bed = Bed::new("forbidden").await;
    bed.apply(&[org("acme"), policy("known", json!({"registries": ["ghcr.io"]}))]).await.unwrap();
    let before = bed.dump();
    let batch = [app("acme", "blog", "ghcr.io/acme/blog:1"), app("acme", "shop", "quay.io/acme/shop:1")];
    assert_eq!(
        refusal(bed.apply(&batch).await),
        "acme/App/shop: ImagePolicy/known does not allow image quay.io/acme/shop:1: quay.io is not among the registries"
    );
    assert_eq!(bed.dump(), before);
    bed.apply(&[app("acme", "shop", "ghcr.io/acme/shop:1"), running("ghcr.io/acme/shop:2", 1)])
        .await
        .unwrap();
    refusal(bed.apply(&[running("shop:2", 1)]).await);
    // Another organisation is under its own policies only.
    bed.apply(&[org("globex"), app("globex", "shop", "quay.io/globex/shop:1")]).await.unwrap();
}

#[tokio::test]
async fn the_plan_of_the_organisation_has_rules_that_no_policy_of_its_own_widens() {
    let bed = Bed::new("narrowing").await;
    let plan = |images: Value| {
        let instance = json!({"cpu": "500m", "memory": "256Mi"});
        manifest(key("", Kind::Plan, "small"), json!({"instance": instance, "images": images}))
    };
    let organization = manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"}));
    // The batch brings the rules that it is under.
    let first = [plan(json!({"blocked": ["*/miner"]})), organization, app("acme", "mine", "acme/miner:1")];
    assert!(refusal(bed.apply(&first).await).contains("Plan/small does not allow"));
    bed.apply(&first[..2]).await.unwrap();
    bed.applied(policy("wide", json!({"allowed": ["*"]}))).await;
    refusal(bed.apply(&[app("acme", "mine", "acme/miner:1")]).await);
    bed.applied(app("acme", "mine", "acme/shop:1")).await;
}

#[tokio::test]
async fn what_was_named_before_may_be_named_again_and_a_policy_that_reports_refuses_nothing() {
    let bed = Bed::new("before").await;
    bed.apply(&[org("acme"), app("acme", "shop", "shop:1"), running("shop:1", 2)]).await.unwrap();
    bed.applied(policy("strict", json!({"requireDigest": true}))).await;
    bed.applied(running("shop:1", 1)).await;
    refusal(bed.apply(&[running("shop:2", 1)]).await);
    bed.applied(policy("strict", json!({"requireDigest": true, "enforcement": "report"}))).await;
    bed.applied(running("shop:2", 1)).await;
}

fn catalogue(capabilities: Value, environment_plans: Value) -> [Manifest; 4] {
    let instance = json!({"cpu": "500m", "memory": "256Mi"});
    let tier = json!({"level": "standard", "profile": {"capabilities": capabilities}});
    let plan =
        json!({"instance": instance, "isolationTier": "shared", "environmentPlans": environment_plans});
    [
        manifest(key("", Kind::IsolationTier, "shared"), tier),
        manifest(key("", Kind::Plan, "hobby"), plan),
        manifest(key("", Kind::Plan, "business"), json!({"instance": instance})),
        manifest(key("", Kind::Organization, "acme"), json!({"plan": "hobby"})),
    ]
}

fn environment(spec: Value) -> Manifest {
    let mut whole = json!({"app": "shop"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    manifest(key("acme", Kind::Environment, "production"), whole)
}

#[tokio::test]
async fn a_capability_is_asked_for_where_the_tier_of_the_organisations_plan_allows_it() {
    let bed = Bed::new("capabilities").await;
    let asks = |capability: &str| environment(json!({"security": {"capabilities": [capability]}}));
    // The batch brings what it is under.
    let mut first = catalogue(json!(["CHOWN"]), json!([])).to_vec();
    first.extend([app("acme", "shop", "shop:1"), asks("SETUID")]);
    assert_eq!(
        refusal(bed.apply(&first).await),
        "acme/Environment/production: IsolationTier/shared does not allow the capability SETUID"
    );
    first.pop();
    bed.apply(&first).await.unwrap();
    bed.applied(asks("CHOWN")).await;
    refusal(bed.apply(&[asks("KILL")]).await);
    // An organisation without a plan has none.
    bed.apply(&[org("globex"), app("globex", "shop", "shop:1")]).await.unwrap();
    let theirs = json!({"app": "shop", "security": {"capabilities": ["CHOWN"]}});
    let theirs = manifest(key("globex", Kind::Environment, "production"), theirs);
    assert!(refusal(bed.apply(&[theirs]).await).contains("a plan without an IsolationTier"));
    // What was asked for before may be asked for again when the tier is stricter.
    bed.apply(&catalogue(json!([]), json!([]))).await.unwrap();
    let mut again = asks("CHOWN");
    again.labels.insert("seen".parse().unwrap(), "twice".parse().unwrap());
    bed.applied(again).await;
}

#[tokio::test]
async fn an_environment_names_no_plan_but_its_organisations_and_those_that_it_lists() {
    let bed = Bed::new("other_plans").await;
    bed.apply(&catalogue(json!([]), json!([]))).await.unwrap();
    bed.applied(app("acme", "shop", "shop:1")).await;
    let of_plan = |plan: &str| environment(json!({"plan": plan}));
    assert_eq!(
        refusal(bed.apply(&[of_plan("business")]).await),
        "acme/Environment/production: Plan/hobby does not allow an environment of plan business, only of hobby"
    );
    refusal(bed.apply(&[of_plan("nowhere")]).await);
    bed.applied(of_plan("hobby")).await;
    let mut listed = catalogue(json!([]), json!(["business"])).to_vec();
    listed.push(of_plan("business"));
    bed.apply(&listed).await.unwrap();
    bed.apply(&[org("globex"), app("globex", "shop", "shop:1")]).await.unwrap();
    let theirs = json!({"app": "shop", "plan": "business"});
    bed.applied(manifest(key("globex", Kind::Environment, "production"), theirs)).await;
}
