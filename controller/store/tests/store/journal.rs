//! The journal: intent before effect, and what is known afterwards.

use skep_planner::{InventoryEntry, Plan, ReleaseVersion};
use skep_schemas::Kind;
use skep_store::{Deletion, PlanId, Precondition, StepOutcome, StepState, StoreError};

use crate::convergence::{connect_edge, create_network, create_service, plan_of, releasing, update_service};
use crate::support::{Bed, actor, environment, key, org};

async fn inventory(bed: &Bed, resource: &skep_schemas::Resource) -> Vec<InventoryEntry> {
    bed.store.snapshot().await.unwrap().inventory(resource.meta.uid).await.unwrap()
}

fn done(id: &str) -> StepOutcome {
    StepOutcome::Done { object_id: Some(id.to_owned()) }
}

#[tokio::test]
async fn an_intent_is_there_before_the_effect_and_learns_the_id() {
    let bed = Bed::new("intent").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let plan = plan_of(&acme, vec![create_network("net"), connect_edge("edge-1", "10.0.0.2")]);
    let record = bed.store.begin_plan(&fence, &plan).await.unwrap().unwrap();
    let entries = inventory(&bed, &acme).await;
    assert_eq!(entries.iter().map(|entry| &entry.object.name[..]).collect::<Vec<_>>(), ["edge-1", "net"]);
    assert!(entries.iter().all(|entry| entry.id.is_none()));
    assert_eq!(entries[0].address, Some("10.0.0.2".parse().unwrap()));
    bed.store.step_started(&fence, record.id, 0).await.unwrap();
    bed.store.step_finished(&fence, record.id, 0, &done("net-id")).await.unwrap();
    assert_eq!(inventory(&bed, &acme).await[1].id.as_deref(), Some("net-id"));
    // What was done once is not done again.
    for again in [
        bed.store.step_started(&fence, record.id, 0).await,
        bed.store.step_finished(&fence, record.id, 0, &done("other")).await,
        bed.store.step_started(&fence, record.id, 7).await,
    ] {
        assert!(matches!(again, Err(StoreError::StepUnexpected { .. })), "{again:?}");
    }
}

#[tokio::test]
async fn no_two_edge_tasks_get_one_address_and_no_two_owners_one_object() {
    let bed = Bed::new("unique").await;
    let fence = bed.fence().await;
    let made = bed.apply(&[org("acme"), org("other")]).await.unwrap();
    let (acme, other) = (&made[0].resource, &made[1].resource);
    let plan = plan_of(acme, vec![create_network("net"), connect_edge("edge-1", "10.0.0.2")]);
    bed.store.begin_plan(&fence, &plan).await.unwrap();
    let before = bed.dump();
    let clash = plan_of(acme, vec![create_network("second"), connect_edge("edge-2", "10.0.0.2")]);
    let error = bed.store.begin_plan(&fence, &clash).await.unwrap_err();
    assert!(matches!(error, StoreError::AddressTaken { owner, .. } if owner == acme.meta.uid), "{error:?}");
    let error = bed.store.begin_plan(&fence, &plan_of(other, vec![create_network("net")])).await.unwrap_err();
    assert!(matches!(&error, StoreError::ObjectTaken { object } if object.name == "net"), "{error:?}");
    assert_eq!(sequences_aside(&bed.dump()), sequences_aside(&before), "a refused plan leaves nothing");
    // Another network has its own addresses, and the same container may be on it.
    bed.store.begin_plan(&fence, &plan_of(other, vec![connect_edge("edge-1", "10.0.0.2")])).await.unwrap();
}

/// Sequences are not part of transactions.
fn sequences_aside(dump: &str) -> String {
    dump.lines().filter(|line| !line.contains("setval")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_release_that_was_sent_is_noted_only_when_it_is_sent() {
    let bed = Bed::new("sent").await;
    let fence = bed.fence().await;
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    let sent = async || inventory(&bed, &env).await[0].sent_release.map(ReleaseVersion::get);
    let begin = async |release: u32, step| {
        let plan = Plan { steps: vec![step], ..releasing(&env, release, &[]) };
        bed.store.begin_plan(&fence, &plan).await.unwrap().unwrap().id
    };
    let finish = async |id: PlanId, outcome: StepOutcome| {
        bed.store.step_finished(&fence, id, 0, &outcome).await.unwrap()
    };
    let first = begin(1, create_service("web", 1)).await;
    assert_eq!(sent().await, None);
    bed.store.step_started(&fence, first, 0).await.unwrap();
    assert_eq!(sent().await, Some(1));
    finish(first, done("svc")).await;
    // Certainly without effect: as if it had never been sent.
    let second = begin(2, update_service("web", 2)).await;
    bed.store.step_started(&fence, second, 0).await.unwrap();
    assert_eq!(sent().await, Some(2));
    finish(second, StepOutcome::Conflict).await;
    assert_eq!(sent().await, Some(1));
    // Perhaps with effect: it may have been sent.
    let third = begin(3, update_service("web", 3)).await;
    bed.store.step_started(&fence, third, 0).await.unwrap();
    finish(third, StepOutcome::Unknown { why: "timed out".to_owned() }).await;
    assert_eq!(sent().await, Some(3));
    assert_eq!(inventory(&bed, &env).await[0].id.as_deref(), Some("svc"));
}

#[tokio::test]
async fn the_journal_tells_what_was_under_way() {
    let bed = Bed::new("unfinished").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let steps = || vec![create_network("a"), create_network("b"), create_network("c")];
    let first = bed.store.begin_plan(&fence, &plan_of(&acme, steps())).await.unwrap().unwrap().id;
    bed.store.step_started(&fence, first, 0).await.unwrap();
    bed.store.step_finished(&fence, first, 0, &done("id")).await.unwrap();
    bed.store.step_started(&fence, first, 1).await.unwrap();
    let unfinished = bed.store.journal_unfinished().await.unwrap();
    let [plan] = unfinished.as_slice() else { panic!("{unfinished:?}") };
    assert_eq!(
        (plan.id, plan.uid, &plan.key, plan.epoch),
        (first, acme.meta.uid, &acme.meta.key, fence.epoch())
    );
    let told: Vec<_> =
        plan.steps.iter().map(|step| (step.object.name.as_str(), step.op.as_str(), step.state)).collect();
    assert_eq!(
        told,
        [
            ("a", "createNetwork", StepState::Done),
            ("b", "createNetwork", StepState::Started),
            ("c", "createNetwork", StepState::Planned)
        ]
    );
    // The next plan for the resource takes its place, and a plan ends with its last step.
    let second = bed.store.begin_plan(&fence, &plan_of(&acme, steps())).await.unwrap().unwrap().id;
    assert_eq!(bed.store.journal_unfinished().await.unwrap()[0].id, second);
    bed.store.step_started(&fence, second, 0).await.unwrap();
    bed.store.step_finished(&fence, second, 0, &StepOutcome::Failed { why: "no".to_owned() }).await.unwrap();
    // Those after it are not tried.
    assert!(bed.store.journal_unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_plan_that_does_nothing_writes_nothing() {
    let bed = Bed::new("quiet").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let before = bed.dump();
    assert_eq!(bed.store.begin_plan(&fence, &plan_of(&acme, Vec::new())).await.unwrap(), None);
    bed.store.forget(&fence, acme.meta.uid, &[]).await.unwrap();
    assert_eq!(bed.dump(), before);
}

#[tokio::test]
async fn a_row_written_by_hand_is_held_before_the_first_effect() {
    let bed = Bed::new("held_by_hand").await;
    let fence = bed.fence().await;
    bed.applied(org("acme")).await;
    bed.sql("INSERT INTO resource (uid, org, kind, name, api_version, spec)
             VALUES (gen_random_uuid(), 'acme', 'Environment', 'byhand', 'skep.dev/v1', '{\"app\": \"shop\"}')");
    let key = key("acme", Kind::Environment, "byhand");
    let env = bed.store.get(&key).await.unwrap().unwrap();
    assert!(env.meta.finalizers.is_empty());
    bed.store.begin_plan(&fence, &plan_of(&env, vec![create_service("web", 1)])).await.unwrap();
    assert!(matches!(
        bed.store.delete(&key, Precondition::None, &actor()).await.unwrap(),
        Deletion::Marked(_)
    ));
    assert_eq!(inventory(&bed, &env).await.len(), 1);
}
