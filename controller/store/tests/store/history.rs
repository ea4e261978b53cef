//! The journal afterwards: what was done, by which pass, how long it took, and what was cut off.

use std::time::Duration;

use serde_json::json;
use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::Generation;
use skep_store::{PlanOutcome, Precondition, Severity, StepOutcome, StepState};

use crate::convergence::{create_network, plan_of};
use crate::support::{Bed, actor, finalize, org};

const LONG: Duration = Duration::from_secs(600);

fn done() -> StepOutcome {
    StepOutcome::Done { object_id: None }
}

#[tokio::test]
async fn plans_are_told_newest_first_with_their_pass_and_how_each_step_ended() {
    let bed = Bed::new("history").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let steps = || vec![create_network("a"), create_network("b"), create_network("c")];
    let run = async |pass: &str, outcomes: &[StepOutcome]| {
        let fence = fence.in_pass(pass);
        let id = bed.store.begin_plan(&fence, &plan_of(&acme, steps())).await.unwrap().unwrap().id;
        for (index, outcome) in outcomes.iter().enumerate() {
            bed.store.step_started(&fence, id, index).await.unwrap();
            bed.store.step_finished(&fence, id, index, outcome).await.unwrap();
        }
        id
    };
    let first = run("p1", &[done(), done(), done()]).await;
    let second = run("p2", &[done(), StepOutcome::Failed { why: "no".to_owned() }]).await;
    let third = run("p3", &[done()]).await;

    let plans = bed.store.plans(acme.meta.uid, 10).await.unwrap();
    let told: Vec<_> =
        plans.iter().map(|plan| (plan.id, plan.reconcile_id.as_deref().unwrap(), plan.outcome)).collect();
    let expected = [
        (third, "p3", PlanOutcome::Open),
        (second, "p2", PlanOutcome::Stopped),
        (first, "p1", PlanOutcome::Done),
    ];
    assert_eq!(told, expected);
    let states = |plan: usize| plans[plan].steps.iter().map(|step| step.state).collect::<Vec<_>>();
    assert_eq!(states(0), [StepState::Done, StepState::Planned, StepState::Planned]);
    assert_eq!(states(1), [StepState::Done, StepState::Failed, StepState::Skipped]);
    assert_eq!(states(2), [StepState::Done; 3]);
    let failed = &plans[1].steps[1];
    assert_eq!((failed.op.as_str(), failed.problem.as_deref()), ("createNetwork", Some("no")));
    assert!(failed.cost.is_some() && failed.started_at.unwrap() <= failed.finished_at.unwrap());
    assert_eq!(plans[1].steps[2].started_at, None);
    assert!(plans[2].finished_at.unwrap() >= plans[2].created_at && plans[0].finished_at.is_none());
    assert_eq!(bed.store.plans(acme.meta.uid, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_dead_holder_left_open_is_closed_as_interrupted_and_what_lives_is_not() {
    let bed = Bed::new("interrupted").await;
    let made = bed.apply(&[org("acme"), org("other")]).await.unwrap();
    let (acme, other) = (&made[0].resource, &made[1].resource);
    let dead = bed.store.acquire_lease("work", "dead", Duration::ZERO).await.unwrap().unwrap();
    let elsewhere = bed.store.acquire_lease("elsewhere", "lives", LONG).await.unwrap().unwrap();
    let steps = vec![create_network("a"), create_network("b")];
    let id = bed.store.begin_plan(&dead, &plan_of(acme, steps)).await.unwrap().unwrap().id;
    bed.store.step_started(&dead, id, 0).await.unwrap();
    bed.store.begin_plan(&elsewhere, &plan_of(other, vec![create_network("x")])).await.unwrap();

    let next = bed.store.acquire_lease("work", "next", LONG).await.unwrap().unwrap();
    assert_eq!(bed.store.close_interrupted(&next).await.unwrap(), 1);
    let plan = bed.store.plans(acme.meta.uid, 1).await.unwrap().remove(0);
    assert_eq!(plan.outcome, PlanOutcome::Interrupted);
    let states: Vec<_> = plan.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [StepState::Unknown, StepState::Skipped]);
    assert!(plan.steps[0].problem.as_ref().unwrap().contains("the controller ended"));
    assert_eq!(bed.store.plans(other.meta.uid, 1).await.unwrap()[0].outcome, PlanOutcome::Open);
    // A plan of the term itself is not cut off by asking again.
    bed.store.begin_plan(&next, &plan_of(acme, vec![create_network("a")])).await.unwrap();
    assert_eq!(bed.store.close_interrupted(&next).await.unwrap(), 0);
    assert!(bed.store.close_interrupted(&dead).await.is_err(), "a dead holder closes nothing");
    assert_eq!(bed.store.close_interrupted(&elsewhere).await.unwrap(), 0);
}

#[tokio::test]
async fn the_next_plan_of_a_resource_closes_the_one_before_as_interrupted() {
    let bed = Bed::new("replaced").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    for _ in 0..2 {
        bed.store.begin_plan(&fence, &plan_of(&acme, vec![create_network("a")])).await.unwrap();
    }
    let outcomes: Vec<_> =
        bed.store.plans(acme.meta.uid, 9).await.unwrap().iter().map(|plan| plan.outcome).collect();
    assert_eq!(outcomes, [PlanOutcome::Open, PlanOutcome::Interrupted]);
}

#[tokio::test]
async fn what_a_pass_left_open_is_closed_when_the_next_one_finds_nothing_to_do_and_when_the_row_goes() {
    let bed = Bed::new("left_open").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let uid = acme.meta.uid;
    let outcome = async || bed.store.plans(uid, 1).await.unwrap()[0].outcome;
    for close in [true, false] {
        let steps = vec![create_network("a"), create_network("b")];
        let id = bed.store.begin_plan(&fence, &plan_of(&acme, steps)).await.unwrap().unwrap().id;
        bed.store.step_started(&fence, id, 0).await.unwrap();
        if close {
            bed.store.close_open(&fence, uid).await.unwrap();
            assert_eq!(outcome().await, PlanOutcome::Interrupted);
        }
    }
    assert_eq!(outcome().await, PlanOutcome::Open);
    let objects = ["a", "b"].map(|name| ObjectRef::new(ObjectKind::Network, name));
    bed.store.forget(&fence, uid, &objects).await.unwrap();
    bed.store.delete(&acme.meta.key, Precondition::None, &actor()).await.unwrap();
    finalize(&bed, &fence, uid).await;
    assert_eq!(outcome().await, PlanOutcome::Interrupted);
    assert!(bed.store.journal_unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_status_that_only_another_pass_says_is_not_written_and_an_event_names_the_last_pass() {
    let bed = Bed::new("passes").await;
    let fence = bed.fence().await;
    let acme = bed.applied(org("acme")).await;
    let status = |pass: &str, word: &str| json!({"word": word, "reconcileId": pass});
    let write = async |status| {
        bed.store.write_status(&fence, acme.meta.uid, Generation::new(1), &status).await.unwrap()
    };
    assert!(write(status("p1", "one")).await);
    assert!(!write(status("p2", "one")).await);
    let stored = bed.store.get(&acme.meta.key).await.unwrap().unwrap().status;
    assert_eq!(stored["reconcileId"], "p1");
    assert!(write(status("p3", "two")).await);
    for pass in ["p4", "p5"] {
        let fence = fence.in_pass(pass);
        bed.store.record_event(&fence, acme.meta.uid, Severity::Normal, "Word", "said").await.unwrap();
    }
    let events = bed.store.events(acme.meta.uid).await.unwrap();
    assert_eq!((events.len(), events[0].count, events[0].reconcile_id.as_deref()), (1, 2, Some("p5")));
}

#[tokio::test]
async fn a_page_says_how_old_its_oldest_change_is() {
    let bed = Bed::new("page_age").await;
    let start = bed.store.cursor().await.unwrap();
    let empty = bed.store.changes(start, 10).await.unwrap();
    assert_eq!(empty.oldest, Duration::ZERO);
    bed.applied(org("acme")).await;
    bed.sql("UPDATE change_log SET at = at - interval '1 hour'");
    bed.applied(org("other")).await;
    let page = bed.store.changes(start, 10).await.unwrap();
    assert_eq!(page.changes.len(), 2);
    assert!(page.oldest >= Duration::from_secs(3600) && page.oldest < Duration::from_secs(7200), "{page:?}");
}
