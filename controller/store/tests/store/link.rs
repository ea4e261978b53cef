//! Links between organisations: what is told of the other side, when, and to whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use skep_schemas::{Kind, Manifest, Scope};
use skep_store::{Link, Precondition, ScopedStore, StoreError};

use crate::support::{Bed, actor, app, environment, finalize, key, manifest, org_name};

fn plan(name: &str, rest: &Value) -> Manifest {
    let mut spec = json!({ "instance": { "cpu": "500m", "memory": "256Mi" } });
    spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    manifest(key("", Kind::Plan, name), spec)
}

fn organization(name: &str, plan: &str) -> Manifest {
    manifest(key("", Kind::Organization, name), json!({ "plan": plan }))
}

fn offers(from: &[&str]) -> Manifest {
    let from: Vec<_> = from.iter().map(|org| json!({ "organization": org })).collect();
    let rule = json!({ "environment": "production", "process": "api", "port": 8080, "from": from });
    manifest(key("bank", Kind::NetworkPolicy, "offers"), json!({ "ingress": [rule] }))
}

fn uses(org: &str, process: &str, port: u16) -> Manifest {
    let to = json!({ "organization": "bank", "environment": "production", "process": process, "port": port });
    manifest(key(org, Kind::NetworkPolicy, "uses"), json!({ "egress": [{ "as": "pay", "to": to }] }))
}

/// A bank, a shop and a club, which may have links, each with an environment.
async fn three(name: &str) -> Bed {
    let bed = Bed::new(name).await;
    bed.applied(plan("linked", &json!({ "quota": { "links": 5 } }))).await;
    for org in ["bank", "shop", "club"] {
        bed.apply(&[
            organization(org, "linked"),
            app(org, "shop", "shop:1"),
            environment(org, "production", &[]),
        ])
        .await
        .unwrap();
    }
    bed
}

async fn links(store: &ScopedStore, org: &str) -> Vec<Link> {
    store.snapshot().await.unwrap().links(&org_name(org)).await.unwrap()
}

#[tokio::test]
async fn a_link_is_told_to_both_sides_once_they_agree_and_to_nobody_else() {
    let bed = three("link").await;
    let tenant = |org: &str| bed.store.within(Some(&Scope::Org(org_name(org))));
    bed.apply(&[uses("shop", "api", 8080), uses("club", "api", 8080)]).await.unwrap();
    for org in ["bank", "shop", "club"] {
        assert_eq!(links(&bed.store, org).await, [], "{org}: one side alone makes none");
    }
    bed.applied(offers(&["shop"])).await;
    let agreed = links(&bed.store, "shop").await;
    let [link] = agreed.as_slice() else { panic!("{agreed:?}") };
    assert_eq!((link.alias.as_str(), link.used_by.as_str()), ("pay", "shop"));
    assert_eq!(link.to.to_string(), "bank/production/api:8080");
    assert_eq!((link.subnet, link.network.as_deref(), &link.tier), (None, None, &None));
    assert_eq!(links(&bed.store, "bank").await, agreed);
    assert_eq!(links(&bed.store, "club").await, []);
    // Tenants are told the same of themselves, by the database, and nothing of others; the other side's policy they do not see.
    let policy = key("bank", Kind::NetworkPolicy, "offers");
    for org in ["bank", "shop", "club"] {
        let tenant = tenant(org);
        for of in ["bank", "shop", "club"] {
            let told = links(&tenant, of).await;
            let is_its_own = org == of && org != "club";
            assert_eq!(told.len(), usize::from(is_its_own), "{org} asks for the links of {of}: {told:?}");
        }
        let seen = tenant.snapshot().await.unwrap().get(&policy).await.unwrap();
        assert_eq!(seen.is_some(), org == "bank");
    }
    // The network's addresses, as soon as there are some.
    bed.sql("INSERT INTO subnet_allocation (org_uid, subnet) SELECT uid, '10.9.0.0/24' FROM resource WHERE name = 'bank'");
    let subnet = links(&tenant("shop"), "shop").await[0].subnet;
    assert_eq!(subnet.map(|subnet| subnet.to_string()).as_deref(), Some("10.9.0.0/24"));
}

#[tokio::test]
async fn a_link_ends_with_whatever_either_side_or_the_platform_takes_back() {
    let bed = three("unlink").await;
    let stand = [offers(&["club", "shop"]), uses("shop", "api", 8080)];
    bed.apply(&stand).await.unwrap();
    let tier = |spec: Value| manifest(key("", Kind::IsolationTier, "alone"), spec);
    bed.applied(tier(json!({ "level": "dedicated" }))).await;
    bed.applied(plan("none", &json!({ "quota": { "apps": 5 } }))).await;
    bed.applied(plan("alone", &json!({ "quota": { "links": 5 }, "isolationTier": "alone" }))).await;
    bed.applied(plan("nowhere", &json!({ "quota": { "links": 5 }, "isolationTier": "missing" }))).await;
    let ends = [
        offers(&["club"]),
        uses("shop", "web", 8080),
        uses("shop", "api", 8081),
        organization("bank", "none"),
        organization("shop", "none"),
        organization("bank", "missing"),
        organization("bank", "alone"),
        organization("shop", "alone"),
        organization("bank", "nowhere"),
        manifest(key("", Kind::Organization, "shop"), json!({})),
    ];
    let back =
        [organization("bank", "linked"), organization("shop", "linked"), stand[0].clone(), stand[1].clone()];
    for end in ends {
        assert_eq!(links(&bed.store, "shop").await.len(), 1);
        let what = format!("{} {:?}", end.key, end.spec);
        bed.applied(end).await;
        assert_eq!(links(&bed.store, "shop").await, [], "{what}");
        bed.apply(&back).await.unwrap();
    }
    // A dedicated tier that takes links, and one that is not dedicated.
    for spec in [json!({ "level": "dedicated", "links": true }), json!({ "level": "enhanced", "pool": "p" })]
    {
        bed.applied(tier(spec)).await;
        bed.applied(organization("bank", "alone")).await;
        let told = links(&bed.store, "shop").await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].tier.as_ref().map(|tier| tier.as_str()), Some("alone"));
        bed.applied(organization("bank", "linked")).await;
    }
    // What is being deleted counts no more, on either side, though it is there still.
    let fence = bed.fence().await;
    for going in [
        key("bank", Kind::NetworkPolicy, "offers"),
        key("bank", Kind::Environment, "production"),
        key("shop", Kind::Environment, "production"),
    ] {
        assert_eq!(links(&bed.store, "shop").await.len(), 1);
        bed.store.delete(&going, Precondition::None, &actor()).await.unwrap();
        let left = bed.store.get(&going).await.unwrap().unwrap();
        assert_eq!(links(&bed.store, "shop").await, [], "{going}");
        finalize(&bed, &fence, left.meta.uid).await;
        let org = going.org().unwrap().as_str();
        bed.apply(&[environment(org, "production", &[]), stand[0].clone()]).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_names_an_organisation_is_woken_with_it() {
    let bed = three("linked").await;
    bed.apply(&[offers(&["shop"]), uses("shop", "api", 8080), uses("club", "api", 8080)]).await.unwrap();
    let woken = async |org: &str| -> BTreeSet<String> {
        let found = bed.store.linked(&BTreeSet::from([org_name(org)])).await.unwrap();
        found.into_iter().map(|key| key.to_string()).collect()
    };
    let all = ["bank/NetworkPolicy/offers", "shop/NetworkPolicy/uses", "club/NetworkPolicy/uses"];
    assert_eq!(woken("bank").await, all.map(str::to_owned).into());
    assert_eq!(woken("shop").await, [all[0], all[1]].map(str::to_owned).into());
    assert_eq!(woken("club").await, [all[2]].map(str::to_owned).into());
}

#[tokio::test]
async fn each_side_has_as_many_links_as_its_plan_says_whoever_agrees() {
    let bed = three("link_quota").await;
    bed.applied(plan("linked", &json!({ "quota": { "links": 1 } }))).await;
    bed.apply(&[offers(&["shop"]), uses("shop", "api", 8080)]).await.unwrap();
    let refused = bed.apply(&[offers(&["shop", "club"])]).await.unwrap_err();
    assert!(matches!(refused, StoreError::QuotaExceeded { .. }), "{refused:?}");
    assert!(refused.to_string().contains("2 links where 1 may be"), "{refused}");
    bed.applied(plan("linked", &json!({ "quota": { "apps": 5 } }))).await;
    let refused = bed.apply(&[uses("club", "api", 8080)]).await.unwrap_err();
    assert!(refused.to_string().contains("1 links where 0 may be"), "{refused}");
}
