//! What the controller remembers: subnets, status, releases, and what of them is still in use.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde_json::json;
use skep_planner::release::ReleaseContent;
use skep_planner::swarm::{ServiceId, Version};
use skep_planner::{
    Cost, NetworkPool, NewRelease, ObjectKind, ObjectRef, Op, Plan, PullAs, ReleaseVersion, Step, Verdict,
    VerdictChange,
};
use skep_schemas::{Generation, Resource, Uid};
use skep_store::StoreError;

use crate::support::{Bed, domain, environment, org, org_name, secret};

pub(crate) fn plan_of(resource: &Resource, steps: Vec<Step>) -> Plan {
    let meta = &resource.meta;
    Plan { steps, ..Plan::empty(meta.key.clone(), meta.uid, meta.generation) }
}

pub(crate) fn create_network(name: &str) -> Step {
    step(ObjectKind::Network, name, Op::CreateNetwork { spec: Box::default() })
}

pub(crate) fn connect_edge(container: &str, address: &str) -> Step {
    let address = address.parse().unwrap();
    step(
        ObjectKind::EdgeAttachment,
        container,
        Op::ConnectEdge {
            network: skep_planner::swarm::NetworkId::new("net"),
            container: skep_planner::swarm::ContainerId::new(container),
            address,
        },
    )
}

pub(crate) fn create_service(name: &str, release: u32) -> Step {
    step(
        ObjectKind::Service,
        name,
        Op::CreateService {
            spec: Box::default(),
            release: Some(ReleaseVersion::new(release)),
            pull: PullAs::Nobody,
        },
    )
}

pub(crate) fn update_service(name: &str, release: u32) -> Step {
    let op = Op::UpdateService {
        id: ServiceId::new("svc"),
        version: Version::default(),
        spec: Box::default(),
        release: Some(ReleaseVersion::new(release)),
        pull: PullAs::Nobody,
    };
    step(ObjectKind::Service, name, op)
}

fn step(kind: ObjectKind, name: &str, op: Op) -> Step {
    Step::new(ObjectRef::new(kind, name), op, "a test", Cost::Create)
}

pub(crate) fn release(version: u32, secrets: &[(&str, u32)]) -> NewRelease {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|(name, version)| json!({"name": name, "version": version, "object": format!("{name}-{version}"), "file": name}))
        .collect();
    let id = format!("sha256:{}", "a".repeat(64));
    let content: ReleaseContent = serde_json::from_value(json!({
        "image": {"reference": "shop:1", "resolved": {"from": "engine", "id": id}},
        "processes": {}, "secrets": secrets, "region": null, "restart": {}, "security": {},
    }))
    .unwrap();
    NewRelease {
        version: ReleaseVersion::new(version),
        content,
        why: format!("release {version}"),
        rollback_to: None,
        made_by: Some("ann".to_owned()),
    }
}

pub(crate) fn releasing(resource: &Resource, version: u32, secrets: &[(&str, u32)]) -> Plan {
    Plan { release: Some(release(version, secrets)), ..plan_of(resource, Vec::new()) }
}

pub(crate) fn judging(resource: &Resource, version: u32, verdict: Verdict) -> Plan {
    let change = VerdictChange { release: ReleaseVersion::new(version), verdict };
    Plan { verdicts: vec![change], ..plan_of(resource, Vec::new()) }
}

#[tokio::test]
async fn organisations_that_ask_at_once_get_subnets_that_do_not_overlap() {
    let bed = Arc::new(Bed::new("subnets").await);
    let fence = bed.fence().await;
    let pool = NetworkPool::new("10.128.0.0/20".parse().unwrap(), 24).unwrap();
    let taken: Vec<Ipv4Net> = vec!["10.128.2.0/23".parse().unwrap()];
    let orgs: Vec<_> = (0..14).map(|n| org(&format!("org-{n}"))).collect();
    let uids: Vec<Uid> = bed.apply(&orgs).await.unwrap().iter().map(|one| one.resource.meta.uid).collect();
    let asking = uids.iter().chain(&uids).map(|&uid| {
        let (bed, fence, taken) = (bed.clone(), fence.clone(), taken.clone());
        tokio::spawn(
            async move { (uid, bed.store.allocate_subnet(&fence, uid, &pool, &taken).await.unwrap()) },
        )
    });
    let mut given = BTreeSet::new();
    for answer in asking.collect::<Vec<_>>() {
        given.insert(answer.await.unwrap());
    }
    assert_eq!(given.len(), 14, "asking again gives the same");
    let nets: BTreeSet<Ipv4Net> = given.iter().map(|(_, subnet)| subnet.net()).collect();
    let free: BTreeSet<Ipv4Net> =
        pool.subnets().map(|subnet| subnet.net()).filter(|net| !taken[0].contains(net)).collect();
    assert_eq!(nets, free);
    let late = bed.applied(org("late")).await.meta.uid;
    let error = bed.store.allocate_subnet(&fence, late, &pool, &taken).await.unwrap_err();
    assert!(matches!(error, StoreError::SubnetsExhausted), "{error:?}");
    let mut snapshot = bed.store.snapshot().await.unwrap();
    assert!(given.contains(&(uids[3], snapshot.subnet(uids[3]).await.unwrap().unwrap())));
    assert_eq!(snapshot.subnet(late).await.unwrap(), None);
}

#[tokio::test]
async fn a_status_that_says_the_same_is_not_written() {
    let bed = Bed::new("status").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let uid = acme.meta.uid;
    let status = json!({"observedGeneration": 1, "conditions": []});
    let one = Generation::new(1);
    assert!(bed.store.write_status(&fence, uid, one, &status).await.unwrap());
    let (head, before) = (bed.head(), bed.sql("SELECT ctid, xmin FROM resource_status"));
    assert!(!bed.store.write_status(&fence, uid, one, &status).await.unwrap());
    assert_eq!((bed.head(), bed.sql("SELECT ctid, xmin FROM resource_status")), (head, before));
    assert!(bed.store.write_status(&fence, uid, Generation::new(2), &status).await.unwrap());
    let stored = bed.store.get(&acme.meta.key).await.unwrap().unwrap();
    assert_eq!(stored.status, status);
    assert_eq!(stored.meta.revision, acme.meta.revision, "a report does not disturb optimistic writers");
    assert!(!bed.store.write_status(&fence, Uid::generate(), one, &status).await.unwrap());
}

#[tokio::test]
async fn a_new_release_supersedes_the_pending_one_and_a_verdict_is_final() {
    let bed = Bed::new("releases").await;
    let fence = bed.fence().await;
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    let uid = env.meta.uid;
    let begin = async |plan: Plan| bed.store.begin_plan(&fence, &plan).await;
    begin(releasing(&env, 1, &[])).await.unwrap();
    begin(judging(&env, 1, Verdict::Succeeded)).await.unwrap();
    begin(releasing(&env, 2, &[])).await.unwrap();
    begin(releasing(&env, 3, &[])).await.unwrap();
    let failed = Verdict::RolledBack { reason: "unhealthy".to_owned() };
    begin(judging(&env, 3, failed.clone())).await.unwrap();
    begin(judging(&env, 3, Verdict::Succeeded)).await.unwrap();
    let error = begin(releasing(&env, 3, &[])).await.unwrap_err();
    assert!(matches!(&error, StoreError::ReleaseTaken { version, .. } if version.get() == 3), "{error:?}");
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let verdicts = |releases: Vec<skep_planner::Release>| {
        releases.into_iter().map(|release| (release.version.get(), release.verdict)).collect::<Vec<_>>()
    };
    let all = [(3, failed.clone()), (2, Verdict::Superseded), (1, Verdict::Succeeded)];
    assert_eq!(verdicts(snapshot.releases(uid, 10).await.unwrap()), all);
    assert_eq!(verdicts(snapshot.releases(uid, 1).await.unwrap()), [all[0].clone(), all[2].clone()]);
    for tampering in ["content = '{}'", "version = 9", "verdict = 'pending', reason = NULL"] {
        let sql = format!("UPDATE release SET {tampering} WHERE version = 3");
        assert!(bed.server.psql(&bed.url, &sql).is_err(), "{tampering}");
    }
    let stale = Plan { generation: Generation::new(9), ..releasing(&env, 4, &[]) };
    let error = begin(stale).await.unwrap_err();
    assert!(matches!(error, StoreError::PlanStale { .. }), "{error:?}");
    assert!(error.is_conflict());
}

#[tokio::test]
async fn secrets_of_the_newest_the_good_and_the_pending_release_are_in_use() {
    let bed = Bed::new("inuse").await;
    let fence = bed.fence().await;
    let batch = [
        org("acme"),
        environment("acme", "one", &[]),
        environment("acme", "two", &[]),
        domain("acme", "www", "www.acme.test"),
    ];
    let made = bed.apply(&batch).await.unwrap();
    let (one, two) = (&made[1].resource, &made[2].resource);
    let failed = || Verdict::Failed { reason: "unhealthy".to_owned() };
    for plan in [
        releasing(one, 1, &[("db", 1)]),
        judging(one, 1, Verdict::Succeeded),
        releasing(one, 2, &[("db", 2), ("mail", 1)]),
        judging(one, 2, failed()),
        releasing(one, 3, &[("db", 3)]),
        releasing(two, 1, &[("db", 4)]),
        judging(two, 1, Verdict::Succeeded),
        releasing(two, 2, &[("db", 5)]),
        judging(two, 2, Verdict::Succeeded),
    ] {
        bed.store.begin_plan(&fence, &plan).await.unwrap();
    }
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let used = snapshot.secret_versions_in_use(&org_name("acme")).await.unwrap();
    let [by_one, by_two] = [one, two].map(|environment| [environment.meta.key.clone()].into());
    let wanted = [("db-1", &by_one), ("db-3", &by_one), ("db-5", &by_two)];
    assert_eq!(used.iter().map(|(object, users)| (object.as_str(), users)).collect::<Vec<_>>(), wanted);
    assert!(snapshot.secret_versions_in_use(&org_name("other")).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_environment_knows_the_hosts_that_route_to_it() {
    let bed = Bed::new("routes").await;
    let batch = [
        org("acme"),
        domain("acme", "www", "www.acme.test"),
        domain("acme", "api", "api.acme.test"),
        secret("acme", "db", Some("x")),
    ];
    bed.apply(&batch).await.unwrap();
    let production =
        batch[1].key.sibling(skep_schemas::Kind::Environment, "production".parse().unwrap()).unwrap();
    let claims = bed.store.snapshot().await.unwrap().domain_claims_of(&production).await.unwrap();
    let hosts: Vec<_> = claims.iter().map(|claim| (claim.host.to_string(), claim.name.to_string())).collect();
    assert_eq!(
        hosts,
        [("api.acme.test".to_owned(), "api".to_owned()), ("www.acme.test".to_owned(), "www".to_owned())]
    );
}
