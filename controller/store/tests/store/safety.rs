//! Holds, confirmations, orphans, and what the brake counts.

use std::time::Duration;

use skep_planner::safety::{Finding, FoundObject, HoldReason, HoldScope, RemovalLimits, Removals};
use skep_planner::swarm::{Labels, ServiceId};
use skep_planner::{Cost, ObjectKind, ObjectRef, Op, Step};
use skep_schemas::{Kind, Owner, Resource, ResourceKey, Uid};
use skep_store::{Confirmation, DeleteItem, Deletion, Fence, HoldId, Precondition, StepOutcome};

use crate::convergence::{create_network, create_service, judging, plan_of, releasing};
use crate::support::{Bed, actor, environment, key, org};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn finding(reason: HoldReason, subject: &str) -> Finding {
    Finding { reason, subject: subject.to_owned(), why: "test".to_owned(), evidence: vec!["one".to_owned()] }
}

fn item(key: &ResourceKey, confirmation: Confirmation) -> DeleteItem {
    DeleteItem { key: key.clone(), precondition: Precondition::None, confirmation, deleter: Owner::Api }
}

async fn removals(bed: &Bed) -> Removals {
    bed.store.removals(RemovalLimits::USUAL, DAY).await.unwrap()
}

/// Environments of `acme`, each with one service in the inventory.
async fn environments(bed: &Bed, fence: &Fence, count: usize) -> Vec<Resource> {
    let mut batch = vec![org("acme")];
    batch.extend((0..count).map(|n| environment("acme", &format!("env-{n}"), &[])));
    let made = bed.apply(&batch).await.unwrap();
    let environments: Vec<Resource> = made.into_iter().skip(1).map(|one| one.resource).collect();
    for (n, environment) in environments.iter().enumerate() {
        let plan = plan_of(environment, vec![create_service(&format!("acme_env-{n}_web"), 1)]);
        bed.store.begin_plan(fence, &plan).await.unwrap();
    }
    environments
}

#[tokio::test]
async fn one_hold_of_a_reason_is_in_force_and_the_same_finding_again_is_the_same_hold() {
    let bed = Bed::new("holds").await;
    let fence = bed.fence().await;
    let first = bed.store.open_hold(&finding(HoldReason::SecondInstance, "a")).await.unwrap();
    assert_eq!(first.scope, HoldScope::Everything);
    assert_eq!(bed.store.open_hold(&finding(HoldReason::SecondInstance, "a")).await.unwrap(), first);
    bed.store.open_hold(&finding(HoldReason::TooManyRemovals, "")).await.unwrap();
    let all = bed.store.holds().await.unwrap();
    assert_eq!(
        all.iter().map(|hold| hold.scope).collect::<Vec<_>>(),
        [HoldScope::Everything, HoldScope::Removals]
    );

    // About another instance: what is confirmed about the one must not count for the other.
    bed.store.confirm_hold(first.id, &actor()).await.unwrap().unwrap();
    let other = bed.store.open_hold(&finding(HoldReason::SecondInstance, "b")).await.unwrap();
    assert!(other.id > first.id && other.confirmed.is_none());
    assert_eq!(bed.store.holds().await.unwrap().len(), 2);
    bed.store.settle_hold(&fence, other.id).await.unwrap();
    assert_eq!(bed.store.holds().await.unwrap().len(), 1);
    assert_eq!(bed.store.hold_history().await.unwrap().len(), 3);
}

#[tokio::test]
async fn processes_that_find_the_same_at_once_open_one_hold() {
    let bed = Bed::new("holdrace").await;
    let opening = (0..8).map(|_| {
        let store = bed.store.clone();
        tokio::spawn(
            async move { store.open_hold(&finding(HoldReason::TooManyRemovals, "")).await.unwrap().id },
        )
    });
    let mut ids = Vec::new();
    for one in opening.collect::<Vec<_>>() {
        ids.push(one.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_confirmation_is_a_consent_until_it_is_carried_out_and_is_audited() {
    let bed = Bed::new("consent").await;
    let fence = bed.fence().await;
    let hold = bed.store.open_hold(&finding(HoldReason::RestoredDatabase, "e1")).await.unwrap();
    assert!(bed.store.snapshot().await.unwrap().census().await.unwrap().consents.is_empty());
    let confirmed = bed.store.confirm_hold(hold.id, &actor()).await.unwrap().unwrap();
    assert_eq!(confirmed.confirmed.as_ref().map(|(_, by)| by.as_str()), Some("tester"));
    assert_eq!(confirmed.settled_at, None, "the survey carries it out");
    bed.store.confirm_hold(hold.id, &actor()).await.unwrap().unwrap();
    let consents = bed.store.snapshot().await.unwrap().census().await.unwrap().consents;
    assert_eq!(consents.iter().map(|one| one.subject.as_str()).collect::<Vec<_>>(), ["e1"]);
    bed.store.settle_hold(&fence, hold.id).await.unwrap();
    assert_eq!(bed.store.confirm_hold(hold.id, &actor()).await.unwrap(), None);
    assert_eq!(bed.store.confirm_hold(HoldId::new(99), &actor()).await.unwrap(), None);
    let audit = bed.sql("SELECT actor, kind, name FROM audit WHERE verb = 'confirm'");
    assert_eq!(audit, format!("tester|Hold|{}", hold.id));
}

#[tokio::test]
async fn only_the_leader_settles_a_hold() {
    let bed = Bed::new("settle").await;
    let former = bed.fence().await;
    bed.store.release_lease(&former).await.unwrap();
    let hold = bed.store.open_hold(&finding(HoldReason::SecondInstance, "a")).await.unwrap();
    bed.store.settle_hold(&former, hold.id).await.unwrap_err();
    assert_eq!(bed.store.holds().await.unwrap().len(), 1);
}

#[tokio::test]
async fn deletions_of_one_batch_are_due_together_and_confirmed_ones_are_not() {
    let bed = Bed::new("due").await;
    let fence = bed.fence().await;
    let made = environments(&bed, &fence, 4).await;
    assert_eq!(removals(&bed).await, Removals { managed: 4, ..Removals::default() });
    let items: Vec<_> = made[..3].iter().map(|one| item(&one.meta.key, Confirmation::Pending)).collect();
    let deletions = bed.store.delete_all(&items, &actor()).await.unwrap();
    assert!(deletions.iter().all(|one| matches!(one, Deletion::Marked(_))));
    let due = removals(&bed).await;
    assert_eq!((due.due, due.recent), (3, 0));
    assert_eq!(due.examples[0], "acme/Environment/env-0");

    // Saying it again with the confirmation is enough.
    bed.store.delete_all(&[item(&made[0].meta.key, Confirmation::Given)], &actor()).await.unwrap();
    assert_eq!(removals(&bed).await.due, 2);
    let hold = bed.store.open_hold(&finding(HoldReason::TooManyRemovals, "")).await.unwrap();
    let confirmed = bed.store.confirm_hold(hold.id, &actor()).await.unwrap().unwrap();
    assert!(confirmed.settled_at.is_some(), "removals go on at once");
    assert_eq!(removals(&bed).await.due, 0);
    bed.store.delete(&made[3].meta.key, Precondition::None, &actor()).await.unwrap();
    assert_eq!(removals(&bed).await.due, 1, "what is asked for later was not confirmed");
}

#[tokio::test]
async fn a_batch_of_deletions_is_all_or_nothing() {
    let bed = Bed::new("batch").await;
    let fence = bed.fence().await;
    let made = environments(&bed, &fence, 2).await;
    let stale = DeleteItem {
        precondition: Precondition::Revision(skep_schemas::Revision::new(9_999)),
        ..item(&made[1].meta.key, Confirmation::Given)
    };
    bed.store.delete_all(&[item(&made[0].meta.key, Confirmation::Given), stale], &actor()).await.unwrap_err();
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE deletion_requested_at IS NOT NULL"), "0");
    assert_eq!(bed.sql("SELECT count(*) FROM confirmed_removal"), "0");
}

#[tokio::test]
async fn a_confirmed_organization_goes_with_everything_in_it() {
    let bed = Bed::new("orgdue").await;
    let fence = bed.fence().await;
    environments(&bed, &fence, 3).await;
    let acme = key("", Kind::Organization, "acme");
    bed.store.delete_all(&[item(&acme, Confirmation::Given)], &actor()).await.unwrap();
    assert_eq!(removals(&bed).await.due, 0);
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE deletion_requested_at IS NULL"), "0");
}

#[tokio::test]
async fn a_removal_counts_for_a_while_after_it_was_done_unless_it_was_confirmed() {
    let bed = Bed::new("recent").await;
    let fence = bed.fence().await;
    let made = environments(&bed, &fence, 2).await;
    for (n, environment) in made.iter().enumerate() {
        let confirmation = if n == 0 { Confirmation::Given } else { Confirmation::Pending };
        bed.store.delete_all(&[item(&environment.meta.key, confirmation)], &actor()).await.unwrap();
        let step = Step {
            object: ObjectRef::new(ObjectKind::Service, format!("acme_env-{n}_web")),
            op: Op::RemoveService { id: ServiceId::from("s") },
            why: String::new(),
            changes: Vec::new(),
            cost: Cost::Delete,
            intended: None,
        };
        let plan = plan_of(environment, vec![step.clone()]);
        // Told twice, because the engine takes its time: it is one removal.
        for _ in 0..2 {
            let id = bed.store.begin_plan(&fence, &plan).await.unwrap().unwrap().id;
            bed.store.step_started(&fence, id, 0).await.unwrap();
            bed.store.step_finished(&fence, id, 0, &StepOutcome::Done { object_id: None }).await.unwrap();
        }
        bed.store.forget(&fence, environment.meta.uid, &[step.object]).await.unwrap();
        bed.store.finalize(&fence, environment.meta.uid).await.unwrap();
    }
    let counted = removals(&bed).await;
    assert_eq!((counted.managed, counted.due, counted.recent), (0, 0, 1));
    bed.sql("UPDATE plan_step SET finished_at = now() - interval '1 hour'");
    assert_eq!(removals(&bed).await.recent, 0);
}

#[tokio::test]
async fn the_service_of_a_process_that_the_newest_release_does_not_have_is_due() {
    let bed = Bed::new("process").await;
    let fence = bed.fence().await;
    let environments = environments(&bed, &fence, 1).await;
    // The release of these tests has no processes at all.
    bed.store.begin_plan(&fence, &releasing(&environments[0], 1, &[])).await.unwrap();
    assert_eq!(removals(&bed).await.due, 1);
    let failed = skep_planner::Verdict::Failed { reason: "test".to_owned() };
    bed.store.begin_plan(&fence, &judging(&environments[0], 1, failed)).await.unwrap();
    assert_eq!(removals(&bed).await.due, 0, "a release that failed says nothing about what is wanted");
}

fn found(kind: ObjectKind, name: &str, owner: Uid) -> FoundObject {
    let labels: Labels =
        [("skep.dev/uid".to_owned(), owner.to_string()), ("skep.dev/release".to_owned(), "v3".to_owned())]
            .into_iter()
            .collect();
    FoundObject { object: ObjectRef::new(kind, name), id: format!("id-{name}"), labels }
}

#[tokio::test]
async fn an_orphan_keeps_the_time_when_it_was_first_seen_and_goes_when_it_is_gone() {
    let bed = Bed::new("orphans").await;
    let fence = bed.fence().await;
    let owner = Uid::generate();
    let (one, two) = (found(ObjectKind::Service, "one", owner), found(ObjectKind::Network, "two", owner));
    bed.store.record_orphans(&fence, &[one.clone(), two.clone()]).await.unwrap();
    bed.sql("UPDATE orphan SET first_seen_at = now() - interval '2 days' WHERE name = 'one'");
    bed.store.record_orphans(&fence, &[one.clone(), two]).await.unwrap();
    let orphans = bed.store.orphans().await.unwrap();
    assert_eq!(
        orphans.iter().map(|orphan| orphan.found.object.name.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(removals(&bed).await.due, 1, "one is past the grace period");
    bed.store.record_orphans(&fence, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(bed.store.orphans().await.unwrap().len(), 1);

    assert!(bed.store.may_collect(&fence, &one.object).await.unwrap());
    let acme = bed.applied(org("acme")).await;
    bed.store.begin_plan(&fence, &plan_of(&acme, vec![create_service("one", 1)])).await.unwrap();
    assert!(!bed.store.may_collect(&fence, &one.object).await.unwrap(), "it is wanted again");
    bed.store.forget_orphan(&one.id).await.unwrap();
    assert!(bed.store.orphans().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_entry_comes_back_with_its_id_and_release_if_its_owner_is_there() {
    let bed = Bed::new("recover").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let lost = found(ObjectKind::Network, "skep-acme", acme.meta.uid);
    let stranger = found(ObjectKind::Network, "skep-gone", Uid::generate());
    let objects = [(acme.meta.uid, lost.clone()), (stranger.owner().unwrap(), stranger)];
    bed.store.recover_inventory(&fence, &objects).await.unwrap();
    assert_eq!(bed.sql("SELECT name, object_id, sent_release FROM inventory"), "skep-acme|id-skep-acme|3");
    bed.store.recover_inventory(&fence, &objects).await.unwrap();
    let census = bed.store.snapshot().await.unwrap().census().await.unwrap();
    assert!(census.inventory.contains(&lost.object) && census.inventory.len() == 1);
}

#[tokio::test]
async fn a_restore_over_the_same_database_is_another_epoch() {
    let bed = Bed::new("overwritten").await;
    let epoch = || bed.sql("SELECT epoch FROM cluster_rev");
    let before = epoch();
    bed.store.migrate().await.unwrap();
    assert_eq!(epoch(), before);
    // What a restore with `--clean` does to the table.
    bed.sql("CREATE TABLE copy (LIKE cluster_rev INCLUDING ALL); INSERT INTO copy SELECT * FROM cluster_rev");
    bed.sql("DROP TABLE cluster_rev; ALTER TABLE copy RENAME TO cluster_rev");
    bed.store.migrate().await.unwrap();
    assert_ne!(epoch(), before);
}

#[tokio::test]
async fn an_owner_is_found_with_the_processes_that_its_releases_may_run() {
    let bed = Bed::new("owners").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    bed.store.begin_plan(&fence, &plan_of(&acme, vec![create_network("skep-acme")])).await.unwrap();
    let owners = bed.store.snapshot().await.unwrap().owners(&[acme.meta.uid, Uid::generate()]).await.unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[&acme.meta.uid].key, acme.meta.key);
}
