//! The wait as a state machine, fed with statuses as a server reports them.

use super::*;
use crate::fixture::{NOW, condition as said, environment, ready, resource, rolling_out, stalled};
use serde_json::{Value, json};
use skep_schemas::Kind;

fn applied(generation: i64) -> Target {
    let uid = ready(1).metadata.uid;
    Target { uid: Some(uid), generation: Some(Generation::new(generation)), ..Target::named(Goal::Ready) }
}

fn present(view: ResourceView) -> Seen {
    Seen::Present(Box::new(view))
}

fn is_waiting(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Waiting(_))
}

fn deleting(mut view: ResourceView) -> ResourceView {
    view.metadata.deletion_requested_at = Some(NOW.parse().unwrap());
    view
}

#[test]
fn a_roll_out_is_waited_for_until_it_has_converged() {
    let mut tracker = Tracker::default();
    tracker.add(key_of(&ready(1)).unwrap(), applied(2), present(ready(1)));
    for view in [ready(1), rolling_out(2, 0), rolling_out(2, 1), rolling_out(2, 2)] {
        tracker.see(view);
        assert_eq!(tracker.standing(), Standing::Open);
    }
    tracker.see(ready(2));
    assert_eq!(tracker.standing(), Standing::Reached);
}

#[test]
fn a_stale_report_is_not_believed_whether_it_is_good_or_bad() {
    assert!(is_waiting(&judge(&applied(2), &present(ready(1)))));
    assert!(is_waiting(&judge(&applied(2), &present(stalled(1)))));
    // The status has caught up, and one of its conditions has not.
    let mixed = [said("Ready", "True", "Converged", "", 1)];
    assert!(is_waiting(&judge(&applied(2), &present(environment(2, 2, 2, &mixed)))));
    // A report about a later generation covers this one.
    assert_eq!(judge(&applied(2), &present(ready(3))), Judgement::Reached);
}

#[test]
fn a_report_that_rests_on_an_older_state_of_its_inputs_is_not_believed() {
    let target = Target { inputs: Some(Revision::new(40)), ..applied(2) };
    let at = |revision: i64| {
        let mut view = ready(2);
        view.status.as_mut().unwrap()["observedRevision"] = json!(revision);
        judge(&target, &present(view))
    };
    assert!(is_waiting(&at(39)));
    assert_eq!(at(40), Judgement::Reached);
}

#[test]
fn a_stalled_roll_out_ends_the_wait_with_the_reason_and_the_last_error() {
    let judgement = judge(&applied(2), &present(stalled(2)));
    let Judgement::Failed(why) = judgement else { panic!("{judgement:?}") };
    assert_eq!(
        why,
        "RolledBack: release v3 failed its health check; v2 runs again; worker: image not found on any node"
    );
}

#[test]
fn one_failure_among_many_ends_the_wait_and_the_rest_is_told() {
    let mut tracker = Tracker::default();
    tracker.add(key_of(&ready(1)).unwrap(), applied(2), present(stalled(2)));
    let other = resource(Kind::Secret, "db", 1, &json!({}), &Value::Null);
    tracker.add(key_of(&other).unwrap(), Target::named(Goal::Ready), present(other));
    assert_eq!(tracker.standing(), Standing::Failed);
    let lines = tracker.unfinished();
    assert!(lines[0].starts_with("acme/Environment/shop: RolledBack"), "{lines:?}");
    assert_eq!(lines[1], "acme/Secret/db: the controller has not reported yet");
}

#[test]
fn everything_must_be_ready_at_the_same_time() {
    let mut tracker = Tracker::default();
    tracker.add(key_of(&ready(1)).unwrap(), applied(2), present(ready(2)));
    let secret = |status: &Value| resource(Kind::Secret, "db", 1, &json!({}), status);
    tracker.add(key_of(&secret(&Value::Null)).unwrap(), Target::named(Goal::Ready), Seen::Nothing);
    assert_eq!(tracker.standing(), Standing::Open);
    let fallen = [said("Ready", "False", "InstancesMissing", "1 of 2 instances run", 2)];
    tracker.see(environment(2, 2, 1, &fallen));
    let status = json!({"observedGeneration": 1, "conditions": [said("Ready", "True", "Converged", "", 1)]});
    tracker.see(secret(&status));
    assert_eq!(tracker.standing(), Standing::Open);
    tracker.see(ready(2));
    assert_eq!(tracker.standing(), Standing::Reached);
}

#[test]
fn what_does_not_exist_yet_is_waited_for_and_what_was_applied_and_is_gone_is_not() {
    let named = Target::named(Goal::Ready);
    assert!(is_waiting(&judge(&named, &Seen::Nothing)));
    assert!(is_waiting(&judge(&named, &Seen::Absent)));
    assert_eq!(judge(&applied(2), &Seen::Absent), Judgement::Failed("it was deleted in the meantime".into()));
    assert_eq!(
        judge(&applied(2), &present(deleting(ready(2)))),
        Judgement::Failed("it is being deleted".into())
    );
}

#[test]
fn another_resource_of_the_same_name_is_not_the_one_that_was_applied() {
    let mut target = applied(1);
    target.uid = Some("00000000-0000-7000-8000-0000000000ff".parse().unwrap());
    assert!(matches!(judge(&target, &present(ready(1))), Judgement::Failed(_)));
    target.goal = Goal::Deleted;
    assert_eq!(judge(&target, &present(ready(1))), Judgement::Reached);
}

#[test]
fn a_deletion_is_done_when_the_resource_is_gone_and_an_old_failure_does_not_end_it() {
    let target = Target { goal: Goal::Deleted, ..applied(2) };
    assert!(is_waiting(&judge(&target, &present(deleting(stalled(2))))));
    assert!(is_waiting(&judge(&target, &Seen::Nothing)));
    assert_eq!(judge(&target, &Seen::Absent), Judgement::Reached);
}

#[test]
fn a_condition_can_be_waited_for_even_if_it_is_a_bad_one() {
    let of = |kind| Target::named(Goal::Condition(kind));
    assert_eq!(judge(&of(ConditionKind::Stalled), &present(stalled(2))), Judgement::Reached);
    assert!(matches!(judge(&of(ConditionKind::Degraded), &present(stalled(2))), Judgement::Failed(_)));
    assert_eq!(judge(&of(ConditionKind::Progressing), &present(rolling_out(2, 1))), Judgement::Reached);
    assert!(is_waiting(&judge(&of(ConditionKind::Stalled), &present(ready(2)))));
}

#[test]
fn a_snapshot_says_what_is_absent_in_its_place_and_nothing_about_others() {
    let mut tracker = Tracker::default();
    let (shop, plan) = (ready(1), resource(Kind::Plan, "small", 1, &json!({}), &Value::Null));
    let (shop_key, plan_key) = (key_of(&shop).unwrap(), key_of(&plan).unwrap());
    tracker.add(shop_key.clone(), Target::named(Goal::Deleted), Seen::Nothing);
    tracker.add(plan_key, Target::named(Goal::Deleted), Seen::Nothing);
    tracker.snapshot(|key| key.kind() == Kind::Environment, Vec::new());
    let seen: Vec<_> = tracker.judgements().map(|(_, seen, _)| seen.clone()).collect();
    assert_eq!(seen, [Seen::Absent, Seen::Nothing]);
    tracker.snapshot(|key| key.kind() == Kind::Environment, vec![ready(1)]);
    assert_eq!(tracker.standing(), Standing::Open);
    tracker.gone(&shop_key, ready(1).metadata.uid);
    assert!(tracker.judgements().any(|(_, _, judgement)| judgement == Judgement::Reached));
}

#[test]
fn the_end_of_a_predecessor_does_not_hide_its_successor() {
    let mut tracker = Tracker::default();
    let key = key_of(&ready(1)).unwrap();
    tracker.add(key.clone(), Target::named(Goal::Ready), present(ready(1)));
    tracker.gone(&key, "00000000-0000-7000-8000-0000000000ff".parse().unwrap());
    assert_eq!(tracker.standing(), Standing::Reached);
}

#[test]
fn a_status_that_cannot_be_read_ends_the_wait_instead_of_prolonging_it() {
    let view = resource(Kind::App, "shop", 1, &json!({}), &json!({"conditions": "none"}));
    assert!(matches!(judge(&Target::named(Goal::Ready), &present(view)), Judgement::Failed(_)));
}
